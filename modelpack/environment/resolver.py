"""resolve(): the lock, made by uv for the image's Python version and platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Literal

from packaging.requirements import Requirement
from packaging.version import Version

from ..spec import Environment, IndexSettings, ModelSpec
from . import sources, versions, wheelhouse
from .lock import Lock, Request, compile_lock
from .platforms import PLATFORMS, require_platform
from .reasons import MISSING_DATES, not_resolved
from .requirements import SERVING, canonical, from_file, from_user, is_pinned, merged

__all__ = ["SERVING", "reach", "resolve"]

MODEL_LIBRARIES = frozenset(
    {
        "catboost",
        "joblib",
        "lightgbm",
        "numpy",
        "pandas",
        "python-dateutil",
        "pytz",
        "scikit-learn",
        "scipy",
        "six",
        "threadpoolctl",
        "tzdata",
        "xgboost",
    }
)
"""What a model computes with, directly or through pandas: as old as the model is. The serving stack
stays current, and with it patched."""

SYSTEM_PACKAGES = {"lightgbm": ("libgomp1",)}
"""Distribution -> Debian packages it needs and does not bring along."""

READABLE = {"pandas": date(2019, 7, 20)}
"""The first day of releases whose metadata uv can read: pandas before 0.25 has malformed ones."""

Origin = Literal["file", "user", "resolver"]


def resolve(
    spec: ModelSpec,
    python: str,
    *,
    platform: str = "linux/amd64",
    index: IndexSettings,
    requirements: Sequence[str] = (),
) -> Environment:
    """Pins and hashes every distribution that serving the model takes.

    The model's own libraries are those of the time of its scikit-learn version; on an index without
    upload times, the feature releases of that time. `requirements` are the user's, such as
    "pandas==2.2.3"; they take the place of the file's.

    Raises:
        EnvironmentNotResolvedError: nothing fits, or the index cannot be reached.
        UsageError: the platform or the Python version is not one to serve on, or one of
            `requirements` is no requirement.
    """
    versions.require_python(python)
    require_platform(platform)
    file, user = from_file(spec.requirements), from_user(requirements)
    request = Request(merged(file, user), python, PLATFORMS[platform], index)
    version, dated = versions.framework_version(spec, user), _dated(file, user)
    lock = _locked(request, version, dated)
    if sources.without_wheels(lock):
        request = replace(request, sdists=sources.of_user(user, request, MODEL_LIBRARIES))
        lock = _locked(request, version, dated) if request.sdists else lock
    if lock.error:
        raise wheelhouse.not_resolved(lock.error, request.index, python, platform)
    pins = lock.pins()
    request = replace(request, sdists=tuple(name for name in pins if name in request.sdists))
    text = wheelhouse.original(lock.text, index, wheelhouse.LOCK)
    return Environment(
        python=python,
        platform=platform,
        requirements=pins,
        origins={name: _origin(name, file, user) for name in pins},
        lock=text,
        system_packages=tuple(p for name in pins for p in SYSTEM_PACKAGES.get(name, ())),
        sdists=request.sdists,
        build_lock=wheelhouse.original(
            sources.build_lock(text, request), index, wheelhouse.BUILD_LOCK
        ),
    )


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


def _locked(request: Request, version: Version | None, names: list[str]) -> Lock:
    """By date where the index serves upload times, else by bounds known beforehand."""
    if version is None:
        return compile_lock(request)
    day = versions.cutoff(version, request.requirements)
    dated = {name: max(day, READABLE.get(name, day)) for name in names}
    lock = compile_lock(request, dated=dated)
    if MISSING_DATES in lock.error:
        return compile_lock(request, bounds=versions.bounds(dated))
    return lock


def _dated(file: list[Requirement], user: list[Requirement]) -> list[str]:
    """The libraries whose version is left open: not pinned by the file, not bounded by the user."""
    ours = MODEL_LIBRARIES | {canonical(requirement) for requirement in file}
    chosen = {canonical(requirement) for requirement in user if requirement.specifier}
    pinned = {canonical(requirement) for requirement in file if is_pinned(requirement)}
    return sorted(ours - chosen - pinned)


def _origin(name: str, file: list[Requirement], user: list[Requirement]) -> Origin:
    if any(canonical(requirement) == name for requirement in user):
        return "user"
    pinned = any(canonical(requirement) == name and is_pinned(requirement) for requirement in file)
    return "file" if pinned else "resolver"
