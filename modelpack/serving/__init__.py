"""A model behind HTTP. This package runs in the image.

It runs on Python 3.7 and later, is copied unchanged into every bundle, and imports nothing of
modelpack outside this folder. The public names are loaded on first use, so that
`python -m modelpack.serving.health` starts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app
    from .media.arrow_tables import predict_table
    from .problems import Problem
    from .service import Service

__all__ = ["Problem", "Service", "create_app", "predict_table"]

_HOMES = {
    "Problem": ".problems",
    "Service": ".service",
    "create_app": ".app",
    "predict_table": ".media.arrow_tables",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - the health check does without

    return getattr(import_module(_HOMES[name], __name__), name)
