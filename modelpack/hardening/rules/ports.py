"""One port is exposed, which needs no privilege to listen on: 8080."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation


def violations(image: Subject) -> Iterator[Violation]:
    """One port is exposed, which needs no privilege to listen on: 8080."""
    ports = sorted(image.run.get("ExposedPorts") or ())
    if ports != ["8080/tcp"]:
        yield Violation("EXPOSE", f"names {', '.join(ports) or 'nothing'}, and not 8080/tcp alone")
