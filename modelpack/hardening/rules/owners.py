"""All that is ours belongs to root, and nothing in the image to the user that it runs as."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation


def violations(image: Subject) -> Iterator[Violation]:
    """All that is ours belongs to root, and nothing in the image to the user that it runs as."""
    user, _, group = str(image.run.get("User") or "").partition(":")
    runtime = {user, group} - {"", "0"}
    for path, entry in image.files.items():
        foreign = (entry.uid or entry.gid) and path in image.ours and path not in image.base
        if foreign or {str(entry.uid), str(entry.gid)} & runtime:
            yield Violation(path, f"belongs to user {entry.uid} and group {entry.gid}")
