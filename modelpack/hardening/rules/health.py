"""The image tells how its health is asked for, without a shell."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

TEST = ["CMD", "python", "-m", "modelpack.serving.health"]


def violations(image: Subject) -> Iterator[Violation]:
    """The image tells how its health is asked for, without a shell."""
    test = (image.run.get("Healthcheck") or {}).get("Test")
    if test != TEST:
        yield Violation("HEALTHCHECK", f"is {test!r}, and not {TEST!r}")
