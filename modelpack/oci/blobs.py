"""Writes blobs of an image into a folder: each under the digest that it has."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from modelpack.oci import layer as layers
from modelpack.oci import limits
from modelpack.oci.documents import LAYER_GZIP, Descriptor
from modelpack.oci.image import Blob, Layer
from modelpack.oci.streams import Measured, damaged


class Blobs:
    """Those of the layout in `folder`, which is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "blobs" / "sha256"
        self._folder.mkdir(parents=True)

    def document(self, value: object, media_type: str) -> Descriptor:
        """JSON that is the same each time."""
        data = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self._path(digest).write_bytes(data)
        return Descriptor(media_type, digest, len(data))

    def layer(self, layer: Layer) -> Descriptor:
        """As it is kept where it lies; compressed, where it is not.

        Raises:
            UsageError: it is damaged.
        """
        return self._copied(layer.blob) if layer.blob else self._packed(layer)

    def _copied(self, blob: Blob) -> Descriptor:
        path = self._path(blob.digest)
        if not path.exists():
            with blob.open() as stream, path.open("xb") as file:
                measured = Measured(stream, limits.LAYER)
                for chunk in measured.chunks():
                    file.write(chunk)
            _require(blob.digest, measured)
        return Descriptor(blob.media_type, blob.digest, path.stat().st_size)

    def _packed(self, layer: Layer) -> Descriptor:
        made = self._folder / "layer"
        with layer.open() as stream, made.open("xb") as file:
            measured = Measured(stream, limits.LAYER)
            digest = layers.pack(measured.chunks(), file)
        _require(layer.diff_id, measured)
        made.rename(self._path(digest))
        return Descriptor(LAYER_GZIP, digest, self._path(digest).stat().st_size)

    def _path(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")


def _require(digest: str, stream: Measured) -> None:
    if stream.digest != digest:
        raise damaged(f"it has the digest {stream.digest} and should have {digest}")
