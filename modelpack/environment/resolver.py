"""Resolution of a model's environment: candidate plans are locked in order until one works."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from modelpack.errors import EnvironmentNotResolvedError
from modelpack.platforms import PLATFORMS, require_platform
from modelpack.types import Environment, IndexSettings, ModelSpec

from . import artifacts, compatibility, installed, python_versions, releases, warnings, wheelhouse
from .cpu_builds import WITH_CUDA, require_cpu_build, require_version, with_cpu_builds
from .requirements import (
    SERVING,
    VARIANTS,
    RequirementSet,
    add_serving_stack,
    canonical,
    collect_requirements,
    from_user,
    pinned_version,
)
from .uv import (
    MISSING_DATES,
    NO_SOLUTION,
    Lock,
    Request,
    build_failed,
    compile_lock,
    lacks_wheels,
    not_resolved,
)

__all__ = ["SERVING", "require_index", "resolve"]

SYSTEM_PACKAGES = {"lightgbm": ("libgomp1", None), "xgboost": ("libgomp1", Version("1.5"))}
"""Distribution -> the Debian package that its wheels need, and the version that first contains it.
Source: `ldd` on the wheels of lightgbm 2.2 to 4.7 and xgboost 0.90 to 3.2."""

READABLE = {"pandas": date(2019, 7, 20)}
"""First day of releases whose metadata uv can read: that of pandas before 0.25 is malformed."""

INCOMPATIBLE = (
    ("pyarrow", SpecifierSet(">=26"), "numpy", SpecifierSet("<2"), "pyarrow<26"),
    ("pyarrow", SpecifierSet("<15"), "numpy", SpecifierSet(">=2"), "numpy<2"),
)
"""Releases of two distributions that fail on import with each other, although their metadata allow
it, and the constraint that avoids the pair. Source: pyarrow 14.0.1 to 26.0.1 with numpy 1.26.4 and
2.2.0."""

Origin = Literal["file", "record", "installed", "user", "resolver"]


def resolve(  # noqa: PLR0913 - called by name
    spec: ModelSpec,
    python: str,
    *,
    platform: str = "linux/amd64",
    index: IndexSettings,
    requirements: Sequence[str] = (),
    python_cause: warnings.PythonCause = "option",
) -> Environment:
    """Pin and hash all distributions that the service of a model needs.

    If the local environment saved the model, its versions are used. Otherwise, versions are those
    of the time of the model; on an index without upload times, the feature releases of that time.

    `python` is a minor version ("3.11"). `requirements` are those of the user ("pandas==2.2.3"),
    and replace those of the file. `python_cause` is what determined `python`, for a warning.

    Raises:
        EnvironmentNotResolvedError: No versions fit, the model cannot be loaded with the versions
            of the user, or the index cannot be reached.
        UsageError: The platform, the Python version or one of `requirements` is invalid.
    """
    python_versions.require_python(python)
    require_platform(platform)
    required = collect_requirements(spec, requirements)
    require_version(spec, required.user)
    compatibility.require_loadable(spec, _user_environment(python, platform, required.user))
    day = python_versions.cutoff(spec, required)
    candidates = plans(spec, required, day)
    request = Request((), python, PLATFORMS[platform], index)
    plan, lock, request = _first_solution(candidates, request, day, required)
    if lock.error:
        error = wheelhouse.not_resolved(lock.error, index, python, platform)
        others = _other_pythons(spec, python, requirements) if lacks_wheels(lock) else ()
        for other in others:
            _, found, _ = _first_solution(candidates, replace(request, python=other), day, required)
            if not found.error:
                hint = f"Python {other} has wheels of all distributions: --python {other}"
                raise EnvironmentNotResolvedError(error.message, hint=hint)
        raise _with_source_hint(error, lock, spec, required)
    pins = lock.pins()
    require_cpu_build(spec, pins)
    text = wheelhouse.reuse_lock(lock.text, index, wheelhouse.LOCK)
    environment = Environment(
        python=python,
        platform=platform,
        requirements=pins,
        origins={name: _origin(name, plan, required, spec) for name in pins},
        lock=text,
        system_packages=_system_packages(pins),
        warnings=(
            *warnings.version_warnings(spec, required, pins),
            *warnings.python_warnings(
                python,
                python_versions.preferred(spec, required, day),
                saved=spec.trained_on or installed.python_of(spec, required),
                is_dated=day is not None,
                cause=python_cause,
            ),
            *warnings.active_environment_notes(spec, required, plan.pins),
            *warnings.training_warnings(spec, candidates[0].pins, plan.pins, pins),
            *(() if plan.is_dated else (warnings.NEWER,)),
        ),
        sdists=request.sdists,
        build_lock=wheelhouse.reuse_lock(
            artifacts.build_lock(text, request), index, wheelhouse.BUILD_LOCK
        ),
    )
    return compatibility.with_compatibility_warnings(spec, environment)


def _user_environment(python: str, platform: str, user: Sequence[Requirement]) -> Environment:
    """Return an environment of the user's pins only, to check these before anything is locked."""
    pins = {canonical(r): p.version for r in user for p in r.specifier if p.operator == "=="}
    return Environment(python, platform, pins, dict.fromkeys(pins, "user"), lock="")


def _other_pythons(spec: ModelSpec, python: str, requirements: Sequence[str]) -> tuple[str, ...]:
    """Return the Python versions to suggest in place of `python`, best first."""
    found = python_versions.candidate_pythons(spec, requirements)
    return tuple(each for each in found if each != python)[:_MAX_SUGGESTED]


_MAX_SUGGESTED = 4
"""Versions that are tried for a hint. Each takes about a second."""


def _with_source_hint(
    error: EnvironmentNotResolvedError, lock: Lock, spec: ModelSpec, required: RequirementSet
) -> EnvironmentNotResolvedError:
    """Return the error, with the option that allows the build of an sdist if one is needed.

    The file alone does not cause a build, because a build runs code of the distribution. It is
    suggested only for a distribution whose code the user had to trust: its names are in the file,
    and it is not in the table of libraries that modelpack knows.
    """
    missing = artifacts.without_wheels(lock) - {*releases.libraries()}
    tops = {canonicalize_name(key.partition(":")[0].partition(".")[0]) for key in spec.globals}
    trusted = [
        str(requirement)
        for requirement in required.file
        if canonical(requirement) in tops and canonical(requirement) not in releases.libraries()
    ]
    if not missing or not trusted:
        return error
    options = " ".join(f"--requirement {shlex.quote(each)}" for each in trusted)
    return EnvironmentNotResolvedError(
        error.message, hint=f"To build {', '.join(sorted(missing))} from source, add: {options}"
    )


def _first_solution(
    candidates: Sequence[Plan], request: Request, day: date | None, required: RequirementSet
) -> tuple[Plan, Lock, Request]:
    """Lock plans in order until one has a solution. Return the last one, its lock and request."""
    for candidate in candidates:
        plan, lock, request = _without_wheelless_pins(candidate, request, day, required)
        if NO_SOLUTION not in lock.error:
            break
    return plan, lock, request


def _without_wheelless_pins(
    plan: Plan, request: Request, day: date | None, required: RequirementSet
) -> tuple[Plan, Lock, Request]:
    """Lock a plan. Versions of the training that have no wheel are not pinned.

    All others stay: they decide the predictions. A library of the model without a wheel is an
    exception, because the others are not of its time then.
    """
    while True:
        request = replace(request, requirements=plan.requirements, sdists=())
        lock, request = _with_sources(plan, request, day, required)
        missing = artifacts.without_wheels(lock) - {*releases.libraries()}
        pins = {name: pin for name, pin in plan.pins.items() if name not in missing}
        if len(pins) == len(plan.pins):
            return plan, lock, request
        plan = replace(plan, pins=pins)


def _with_sources(
    plan: Plan, request: Request, day: date | None, required: RequirementSet
) -> tuple[Lock, Request]:
    """Lock a plan. If distributions of the user have no wheel, their sdists are used.

    Returns:
        The lock, and the request with these sdists.
    """
    lock = _lock(plan, request, day)
    if not artifacts.without_wheels(lock):
        return lock, request
    sdists = artifacts.user_sdists(
        required.user, request, releases.libraries(), lambda part: _lock(plan, part, day)
    )
    if not sdists:
        return lock, request
    request = replace(request, sdists=sdists)
    lock = _lock(plan, request, day)
    if artifacts.PYTHON_2 in lock.error:
        request = replace(request, build_bounds=artifacts.CONVERTS_PYTHON_2)
        lock = _lock(plan, request, day)
    pins = lock.pins()
    return lock, replace(request, sdists=tuple(name for name in pins if name in sdists))


def require_index(index: IndexSettings) -> None:
    """Check that the index can be reached and has pip.

    Raises:
        EnvironmentNotResolvedError: It cannot be reached, or does not have pip.
    """
    python, platform = "3.12", "linux/amd64"
    request = Request([Requirement("pip")], python, PLATFORMS[platform], index)
    lock = compile_lock(request)
    if lock.error:
        raise not_resolved(lock.error, python, platform)


def _lock(plan: Plan, request: Request, day: date | None) -> Lock:
    lock = _lock_once(plan, request, day)
    bounds = _incompatible_bounds(lock.pins())
    return _lock_once(plan, request, day, bounds) if bounds else lock


def _incompatible_bounds(pins: Mapping[str, str]) -> list[str]:
    """Return the constraints that exclude releases which do not run together."""
    return [
        bound
        for one, some, other, others, bound in INCOMPATIBLE
        if one in pins and other in pins and pins[one] in some and pins[other] in others
    ]


def _lock_once(plan: Plan, request: Request, day: date | None, bounds: Sequence[str] = ()) -> Lock:
    """Lock by date if the index has upload times, otherwise by bounds from the release table.

    Dates also limit the tools that build an sdist. If one needs other tools than `BUILD_TOOLS`,
    bounds are used, too.
    """
    pins = [*bounds, *(f"{name}=={version}" for name, version in plan.pins.items())]
    if day is None:
        return compile_lock(request, bounds=pins, left_out=plan.left_out)
    later = {name: max(day, READABLE.get(name, day)) for name in releases.libraries()}
    dates: dict[str, date | None] = {name: at for name, at in later.items() if at != day}
    current = plan.current | plan.pins.keys()
    if request.sdists:  # uv builds them here, and today's Python needs today's tools
        current |= {*artifacts.BUILD_TOOLS}
        pins += [] if "setuptools" in plan.current else [PKG_RESOURCES]
    dates |= dict.fromkeys(sorted(current))
    if plan.is_dated:
        lock = compile_lock(request, bounds=pins, left_out=plan.left_out, day=day, dates=dates)
        if MISSING_DATES not in lock.error and not build_failed(lock):
            return lock
    kept = {name: at for name, at in later.items() if name not in current}
    dated = [bound for name, at in kept.items() for bound in python_versions.bounds(at, [name])]
    return compile_lock(request, bounds=pins + dated, left_out=plan.left_out)


def _system_packages(pins: Mapping[str, str]) -> tuple[str, ...]:
    needed = {
        package
        for name, (package, since) in SYSTEM_PACKAGES.items()
        if name in pins and (since is None or Version(pins[name]) < since)
    }
    return tuple(sorted(needed))


def _origin(name: str, plan: Plan, required: RequirementSet, spec: ModelSpec) -> Origin:
    names = {name, VARIANTS.get(name, name)}
    if any(canonical(r) in names and r.specifier for r in required.user):
        return "user"
    if name in plan.pins:
        return "record" if spec.recorded else "installed"
    pinned = any(canonical(r) in names and pinned_version(r) for r in required.file)
    return "file" if pinned and names & required.exact else "resolver"


SERVING_STACK = (
    *SERVING, "blinker", "click", "importlib-metadata", "itsdangerous", "jinja2", "markupsafe",
    "packaging", "typing-extensions", "werkzeug", "zipp",
)  # fmt: skip
"""The serving stack and its dependencies: always current, and therefore patched."""

TRACING = "opentelemetry-"
TRACING_STACK = (
    "opentelemetry-api", "opentelemetry-exporter-http-transport",
    "opentelemetry-exporter-otlp-common", "opentelemetry-exporter-otlp-proto-common",
    "opentelemetry-exporter-otlp-proto-http", "opentelemetry-proto", "opentelemetry-sdk",
    "opentelemetry-semantic-conventions", "backoff", "certifi", "charset-normalizer", "deprecated",
    "googleapis-common-protos", "idna", "protobuf", "requests", "urllib3", "wrapt",
)  # fmt: skip
"""The tracing stack, if the user requires a distribution of it: always current, too."""

_OF_SERVICE = {*SERVING_STACK, "grpcio", "protobuf", "pyarrow"}


def service_requirements(lines: Sequence[str]) -> tuple[str, ...]:
    """Return those of the user's requirements that the service uses, and not the model.

    These are the serving stack, media types and tracing.
    """
    names = [canonical(requirement) for requirement in from_user(lines)]
    return tuple(
        line
        for name, line in zip(names, lines, strict=True)
        if name in _OF_SERVICE or name.startswith(TRACING)
    )


PKG_RESOURCES = "setuptools<81"
UNDECLARED = {"xgboost": (SpecifierSet(">=1.4,<1.7"), Requirement(PKG_RESOURCES))}
"""Distribution -> versions with an undeclared dependency, and that dependency: releases of
setuptools that contain pkg_resources."""

LEFT_OUT = {
    "catboost": ("graphviz", "matplotlib", "plotly"),
    "xgboost": ("nvidia-nccl-cu12", "nvidia-nccl-cu13"),
}
"""Distribution -> requirements that predictions do not need: plotting, communication of GPUs.
Source: containers with catboost 0.17 to 1.2 and xgboost 2.1."""


ALIASES = ("sklearn",)
"""Distributions without code, which require another one. Their sdists do not build any more."""


@dataclass(frozen=True)
class Plan:
    """One way to lock.

    Attributes:
        pins: Versions of the training environment.
        left_out: Names that are not locked although a distribution requires them.
        current: Names that may be newer than the model.
        is_dated: Nothing else is newer than the model. Otherwise, only known libraries have the
            feature releases of its time.
    """

    requirements: tuple[Requirement, ...]
    pins: Mapping[str, Version]
    left_out: tuple[str, ...]
    current: frozenset[str]
    is_dated: bool = True


def plans(spec: ModelSpec, required: RequirementSet, day: date | None) -> list[Plan]:
    """Return the plans to try, best first.

    A distribution that the user adds may be newer than the model, and need newer ones.
    """
    pins = _open(_known(spec, required), required)
    alike = _for_processors(required.model, day)
    alternatives = (with_cpu_builds(alike), with_cpu_builds(required.model), alike, required.model)
    found = [
        _plan(requirements, chosen, required)
        for requirements in dict.fromkeys(alternatives)
        for chosen in ((pins, {}) if pins else ({},))
    ]
    added = {canonical(r) for r in required.user} - {*releases.libraries(), *SERVING_STACK}
    return [*found, replace(found[-1], is_dated=False)] if added and day else found


def _known(spec: ModelSpec, required: RequirementSet) -> Mapping[str, Version]:
    """Return the versions of the training, from a record or the local environment."""
    if spec.recorded:
        return {name: Version(text) for name, text in spec.recorded.items()}
    environment = installed.find_training_environment(spec, required)
    return environment.all_versions() if environment else {}


def _plan(
    requirements: tuple[Requirement, ...], pins: Mapping[str, Version], required: RequirementSet
) -> Plan:
    names = {canonical(requirement) for requirement in requirements}
    chosen = {canonical(r) for r in requirements if pinned_version(r)}
    chosen |= {canonical(r) for r in required.user if r.specifier}
    left_out = {VARIANTS[name] for name in names & VARIANTS.keys()}
    # Other distributions may need what these leave out.
    if names <= {*releases.libraries(), *SERVING, *TRACING_STACK} - WITH_CUDA:
        left_out |= {name for one in names for name in LEFT_OUT.get(one, ())}
    left_out |= {*ALIASES} - names
    current = {*SERVING_STACK, *(TRACING_STACK if _traces(required) else ())}
    return Plan(
        tuple(add_serving_stack([*requirements, *_undeclared(requirements)])),
        pins,
        tuple(sorted(left_out)),
        frozenset(chosen | current),
    )


def _traces(required: RequirementSet) -> bool:
    return any(canonical(requirement).startswith(TRACING) for requirement in required.user)


def _undeclared(requirements: tuple[Requirement, ...]) -> list[Requirement]:
    names = {canonical(requirement) for requirement in requirements}
    entries = [
        (pinned_version(r), *UNDECLARED.get(canonical(r), (None, None))) for r in requirements
    ]
    return [
        need
        for version, specifier, need in entries
        if version and specifier and need and version in specifier and canonical(need) not in names
    ]


def _open(versions: Mapping[str, Version], required: RequirementSet) -> dict[str, Version]:
    """Return the versions of libraries that neither the file nor the user determines."""
    decided = {canonical(r) for r in required.file if pinned_version(r)}
    decided |= {canonical(r) for r in required.user if r.specifier} | set(SERVING_STACK)
    decided |= set(TRACING_STACK) if _traces(required) else set()
    names = sorted(versions.keys() - decided)
    return {name: versions[name] for name in names}


def _for_processors(
    requirements: tuple[Requirement, ...], day: date | None
) -> tuple[Requirement, ...]:
    """Replace distributions by variants without GPU support if these have the same version."""
    variants = {name: variant for variant, name in VARIANTS.items()}
    return tuple(_variant(r, variants.get(canonical(r)), day) for r in requirements)


def _variant(requirement: Requirement, variant: str | None, day: date | None) -> Requirement:
    if variant is None or requirement.extras or requirement.marker:
        return requirement
    known = {r.version for r in releases.releases_of(variant) if day is None or r.day < day}
    version = pinned_version(requirement)
    if version is None:  # both would resolve to their newest version, which must be the same
        newest = [r for r in releases.allowed(requirement) if day is None or r.day < day]
        version = newest[-1].version if newest else None
    if version not in known:
        return requirement
    return Requirement(f"{variant}{requirement.specifier}")
