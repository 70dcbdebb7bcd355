"""`python -m tests.clients NAME ...` locks anew."""

from __future__ import annotations

import sys

from . import relock

for name in sys.argv[1:]:
    relock(name)
