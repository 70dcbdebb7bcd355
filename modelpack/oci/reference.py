"""Image references: one parser, and their normal form.

See github.com/distribution/reference.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from modelpack.errors import UsageError

DOCKER_HUB = "docker.io"
# "invalid" is a top-level domain that nobody can register (RFC 6761): an engine without this image
# cannot be made to pull somebody else's.
LOCAL_BASE_REPOSITORY = "modelpack.invalid/python"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    r"(?P<name>(?:(?P<registry>localhost(?::[0-9]+)?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]+)?"
    r"|[A-Za-z0-9-]+:[0-9]+|[a-z0-9-]*[A-Z][A-Za-z0-9-]*|\[[0-9a-fA-F:]+\](?::[0-9]+)?)/)?"
    rf"(?P<path>{_COMPONENT}(?:/{_COMPONENT})*))"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.A,
)
_MAX_REPOSITORY_LENGTH = 255


@dataclass(frozen=True)
class ImageReference:
    """An image name as typed, and its parts.

    Attributes:
        name: Registry and repository as typed, without tag and digest.
        tag: "" if none was typed.
        digest: "sha256:..." or "".
    """

    name: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Parse a reference. The id of an image is one, too.

        Raises:
            UsageError: No image can have this name.
        """
        match = _REFERENCE.fullmatch(text)
        if match is None or len(match["path"]) > _MAX_REPOSITORY_LENGTH:
            raise UsageError(
                f"{text[:300]!r} is not a valid image reference.", hint=_correction(text)
            )
        return cls(match["name"], match["tag"] or "", match["digest"] or "")

    @classmethod
    def parse_tag(cls, text: str) -> ImageReference:
        """Parse the name of a new image, whose tag is "latest" if none was typed.

        Raises:
            UsageError: No image can have this name, or it has a digest, or is the id of an image.
        """
        reference = cls.parse(text)
        if reference.digest or re.fullmatch("[0-9a-f]{64}", reference.name):
            raise UsageError(
                f"{text[:300]!r} is not a valid name of a new image.",
                hint="Give a name without a digest, such as iris:1.",
            )
        return replace(reference, tag=reference.tag_or_latest)

    def __str__(self) -> str:
        return _join(self.name, self.tag, self.digest)

    @property
    def has_registry(self) -> bool:
        """True if a registry was typed, and not only a repository of Docker Hub."""
        return self._match["registry"] is not None

    @property
    def registry(self) -> str:
        """The registry: "docker.io" if none was typed."""
        typed: str = self._match["registry"] or DOCKER_HUB
        return DOCKER_HUB if typed == "index.docker.io" else typed

    @property
    def registry_host(self) -> str:
        """The host that responds for the registry."""
        return "registry-1.docker.io" if self.registry == DOCKER_HUB else self.registry

    @property
    def repository(self) -> str:
        """The repository in its registry: "library/python" for "python"."""
        path: str = self._match["path"]
        return path if "/" in path or self.registry != DOCKER_HUB else f"library/{path}"

    @property
    def tag_or_latest(self) -> str:
        return self.tag or "latest"

    @property
    def reference(self) -> str:
        """The digest, or the tag: what is requested from a registry."""
        return self.digest or self.tag_or_latest

    @property
    def canonical(self) -> str:
        """The reference in full: "docker.io/library/python:3.11-slim"."""
        tag = self.tag if self.digest else self.tag_or_latest
        return _join(f"{self.registry}/{self.repository}", tag, self.digest)

    @property
    def familiar_name(self) -> str:
        """The name without what Docker leaves out: "python" for "docker.io/library/python"."""
        if self.registry != DOCKER_HUB:
            return self.name
        return self.repository.removeprefix("library/")

    def with_digest(self, digest: str) -> ImageReference:
        """Return the reference of the image with this digest, without a tag."""
        return ImageReference(self.name, digest=digest)

    @property
    def _match(self) -> re.Match[str]:
        match = _REFERENCE.fullmatch(self.name)
        assert match is not None  # noqa: S101 - as `parse` requires
        return match


def _correction(text: str) -> str:
    """Return the hint for a text that is not a reference."""
    folder, slash, last = text.rpartition("/")
    name, colon, tag = last.partition(":")
    lower = f"{folder}{slash}{name}".lower() + colon + tag
    if lower != text and _REFERENCE.fullmatch(lower):
        return f"Names of images are lower case: {lower[:300]}"
    return "Give one such as iris:1 or registry.example.org/team/iris:1."


def _join(name: str, tag: str, digest: str) -> str:
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def is_loopback(host: str) -> bool:
    """Return whether a host, with or without a port, can only be this machine."""
    name = re.sub(r":\d+$", "", host) if not host.endswith("]") else host
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"


def local_base_reference(python: str) -> str:
    """Return the reference of the local base image for Python `python` ("3.11")."""
    return f"{LOCAL_BASE_REPOSITORY}:{python}-slim"
