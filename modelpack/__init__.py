"""modelpack: a saved model in, a small tested container image out.

    import modelpack

    spec = modelpack.inspect("model.joblib")
    made = modelpack.package("model.joblib", tag="iris:1")

The same as the commands of these names; see `modelpack --help`.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from modelpack._version import __version__

if TYPE_CHECKING:
    from modelpack.pipeline import Package
    from modelpack.spec import ModelSpec

__all__ = ["__version__", "inspect", "package"]


def inspect(path: str | PathLike[str], *, trust: tuple[str, ...] = ()) -> ModelSpec:
    """What is in a model file; nothing of it is executed. `spec.safety.verdict` judges it.

    Raises:
        modelpack.errors.UsageError: there is no such file.
    """
    from modelpack.inspection import inspect as read

    return read(str(path), trust=trust)


def package(path: str | PathLike[str], **options: Any) -> Package:
    """A tested image of a model file. `options` are those of `modelpack.pipeline.Options`.

    Raises:
        modelpack.errors.ModelpackError: one of its classes, by what went wrong; SmokeFailedError
            where the image was built and does not answer as it must.
    """
    from modelpack import pipeline

    made = pipeline.package(str(path), pipeline.Options(**options))
    if made.smoke:
        pipeline.require_passed(made.smoke)
    return made
