"""The generator, and the recorder of parameters, run by the interpreters of releases."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from allowlist.environments import Release, make_environment

ROOT = Path(__file__).parents[2]
SECONDS = 7200


def generated(release: Release, seed: int = 0, count: int = 0) -> dict[str, Any]:
    """The figures of inside/run.py."""
    return _inside(release, "run", str(seed), str(count))


def recorded(release: Release) -> dict[str, Any]:
    """The output of inside/record.py."""
    return _inside(release, "record")


def _inside(release: Release, module: str, *arguments: str) -> dict[str, Any]:
    release.folder.mkdir(parents=True, exist_ok=True)
    make_environment(release)
    environment = {
        "PATH": os.defpath,
        "HOME": str(release.folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}",
        **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")},
    }
    command = [str(release.interpreter), "-W", "ignore", "-m", f"settings.inside.{module}"]
    run = subprocess.run(
        [*command, *arguments], check=True, env=environment, timeout=SECONDS, stdout=subprocess.PIPE
    )
    document: dict[str, Any] = json.loads(run.stdout)
    return document
