"""resolve(): the lock, made by uv for the image's Python version and platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from modelpack.platforms import PLATFORMS, require_platform
from modelpack.types import Environment, IndexSettings, ModelSpec

from . import conflicts, differences, releases, sources, versions, wheelhouse
from .lock import Lock, Request, compile_lock
from .plan import Plan, plans
from .reasons import MISSING_DATES, NO_SOLUTION, not_resolved
from .requirements import SERVING, VARIANTS, Asked, asked, canonical, pinned_version

__all__ = ["SERVING", "reach", "resolve"]

SYSTEM_PACKAGES = {"lightgbm": ("libgomp1", None), "xgboost": ("libgomp1", Version("1.5"))}
"""Distribution -> the Debian package that it needs and does not bring along, and the version since
which it brings it. Seen by `ldd` on the wheels of lightgbm 2.2 to 4.7 and xgboost 0.90 to 3.2."""

READABLE = {"pandas": date(2019, 7, 20)}
"""The first day of releases whose metadata uv can read: pandas before 0.25 has malformed ones."""

UNFIT = (
    ("pyarrow", SpecifierSet(">=26"), "numpy", SpecifierSet("<2"), "pyarrow<26"),
    ("pyarrow", SpecifierSet("<15"), "numpy", SpecifierSet(">=2"), "numpy<2"),
)
"""Releases of two distributions that refuse each other when they are imported and not in their
metadata, and the constraint that avoids the pair. Seen with pyarrow 14.0.1 to 26.0.1 and numpy
1.26.4 and 2.2.0."""

Origin = Literal["file", "record", "installed", "user", "resolver"]


def resolve(
    spec: ModelSpec,
    python: str,
    *,
    platform: str = "linux/amd64",
    index: IndexSettings,
    requirements: Sequence[str] = (),
) -> Environment:
    """Pins and hashes every distribution that serving the model takes.

    The model's libraries are those of the environment here, if it saved the model, else those of
    the time of what the file records; on an index without upload times, the feature releases of
    that time. `requirements` are the user's, such as "pandas==2.2.3"; they take the place of the
    file's.

    Raises:
        EnvironmentNotResolvedError: nothing fits, or the model cannot be loaded with what was
            asked for, or the index cannot be reached.
        UsageError: the platform or the Python version is not one to serve on, or one of
            `requirements` is no requirement.
    """
    versions.require_python(python)
    require_platform(platform)
    wanted = asked(spec, requirements)
    conflicts.require_loadable(spec, _asked_for(python, platform, wanted.user))
    day = versions.cutoff(spec, wanted)
    tried = plans(spec, wanted, day)
    for plan in tried:
        request = Request(plan.requirements, python, PLATFORMS[platform], index)
        lock, request = _with_sources(plan, request, day, wanted)
        if NO_SOLUTION not in lock.error:
            break
    if lock.error:
        raise wheelhouse.not_resolved(lock.error, index, python, platform)
    pins = lock.pins()
    text = wheelhouse.original(lock.text, index, wheelhouse.LOCK)
    environment = Environment(
        python=python,
        platform=platform,
        requirements=pins,
        origins={name: _origin(name, plan, wanted, spec) for name in pins},
        lock=text,
        system_packages=_system_packages(pins),
        warnings=(
            *differences.of_versions(spec, wanted, pins),
            *differences.of_python(python, versions.preferred(spec, wanted, day)),
            *differences.of_training(spec, tried[0].pins, plan.pins),
        ),
        sdists=request.sdists,
        build_lock=wheelhouse.original(
            sources.build_lock(text, request), index, wheelhouse.BUILD_LOCK
        ),
    )
    return conflicts.judged(spec, environment)


def _asked_for(python: str, platform: str, user: Sequence[Requirement]) -> Environment:
    """What the user alone decides, so that it is judged by itself before it is mixed with more."""
    pins = {canonical(r): p.version for r in user for p in r.specifier if p.operator == "=="}
    return Environment(python, platform, pins, dict.fromkeys(pins, "user"), lock="")


def _with_sources(
    plan: Plan, request: Request, day: date | None, wanted: Asked
) -> tuple[Lock, Request]:
    """The lock, and the request with those that had to be taken as source: of what the user named
    and has no wheel.
    """
    lock = _locked(plan, request, day)
    if not sources.without_wheels(lock):
        return lock, request
    sdists = sources.of_user(wanted.user, request, releases.libraries())
    if not sdists:
        return lock, request
    lock = _locked(plan, replace(request, sdists=sdists), day)
    pins = lock.pins()
    return lock, replace(request, sdists=tuple(name for name in pins if name in sdists))


def reach(index: IndexSettings) -> None:
    """Asks the index for a distribution that every index has.

    Raises:
        EnvironmentNotResolvedError: it does not answer, or not with that.
    """
    python, platform = "3.12", "linux/amd64"
    request = Request([Requirement("pip")], python, PLATFORMS[platform], index)
    lock = compile_lock(request)
    if lock.error:
        raise not_resolved(lock.error, python, platform)


def _locked(plan: Plan, request: Request, day: date | None) -> Lock:
    lock = _once_locked(plan, request, day)
    bounds = _unfit(lock.pins())
    return _once_locked(plan, request, day, bounds) if bounds else lock


def _unfit(pins: Mapping[str, str]) -> list[str]:
    """Return the constraints that keep out releases which do not run with each other."""
    return [
        bound
        for one, some, other, others, bound in UNFIT
        if one in pins and other in pins and pins[one] in some and pins[other] in others
    ]


def _once_locked(
    plan: Plan, request: Request, day: date | None, bounds: Sequence[str] = ()
) -> Lock:
    """By date where the index serves upload times, else by bounds known beforehand."""
    pins = [*bounds, *(f"{name}=={version}" for name, version in plan.pins.items())]
    if day is None:
        return compile_lock(request, bounds=pins, left_out=plan.left_out)
    later = {name: max(day, READABLE.get(name, day)) for name in releases.libraries()}
    dates: dict[str, date | None] = {name: at for name, at in later.items() if at != day}
    current = plan.current | plan.pins.keys()
    dates |= dict.fromkeys(sorted(current))
    lock = compile_lock(request, bounds=pins, left_out=plan.left_out, day=day, dates=dates)
    if MISSING_DATES not in lock.error:
        return lock
    kept = {name: at for name, at in later.items() if name not in current}
    of_time = [bound for name, at in kept.items() for bound in versions.bounds(at, [name])]
    return compile_lock(request, bounds=pins + of_time, left_out=plan.left_out)


def _system_packages(pins: Mapping[str, str]) -> tuple[str, ...]:
    needed = {
        package
        for name, (package, since) in SYSTEM_PACKAGES.items()
        if name in pins and (since is None or Version(pins[name]) < since)
    }
    return tuple(sorted(needed))


def _origin(name: str, plan: Plan, wanted: Asked, spec: ModelSpec) -> Origin:
    names = {name, VARIANTS.get(name, name)}
    if any(canonical(r) in names and r.specifier for r in wanted.user):
        return "user"
    if name in plan.pins:
        return "record" if spec.recorded else "installed"
    pinned = any(canonical(r) in names and pinned_version(r) for r in wanted.file)
    return "file" if pinned and names & wanted.exact else "resolver"
