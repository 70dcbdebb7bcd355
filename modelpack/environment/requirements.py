"""Requirements of the model, the serving stack and the user.

Names and versions in a model file are untrusted text. `packaging` parses all of them, and only its
output reaches the resolver.
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
"""Distributions of the service in each image, always the newest that fit."""

VARIANTS = {"xgboost-cpu": "xgboost"}
"""Distribution with the same module, but without GPU support -> the other one."""


@dataclass(frozen=True)
class RequirementSet:
    """The requirements of a model.

    Attributes:
        file: Those of the model file.
        user: Those of the user. They replace those of the file with the same name.
        framework: The distribution of the model's class.
        recorded: Names with a version in the file.
        exact: Names that are required in this version.
    """

    file: tuple[Requirement, ...]
    user: tuple[Requirement, ...] = ()
    framework: str | None = None
    recorded: frozenset[str] = frozenset()
    exact: frozenset[str] = frozenset()

    @property
    def model(self) -> tuple[Requirement, ...]:
        """All requirements without the serving stack."""
        named = {canonical(requirement) for requirement in self.user}
        named |= {VARIANTS.get(name, name) for name in named}
        return (*(r for r in self.file if canonical(r) not in named), *self.user)

    def is_of_user(self, requirement: Requirement) -> bool:
        return any(requirement is one for one in self.user)

    def dates_model(self, requirement: Requirement) -> bool:
        """Return whether a requirement is evidence of the day of the model.

        The file must record a version of a known library, or the user must replace it. Additional
        requirements of the user are no evidence.
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
    """Collect the requirements of a model and its user.

    Raises:
        EnvironmentNotResolvedError: A requirement of the file is invalid.
        UsageError: One of `requirements`, those of the user, is invalid.
    """
    parsed = from_file(spec.requirements)
    file = tuple(map(_with_wheels, parsed))
    pairs = zip(parsed, file, strict=True)
    exact = {canonical(a) for a, b in pairs if a is b and pinned_version(a)}
    numbers = {name for name, version in spec.versions.items() if version[:1].isdigit()}
    recorded = {canonical(requirement) for requirement in parsed if pinned_version(requirement)}
    return RequirementSet(
        file,
        tuple(from_user(requirements)),
        canonicalize_name(spec.framework) if spec.framework else None,
        frozenset({*recorded, *map(canonicalize_name, numbers)}),
        frozenset(exact),
    )


def from_file(requirements: Mapping[str, str]) -> list[Requirement]:
    """Parse the requirements of a ModelSpec.

    Raises:
        EnvironmentNotResolvedError: One of them is not a name with a specifier.
    """
    return [_file_requirement(name, specifier) for name, specifier in requirements.items()]


def from_user(lines: Iterable[str]) -> list[Requirement]:
    """Parse the requirements of the user: `name`, `name==1.2`, `name[extra]`.

    Raises:
        UsageError: One of them is invalid, an option, a path or a URL.
    """
    return [_user_requirement(line) for line in lines]


def add_serving_stack(requirements: Sequence[Requirement]) -> list[Requirement]:
    """Return the requirements and those of the serving stack that they do not contain."""
    named = {canonical(requirement) for requirement in requirements}
    serving = [name for name in SERVING if name not in named]
    if named.isdisjoint(set(releases.libraries()) - {"joblib"}):
        serving.append("numpy")  # which the service imports, and no other requirement brings
    return [*requirements, *map(Requirement, serving)]


def canonical(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def pinned_version(requirement: Requirement) -> Version | None:
    """Return the only version that a requirement allows. None if it allows several."""
    exact = [part.version for part in requirement.specifier if part.operator == "=="]
    try:
        return Version(exact[0]) if exact else None
    except InvalidVersion:  # 1.3.*
        return None


def pin(name: str, version: Version | str) -> Requirement:
    return Requirement(f"{name}=={version}")


def _with_wheels(requirement: Requirement) -> Requirement:
    """Replace a pin without wheels for a supported Python by the first release with wheels."""
    version, name = pinned_version(requirement), canonical(requirement)
    servable = [release.version for release in releases.releases_of(name) if release.is_servable]
    if version is None or not servable or version >= servable[0]:
        return requirement
    return pin(requirement.name, servable[0])


def _file_requirement(name: str, specifier: str) -> Requirement:
    requirement = _parse(f"{name}{specifier}")
    more = requirement and (requirement.extras or requirement.marker)
    if requirement is None or requirement.name != name or more:
        raise EnvironmentNotResolvedError(
            f"The model file requires {f'{name} {specifier}'[:80]!r}, which is not a distribution"
            " with a version.",
            hint="If you trust the file, name the version: --requirement NAME==VERSION",
        )
    return requirement


def _user_requirement(line: str) -> Requirement:
    requirement = _parse(line)
    if requirement is None:
        raise UsageError(
            f"{line[:80]!r} is not a requirement of the form NAME or NAME==VERSION. Options, paths"
            " and URLs are not supported: images contain only hash-locked wheels of an index.",
            hint="Give a name with an optional version, such as --requirement pandas==2.2.3",
        )
    return requirement


def _parse(text: str) -> Requirement | None:
    """Parse a requirement. None if it is malformed, has a URL, or compares text (===)."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None
    exact_text = any(part.operator == "===" for part in requirement.specifier)
    return None if requirement.url or exact_text else requirement
