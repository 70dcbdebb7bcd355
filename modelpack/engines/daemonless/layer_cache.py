"""Compressed layers in the cache.

The key of a layer is a digest of its inputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from modelpack import cache, processes
from modelpack.oci import layer_writer as layers
from modelpack.oci import streams
from modelpack.oci.image import LAYER_GZIP, Blob, Layer
from modelpack.oci.streams import HashingReader, damaged_layer, decompress


@dataclass(frozen=True)
class CachedLayer:
    """A compressed layer in the cache. `size`: compressed, in bytes."""

    diff_id: str
    digest: str
    size: int
    media_type: str = LAYER_GZIP

    @property
    def path(self) -> Path:
        return cache.directory("blobs") / self.digest.replace(":", "-")


def find(key: str) -> CachedLayer | None:
    """Return the layer with this key, if it is cached, and update its time of use."""
    with suppress(OSError, ValueError, TypeError):
        kept = CachedLayer(**json.loads(cache.read("made", f"{key}.json")))
        if kept.path.stat().st_size == kept.size:
            cache.note_use(kept.path)
            return kept
    return None


def compress_layer(key: str, members: Iterable[layers.Member]) -> CachedLayer:
    """Compress the layer of these files, and store it under `key`."""
    with _new_file() as path:
        layer = layers.write(path, members)
        assert layer.blob is not None  # noqa: S101 - as it has been written
        return _store(key, path, CachedLayer(layer.diff_id, layer.blob.digest, layer.blob.size))


def from_base_layer(layer: Layer) -> CachedLayer:
    """Return a layer of another image, compressed if it is not.

    Raises:
        UsageError: The layer is damaged, or has another digest.
    """
    key = f"base-{layer.diff_id.removeprefix('sha256:')}"
    kept = find(key)
    if kept is not None:
        return kept
    with _new_file() as path:
        if layer.blob is None or layer.blob.digest == layer.diff_id:
            return _store(key, path, _compress(layer, path))
        return _store(key, path, _copy(layer, layer.blob, path))


def require_digest(actual: str, expected: str) -> None:
    """Raise UsageError unless a layer has the expected digest."""
    if actual != expected:
        raise damaged_layer(f"it has the digest {actual} and should have {expected}")


def _compress(layer: Layer, path: Path) -> CachedLayer:
    with layer.open() as stream, path.open("xb") as file:
        measured = HashingReader(stream, streams.LAYER)
        digest = layers.compress_to(measured.chunks(), file)
    require_digest(measured.digest, layer.diff_id)
    return CachedLayer(layer.diff_id, digest, path.stat().st_size)


def _copy(layer: Layer, blob: Blob, path: Path) -> CachedLayer:
    with blob.open() as stream, path.open("xb") as file:
        require_digest(_copy_and_hash(stream, file), blob.digest)
    with path.open("rb") as packed, decompress(packed) as content:
        require_digest(_copy_and_hash(content), layer.diff_id)
    return CachedLayer(layer.diff_id, blob.digest, blob.size, blob.media_type)


def _copy_and_hash(stream: IO[bytes], file: IO[bytes] | None = None) -> str:
    """Return the digest of a stream, which is copied to `file`."""
    measured = HashingReader(stream, streams.LAYER)
    for chunk in measured.chunks():
        if file:
            file.write(chunk)
    return measured.digest


def _store(key: str, path: Path, layer: CachedLayer) -> CachedLayer:
    path.replace(layer.path)
    cache.write("made", f"{key}.json", json.dumps(asdict(layer)))
    cache.prune("blobs")
    return layer


@contextmanager
def _new_file() -> Iterator[Path]:
    """Yield the path of a temporary file."""
    with processes.temporary_directory(".making-", cache.directory("blobs")) as scratch:
        yield scratch / "blob"
