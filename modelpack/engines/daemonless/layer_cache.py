"""Compressed layers in the cache.

A layer is found by a key of all that it was made of.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from modelpack import files, processes
from modelpack.files import atomic_write_text
from modelpack.oci import layer_writer as layers
from modelpack.oci import streams
from modelpack.oci.image import LAYER_GZIP, Blob, Layer
from modelpack.oci.streams import HashingReader, damaged_layer, decompress

_KEPT_SECONDS = 30 * 86400.0


@dataclass(frozen=True)
class CachedLayer:
    """A compressed layer in the cache. `size`: in bytes, as it is there."""

    diff_id: str
    digest: str
    size: int
    media_type: str = LAYER_GZIP

    @property
    def path(self) -> Path:
        return files.cache_directory("blobs") / self.digest.replace(":", "-")


def find(key: str) -> CachedLayer | None:
    """The layer that was made of the same; its time of use is now."""
    with suppress(OSError, ValueError, TypeError):
        kept = CachedLayer(**json.loads(_note(key).read_text()))
        if kept.path.stat().st_size == kept.size:
            os.utime(kept.path)
            os.utime(_note(key))
            return kept
    return None


def compress_layer(key: str, members: Iterable[layers.Member]) -> CachedLayer:
    """The layer of these files, kept under `key`."""
    with _place() as place:
        made = layers.write(place, members)
        assert made.blob is not None  # noqa: S101 - as it has been written
        return _keep(key, place, CachedLayer(made.diff_id, made.blob.digest, made.blob.size))


def from_base_layer(layer: Layer) -> CachedLayer:
    """A layer of another image: as it is there, or compressed where it is not.

    Raises:
        UsageError: it is damaged, or not the layer that it says it is.
    """
    key = f"base-{layer.diff_id.removeprefix('sha256:')}"
    kept = find(key)
    if kept is not None:
        return kept
    with _place() as place:
        if layer.blob is None or layer.blob.digest == layer.diff_id:
            return _keep(key, place, _packed(layer, place))
        return _keep(key, place, _fetched(layer, layer.blob, place))


def require(found: str, wanted: str) -> None:
    """Raises:
    UsageError: a layer has another digest.
    """
    if found != wanted:
        raise damaged_layer(f"it has the digest {found} and should have {wanted}")


def _packed(layer: Layer, place: Path) -> CachedLayer:
    with layer.open() as stream, place.open("xb") as file:
        measured = HashingReader(stream, streams.LAYER)
        digest = layers.compress_to(measured.chunks(), file)
    require(measured.digest, layer.diff_id)
    return CachedLayer(layer.diff_id, digest, place.stat().st_size)


def _fetched(layer: Layer, blob: Blob, place: Path) -> CachedLayer:
    with blob.open() as stream, place.open("xb") as file:
        require(_copied(stream, file), blob.digest)
    with place.open("rb") as packed, decompress(packed) as plain:
        require(_copied(plain), layer.diff_id)
    return CachedLayer(layer.diff_id, blob.digest, blob.size, blob.media_type)


def _copied(stream: IO[bytes], file: IO[bytes] | None = None) -> str:
    """The digest of what is read, and written to `file`."""
    measured = HashingReader(stream, streams.LAYER)
    for chunk in measured.chunks():
        if file:
            file.write(chunk)
    return measured.digest


def _keep(key: str, place: Path, kept: CachedLayer) -> CachedLayer:
    place.replace(kept.path)
    atomic_write_text(_note(key), json.dumps(asdict(kept)))
    return kept


@contextmanager
def _place() -> Iterator[Path]:
    """Where a new file is made; what is not used any more is gone afterwards."""
    folder = files.cache_directory("blobs")
    with processes.temporary_directory(".making-", folder) as scratch:
        yield scratch / "blob"
    oldest = time.time() - _KEPT_SECONDS
    for path in (*folder.glob("sha256-*"), *files.cache_directory("made").glob("*.json")):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def _note(key: str) -> Path:
    return files.cache_directory("made") / f"{key}.json"
