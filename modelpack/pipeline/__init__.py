"""The arrows in a row: a model file in, a proven image out.

    inspect -> (code) -> reference -> environment -> bundle -> build -> smoke

Every stage reports to an `Observer`; the command line draws what it is told. `diff` and `verifying`
are imported by those who ask for them, as loading them takes 40 ms.
"""

from __future__ import annotations

from .authorship import look
from .batch import FORMATS, Batch, predict
from .commands import build, export, lock, package, require_passed, serve, smoke_target
from .options import FAIL_ON, Observer, Options, Package
from .push import Pushed, push
from .run import Run
from .scanning import require_held, scan, scanned
from .vouching import Voucher

__all__ = [
    "FAIL_ON",
    "FORMATS",
    "Batch",
    "Observer",
    "Options",
    "Package",
    "Pushed",
    "Run",
    "Voucher",
    "build",
    "export",
    "lock",
    "look",
    "package",
    "predict",
    "push",
    "require_held",
    "require_passed",
    "scan",
    "scanned",
    "serve",
    "smoke_target",
]
