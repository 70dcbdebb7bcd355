"""What joblib.dump wrote, compressed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load(path: Path) -> Any:
    """The object in the file. It runs the code that the file names: check its digest before."""
    try:
        import joblib  # noqa: PLC0415 - a library that only these files need
    except ImportError:  # scikit-learn before 0.21 has one of its own
        from sklearn.externals import joblib  # noqa: PLC0415

    return joblib.load(path)
