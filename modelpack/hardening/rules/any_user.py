"""Any user can run the image: whoever is not the owner may read what is ours, too."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

_READ, _EXECUTE = 0o004, 0o001


def violations(image: Subject) -> Iterator[Violation]:
    """Any user can run the image: whoever is not the owner may read what is ours, too."""
    for path, entry in image.ours.items():
        needed = _READ if entry.kind in {"file", "hardlink"} else 0
        if entry.kind == "directory":
            needed = _READ | _EXECUTE
        elif needed and entry.mode & 0o100:
            needed |= _EXECUTE
        if entry.mode & needed != needed:
            yield Violation(path, f"has the mode {entry.mode:04o}: not every user may read it")
