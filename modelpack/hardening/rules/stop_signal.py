"""SIGTERM ends the service, which answers what it has been asked and then exits."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

NAME = "stop signal"
SOURCES = ("NIST 4.1.2",)


def violations(image: Subject) -> Iterator[Violation]:
    signal = image.run.get("StopSignal")
    if signal != "SIGTERM":
        yield Violation("STOPSIGNAL", f"is {signal!r}")
