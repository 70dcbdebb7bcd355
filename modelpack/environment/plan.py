"""What is tried to lock, best first: with the versions installed here, for processors only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from modelpack.types import ModelSpec

from . import installed, releases
from .requirements import SERVING, VARIANTS, Asked, canonical, pinned_version, with_serving

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


def plans(spec: ModelSpec, wanted: Asked, day: date | None) -> list[Plan]:
    """All that are worth a try, best first."""
    pins = _open(_known(spec, wanted), wanted)
    alike = _for_processors(wanted.model, day)
    return [
        _plan(requirements, chosen, wanted)
        for requirements in dict.fromkeys((alike, wanted.model))
        for chosen in ((pins, {}) if pins else ({},))
    ]


def _known(spec: ModelSpec, wanted: Asked) -> Mapping[str, Version]:
    """The versions that trained the model: as recorded there, else as installed here."""
    if spec.recorded:
        return {name: Version(text) for name, text in spec.recorded.items()}
    found = installed.here(spec, wanted)
    return found.all_versions() if found else {}


def _plan(requirements: tuple[Requirement, ...], pins: Mapping[str, Version], a: Asked) -> Plan:
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
        tuple(with_serving([*requirements, *_silent(requirements)])),
        pins,
        tuple(sorted(left_out)),
        frozenset(chosen | current),
    )


def _traces(wanted: Asked) -> bool:
    return any(canonical(requirement).startswith(TRACING) for requirement in wanted.user)


def _silent(requirements: tuple[Requirement, ...]) -> list[Requirement]:
    names = {canonical(requirement) for requirement in requirements}
    found = [(pinned_version(r), *SILENT.get(canonical(r), (None, None))) for r in requirements]
    return [
        need
        for version, specifier, need in found
        if version and specifier and need and version in specifier and canonical(need) not in names
    ]


def _open(versions: Mapping[str, Version], wanted: Asked) -> dict[str, Version]:
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
    known = {r.version for r in releases.known(variant) if day is None or r.day < day}
    version = pinned_version(requirement)
    if version is None:  # the newest is chosen, and is to be the same
        newest = [r for r in releases.allowed(requirement) if day is None or r.day < day]
        version = newest[-1].version if newest else None
    if version not in known:
        return requirement
    return Requirement(f"{variant}{requirement.specifier}")
