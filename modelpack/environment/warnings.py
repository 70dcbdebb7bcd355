"""Warnings where recorded and chosen versions differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelpack.types import ModelSpec

from . import releases
from .requirements import VARIANTS, RequirementSet, canonical

_MAX_NAMED = 4


def version_warnings(
    spec: ModelSpec, wanted: RequirementSet, pins: Mapping[str, str]
) -> Iterator[str]:
    """On each version that the file records, and that is not the one that is locked; and on parts
    of the model that record another one than the whole.
    """
    for name, text in spec.versions.items():
        chosen, recorded = _chosen(name, pins), _version(text)
        if recorded is None or chosen is None:
            continue
        if recorded != Version(chosen):
            why = _why(name, recorded, wanted)
            yield f"The file records {name} {recorded}, {why}: {chosen} is used."
        if others := spec.other_versions.get(name):
            yield (
                f"Parts of the model record {name} {', '.join(map(_short, others[:_MAX_NAMED]))},"
                f" the whole {recorded}: {chosen} is used for all."
            )


def python_warnings(python: str, preferred: str | None) -> Iterator[str]:
    if preferred is not None and python != preferred:
        yield (
            f"Python {python} is used; {preferred} is likelier to have saved the model, but"
            " --python or --base-image says otherwise, or no base image of it is to be had."
        )


def training_warnings(
    spec: ModelSpec, found: Mapping[str, Version], used: Mapping[str, Version]
) -> Iterator[str]:
    """Where what trained the model is known, and cannot be had."""
    if found and not used:
        names = [f"{name} {version}" for name, version in found.items()]
        more = ", ..." if len(names) > _MAX_NAMED else ""
        what = (
            "What was recorded of the training"
            if spec.recorded
            else "The environment here has the version that the file records, but what else it has"
        )
        yield (
            f"{what} ({', '.join(names[:_MAX_NAMED])}{more}) cannot be locked for this image: the"
            " versions of the model's time are used."
        )


def _why(name: str, recorded: Version, wanted: RequirementSet) -> str:
    if any(canonical(r) == canonicalize_name(name) and r.specifier for r in wanted.user):
        return "and --requirement says otherwise"
    if recorded.is_devrelease:
        return "a development version that no index has"
    if recorded.local:
        return "a build that no index has"
    servable = [r for r in releases.releases_of(canonicalize_name(name)) if r.is_servable]
    if servable and recorded < servable[0].version:
        return "which has no wheels for a Python to serve on, as the first after it has"
    return "which the other requirements rule out"


def _chosen(name: str, pins: Mapping[str, str]) -> str | None:
    names = [canonicalize_name(name), *(v for v, one in VARIANTS.items() if one == name)]
    return next((pins[one] for one in names if one in pins), None)


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:  # a specifier, which only bounds
        return None


def _short(text: str) -> str:
    return text[:40]
