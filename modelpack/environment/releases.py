"""Releases of libraries and their days, from releases.json (scripts/update_releases.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

OLDEST_PYTHON = Version("3.7")
"""The oldest Python that the service supports."""


@dataclass(frozen=True)
class Release:
    """A release of a library, its day, and the Python versions with Linux wheels."""

    version: Version
    day: date
    pythons: tuple[str, ...]

    @property
    def is_servable(self) -> bool:
        """True if it has wheels for a Python that the service supports."""
        return any(Version(python) >= OLDEST_PYTHON for python in self.pythons)

    @property
    def series(self) -> Version:
        """The feature series, such as 1.25."""
        return Version(f"{self.version.major}.{self.version.minor}")


@cache
def releases_of(name: str) -> tuple[Release, ...]:
    """Return the releases of a library, oldest version first; () if it is not in the table."""
    releases = (
        Release(Version(version), date.fromisoformat(day), tuple(pythons.split()))
        for version, (day, pythons) in _table()["releases"].get(name, {}).items()
    )
    return tuple(sorted(releases, key=lambda release: release.version))


def libraries() -> tuple[str, ...]:
    """Return the names of the libraries in the table."""
    return tuple(_table()["releases"])


def allowed(requirement: Requirement) -> tuple[Release, ...]:
    """Return the known releases that a requirement allows, oldest version first."""
    releases = releases_of(canonicalize_name(requirement.name))
    return tuple(r for r in releases if requirement.specifier.contains(r.version))


def nearest(name: str, version: Version) -> Release | None:
    """Return the last known release up to this version; if all are newer, the first one."""
    releases = releases_of(name)
    before = [release for release in releases if release.version <= version]
    return before[-1] if before else next(iter(releases), None)


def pythons() -> tuple[str, ...]:
    """Return the Python minor versions ("3.11") in the table, oldest first."""
    return tuple(_table()["python"])


def python_day(python: str) -> date:
    """Return the day of the first final release of a Python minor version in the table."""
    return date.fromisoformat(_table()["python"][python])


@cache
def _table() -> Mapping[str, Any]:
    text = (Path(__file__).parent / "releases.json").read_text(encoding="utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table
