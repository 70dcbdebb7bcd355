"""Owners, modes, set-uid, devices, times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

_READ, _EXECUTE = 0o004, 0o001


def any_user_violations(image: Subject) -> Iterator[Violation]:
    """Any user can run the image: files of modelpack are readable by all users."""
    for path, entry in image.ours.items():
        needed = _READ if entry.kind in {"file", "hardlink"} else 0
        if entry.kind == "directory":
            needed = _READ | _EXECUTE
        elif needed and entry.mode & 0o100:
            needed |= _EXECUTE
        if entry.mode & needed != needed:
            yield Violation(path, f"has the mode {entry.mode:04o}: not all users can read it")


def set_id_violations(image: Subject) -> Iterator[Violation]:
    """No file has a set-user-ID or set-group-ID bit or a capability."""
    for path, entry in image.files.items():
        if entry.kind in {"file", "hardlink"} and entry.mode & 0o6000:
            yield Violation(path, f"has the mode {entry.mode:04o}")
        if entry.capabilities:
            yield Violation(path, "has capabilities")


TEMPORARY = frozenset({"tmp", "var/tmp", "run/lock", "run/shm", "dev/shm"})


def writable_violations(image: Subject) -> Iterator[Violation]:
    """Only folders for temporary files, with the sticky bit, are writable by all users."""
    for path, entry in image.files.items():
        if entry.kind == "symlink" or not entry.mode & 0o002:
            continue
        if path in TEMPORARY and entry.kind == "directory" and entry.mode & 0o1000:
            continue
        yield Violation(path, f"has the mode {entry.mode:04o}: all users can write to it")


def owners_violations(image: Subject) -> Iterator[Violation]:
    """Files of modelpack belong to root, and no file to the user of the service."""
    user, _, group = str(image.run.get("User") or "").partition(":")
    runtime = {user, group} - {"", "0"}
    for path, entry in image.files.items():
        foreign = (entry.uid or entry.gid) and path in image.ours and path not in image.base
        if foreign or {str(entry.uid), str(entry.gid)} & runtime:
            yield Violation(path, f"belongs to user {entry.uid} and group {entry.gid}")


def devices_violations(image: Subject) -> Iterator[Violation]:
    """The image contains only files, folders and links: no devices or pipes."""
    for path, entry in image.files.items():
        if entry.kind in {"device", "fifo"}:
            yield Violation(path, f"is a {entry.kind}")


def times_violations(image: Subject) -> Iterator[Violation]:
    """No file is younger than the creation time of the image, so that builds are reproducible."""
    created = _seconds(str(image.config.get("created", "")))
    if created is None:
        yield Violation("created", f"is {image.config.get('created')!r}, not a time")
        return
    for layer in image.layers:
        for entry in layer.entries:
            if entry.mtime > created:
                yield Violation(
                    entry.path,
                    f"is of {datetime.fromtimestamp(entry.mtime, timezone.utc):%Y-%m-%d %H:%M:%S}",
                )


def _seconds(text: str) -> float | None:
    """Parse a time of RFC 3339, whose fraction may have more digits than Python reads."""
    try:
        return datetime.fromisoformat(text[:19] + "+00:00").timestamp() if text else None
    except ValueError:
        return None
