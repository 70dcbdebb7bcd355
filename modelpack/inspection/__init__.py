"""Inspection of model files as data: nothing is executed, nothing that a file names is imported.

    spec = inspect("model.pkl")
    require_servable(spec)

`inspect` starts a process with limits (`isolation.py`, `worker.py`), which runs `inspector.py`:

1. `parser.py` reads each file once. `stream.py` decompresses and hashes it, `detect.py` recognises
   its format by the table in `known_formats.py`. `pickle/` and `skops/` create inert values
   (`nodes.py`). For formats of other libraries, `formats/` creates a `NativeModel`; see there how
   to add one.
2. `policy.py` judges the names and values: findings, and the verdict.
3. `facts/` describes the model in a `ModelSpec`.
"""

from __future__ import annotations

from .isolation import inspect, record
from .verdicts import (
    hint_with_findings,
    is_unreadable,
    is_unserved,
    is_unsupported,
    lacks_categories,
    require_categories,
    require_servable,
    with_trusted,
)

__all__ = [
    "hint_with_findings",
    "inspect",
    "is_unreadable",
    "is_unserved",
    "is_unsupported",
    "lacks_categories",
    "record",
    "require_categories",
    "require_servable",
    "with_trusted",
]
