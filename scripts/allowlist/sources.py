"""The source of the libraries that predict, of each release: downloaded, never imported."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .environments import LIBRARIES, RELEASES, ROOT

CACHE = ROOT / ".cache" / "sources"
_ESTIMATORS = {
    "scikit-learn": "sklearn", "xgboost": "xgboost", "xgboost-cpu": "xgboost",
    "lightgbm": "lightgbm", "catboost": "catboost", "imbalanced-learn": "imblearn",
    "category-encoders": "category_encoders", "hmmlearn": "hmmlearn",
}  # fmt: skip
"""Distribution -> its package, of those whose classes are estimators."""

_DATA = {"numpy": "numpy", "pandas": "pandas", "scipy": "scipy", "statsmodels": "statsmodels"}
"""The same of those whose classes are mostly parts of estimators."""

_PLATFORM = "x86_64-manylinux_2_28"


@dataclass(frozen=True)
class Source:
    """One release of a library; `name` is how the review calls it, as "sklearn 1.9"."""

    requirement: str
    python: str
    package: str

    @property
    def name(self) -> str:
        version = self.requirement.partition("==")[2]
        return f"{self.package} {'.'.join(version.split('.')[:2])}"

    @property
    def folder(self) -> Path:
        """The package's folder, downloaded once.

        Raises:
            subprocess.CalledProcessError: The release has no wheel.
        """
        target = CACHE / re.sub(r"[^\w.-]+", "-", self.requirement)
        if not target.exists():
            _download(self, target)
        return target / self.package


def sources(*, data: bool = False) -> Iterator[Source]:
    """List the releases in the allowlist once each, oldest first.

    Args:
        data: Whether to list numpy, pandas, scipy and statsmodels, too.
    """
    packages = {**_ESTIMATORS, **_DATA} if data else _ESTIMATORS
    reported = set()
    for release in (*RELEASES, *LIBRARIES):
        for requirement in release.requirements.split():
            package = packages.get(requirement.partition("==")[0])
            if package and requirement not in reported:
                reported.add(requirement)
                yield Source(requirement, release.python, package)


def _download(source: Source, target: Path) -> None:
    unpacked = target.with_suffix(".part")
    shutil.rmtree(unpacked, ignore_errors=True)
    command = ["uv", "pip", "install", "-q", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", source.python, "--python-platform", _PLATFORM]
    subprocess.run([*command, "--target", str(unpacked), source.requirement], check=True)
    for path in sorted(unpacked.rglob("*")):
        if path.is_file() and path.suffix != ".py":
            path.unlink()  # compiled libraries of up to 300 MB, which are not needed here
    unpacked.rename(target)
