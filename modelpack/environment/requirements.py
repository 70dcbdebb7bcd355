"""What is asked of the resolver: the model's requirements, the serving stack, the user's own.

Names and versions of a model file are hostile text. All of them are parsed by `packaging` here,
and only what it writes back reaches the resolver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelpack.errors import EnvironmentNotResolvedError, UsageError
from modelpack.types import ModelSpec

from . import releases

SERVING = ("flask", "gunicorn", "orjson", "prometheus-client")
"""What every image needs beside the model's libraries; always the newest that fits."""

VARIANTS = {"xgboost-cpu": "xgboost"}
"""A distribution that holds the same module as another one, for processors only -> the other."""


@dataclass(frozen=True)
class RequirementSet:
    """What is required. `file`: by the model file; `user`: by the user, which takes the place of
    what the file requires of the same name. `framework`: the distribution that the model is of.
    `recorded`: the names of which the file records a version; `exact`: those that are required in
    that version.
    """

    file: tuple[Requirement, ...]
    user: tuple[Requirement, ...] = ()
    framework: str | None = None
    recorded: frozenset[str] = frozenset()
    exact: frozenset[str] = frozenset()

    @property
    def model(self) -> tuple[Requirement, ...]:
        """All that is required but the serving stack."""
        named = {canonical(requirement) for requirement in self.user}
        named |= {VARIANTS.get(name, name) for name in named}
        return (*(r for r in self.file if canonical(r) not in named), *self.user)

    def is_of_user(self, requirement: Requirement) -> bool:
        return any(requirement is one for one in self.user)

    def dates_model(self, requirement: Requirement) -> bool:
        """Whether a version is recorded, or chosen by the user in its place, of a library that
        dates. What the user adds says nothing of the day of the model.
        """
        name = canonical(requirement)
        if not releases.releases_of(name):
            return False
        if self.is_of_user(requirement):
            is_framework = name == self.framework and bool(requirement.specifier)
            replaces = any(canonical(one) == name for one in self.file)
            return is_framework or (replaces and pinned_version(requirement) is not None)
        return name in self.recorded


def collect_requirements(spec: ModelSpec, requirements: Iterable[str] = ()) -> RequirementSet:
    """What a model and its user ask for.

    Raises:
        EnvironmentNotResolvedError: what the file requires is no name with a specifier.
        UsageError: one of `requirements`, the user's, is none.
    """
    told = from_file(spec.requirements)
    file = tuple(map(_to_be_had, told))
    exact = {canonical(a) for a, b in zip(told, file, strict=True) if a is b and pinned_version(a)}
    numbers = {name for name, version in spec.versions.items() if version[:1].isdigit()}
    recorded = {canonical(requirement) for requirement in told if pinned_version(requirement)}
    return RequirementSet(
        file,
        tuple(from_user(requirements)),
        canonicalize_name(spec.framework) if spec.framework else None,
        frozenset({*recorded, *map(canonicalize_name, numbers)}),
        frozenset(exact),
    )


def from_file(requirements: Mapping[str, str]) -> list[Requirement]:
    """The requirements of a ModelSpec.

    Raises:
        EnvironmentNotResolvedError: one of them is no name with a specifier.
    """
    return [_of_file(name, specifier) for name, specifier in requirements.items()]


def from_user(lines: Iterable[str]) -> list[Requirement]:
    """The user's requirements, each as in a requirements file: `name`, `name==1.2`, `name[extra]`.

    Raises:
        UsageError: one is no requirement, or is an option, a path or a URL.
    """
    return [_of_user(line) for line in lines]


def add_serving_stack(requirements: Sequence[Requirement]) -> list[Requirement]:
    """All top requirements."""
    named = {canonical(requirement) for requirement in requirements}
    return [*requirements, *(Requirement(name) for name in SERVING if name not in named)]


def canonical(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def pinned_version(requirement: Requirement) -> Version | None:
    """The one version that a requirement allows; None where it allows several."""
    exact = [part.version for part in requirement.specifier if part.operator == "=="]
    try:
        return Version(exact[0]) if exact else None
    except InvalidVersion:  # 1.3.*
        return None


def pin(name: str, version: Version | str) -> Requirement:
    return Requirement(f"{name}=={version}")


def _to_be_had(requirement: Requirement) -> Requirement:
    """Of a pin from before there were wheels for a Python to serve on, the first that has them."""
    version, name = pinned_version(requirement), canonical(requirement)
    servable = [release.version for release in releases.releases_of(name) if release.is_servable]
    if version is None or not servable or version >= servable[0]:
        return requirement
    return pin(requirement.name, servable[0])


def _of_file(name: str, specifier: str) -> Requirement:
    requirement = _parsed(f"{name}{specifier}")
    if requirement is None or requirement.name != name or _says_more(requirement):
        raise EnvironmentNotResolvedError(
            f"The model file asks for {f'{name} {specifier}'[:80]!r}, which is no distribution with"
            " a version.",
            hint="If you trust the file, name the version yourself: --requirement NAME==VERSION",
        )
    return requirement


def _says_more(requirement: Requirement) -> bool:
    return bool(requirement.extras or requirement.marker)


def _of_user(line: str) -> Requirement:
    requirement = _parsed(line)
    if requirement is None:
        raise UsageError(
            f"{line[:80]!r} is no requirement of the form NAME or NAME==VERSION. Options, paths and"
            " URLs are not taken: the image is built from hash-locked wheels of an index only.",
            hint="Give a name with an optional version, as in --requirement pandas==2.2.3",
        )
    return requirement


def _parsed(text: str) -> Requirement | None:
    """None for what is malformed, points to a URL, or compares versions as mere text (===)."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    exact_text = any(part.operator == "===" for part in requirement.specifier)
    return None if requirement.url or exact_text else requirement
