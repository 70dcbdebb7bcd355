"""What is in a layer, read once and kept on disk.

A listing is only kept when the bytes had the digest by which it is looked up later.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import astuple, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from modelpack import files
from modelpack.errors import UsageError
from modelpack.files import write_whole
from modelpack.oci import documents, limits, tars
from modelpack.oci.entries import KINDS, Entry
from modelpack.oci.image import Layer
from modelpack.oci.streams import Measured, Readable

_KEPT = 300  # files; one of a layer with 12,000 entries has 2 MB
_KEPT_BYTES = 200 * 2**20
_CHUNK = 2**20
_FIELDS = tuple(field.name for field in fields(Entry))
_TYPES = tuple(type(value) for value in astuple(Entry("", "file", 0, 0, 0, 0, 0)))


def listing(layer: Layer) -> tuple[Entry, ...]:
    """The entries of a layer in their order; marks that remove something below are entries too.

    Raises:
        UsageError: it is damaged, or not the layer that it says it is.
    """
    if not documents.is_digest(layer.diff_id):
        raise documents.malformed(f"{layer.diff_id[:100]!r} is no digest")
    found = _kept(layer.diff_id)
    if found is None:
        found = _read(layer)
        with suppress(OSError):  # where nothing can be kept, it is read again
            _keep(layer.diff_id, found)
    return found


def _read(layer: Layer) -> tuple[Entry, ...]:
    with layer.open() as stream:
        measured = Measured(stream, limits.LAYER)
        found = tuple(
            replace(entry, sha256=_sha256(content)) if content else entry
            for entry, content in tars.members(measured)
        )
    if measured.digest != layer.diff_id:
        raise UsageError(
            f"A layer of the image is not what its configuration says: it has the digest "
            f"{measured.digest} and should have {layer.diff_id}.",
            hint="Get the image from where it came from once more.",
        )
    return found


def _sha256(content: Readable) -> str:
    found = hashlib.sha256()
    while data := content.read(_CHUNK):
        found.update(data)
    return found.hexdigest()


def _place(diff_id: str) -> Path:
    return files.folder("layers") / f"{diff_id.replace(':', '-')}.json"


def _kept(diff_id: str) -> tuple[Entry, ...] | None:
    """None: there is none that can be used."""
    try:
        path = _place(diff_id)
        rows = json.loads(path.read_text(encoding="utf-8"))
        path.touch()
        return tuple(map(_entry, rows)) if isinstance(rows, list) else None
    except (OSError, ValueError, TypeError):
        return None


def _entry(row: list[Any]) -> Entry:
    """ValueError: it has not the form of one."""
    if tuple(map(type, row)) != _TYPES or row[1] not in KINDS:
        raise ValueError("no entry")
    return Entry(*row)


def _keep(diff_id: str, found: tuple[Entry, ...]) -> None:
    path = _place(diff_id)
    rows = list(map(attrgetter(*_FIELDS), found))
    write_whole(path, json.dumps(rows, separators=(",", ":")))
    _remove_oldest(path.parent)


def _remove_oldest(folder: Path) -> None:
    found = [(file.stat(), file) for file in folder.glob("*.json")]
    found.sort(key=lambda pair: pair[0].st_mtime, reverse=True)
    size = 0
    for number, (stat, file) in enumerate(found, 1):
        size += stat.st_size
        if number > _KEPT or size > _KEPT_BYTES:
            file.unlink(missing_ok=True)
