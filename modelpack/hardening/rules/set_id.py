"""No program gives who runs it the rights of another user: nowhere in the image, by no bit of its
mode and no capability.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation


def violations(image: Subject) -> Iterator[Violation]:
    """No file has a set-user-ID or set-group-ID bit or a capability."""
    for path, entry in image.files.items():
        if entry.kind in {"file", "hardlink"} and entry.mode & 0o6000:
            yield Violation(path, f"has the mode {entry.mode:04o}")
        if entry.capabilities:
            yield Violation(path, "has capabilities")
