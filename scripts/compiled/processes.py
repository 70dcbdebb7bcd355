"""The processes that save and compare: with one thread, and one kernel of BLAS.

The kernel decides the last bits of products, and so the order of neighbors at nearly one distance.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 1_800


@dataclass(frozen=True)
class Result:
    """The comparison of one model.

    Attributes:
        kind: The class.
        settings: The settings, and the name of the data.
        refused: Why the model has no compiled form, or "".
        ulp: The largest difference, of the larger number or of 1.
        wrong: What differs by more than last bits, or "".
        answers: The rows that were compared, of all methods.
    """

    kind: str
    settings: str
    refused: str = ""
    ulp: float = 0.0
    wrong: str = ""
    answers: int = 0


def save(interpreter: Path, folder: Path) -> None:
    """Fit and save the models with the interpreter of a release. See inside/save.py."""
    command = [str(interpreter), "-W", "ignore", "-m", "compiled.inside.save", str(folder)]
    subprocess.run(command, check=True, env=_environment(folder), timeout=SECONDS)


def compare(folder: Path) -> list[Result]:
    """Compare the models that a release saved to a folder. See comparison.py."""
    command = [sys.executable, "-m", "compiled.comparison", str(folder)]
    run = subprocess.run(
        command, check=True, env=_environment(folder), timeout=SECONDS, stdout=subprocess.PIPE
    )
    return [Result(**each) for each in json.loads(run.stdout)]


def _environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(home),
        "OPENBLAS_CORETYPE": "Haswell",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}",
        **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")},
    }
