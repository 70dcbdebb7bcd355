"""Names of images.

Source: the grammar of github.com/distribution/reference.
"""

from __future__ import annotations

import re

from modelpack.errors import UsageError

_HOST = r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]+)?/)?"
_LONGEST = 255  # of the repository
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"({_HOST}{_COMPONENT}(?:/{_COMPONENT})*)(?::([\w][\w.-]{{0,127}}))?(@sha256:[0-9a-f]{{64}})?",
    re.A,
)


def parse(reference: str) -> tuple[str, str]:
    """The repository and the tag ("latest" where none is given) of the name for a new image.

    Raises:
        UsageError: no image can be named so.
    """
    match = _REFERENCE.fullmatch(reference)
    if (
        match is None
        or match[3]
        or len(match[1]) > _LONGEST
        or re.fullmatch("[0-9a-f]{64}", match[1])
    ):
        raise UsageError(
            f"{reference[:300]!r} is no name for an image.",
            hint="Give lower-case letters, digits and separators, such as iris:1.",
        )
    return match[1], match[2] or "latest"


def require(reference: str) -> None:
    """Raises:
    UsageError: no image that there is can be called so, neither by its name nor by its id.
    """
    if not _REFERENCE.fullmatch(reference):
        raise UsageError(
            f"{reference[:300]!r} names no image.",
            hint="Give its name, such as python:3.13-slim, or its id.",
        )


def has_host(reference: str) -> bool:
    """Whether its first part is a registry, and not a folder of the Hub: a dot, a port or
    "localhost" tell.
    """
    first, slash, _ = reference.partition("/")
    return bool(slash) and (first == "localhost" or "." in first or ":" in first)


def of_hub(reference: str) -> str:
    """In full what Docker understands by a reference without a registry."""
    return f"docker.io/{reference}" if "/" in reference else f"docker.io/library/{reference}"
