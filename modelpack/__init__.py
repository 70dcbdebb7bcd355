"""modelpack: a saved model in, a small tested container image out.

    import modelpack

    spec = modelpack.inspect("model.joblib")
    result = modelpack.package("model.joblib", tag="iris:1")

Both do the same as the commands with these names; see `modelpack --help`. In the training script,
`modelpack.record(model, X, "model.joblib")` stores predictions next to the model file.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from modelpack._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelpack.pipeline.package import PackageResult
    from modelpack.types import ModelSpec

__all__ = ["__version__", "inspect", "package", "record"]


def inspect(
    path: str | PathLike[str],
    *more: str | PathLike[str],
    trust: tuple[str, ...] = (),
    select: tuple[str, ...] = (),
    sha256: tuple[str, ...] = (),
) -> ModelSpec:
    """Inspect the file or files of a model without executing anything in them.

    Args:
        path: A file, a folder of MLflow or a zip archive of one, or an address.
        more: Further files of the model.
        trust: Names outside the allowlist that the file may refer to, as "module:name".
        select: Estimators to take from a file that contains several.
        sha256: Digests of the files at https:// addresses, in the order of these.

    Returns:
        The facts about the model; `safety.verdict` says whether it is safe to load.

    Raises:
        modelpack.errors.UsageError: A file does not exist, or does not contain what is selected.
        modelpack.errors.ModelpackError: An address cannot be read; a subclass for each reason.
    """
    from modelpack.inspection import inspect as read
    from modelpack.pipeline.options import Options
    from modelpack.pipeline.sources import open_models

    with open_models([str(each) for each in (path, *more)], Options(sha256=sha256)) as models:
        return models.describe(read(*models.paths, trust=trust, select=select))


def package(path: str | PathLike[str], *more: str | PathLike[str], **options: Any) -> PackageResult:
    """Package a model as a tested image.

    Args:
        path: A file, a folder of MLflow or a zip archive of one, or an address.
        more: Further files of the model.
        options: The fields of `modelpack.pipeline.options.Options`.

    Raises:
        modelpack.errors.ModelpackError: A subclass for each kind of failure. `SmokeFailedError` if
            the image was built, but a check failed.
    """
    from modelpack.pipeline import options as pipeline_options
    from modelpack.pipeline import package as pipeline_package
    from modelpack.pipeline import smoke

    result = pipeline_package.package(
        [str(p) for p in (path, *more)], pipeline_options.Options(**options)
    )
    if result.smoke:
        allowed = options.get("allow_untested", False)
        smoke.require_passed(result.smoke, allow_untested=allowed)
    return result


def record(
    model: Any,
    X: Any,  # noqa: N803 - the name in scikit-learn
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    rows: int = 20,
) -> Path:
    """Write predictions for the first rows of `X`, and facts about `X`, next to the model file.

    `modelpack package` compares the predictions of the container with them. The record contains
    these rows unchanged; `rows=0` keeps none. See `modelpack.parity.record.record`.
    """
    from modelpack.parity import record as parity_record

    return parity_record.record(model, X, path, rows=rows)
