"""Versions in time: which Pythons and which libraries lived together with a framework release.

The facts are in releases.json, made by scripts/update_releases.py from a package index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from ..errors import EnvironmentNotResolvedError, UsageError
from ..spec import ModelSpec
from .requirements import canonical, from_user

FRAMEWORK = "scikit-learn"

OLDEST_PYTHON = Version("3.7")  # of the serving code

SETTLED = timedelta(days=182)
"""How long a Python must have been out before people are taken to have trained on it."""

GRACE = timedelta(days=60)
"""How long after its release a framework meets newer libraries: long enough for their bug-fix
releases, too short for the next feature release of numpy or scipy (two a year each).
"""


@dataclass(frozen=True)
class Release:
    """A version of the framework, its day, and the Python versions it has Linux wheels for."""

    version: Version
    day: date
    pythons: tuple[str, ...]


@cache
def _table() -> Mapping[str, Any]:
    text = (Path(__file__).parent / "releases.json").read_text(encoding="utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table


@cache
def _releases() -> tuple[Release, ...]:
    releases = (
        Release(Version(version), date.fromisoformat(facts["released"]), tuple(facts["python"]))
        for version, facts in _table()[FRAMEWORK].items()
    )
    return tuple(sorted(releases, key=lambda release: release.version))


def framework_version(spec: ModelSpec, user: Iterable[Requirement] = ()) -> Version | None:
    """The version of scikit-learn: the newest of those the user allows, else the recorded one."""
    for requirement in user:
        if canonical(requirement) == FRAMEWORK:
            return _newest(requirement.specifier)
    if spec.framework != FRAMEWORK or spec.framework_version is None:
        return None
    try:
        return Version(spec.framework_version)
    except InvalidVersion as error:
        raise EnvironmentNotResolvedError(
            f"The model file records {spec.framework_version[:40]!r} as its version of {FRAMEWORK},"
            " which is no version.",
            hint=f"Name the version it was saved with: --requirement {FRAMEWORK}==VERSION",
        ) from error


def python_versions(spec: ModelSpec, requirements: Sequence[str] = ()) -> tuple[str, ...]:
    """The Python versions ("3.11") that the model can be served on, preferred first.

    Preferred is the newest that the framework's release has wheels for and that had been out for
    half a year by then: the most likely to have trained the model. The others follow by their
    distance from it, at equal distance the older first, since the libraries of that time are sure
    to have had wheels for it. Where no version is known, the current release counts.
    `requirements` are the user's, as for `resolve`.

    Raises:
        EnvironmentNotResolvedError: there is none, or what the file records is no version.
        UsageError: one of `requirements` is none.
    """
    version = framework_version(spec, from_user(requirements))
    release = _release_of(version) if version else _releases()[-1]
    usable = [python for python in release.pythons if _is_usable(python, spec)]
    if not usable:
        raise _no_python(spec, release)
    settled = [python for python in usable if _released(python) + SETTLED <= release.day]
    best = _minor(settled[-1] if settled else usable[0])
    return tuple(sorted(usable, key=lambda python: (abs(_minor(python) - best), _minor(python))))


def require_python(python: str) -> None:
    """Raises:
    UsageError: `python` is not a minor version ("3.11") that serving runs on.
    """
    if not re.fullmatch(r"3\.[0-9]{1,2}", python) or Version(python) < OLDEST_PYTHON:
        raise UsageError(
            f"{python[:40]!r} is no Python version that a model can be served on.",
            hint=f"Give one as major.minor, {OLDEST_PYTHON} or later: --python 3.13",
        )


def cutoff(version: Version, requirements: Iterable[Requirement] = ()) -> date:
    """The day after which libraries are too new for this version of the framework.

    The model was saved no earlier than the newest release of which there is evidence, which may be
    a library's ("pandas>=2.2") rather than the framework's own.
    """
    days = [_release_of(version).day, *filter(None, map(_evidence, requirements))]
    return max(days) + GRACE


def bounds(day: date) -> dict[str, str]:
    """Library -> specifier that keeps out the feature releases ("<1.26") made after `day`."""
    bounds = {}
    for name, series in _table()["features"].items():
        later = [first for first, released in series.items() if date.fromisoformat(released) > day]
        if later:
            bounds[name] = f"<{min(later, key=Version)}"
    return bounds


def _release_of(version: Version) -> Release:
    """The release of this version, or the last one before it that the table knows."""
    known = [release for release in _releases() if release.version <= version]
    return known[-1] if known else _releases()[0]


def _newest(specifier: SpecifierSet) -> Version:
    allowed = [release.version for release in _releases() if release.version in specifier]
    return allowed[-1] if allowed else _releases()[-1].version


def _evidence(requirement: Requirement) -> date | None:
    """The day of the oldest feature release that a requirement with a lower bound allows."""
    lower = [part for part in requirement.specifier if part.operator in {"==", ">=", "~="}]
    series = _table()["features"].get(canonical(requirement), {})
    versions = [Version(part.version.removesuffix(".*")) for part in lower]
    names = [f"{version.major}.{version.minor}" for version in versions]
    return max((date.fromisoformat(series[n]) for n in names if n in series), default=None)


def _released(python: str) -> date:
    return date.fromisoformat(_table()["python"][python])


def _minor(python: str) -> int:
    return Version(python).minor


def _is_usable(python: str, spec: ModelSpec) -> bool:
    try:
        allowed = SpecifierSet(spec.python or "")
    except InvalidSpecifier:
        return False
    return Version(python) >= OLDEST_PYTHON and allowed.contains(python)


def _no_python(spec: ModelSpec, release: Release) -> EnvironmentNotResolvedError:
    bound = f", of which the model file allows {spec.python[:40]!r}" if spec.python else ""
    return EnvironmentNotResolvedError(
        f"{FRAMEWORK} {release.version} has wheels for Python {', '.join(release.pythons)}{bound};"
        f" serving needs Python {OLDEST_PYTHON} or later.",
        hint="Name a version close to it that has: "
        f"--python {OLDEST_PYTHON} --requirement {FRAMEWORK}==VERSION",
    )
