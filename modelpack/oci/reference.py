"""Image references: one parser and its normal form.

Source: the grammar of github.com/distribution/reference, and what it takes to be left out: the
registry "docker.io", its folder "library" and the tag "latest".
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from modelpack.errors import UsageError

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(
    r"(?:(?P<host>localhost(?::[0-9]+)?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]+)?"
    r"|[A-Za-z0-9-]+:[0-9]+|[a-z0-9-]*[A-Z][A-Za-z0-9-]*|\[[0-9a-fA-F:]+\](?::[0-9]+)?)/)?"
    rf"(?P<repository>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.A,
)
_MAX_REPOSITORY_LENGTH = 255  # of the repository
DOCKER_HUB = "docker.io"


@dataclass(frozen=True)
class ImageReference:
    """`host`: with its port. `tag`: "" where there is a digest and no tag."""

    host: str
    repository: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def reference(self) -> str:
        """By what the registry is asked for it."""
        return self.digest or self.tag

    @property
    def server(self) -> str:
        """The host that answers for `host`."""
        return "registry-1.docker.io" if self.host == DOCKER_HUB else self.host


def parse(text: str) -> ImageReference:
    """Raises UsageError: no image can be named so."""
    match = _NAME.fullmatch(text)
    if match is None or len(match["repository"]) > _MAX_REPOSITORY_LENGTH:
        raise UsageError(
            f"{text[:300]!r} is no name of an image in a registry.",
            hint="Give one such as registry.example.org/team/iris:1.",
        )
    host, repository, digest = (
        match["host"] or DOCKER_HUB,
        match["repository"],
        match["digest"] or "",
    )
    if host in {DOCKER_HUB, "index.docker.io"}:
        host, repository = DOCKER_HUB, repository if "/" in repository else f"library/{repository}"
    return ImageReference(host, repository, match["tag"] or ("" if digest else "latest"), digest)


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, can only be on this machine."""
    name = re.sub(r":\d+$", "", host) if not host.endswith("]") else host
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"


# Source: the grammar of github.com/distribution/reference.
_HOST = r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]+)?/)?"
_REFERENCE = re.compile(
    rf"({_HOST}{_COMPONENT}(?:/{_COMPONENT})*)(?::([\w][\w.-]{{0,127}}))?(@sha256:[0-9a-f]{{64}})?",
    re.A,
)


def parse_tag(reference: str) -> tuple[str, str]:
    """The repository and the tag ("latest" where none is given) of the name for a new image.

    Raises:
        UsageError: no image can be named so.
    """
    match = _REFERENCE.fullmatch(reference)
    if (
        match is None
        or match[3]
        or len(match[1]) > _MAX_REPOSITORY_LENGTH
        or re.fullmatch("[0-9a-f]{64}", match[1])
    ):
        raise UsageError(
            f"{reference[:300]!r} is no name for an image.",
            hint="Give lower-case letters, digits and separators, such as iris:1.",
        )
    return match[1], match[2] or "latest"


def require_reference(reference: str) -> None:
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


def split_reference(reference: str) -> tuple[str, str]:
    """The repository and the tag of an image's reference."""
    named = reference.partition("@")[0]
    folder, slash, last = named.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{folder}{slash}{name}", tag or "latest"


def familiar_name(reference: str) -> str:
    """`reference` without tag and digest, and without what docker.io may be left out of it."""
    name = re.sub(r":[^/:]+$", "", reference.partition("@")[0])
    return re.sub(r"^(docker\.io/)?(library/)?", "", name)


# `invalid` is the one top-level domain that can never be (RFC 6761): an engine that has not got
# this image cannot be led to fetch someone else's.
REPOSITORY = "modelpack.invalid/python"


def local_reference(python: str) -> str:
    """The name of the local base image for Python `python` ("3.11")."""
    return f"{REPOSITORY}:{python}-slim"
