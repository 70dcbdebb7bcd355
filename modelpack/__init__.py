"""modelpack: a saved model in, a small tested container image out.

    import modelpack

    spec = modelpack.inspect("model.joblib")
    made = modelpack.package("model.joblib", tag="iris:1")

The same as the commands of these names; see `modelpack --help`. In the training script,
`modelpack.record(model, X, "model.joblib")` keeps what the model answers beside its file.
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
) -> ModelSpec:
    """What is in a model file, or in the several that make one model; nothing of it is executed.
    `spec.safety.verdict` judges it.

    Raises:
        modelpack.errors.UsageError: there is no such file, or it does not hold what is selected.
    """
    from modelpack.inspection import inspect as read

    return read(*map(str, (path, *more)), trust=trust, select=select)


def package(path: str | PathLike[str], *more: str | PathLike[str], **options: Any) -> PackageResult:
    """A tested image of a model. `options` are those of `modelpack.pipeline.options.Options`.

    Raises:
        modelpack.errors.ModelpackError: one of its classes, by what went wrong; SmokeFailedError
            where the image was built and does not answer as it must.
    """
    from modelpack.pipeline import options as pipeline_options
    from modelpack.pipeline import package as pipeline_package
    from modelpack.pipeline import smoke

    made = pipeline_package.package(
        [str(p) for p in (path, *more)], pipeline_options.Options(**options)
    )
    if made.smoke:
        allowed = options.get("allow_untested", False)
        smoke.require_passed(made.smoke, allow_untested=allowed)
    return made


def record(
    model: Any,
    X: Any,  # noqa: N803 - as scikit-learn has it
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    rows: int = 20,
) -> Path:
    """Write what `model` answers for the first rows of `X`, and the types and ranges of all of `X`,
    next to the file, or the list of files, that the model was saved to.

    `modelpack package` compares the container's answers with it. The record contains these rows as
    they are; `rows=0` keeps none. See `modelpack.parity.record.record`.
    """
    from modelpack.parity import record as parity_record

    return parity_record.record(model, X, path, rows=rows)
