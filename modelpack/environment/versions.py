"""Versions in time: which Pythons and which libraries lived together with a framework release."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from ..errors import EnvironmentNotResolvedError, UsageError
from ..spec import ModelSpec
from . import releases
from .releases import FRAMEWORK, Release
from .requirements import canonical, from_user

OLDEST_PYTHON = Version("3.7")  # of the serving code

SETTLED = timedelta(days=182)
"""How long a Python must have been out before people are taken to have trained on it."""

GRACE = timedelta(days=60)
"""How long after its release a framework meets newer libraries: long enough for their bug-fix
releases, too short for the next feature release of numpy or scipy (two a year each).
"""


def framework_version(spec: ModelSpec, user: Iterable[Requirement] = ()) -> Version | None:
    """The version of scikit-learn: the newest of those the user allows, else the recorded one."""
    for requirement in user:
        if canonical(requirement) == FRAMEWORK:
            return releases.newest(requirement.specifier).version
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
    release = releases.release_of(version) if version else releases.newest()
    usable = [python for python in release.pythons if _is_usable(python, spec)]
    if not usable:
        raise _no_python(spec, release)
    settled = [python for python in usable if releases.python_day(python) + SETTLED <= release.day]
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
    days = [releases.release_of(version).day, *filter(None, map(_evidence, requirements))]
    return max(days) + GRACE


def bounds(days: Mapping[str, date]) -> list[str]:
    """For libraries and their last day, constraints ("numpy<1.26") that keep out the feature
    releases made after it; none for a library that the table does not know.
    """
    firsts = {name: _first_after(day, releases.features(name)) for name, day in days.items()}
    return [f"{name}<{first}" for name, first in firsts.items() if first]


def _first_after(day: date, series: Mapping[str, date]) -> str | None:
    later = [first for first, released in series.items() if released > day]
    return min(later, key=Version, default=None)


def _evidence(requirement: Requirement) -> date | None:
    """The day of the oldest feature release that a requirement with a lower bound allows."""
    lower = [part for part in requirement.specifier if part.operator in {"==", ">=", "~="}]
    series = releases.features(canonical(requirement))
    versions = [Version(part.version.removesuffix(".*")) for part in lower]
    names = [f"{version.major}.{version.minor}" for version in versions]
    return max((series[name] for name in names if name in series), default=None)


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
