"""Files, folders and links are all that there is: no devices, no pipes."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation


def violations(image: Subject) -> Iterator[Violation]:
    """Files, folders and links are all that there is: no devices, no pipes."""
    for path, entry in image.files.items():
        if entry.kind in {"device", "fifo"}:
            yield Violation(path, f"is a {entry.kind}")
