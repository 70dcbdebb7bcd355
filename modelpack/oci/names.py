"""Names of images in registries: which registry, which repository, which tag or digest.

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
_LONGEST = 255  # of the repository
HUB = "docker.io"


@dataclass(frozen=True)
class Name:
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
        return "registry-1.docker.io" if self.host == HUB else self.host


def parse(text: str) -> Name:
    """Raises UsageError: no image can be named so."""
    match = _NAME.fullmatch(text)
    if match is None or len(match["repository"]) > _LONGEST:
        raise UsageError(
            f"{text[:300]!r} is no name of an image in a registry.",
            hint="Give one such as registry.example.org/team/iris:1.",
        )
    host, repository, digest = match["host"] or HUB, match["repository"], match["digest"] or ""
    if host in {HUB, "index.docker.io"}:
        host, repository = HUB, repository if "/" in repository else f"library/{repository}"
    return Name(host, repository, match["tag"] or ("" if digest else "latest"), digest)


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, can only be on this machine."""
    name = re.sub(r":\d+$", "", host) if not host.endswith("]") else host
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name == "localhost"
