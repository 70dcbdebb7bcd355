"""Releases in time, from releases.json, which scripts/update_releases.py makes from an index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

FRAMEWORK = "scikit-learn"


@dataclass(frozen=True)
class Release:
    """A version of the framework, its day, and the Python versions it has Linux wheels for."""

    version: Version
    day: date
    pythons: tuple[str, ...]


def release_of(version: Version) -> Release:
    """The release of this version, or the last one before it that is known; at least the first."""
    known = [release for release in _releases() if release.version <= version]
    return known[-1] if known else _releases()[0]


def newest(specifier: SpecifierSet | None = None) -> Release:
    """The newest release, of those that the specifier allows where it allows any."""
    allowed = [r for r in _releases() if specifier is None or r.version in specifier]
    return allowed[-1] if allowed else _releases()[-1]


def python_day(python: str) -> date:
    """The day of the first final release of a Python minor version."""
    return date.fromisoformat(_table()["python"][python])


def features(name: str) -> Mapping[str, date]:
    """Feature series ("1.25") -> the day of its first release; empty for libraries not known."""
    series = _table()["features"].get(name, {})
    return {feature: date.fromisoformat(day) for feature, day in series.items()}


@cache
def _releases() -> tuple[Release, ...]:
    releases = (
        Release(Version(version), date.fromisoformat(facts["released"]), tuple(facts["python"]))
        for version, facts in _table()[FRAMEWORK].items()
    )
    return tuple(sorted(releases, key=lambda release: release.version))


@cache
def _table() -> Mapping[str, Any]:
    text = (Path(__file__).parent / "releases.json").read_text(encoding="utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table
