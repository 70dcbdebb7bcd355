"""Which Python versions suit a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from modelpack.errors import EnvironmentNotResolvedError, UsageError
from modelpack.types import ModelSpec

from . import installed, releases
from .releases import OLDEST_PYTHON, Release
from .requirements import RequirementSet, canonical, collect_requirements, pinned_version

SETTLED = timedelta(days=182)
"""How long a Python must have been out before people are taken to have trained on it."""

GRACE = timedelta(days=60)
"""How long after its release a framework meets newer libraries: long enough for their bug-fix
releases, too short for the next feature release of numpy or scipy (two a year each).
"""

ANY = Requirement("scikit-learn")  # what stands for a framework that the table does not know
NUMPY = Requirement("numpy")  # every model computes with it


def candidate_pythons(spec: ModelSpec, requirements: Sequence[str] = ()) -> tuple[str, ...]:
    """The Python versions ("3.11") that the model can be served on, preferred first.

    Each has wheels for all that is pinned, and for some release of the time of all else. Preferred
    is the one that saved the model, where the file or the environment here tells; else the newest
    that had been out for half a year by the model's day. The others follow by their distance from
    it, at equal distance the older first, since the libraries of that time are sure to have had
    wheels for it. `requirements` are the user's, as for `resolve`.

    Raises:
        EnvironmentNotResolvedError: there is none.
        UsageError: one of `requirements` is none.
    """
    wanted = collect_requirements(spec, requirements)
    day = cutoff(spec, wanted)
    usable = _usable(spec, wanted, day)
    if not usable:
        raise _no_python(spec, wanted)
    best = _likeliest(usable, spec, wanted, day)
    return tuple(sorted(usable, key=lambda p: (abs(_minor(p) - _minor(best)), _minor(p))))


def preferred(spec: ModelSpec, wanted: RequirementSet, day: date | None) -> str | None:
    """The Python version that is likeliest to have saved the model, of those that it can be served
    on; None where there is none. `day`: its cutoff.
    """
    usable = _usable(spec, wanted, day)
    return _likeliest(usable, spec, wanted, day) if usable else None


def require_python(python: str) -> None:
    """Raises:
    UsageError: `python` is not a minor version ("3.11") that serving runs on.
    """
    if not re.fullmatch(r"3\.[0-9]{1,2}", python) or Version(python) < OLDEST_PYTHON:
        raise UsageError(
            f"{python[:40]!r} is no Python version that a model can be served on.",
            hint=f"Give one as major.minor, {OLDEST_PYTHON} or later: --python 3.13",
        )


def cutoff(spec: ModelSpec, wanted: RequirementSet) -> date | None:
    """The day from whose start on libraries are too new for the model; None: all is current.

    A model was saved no earlier than the newest release of which there is evidence, which may be
    a library's ("pandas>=2.2") or Python's rather than its framework's. Where no version is
    recorded, and the layout says that a library was older ("numpy<2"), it was saved before the
    release that was not there yet. No day is before libraries had wheels for the oldest Python.
    """
    told = list(filter(wanted.dates_model, wanted.model))
    if any(map(_is_news, told)):
        return None
    days = [day + GRACE for day in _evidence(spec, wanted)]
    if not told:
        before = min(filter(None, map(_first_beyond, wanted.file)), default=None)
        if before is None:
            return None
        days.append(before)
    return max(*days, _settled_by(str(OLDEST_PYTHON))) if days else None


def bounds(day: date, names: Iterable[str]) -> list[str]:
    """Constraints ("numpy<1.26") that keep out the feature releases of these libraries made from
    that day on; none for a library that the table does not know.
    """
    firsts = {name: _first_from(day, releases.releases_of(name)) for name in names}
    return [f"{name}<{first.series}" for name, first in firsts.items() if first]


def _first_from(day: date, known: Iterable[Release]) -> Release | None:
    """The first release of the oldest feature series of which there was none before the day."""
    there = {release.series for release in known if release.day < day}
    newer = [r for r in known if r.series not in there and r.day >= day]
    return min(newer, key=lambda release: release.series, default=None)


def _evidence(spec: ModelSpec, wanted: RequirementSet) -> Iterator[date]:
    """Days on which the model was not saved yet."""
    for requirement in wanted.model:
        if (found := _first(requirement, wanted)) is not None:
            yield found.day
    allowed = [python for python in releases.pythons() if _is_allowed(python, spec)]
    pythons = {*(allowed[:1] if spec.python else ()), spec.trained_on} & {*releases.pythons()}
    yield from map(releases.python_day, pythons)


def _first(requirement: Requirement, wanted: RequirementSet) -> Release | None:
    """The release that a requirement gives evidence of: that of a pin, the newest of those that
    the user wants of a framework, the oldest of those with a lower bound.
    """
    name, version = canonical(requirement), pinned_version(requirement)
    if version is not None:
        return releases.nearest(name, version)
    found = releases.allowed(requirement)
    if name == wanted.framework and wanted.is_of_user(requirement) and requirement.specifier:
        return found[-1] if found else None
    lower = any(part.operator in {">=", "~=", ">"} for part in requirement.specifier)
    return found[0] if found and lower else None


def _first_beyond(requirement: Requirement) -> date | None:
    """The day of the first release that is too new for an upper bound."""
    found = releases.allowed(requirement)
    newer = [r.day for r in releases.releases_of(canonical(requirement)) if found and
             r.version > found[-1].version]  # fmt: skip
    return min(newer, default=None)


def _is_news(requirement: Requirement) -> bool:
    """Whether a pin is newer than all that the table knows of the library."""
    version, known = pinned_version(requirement), releases.releases_of(canonical(requirement))
    return bool(version and known and version > known[-1].version)


def _has_wheels(python: str, wanted: RequirementSet, day: date | None) -> bool:
    requirements = [*wanted.model, NUMPY, *([] if wanted.model else [ANY])]
    return all(python in _pythons(r, wanted, day) for r in requirements)


def _pythons(requirement: Requirement, wanted: RequirementSet, day: date | None) -> frozenset[str]:
    """The Pythons with wheels: of a pin, or a framework's newest release that fits, its own; of
    other libraries, those of all releases of the time, since the lock may go back to an older one.
    """
    name, version = canonical(requirement), pinned_version(requirement)
    if version is not None:
        pin = releases.nearest(name, version)
        return frozenset(pin.pythons if pin else releases.pythons())
    found = [r for r in releases.allowed(requirement) if day is None or r.day < day]
    if name == (wanted.framework or canonical(ANY)):
        found = found[-1:]
    together = frozenset(python for release in found for python in release.pythons)
    return together or frozenset(releases.pythons())


def _likeliest(
    usable: Sequence[str], spec: ModelSpec, wanted: RequirementSet, day: date | None
) -> str:
    for saved in (spec.trained_on, installed.python_of(spec, wanted)):
        if saved in usable:
            return str(saved)
    return _settled_python(usable, _day(wanted, day))


def _usable(spec: ModelSpec, wanted: RequirementSet, day: date | None) -> list[str]:
    return [p for p in releases.pythons() if _is_usable(p, spec) and _has_wheels(p, wanted, day)]


def _day(wanted: RequirementSet, day: date | None) -> date:
    """The day by which a Python must have settled: the model's, or that of the newest release."""
    if day is not None:
        return day - GRACE
    known = releases.releases_of(wanted.framework or "") or releases.releases_of(canonical(ANY))
    return known[-1].day


def _settled_python(usable: Sequence[str], day: date) -> str:
    settled = [python for python in usable if _settled_by(python) <= day]
    return settled[-1] if settled else usable[0]


def _settled_by(python: str) -> date:
    return releases.python_day(python) + SETTLED


def _minor(python: str) -> int:
    return Version(python).minor


def _is_usable(python: str, spec: ModelSpec) -> bool:
    return Version(python) >= OLDEST_PYTHON and _is_allowed(python, spec)


def _is_allowed(python: str, spec: ModelSpec) -> bool:
    try:
        return SpecifierSet(spec.python or "").contains(python)
    except InvalidSpecifier:
        return False


def _no_python(spec: ModelSpec, wanted: RequirementSet) -> EnvironmentNotResolvedError:
    pins = [(canonical(r), version) for r in wanted.model if (version := pinned_version(r))]
    found = [(name, version, releases.nearest(name, version)) for name, version in pins]
    told = [
        f"{name} {version} has wheels for Python {', '.join(release.pythons)}"
        for name, version, release in found
        if release
    ]
    bound = [f"the model file allows Python {spec.python[:40]!r}"] if spec.python else []
    name = pins[0][0] if pins else canonical(ANY)
    return EnvironmentNotResolvedError(
        f"No Python version fits: {'; '.join([*told, *bound])}; serving needs Python"
        f" {OLDEST_PYTHON} or later.",
        hint="Name a version close to it that has: "
        f"--python {OLDEST_PYTHON} --requirement {name}==VERSION",
    )
