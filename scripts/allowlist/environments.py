"""The releases that evidence comes from, each with the libraries of its time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from modelpack.engines import interpreters

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "allowlist"
INSIDE = Path(__file__).parent / "inside"
SECONDS = 1_800


@dataclass(frozen=True)
class Release:
    """`name` is its name in the allowlist; `requirements` are pinned, for pip.

    Attributes:
        options: More options of `uv pip install`, such as a date.
    """

    name: str
    python: str
    requirements: str
    options: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return CACHE / self.name

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def interpreter(self) -> Path:
        return self.folder / "venv" / "bin" / "python"


def _sklearn(version: str, python: str, others: str) -> Release:
    major, minor = version.split(".")[:2]
    return Release(f"{major}.{minor}", python, f"scikit-learn=={version} {others}")


# Oldest first; the facts of an estimator are those of the newest release that has it.
RELEASES = (
    _sklearn("0.20.4", "3.7", "numpy==1.16.6 scipy==1.2.3 pandas==0.25.3"),
    _sklearn("0.21.3", "3.7", "numpy==1.17.5 scipy==1.3.3 pandas==0.25.3 joblib==0.13.2"),
    _sklearn("0.22.2.post1", "3.7", "numpy==1.18.5 scipy==1.4.1 pandas==1.0.5 joblib==0.14.1"),
    _sklearn("0.23.2", "3.8", "numpy==1.19.5 scipy==1.5.4 pandas==1.1.5 joblib==0.17.0"),
    _sklearn("0.24.2", "3.8", "numpy==1.19.5 scipy==1.6.3 pandas==1.2.5 joblib==1.0.1"),
    _sklearn("1.0.2", "3.8", "numpy==1.21.6 scipy==1.7.3 pandas==1.3.5 joblib==1.1.1"),
    _sklearn("1.1.3", "3.8", "numpy==1.22.4 scipy==1.8.1 pandas==1.4.4 joblib==1.1.1"),
    _sklearn("1.2.2", "3.9", "numpy==1.23.5 scipy==1.10.1 pandas==1.5.3 joblib==1.2.0"),
    _sklearn("1.3.2", "3.11", "numpy==1.26.4 scipy==1.11.4 pandas==2.1.4 joblib==1.3.2"),
    _sklearn("1.4.2", "3.9", "numpy==1.26.4 scipy==1.12.0 pandas==2.1.4 joblib==1.4.2"),
    _sklearn("1.5.2", "3.11", "numpy==2.0.2 scipy==1.14.1 pandas==2.2.3 joblib==1.4.2"),
    _sklearn("1.6.1", "3.10", "numpy==2.1.3 scipy==1.15.3 pandas==2.2.3 joblib==1.4.2"),
    _sklearn("1.7.2", "3.12", "numpy==2.3.5 scipy==1.16.3 pandas==2.3.3 joblib==1.5.2"),
    _sklearn("1.8.0", "3.12", "numpy==2.3.5 scipy==1.16.3 pandas==2.3.3 joblib==1.5.3"),
    _sklearn("1.9.1", "3.13", "numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 joblib==1.6.0"),
)
LIBRARIES = (
    Release(
        "libraries-2023", "3.10",
        "scikit-learn==1.2.2 numpy==1.23.5 scipy==1.10.1 pandas==1.5.3 joblib==1.2.0 "
        "xgboost==1.7.6 lightgbm==3.3.5 catboost==1.1.1 imbalanced-learn==0.10.1 "
        "category-encoders==2.6.0 statsmodels==0.13.5 hmmlearn==0.3.0",
    ),
    Release(
        "libraries", "3.12",
        "scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1 pandas==3.1.1 joblib==1.6.0 "
        "xgboost-cpu==3.2.0 lightgbm==4.7.0 catboost==1.2.10 imbalanced-learn==0.14.2 "
        "category-encoders==2.11.2 statsmodels==0.15.0 hmmlearn==0.3.3",
    ),
)  # fmt: skip


def saved(release: Release) -> Path:
    """The folder of the files that the libraries of a release saved; made once.

    Raises:
        subprocess.CalledProcessError: there is no such interpreter or no wheel, or saving failed.
    """
    if not _is_stamped(release, "saved", _fingerprint(release)):
        make_environment(release)
        shutil.rmtree(release.files, ignore_errors=True)
        release.files.mkdir()
        inside(release, "run.py", str(release.files))
        _stamp(release, "saved", _fingerprint(release))
    return release.files


def inside(release: Release, script: str, *arguments: str) -> None:
    """Run a script of inside/ with the interpreter of a release; it is given little of ours."""
    environment = {"PATH": os.defpath, "HOME": str(release.folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    command = [str(release.interpreter), "-W", "ignore", str(INSIDE / script), *arguments]
    subprocess.run(command, check=True, env=environment, timeout=SECONDS, cwd=release.folder)


def make_environment(release: Release) -> None:
    """The virtual environment of a release, made once.

    Raises:
        subprocess.CalledProcessError: there is no such interpreter or no wheel.
    """
    installed = " ".join([*release.options, release.requirements])
    if _is_stamped(release, "installed", installed):
        return
    venv = str(release.folder / "venv")
    python = interpreters.find(release.python) or interpreters.install(release.python)
    subprocess.run(["uv", "venv", "-q", "--clear", "--python", str(python), venv], check=True)
    install = ["uv", "pip", "install", "-q", "--only-binary", ":all:", "--python", venv]
    install += release.options
    subprocess.run([*install, *release.requirements.split()], check=True)
    _stamp(release, "installed", installed)


def _fingerprint(release: Release) -> str:
    digest = hashlib.sha256(release.requirements.encode())
    left_out = {"hooks.py"} if release in LIBRARIES else {"hooks.py", "libraries.py"}
    for path in sorted(INSIDE.glob("*.py")):
        if path.name not in left_out:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_stamped(release: Release, name: str, value: str) -> bool:
    stamp = release.folder / f"{name}.json"
    return stamp.exists() and json.loads(stamp.read_text()) == value


def _stamp(release: Release, name: str, value: str) -> None:
    (release.folder / f"{name}.json").write_text(json.dumps(value))
