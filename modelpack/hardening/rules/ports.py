"""One port is exposed, which needs no privilege to listen on: 8080."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

NAME = "ports"
SOURCES = ("CIS 5.8", "CIS 5.9", "NIST 4.4.2")


def violations(image: Subject) -> Iterator[Violation]:
    ports = sorted(image.run.get("ExposedPorts") or ())
    if ports != ["8080/tcp"]:
        yield Violation("EXPOSE", f"names {', '.join(ports) or 'nothing'}, and not 8080/tcp alone")
