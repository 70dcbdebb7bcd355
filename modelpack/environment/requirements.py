"""What is asked of the resolver: the model's requirements, the serving stack, the user's own.

Names and versions of a model file are hostile text. All of them are parsed by `packaging` here,
and only what it writes back reaches the resolver.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ..errors import EnvironmentNotResolvedError, UsageError

SERVING = ("flask", "gunicorn", "orjson")
"""What every image needs beside the model's libraries; always the newest that fits."""


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


def merged(file: list[Requirement], user: list[Requirement]) -> list[Requirement]:
    """All top requirements: the user's take the place of those of the same name."""
    named = {canonical(requirement) for requirement in user}
    kept = [requirement for requirement in file if canonical(requirement) not in named]
    serving = [Requirement(name) for name in SERVING if name not in named]
    return kept + serving + user


def canonical(requirement: Requirement) -> str:
    return canonicalize_name(requirement.name)


def is_pinned(requirement: Requirement) -> bool:
    return any(part.operator == "==" for part in requirement.specifier)


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
