"""Nothing in the image can be written to by everyone, but folders for temporary files, in which
nobody can replace the files of another.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

TEMPORARY = frozenset({"tmp", "var/tmp", "run/lock", "run/shm", "dev/shm"})


def violations(image: Subject) -> Iterator[Violation]:
    """Nothing in the image can be written to by everyone, but folders for temporary files, in which
    nobody can replace the files of another.
    """
    for path, entry in image.files.items():
        if entry.kind == "symlink" or not entry.mode & 0o002:
            continue
        if path in TEMPORARY and entry.kind == "directory" and entry.mode & 0o1000:
            continue
        yield Violation(path, f"has the mode {entry.mode:04o}: everyone may write to it")
