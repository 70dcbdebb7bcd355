"""The environment holds what the lock names, in these versions and word for word, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.version import InvalidVersion, Version

from modelpack.hardening import locks
from modelpack.hardening.subject import Subject
from modelpack.types import Violation

OF_THE_ENVIRONMENT = re.compile(
    r"opt/venv/(pyvenv\.cfg|lib64|bin/python[0-9.]*|bin/[Aa]ctivate[a-z0-9.]*)"
)


def violations(image: Subject) -> Iterator[Violation]:
    """The environment contains the distributions of the lock, unchanged, and no others."""
    yield from _versions(image)
    recorded = image.recorded
    for path, digest in recorded.items():
        entry = image.files.get(path)
        is_byte_code = locks.source_of(path) != path  # made anew, for which there is a rule
        if digest and not is_byte_code and (entry is None or entry.sha256 != digest):
            yield Violation(path, "is missing" if entry is None else "is not as in its wheel")
    for path, entry in image.files.items():
        if not path.startswith(f"{locks.ENVIRONMENT}/") or entry.kind == "directory":
            continue
        if locks.source_of(path) not in recorded and not OF_THE_ENVIRONMENT.fullmatch(path):
            yield Violation(path, "is of no distribution")


def _versions(image: Subject) -> Iterator[Violation]:
    locked = dict(image.pins)
    for name, version, record in locks.installed(image.files):
        wanted = locked.pop(name, None)
        if wanted is None:
            yield Violation(record, f"is of {name}, which the lock does not name")
        elif not _is_same(version, wanted):
            yield Violation(record, f"is of {name} {version}, and the lock names {wanted}")
    for name, version in locked.items():
        yield Violation(locks.ENVIRONMENT, f"lacks {name} {version}, which the lock names")


def _is_same(installed: str, locked: str) -> bool:
    """File names have "_" in the place of what they may not hold."""
    try:
        return Version(installed.replace("_", "+", 1)) == Version(locked)
    except InvalidVersion:
        return installed == locked
