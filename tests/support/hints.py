"""Run a command of modelpack for its hint, and a class of the author that models need."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

OWN = """\
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


class Half(BaseEstimator, TransformerMixin):
    def fit(self, rows, y=None):
        return self

    def transform(self, rows):
        return np.asarray(rows) / 2
"""


def run(command: str) -> tuple[int, str]:
    """Run modelpack, and return its exit status and the hint."""
    arguments = [sys.executable, "-m", "modelpack", *shlex.split(command)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    found = re.search(r"^hint: (.*)", done.stderr, re.MULTILINE | re.DOTALL)
    return done.returncode, found[1].strip() if found else ""
