"""SIGTERM ends the service, which answers what it has been asked and then exits."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation


def violations(image: Subject) -> Iterator[Violation]:
    """SIGTERM ends the service, which answers what it has been asked and then exits."""
    signal = image.run.get("StopSignal")
    if signal != "SIGTERM":
        yield Violation("STOPSIGNAL", f"is {signal!r}")
