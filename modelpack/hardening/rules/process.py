"""The service is process 1 by itself, without a shell: what is called is told word for word."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

ENTRYPOINT = ["python", "-m", "modelpack.serving"]


def violations(image: Subject) -> Iterator[Violation]:
    """The service is process 1 by itself, without a shell: what is called is told word for word."""
    entrypoint, command = image.run.get("Entrypoint"), image.run.get("Cmd")
    if entrypoint != ENTRYPOINT:
        yield Violation("ENTRYPOINT", f"is {entrypoint!r}, and not {ENTRYPOINT!r}")
    if command != ["serve"]:
        yield Violation("CMD", f"is {command!r}, and not ['serve']")
    if image.run.get("Shell"):
        yield Violation("SHELL", "is set")
