"""Layers that were made, compressed and kept in the cache: what is unchanged is never made again.

A layer is found by a key of all that it was made of. Compression is deterministic: no name, no
time; another zlib may give other bytes, of which only the digest of a manifest tells, and no id.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO

from modelpack import cache, reaper
from modelpack.oci import limits
from modelpack.oci.image import Blob, Layer
from modelpack.oci.streams import Measured, damaged, unpacked
from modelpack.writing import write_whole

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_LEVEL = 4
_GZIP = 31  # zlib's name of the format
_KEPT_SECONDS = 30 * 86400.0
_BLOCK = 2**20


@dataclass(frozen=True)
class Kept:
    """A compressed layer in the cache. `size`: in bytes, as it is there; `unpacked`: of its tar."""

    diff_id: str
    digest: str
    size: int
    unpacked: int
    media_type: str = MEDIA_TYPE

    @property
    def path(self) -> Path:
        return cache.folder("blobs") / self.digest.replace(":", "-")

    def layer(self, created_by: str) -> Layer:
        """It as a layer of an image."""
        blob = Blob(self.digest, self.size, self.media_type, lambda: self.path.open("rb"))
        return Layer(self.diff_id, self._unpacked, created_by, blob)

    @contextmanager
    def _unpacked(self) -> Iterator[IO[bytes]]:
        with self.path.open("rb") as file, unpacked(file) as stream:
            yield stream


def find(key: str) -> Kept | None:
    """The layer that was made of the same; its time of use is now."""
    with suppress(OSError, ValueError, TypeError):
        kept = Kept(**json.loads(_note(key).read_text()))
        if kept.path.stat().st_size == kept.size:
            os.utime(kept.path)
            os.utime(_note(key))
            return kept
    return None


def make(key: str, write: Callable[[IO[bytes]], None]) -> Kept:
    """The layer of which `write` writes the tar; kept under `key`."""
    folder = cache.folder("blobs")
    with reaper.scratch_folder(".making-", folder) as scratch:
        with (scratch / "blob").open("wb") as file:
            packed = _Packed(file)
            write(packed)  # type: ignore[arg-type]
            kept = packed.end()
        (scratch / "blob").replace(kept.path)
    write_whole(_note(key), json.dumps(asdict(kept)))
    _forget(folder)
    return kept


def of_base(layer: Layer) -> Kept:
    """A layer of another image as it is there, if it is compressed there, else compressed.

    Raises:
        UsageError: it is damaged, or not the layer that it says it is.
    """
    key = f"base-{layer.diff_id.removeprefix('sha256:')}"
    kept = find(key)
    if kept is None:
        as_it_is = layer.blob and layer.blob.digest != layer.diff_id
        kept = _fetched(key, layer) if as_it_is else make(key, partial(_copy, layer))
    return kept


def _fetched(key: str, layer: Layer) -> Kept:
    assert layer.blob is not None  # noqa: S101 - as it has been looked at
    with reaper.scratch_folder(".making-", cache.folder("blobs")) as scratch:
        part = scratch / "blob"
        with layer.blob.open() as stream, part.open("wb") as file:
            measured = Measured(stream, limits.LAYER)
            file.writelines(measured.chunks())
        require(measured.digest, layer.blob.digest)
        with part.open("rb") as file, unpacked(file) as plain:
            content = Measured(plain, limits.LAYER)
            size = sum(map(len, content.chunks()))
        require(content.digest, layer.diff_id)
        kept = Kept(layer.diff_id, layer.blob.digest, layer.blob.size, size, layer.blob.media_type)
        part.replace(kept.path)
    write_whole(_note(key), json.dumps(asdict(kept)))
    return kept


def _copy(layer: Layer, target: IO[bytes]) -> None:
    with layer.open() as stream:
        measured = Measured(stream, limits.LAYER)
        for chunk in measured.chunks():
            target.write(chunk)
    require(measured.digest, layer.diff_id)


def require(found: str, wanted: str) -> None:
    """Raises:
    UsageError: a layer has another digest.
    """
    if found != wanted:
        raise damaged(f"it has the digest {found} and should have {wanted}")


class _Packed:
    """A file that compresses what is written to it, and knows both digests."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._zlib = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._plain, self._packed, self._size = hashlib.sha256(), hashlib.sha256(), 0
        self._position = 0

    def write(self, data: bytes) -> int:
        self._plain.update(data)
        self._position += len(data)
        self._put(self._zlib.compress(data))
        return len(data)

    def tell(self) -> int:
        return self._position

    def end(self) -> Kept:
        self._put(self._zlib.flush())
        digests = (f"sha256:{found.hexdigest()}" for found in (self._plain, self._packed))
        return Kept(*digests, self._size, self._position)

    def _put(self, data: bytes) -> None:
        self._packed.update(data)
        self._size += len(data)
        self._file.write(data)


def _note(key: str) -> Path:
    return cache.folder("made") / f"{key}.json"


def _forget(folder: Path) -> None:
    """Removes what was not used for a month."""
    oldest = time.time() - _KEPT_SECONDS
    for path in (*folder.glob("sha256-*"), *cache.folder("made").glob("*.json")):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
