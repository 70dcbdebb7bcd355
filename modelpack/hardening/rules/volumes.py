"""The image asks for no volume: a place to write to that outlives the container."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation


def violations(image: Subject) -> Iterator[Violation]:
    """The image asks for no volume: a place to write to that outlives the container."""
    for path in image.run.get("Volumes") or ():
        yield Violation("VOLUME", f"names {path}")
