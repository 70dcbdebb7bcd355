"""Warnings about differences between recorded and locked versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelpack.types import ModelSpec

from . import releases
from .requirements import VARIANTS, RequirementSet, canonical, pinned_version

NEWER = (
    "No versions of the time of the model fit the requirements. Distributions other than the"
    " libraries of the model may be newer."
)

_MAX_NAMED = 4


def version_warnings(
    spec: ModelSpec, required: RequirementSet, pins: Mapping[str, str]
) -> Iterator[str]:
    """On each version that the file records, and that is not the one that is locked; and on parts
    of the model that record another one than the whole.
    """
    for name, text in spec.versions.items():
        chosen, recorded = _chosen(name, pins), _version(text)
        if recorded is None or chosen is None:
            continue
        if recorded not in (Version(chosen), Version(Version(chosen).public)):
            why = _why(name, recorded, required)
            yield f"The file records {name} {recorded}, {why}, so {chosen} is used."
        if others := spec.other_versions.get(name):
            yield (
                f"Parts of the model record {name} {', '.join(map(_short, others[:_MAX_NAMED]))},"
                f" the whole {recorded}, so {chosen} is used for all."
            )


PythonCause = Literal["option", "base image", "wheelhouse", "interpreter", "unavailable"]
_CAUSES: Mapping[PythonCause, str] = {
    "option": "because of --python",
    "base image": "because the image of --base-image has no other",
    "wheelhouse": "because the wheelhouse of --offline is for it",
    "interpreter": "because this machine has no CPython {preferred}",
    "unavailable": "because no base image for {preferred} is available",
}
"""What determined the Python -> why it is not the preferred one."""


def python_warnings(
    python: str,
    preferred: str | None,
    *,
    saved: str | None,
    is_dated: bool,
    cause: PythonCause = "option",
) -> Iterator[str]:
    """Warn if another Python is used than the one that the model is known to need.

    Args:
        python: The Python that is used.
        preferred: The Python that was selected first.
        saved: The Python that saved the model, if that is known.
        is_dated: Versions in the file show the date of the model. Otherwise, `preferred` is a
            default, which needs no warning.
        cause: What determined the Python.
    """
    if preferred is None or python == preferred or not (saved or is_dated):
        return
    why = "saved the model" if preferred == saved else "fits the time of the recorded versions"
    yield (
        f"Python {python} is used instead of {preferred}, which {why},"
        f" {_CAUSES[cause].format(preferred=preferred)}."
    )


def active_environment_notes(
    spec: ModelSpec, required: RequirementSet, used: Mapping[str, Version]
) -> Iterator[str]:
    """Report versions of the active environment that no version in the file confirms."""
    if not used or spec.recorded or any(map(pinned_version, required.file)):
        return
    names = [name for name in map(canonical, required.file) if name in used]
    shown = ", ".join(f"{name} {used[name]}" for name in names[:_MAX_NAMED])
    yield (
        "The file records no versions, so those of the active virtual environment are used: "
        f"{shown}. If another one saved the model, give --requirement NAME==VERSION."
    )


def training_warnings(
    spec: ModelSpec,
    known: Mapping[str, Version],
    used: Mapping[str, Version],
    pins: Mapping[str, str],
) -> Iterator[str]:
    """Warn if versions of the training are known, but cannot be locked.

    Args:
        spec: The model.
        known: The versions of the training.
        used: Recorded versions that limited the lock.
        pins: The locked versions.
    """
    if known and not used:
        names = [f"{name} {version}" for name, version in known.items()]
        more = ", ..." if len(names) > _MAX_NAMED else ""
        versions = (
            "The recorded versions of the training"
            if spec.recorded
            else "The versions in the local environment, which saved the model,"
        )
        yield (
            f"{versions} ({', '.join(names[:_MAX_NAMED])}{more}) cannot be locked for this image,"
            " so versions of the model's time are used."
        )
        return
    source = "recorded in training" if spec.recorded else "of the local environment"
    for name in sorted((known.keys() - used.keys()) & pins.keys()):
        yield (
            f"{name} {known[name]}, the version {source}, has no wheel for this image, so"
            f" {pins[name]} is used. To build it from source, add: --requirement"
            f" {name}=={known[name]}"
        )


def _why(name: str, recorded: Version, required: RequirementSet) -> str:
    if any(canonical(r) == canonicalize_name(name) and r.specifier for r in required.user):
        return "but --requirement has priority"
    if recorded.is_devrelease:
        return "a development version that no index has"
    if recorded.local:
        return "a build that no index has"
    servable = [r for r in releases.releases_of(canonicalize_name(name)) if r.is_servable]
    if servable and recorded < servable[0].version:
        return "which has no wheels for a supported Python"
    return "which the other requirements exclude"


def _chosen(name: str, pins: Mapping[str, str]) -> str | None:
    names = [canonicalize_name(name), *(v for v, one in VARIANTS.items() if one == name)]
    return next((pins[one] for one in names if one in pins), None)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:  # a specifier
        return None


def _short(text: str) -> str:
    return text[:40]
