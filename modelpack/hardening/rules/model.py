"""The files of the model are those that were inspected, and nobody can change or replace them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from modelpack.hardening.evidence import MANIFEST
from modelpack.hardening.subject import Subject
from modelpack.types import Violation

_LABEL = "dev.modelpack.model.sha256"


def violations(image: Subject) -> Iterator[Violation]:
    """The files of the model are those that were inspected, and nobody can change them."""
    described = image.manifest["model"]
    files = {f"app/{f['path']}": f["sha256"] for f in (described["file"], *described["more_files"])}
    for path, sha256 in files.items():
        found = image.files.get(path)
        if found is None or found.kind != "file" or found.sha256 != sha256:
            yield Violation(path, f"is not the file with the digest {sha256} of modelpack.json")
    if image.labels.get(_LABEL) != ",".join(files.values()):
        yield Violation(_LABEL, f"is {image.labels.get(_LABEL)!r}")
    for path in (MANIFEST, *files):
        yield from _open_to_change(image, path)


def _open_to_change(image: Subject, path: str) -> Iterator[Violation]:
    entry = image.files.get(path)
    if entry and (entry.mode, entry.uid, entry.gid) != (0o444, 0, 0):
        yield Violation(
            path, f"has the mode {entry.mode:04o} and the owner {entry.uid}:{entry.gid}"
        )
    for parent in PurePosixPath(path).parents:
        folder = image.files.get("" if str(parent) == "." else str(parent))
        if folder and (folder.kind != "directory" or folder.mode & 0o022 or folder.uid):
            yield Violation(str(parent), f"is a {folder.kind} with the mode {folder.mode:04o}")
