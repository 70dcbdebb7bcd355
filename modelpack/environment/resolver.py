"""`resolve()`: candidate plans, locked in order until one works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from modelpack.platforms import PLATFORMS, require_platform
from modelpack.types import Environment, IndexSettings, ModelSpec

from . import artifacts, compatibility, installed, python_versions, releases, warnings, wheelhouse
from .requirements import (
    SERVING,
    VARIANTS,
    RequirementSet,
    add_serving_stack,
    canonical,
    collect_requirements,
    pinned_version,
)
from .uv import MISSING_DATES, NO_SOLUTION, Lock, Request, compile_lock, not_resolved

__all__ = ["SERVING", "require_index", "resolve"]

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
    python_versions.require_python(python)
    require_platform(platform)
    wanted = collect_requirements(spec, requirements)
    compatibility.require_loadable(spec, _asked_for(python, platform, wanted.user))
    day = python_versions.cutoff(spec, wanted)
    tried = plans(spec, wanted, day)
    for plan in tried:
        request = Request(plan.requirements, python, PLATFORMS[platform], index)
        lock, request = _with_sources(plan, request, day, wanted)
        if NO_SOLUTION not in lock.error:
            break
    if lock.error:
        raise wheelhouse.not_resolved(lock.error, index, python, platform)
    pins = lock.pins()
    text = wheelhouse.reuse_lock(lock.text, index, wheelhouse.LOCK)
    environment = Environment(
        python=python,
        platform=platform,
        requirements=pins,
        origins={name: _origin(name, plan, wanted, spec) for name in pins},
        lock=text,
        system_packages=_system_packages(pins),
        warnings=(
            *warnings.version_warnings(spec, wanted, pins),
            *warnings.python_warnings(python, python_versions.preferred(spec, wanted, day)),
            *warnings.training_warnings(spec, tried[0].pins, plan.pins),
        ),
        sdists=request.sdists,
        build_lock=wheelhouse.reuse_lock(
            artifacts.build_lock(text, request), index, wheelhouse.BUILD_LOCK
        ),
    )
    return compatibility.with_compatibility_warnings(spec, environment)


def _asked_for(python: str, platform: str, user: Sequence[Requirement]) -> Environment:
    """What the user alone decides, so that it is judged by itself before it is mixed with more."""
    pins = {canonical(r): p.version for r in user for p in r.specifier if p.operator == "=="}
    return Environment(python, platform, pins, dict.fromkeys(pins, "user"), lock="")


def _with_sources(
    plan: Plan, request: Request, day: date | None, wanted: RequirementSet
) -> tuple[Lock, Request]:
    """The lock, and the request with those that had to be taken as source: of what the user named
    and has no wheel.
    """
    lock = _locked(plan, request, day)
    if not artifacts.without_wheels(lock):
        return lock, request
    sdists = artifacts.user_sdists(wanted.user, request, releases.libraries())
    if not sdists:
        return lock, request
    lock = _locked(plan, replace(request, sdists=sdists), day)
    pins = lock.pins()
    return lock, replace(request, sdists=tuple(name for name in pins if name in sdists))


def require_index(index: IndexSettings) -> None:
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
    of_time = [bound for name, at in kept.items() for bound in python_versions.bounds(at, [name])]
    return compile_lock(request, bounds=pins + of_time, left_out=plan.left_out)


def _system_packages(pins: Mapping[str, str]) -> tuple[str, ...]:
    needed = {
        package
        for name, (package, since) in SYSTEM_PACKAGES.items()
        if name in pins and (since is None or Version(pins[name]) < since)
    }
    return tuple(sorted(needed))


def _origin(name: str, plan: Plan, wanted: RequirementSet, spec: ModelSpec) -> Origin:
    names = {name, VARIANTS.get(name, name)}
    if any(canonical(r) in names and r.specifier for r in wanted.user):
        return "user"
    if name in plan.pins:
        return "record" if spec.recorded else "installed"
    pinned = any(canonical(r) in names and pinned_version(r) for r in wanted.file)
    return "file" if pinned and names & wanted.exact else "resolver"


SERVING_STACK = (
    *SERVING, "blinker", "click", "importlib-metadata", "itsdangerous", "jinja2", "markupsafe",
    "packaging", "typing-extensions", "werkzeug", "zipp",
)  # fmt: skip
"""What serves, and what that needs in turn: always current, and with it patched."""

TRACING = "opentelemetry-"
TRACING_STACK = (
    "opentelemetry-api", "opentelemetry-exporter-http-transport",
    "opentelemetry-exporter-otlp-common", "opentelemetry-exporter-otlp-proto-common",
    "opentelemetry-exporter-otlp-proto-http", "opentelemetry-proto", "opentelemetry-sdk",
    "opentelemetry-semantic-conventions", "backoff", "certifi", "charset-normalizer", "deprecated",
    "googleapis-common-protos", "idna", "protobuf", "requests", "urllib3", "wrapt",
)  # fmt: skip
"""What sends traces, where the user requires one of its distributions: as current as the rest."""

SILENT = {"xgboost": (SpecifierSet(">=1.4,<1.7"), Requirement("setuptools<81"))}
"""Distribution -> its versions that import what they do not require, and what provides that: of
setuptools, releases that still hold pkg_resources."""

LEFT_OUT = {
    "catboost": ("graphviz", "matplotlib", "plotly"),
    "xgboost": ("nvidia-nccl-cu12", "nvidia-nccl-cu13"),
}
"""Distribution -> what it requires, and predicts without: libraries to draw with, and one between
graphics processors. Seen in containers with catboost 0.17 to 1.2 and xgboost 2.1."""


@dataclass(frozen=True)
class Plan:
    """One way to lock. `pins`: of what is installed here. `left_out`: names that are not locked
    though something requires them. `current`: names that may be newer than the model.
    """

    requirements: tuple[Requirement, ...]
    pins: Mapping[str, Version]
    left_out: tuple[str, ...]
    current: frozenset[str]


def plans(spec: ModelSpec, wanted: RequirementSet, day: date | None) -> list[Plan]:
    """All that are worth a try, best first."""
    pins = _open(_known(spec, wanted), wanted)
    alike = _for_processors(wanted.model, day)
    return [
        _plan(requirements, chosen, wanted)
        for requirements in dict.fromkeys((alike, wanted.model))
        for chosen in ((pins, {}) if pins else ({},))
    ]


def _known(spec: ModelSpec, wanted: RequirementSet) -> Mapping[str, Version]:
    """The versions that trained the model: as recorded there, else as installed here."""
    if spec.recorded:
        return {name: Version(text) for name, text in spec.recorded.items()}
    found = installed.find_training_environment(spec, wanted)
    return found.all_versions() if found else {}


def _plan(
    requirements: tuple[Requirement, ...], pins: Mapping[str, Version], a: RequirementSet
) -> Plan:
    names = {canonical(requirement) for requirement in requirements}
    chosen = {canonical(r) for r in requirements if pinned_version(r)}
    chosen |= {canonical(r) for r in a.user if r.specifier}
    left_out = {VARIANTS[name] for name in names & VARIANTS.keys()}
    if names <= {
        *releases.libraries(),
        *SERVING,
        *TRACING_STACK,
    }:  # others may need what these do without
        left_out |= {name for one in names for name in LEFT_OUT.get(one, ())}
    current = {*SERVING_STACK, *(TRACING_STACK if _traces(a) else ())}
    return Plan(
        tuple(add_serving_stack([*requirements, *_silent(requirements)])),
        pins,
        tuple(sorted(left_out)),
        frozenset(chosen | current),
    )


def _traces(wanted: RequirementSet) -> bool:
    return any(canonical(requirement).startswith(TRACING) for requirement in wanted.user)


def _silent(requirements: tuple[Requirement, ...]) -> list[Requirement]:
    names = {canonical(requirement) for requirement in requirements}
    found = [(pinned_version(r), *SILENT.get(canonical(r), (None, None))) for r in requirements]
    return [
        need
        for version, specifier, need in found
        if version and specifier and need and version in specifier and canonical(need) not in names
    ]


def _open(versions: Mapping[str, Version], wanted: RequirementSet) -> dict[str, Version]:
    """Those of the model's libraries that neither file nor user decide."""
    decided = {canonical(r) for r in wanted.file if pinned_version(r)}
    decided |= {canonical(r) for r in wanted.user if r.specifier} | set(SERVING_STACK)
    decided |= set(TRACING_STACK) if _traces(wanted) else set()
    names = sorted(versions.keys() - decided)
    return {name: versions[name] for name in names}


def _for_processors(
    requirements: tuple[Requirement, ...], day: date | None
) -> tuple[Requirement, ...]:
    """With the variants without kernels for graphics processors, where the same version is one."""
    variants = {name: variant for variant, name in VARIANTS.items()}
    return tuple(_variant(r, variants.get(canonical(r)), day) for r in requirements)


def _variant(requirement: Requirement, variant: str | None, day: date | None) -> Requirement:
    if variant is None or requirement.extras or requirement.marker:
        return requirement
    known = {r.version for r in releases.releases_of(variant) if day is None or r.day < day}
    version = pinned_version(requirement)
    if version is None:  # the newest is chosen, and is to be the same
        newest = [r for r in releases.allowed(requirement) if day is None or r.day < day]
        version = newest[-1].version if newest else None
    if version not in known:
        return requirement
    return Requirement(f"{variant}{requirement.specifier}")
