"""The arrows in a row: a model file in, a proven image out.

    inspect -> (code) -> reference -> environment -> bundle -> build -> smoke

Every stage reports to an `Observer`; the command line draws what it is told.
"""

from __future__ import annotations

from .authorship import look
from .batch import FORMATS, Batch, predict
from .commands import build, export, lock, package, require_passed, serve, smoke_target
from .options import Observer, Options, Package
from .run import Run

__all__ = [
    "FORMATS",
    "Batch",
    "Observer",
    "Options",
    "Package",
    "Run",
    "build",
    "export",
    "lock",
    "look",
    "package",
    "predict",
    "require_passed",
    "serve",
    "smoke_target",
]
