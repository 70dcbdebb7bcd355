"""Selection of the Python versions that a model can be served on."""

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

ADOPTION = timedelta(days=182)
"""Time after its release until a Python is assumed to be in use for training."""

GRACE = timedelta(days=60)
"""Time after its release in which newer libraries still fit a framework: long enough for their
bug-fix releases, too short for the next feature release of numpy or scipy (two a year each).
"""

ANY = Requirement("scikit-learn")  # replaces a framework that is not in the table
NUMPY = Requirement("numpy")  # every model needs it


def candidate_pythons(spec: ModelSpec, requirements: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the Python versions ("3.11") that the model can be served on, preferred first.

    Each has wheels of all pinned distributions, and of a release of the time of all others. The
    preferred version is the one that saved the model, if the file or the local environment reveals
    it; otherwise the newest that had been released half a year before the day of the model. The
    others follow by distance, and older ones first, because libraries of that time had wheels for
    them.

    Raises:
        EnvironmentNotResolvedError: No version fits.
        UsageError: One of `requirements` is invalid.
    """
    required = collect_requirements(spec, requirements)
    day = cutoff(spec, required)
    usable = _usable(spec, required, day)
    if not usable:
        raise _no_python(spec, required)
    best = _likeliest(usable, spec, required, day)
    return tuple(sorted(usable, key=lambda p: (abs(_minor(p) - _minor(best)), _minor(p))))


def preferred(spec: ModelSpec, required: RequirementSet, day: date | None) -> str | None:
    """Return the usable Python version that is selected first, or None.

    `day`: the cutoff of the model.
    """
    usable = _usable(spec, required, day)
    return _likeliest(usable, spec, required, day) if usable else None


def require_python(python: str) -> None:
    """Raise UsageError unless the service runs on a minor version ("3.11")."""
    if not re.fullmatch(r"3\.[0-9]{1,2}", python) or Version(python) < OLDEST_PYTHON:
        raise UsageError(
            f"{python[:40]!r} is not a Python version that the service supports.",
            hint=f"Give {OLDEST_PYTHON} or later as major.minor: --python 3.13",
        )


def cutoff(spec: ModelSpec, required: RequirementSet) -> date | None:
    """Return the first day whose releases are too new for the model. None: there is no limit.

    A model was saved after the newest release that the file gives evidence of: of its framework,
    another library ("pandas>=2.2") or Python. If no version is recorded, and the layout implies an
    upper bound ("numpy<2"), it was saved before the first release above the bound. The day is never
    before libraries had wheels for the oldest Python.
    """
    dating = list(filter(required.dates_model, required.model))
    if any(map(_is_newer, dating)):
        return None
    days = [day + GRACE for day in _evidence(spec, required)]
    if not dating:
        before = min(filter(None, map(_first_beyond, required.file)), default=None)
        if before is None:
            return None
        days.append(before)
    return max(*days, _adopted_by(str(OLDEST_PYTHON))) if days else None


def bounds(day: date, names: Iterable[str]) -> list[str]:
    """Return constraints ("numpy<1.26") that exclude feature releases from that day on.

    Libraries that are not in the table have none.
    """
    firsts = {name: _first_from(day, releases.releases_of(name)) for name in names}
    return [f"{name}<{first.series}" for name, first in firsts.items() if first]


def _first_from(day: date, known: Iterable[Release]) -> Release | None:
    """Return a release of the oldest feature series that began on the day or later."""
    older = {release.series for release in known if release.day < day}
    newer = [r for r in known if r.series not in older and r.day >= day]
    return min(newer, key=lambda release: release.series, default=None)


def _evidence(spec: ModelSpec, required: RequirementSet) -> Iterator[date]:
    """Yield days before which the model was certainly not saved."""
    for requirement in required.model:
        if (release := _first(requirement, required)) is not None:
            yield release.day
    allowed = [python for python in releases.pythons() if _is_allowed(python, spec)]
    pythons = {*(allowed[:1] if spec.python else ()), spec.trained_on} & {*releases.pythons()}
    yield from map(releases.python_day, pythons)


def _first(requirement: Requirement, required: RequirementSet) -> Release | None:
    """Return the release that a requirement is evidence of.

    It is the release of a pin, the newest that the user allows of the framework, or the oldest
    above a lower bound.
    """
    name, version = canonical(requirement), pinned_version(requirement)
    if version is not None:
        return releases.nearest(name, version)
    allowed = releases.allowed(requirement)
    if name == required.framework and required.is_of_user(requirement) and requirement.specifier:
        return allowed[-1] if allowed else None
    lower = any(part.operator in {">=", "~=", ">"} for part in requirement.specifier)
    return allowed[0] if allowed and lower else None


def _first_beyond(requirement: Requirement) -> date | None:
    """Return the day of the first release above an upper bound."""
    allowed = releases.allowed(requirement)
    newer = [r.day for r in releases.releases_of(canonical(requirement)) if allowed and
             r.version > allowed[-1].version]  # fmt: skip
    return min(newer, default=None)


def _is_newer(requirement: Requirement) -> bool:
    """Return whether a pin is newer than all releases in the table."""
    version, known = pinned_version(requirement), releases.releases_of(canonical(requirement))
    return bool(version and known and version > known[-1].version)


def _has_wheels(python: str, required: RequirementSet, day: date | None) -> bool:
    requirements = [*required.model, NUMPY, *([] if required.model else [ANY])]
    return all(python in _pythons(r, required, day) for r in requirements)


def _pythons(
    requirement: Requirement, required: RequirementSet, day: date | None
) -> frozenset[str]:
    """Return the Pythons with wheels of a pin, or of the newest fitting release of a framework.

    For other libraries, all releases of the time count, because the lock may use an older one.
    """
    name, version = canonical(requirement), pinned_version(requirement)
    if version is not None:
        pin = releases.nearest(name, version)
        return frozenset(pin.pythons if pin else releases.pythons())
    fitting = [r for r in releases.allowed(requirement) if day is None or r.day < day]
    if name == (required.framework or canonical(ANY)):
        fitting = fitting[-1:]
    pythons = frozenset(python for release in fitting for python in release.pythons)
    return pythons or frozenset(releases.pythons())


def _likeliest(
    usable: Sequence[str], spec: ModelSpec, required: RequirementSet, day: date | None
) -> str:
    for saved in (spec.trained_on, installed.python_of(spec, required)):
        if saved in usable:
            return str(saved)
    return _adopted_python(usable, _day(required, day))


def _usable(spec: ModelSpec, required: RequirementSet, day: date | None) -> list[str]:
    # Without a recorded version, wheels of the newest releases do not matter, but of those that the
    # active environment has.
    is_open = not any(map(pinned_version, required.file))
    saved = installed.python_of(spec, required) if is_open else None
    return [
        python
        for python in releases.pythons()
        if _is_usable(python, spec) and (python == saved or _has_wheels(python, required, day))
    ]


def _day(required: RequirementSet, day: date | None) -> date:
    """Return the day of the model, or of the newest release, at which a Python must be in use."""
    if day is not None:
        return day - GRACE
    known = releases.releases_of(required.framework or "") or releases.releases_of(canonical(ANY))
    return known[-1].day


def _adopted_python(usable: Sequence[str], day: date) -> str:
    adopted = [python for python in usable if _adopted_by(python) <= day]
    return adopted[-1] if adopted else usable[0]


def _adopted_by(python: str) -> date:
    return releases.python_day(python) + ADOPTION


def _minor(python: str) -> int:
    return Version(python).minor


def _is_usable(python: str, spec: ModelSpec) -> bool:
    return Version(python) >= OLDEST_PYTHON and _is_allowed(python, spec)


def _is_allowed(python: str, spec: ModelSpec) -> bool:
    try:
        return SpecifierSet(spec.python or "").contains(python)
    except InvalidSpecifier:
        return False


def _no_python(spec: ModelSpec, required: RequirementSet) -> EnvironmentNotResolvedError:
    pins = [(canonical(r), version) for r in required.model if (version := pinned_version(r))]
    nearest = [(name, version, releases.nearest(name, version)) for name, version in pins]
    reasons = [
        f"{name} {version} has wheels for Python {', '.join(release.pythons)}"
        for name, version, release in nearest
        if release
    ]
    bound = [f"the model file allows Python {spec.python[:40]!r}"] if spec.python else []
    name = pins[0][0] if pins else canonical(ANY)
    return EnvironmentNotResolvedError(
        f"No Python version fits: {'; '.join([*reasons, *bound])}; the service needs Python"
        f" {OLDEST_PYTHON} or later.",
        hint="Name a similar version with wheels: "
        f"--python {OLDEST_PYTHON} --requirement {name}==VERSION",
    )
