"""The sources of the releases that models come from, taken out of their wheels."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "methods"
RELEASES = ROOT / "modelpack" / "environment" / "releases.json"
SECONDS = 600

OLDEST = {
    "catboost": "0.20",
    "category-encoders": "1.3",
    "hmmlearn": "0.2",
    "imbalanced-learn": "0.4",
    "joblib": "0.11",
    "lightgbm": "2.0",
    "numpy": "1.14",
    "pandas": "0.23",
    "scikit-learn": "0.18",
    "scipy": "1.0",
    "statsmodels": "0.9",
    "xgboost": "0.80",
}
"""Distributions whose classes models hold, and the first release that is read of each."""


def folders() -> Iterator[Path]:
    """Yield the folder of each release: the newest of each minor version; made once.

    Raises:
        LookupError: No interpreter has a wheel of a release.
        subprocess.TimeoutExpired: A download took too long.
    """
    known = json.loads(RELEASES.read_text())
    for name, oldest in OLDEST.items():
        newest: dict[tuple[int, ...], Version] = {}
        for version in map(Version, known["releases"][name]):
            if not version.is_prerelease and version >= Version(oldest):
                minor = version.release[:2]
                newest[minor] = max(version, newest.get(minor, version))
        for version in newest.values():
            yield _folder(name, str(version), list(known["python"]))


def _folder(name: str, version: str, pythons: list[str]) -> Path:
    folder = CACHE / f"{name}-{version}"
    if not folder.exists():
        wheel = CACHE / "wheel"
        if not any(_installed(f"{name}=={version}", python, wheel) for python in pythons):
            raise LookupError(f"There is no wheel of {name} {version}.")
        _keep_sources(wheel, folder)
    return folder


def _installed(requirement: str, python: str, target: Path) -> bool:
    shutil.rmtree(target, ignore_errors=True)
    command = [
        "uv", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:",
        "--target", str(target), "--python-version", python,
        "--python-platform", "x86_64-manylinux_2_28", requirement,
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, timeout=SECONDS)
    return done.returncode == 0


def _keep_sources(wheel: Path, folder: Path) -> None:
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    for path in wheel.rglob("*.py"):
        relative = path.relative_to(wheel)
        if "tests" not in relative.parts:
            (part / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, part / relative)
    part.rename(folder)
    shutil.rmtree(wheel)
