"""The arrows in a row: a model file in, a proven image out.

    inspect -> (code) -> reference -> environment -> bundle -> build -> smoke

Every stage reports to an `Observer`; the command line draws what it is told.
"""

from __future__ import annotations

from .authorship import look
from .batch import FORMATS, Batch, predict
from .commands import build, export, lock, package, require_passed, serve, smoke_target
from .diff import FAIL_ON, diff, require_same
from .options import Observer, Options, Package
from .push import Pushed, push
from .run import Run
from .scanning import require_held, scan, scanned
from .verifying import Verification, require_verified, verify
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
    "Verification",
    "Voucher",
    "build",
    "diff",
    "export",
    "lock",
    "look",
    "package",
    "predict",
    "push",
    "require_held",
    "require_passed",
    "require_same",
    "require_verified",
    "scan",
    "scanned",
    "serve",
    "smoke_target",
    "verify",
]
