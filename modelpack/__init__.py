"""modelpack: a saved model in, a small tested container image out.

    import modelpack

    spec = modelpack.inspect("model.joblib")
    result = modelpack.package("model.joblib", tag="iris:1")
    with modelpack.serve("model.joblib") as service:
        service.predict([[5.1, 3.5, 1.4, 0.2]])
    difference = modelpack.diff("iris:1", "new.joblib")

They do the same as the commands with these names; see `modelpack --help` and docs/python.md. In the
training script, `modelpack.record(model, X, "model.joblib")` stores predictions next to the model
file. Failures raise a subclass of `modelpack.errors.ModelpackError`.

The functions are imported when they are used, so that `import modelpack` takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from modelpack._version import __version__

if TYPE_CHECKING:
    from modelpack.api import diff, inspect, package, record, serve

__all__ = ["__version__", "diff", "inspect", "package", "record", "serve"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("modelpack.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "errors", "types"]
