"""Limits of the services that the abuse tests start."""

from __future__ import annotations

import sysconfig
from pathlib import Path

HERE = Path(__file__).parent


LIBRARIES = [sysconfig.get_paths()["purelib"], str(HERE.parent), str(HERE)]


BODY_BYTES = 1_000_000
