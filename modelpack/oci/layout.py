"""OCI image layouts on disk, and Docker's media types.

Source: image-spec, image-layout.md (version 1.1).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from modelpack import files
from modelpack.errors import UsageError
from modelpack.oci import image as oci_image
from modelpack.oci import layer_writer as layers
from modelpack.oci import streams
from modelpack.oci.image import LAYER_GZIP, Blob, Descriptor, Image, Layer
from modelpack.oci.streams import HashingReader, damaged_layer

REF_NAME = "org.opencontainers.image.ref.name"
DOCKER_NAME = "io.containerd.image.name"  # the full name, which Docker adds to the tag


class LayoutStore:
    """A layout as a `Store`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def manifest(self, descriptor: Descriptor) -> bytes:
        with self.blob(descriptor) as stream:
            return stream.read(streams.DOCUMENT + 1)

    @contextmanager
    def blob(self, descriptor: Descriptor) -> Iterator[IO[bytes]]:
        path = self._path / "blobs" / descriptor.digest.replace(":", "/")
        if not path.is_file():
            raise oci_image.malformed(f"{descriptor.digest} is missing")
        with path.open("rb") as stream:
            yield stream


def read_image(path: Path, tag: str = "", platform: str | None = None) -> Image:
    """Return an image of a layout. The directory must stay: layers are read when opened.

    Raises:
        UsageError: There is no layout, it lacks the tag, or it has several and no tag was given.
    """
    try:
        text = (path / "index.json").read_bytes()
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} is not an OCI layout: it has no readable index.json.",
            hint="Give a folder as `skopeo copy ... oci:DIR` writes it.",
        ) from error
    return oci_image.image(LayoutStore(path), find_manifest(text, tag), platform)


def write_layout(path: Path, images: Sequence[Image], name: str = "") -> Descriptor:
    """Write a new layout of an image or an index of images. Return the descriptor in index.json.

    `name`, such as "iris:1", is its name for engines.

    Raises:
        UsageError: `path` exists, or a layer is damaged.
    """
    if path.exists():
        raise UsageError(f"{str(path)!r} already exists.", hint="Give a new folder, or remove it.")
    with files.atomic_directory(path) as folder:
        blobs = Blobs(folder)
        found = [_manifest(blobs, image) for image in images]
        top = found[0] if len(found) == 1 else _index(blobs, found)
        entry = {**top.to_json(), **({"annotations": _annotations(name)} if name else {})}
        index = {"schemaVersion": 2, "mediaType": oci_image.INDEX, "manifests": [entry]}
        (folder / "index.json").write_text(json.dumps(index))
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return top


def _manifest(blobs: Blobs, image: Image) -> Descriptor:
    manifest = {
        "schemaVersion": 2,
        "mediaType": oci_image.MANIFEST,
        "config": blobs.document(image.config, oci_image.CONFIG).to_json(),
        "layers": [blobs.layer(layer).to_json() for layer in image.layers],
    }
    words = (image.config.get(name) for name in ("os", "architecture", "variant"))
    platform = "/".join(str(word) for word in words if word)
    return replace(blobs.document(manifest, oci_image.MANIFEST), platform=platform)


def _index(blobs: Blobs, manifests: Sequence[Descriptor]) -> Descriptor:
    entries = [manifest.to_json() for manifest in manifests]
    index = {"schemaVersion": 2, "mediaType": oci_image.INDEX, "manifests": entries}
    return blobs.document(index, oci_image.INDEX)


def _annotations(name: str) -> dict[str, str]:
    """Return the annotations of Docker: podman and skopeo read the first, containerd the second."""
    return {REF_NAME: name.rpartition(":")[2], DOCKER_NAME: name}


def find_manifest(index: bytes, tag: str) -> Descriptor:
    """Return the descriptor with this tag or name in the index of a layout, or the only one.

    Raises:
        UsageError: The index lacks the tag, or has several and no tag was given.
    """
    entries = oci_image.descriptors(oci_image.parse_json(index), "manifests")
    fitting = [entry for entry in entries if not tag or tag in _names(entry)]
    if len({entry.digest for entry in fitting}) == 1:
        return fitting[0]
    raise UsageError(
        f"The layout has no image {tag!r}." if tag else f"The layout has {len(entries)} images.",
        hint=f"Append one of its names after a colon: {_all_names(entries)}",
    )


def _names(entry: Descriptor) -> set[str]:
    found = (entry.annotations.get(REF_NAME, ""), entry.annotations.get(DOCKER_NAME, ""))
    return {name for name in found if name}


def _all_names(entries: Sequence[Descriptor]) -> str:
    return ", ".join(sorted(name for entry in entries for name in _names(entry))) or "it has none."


class Blobs:
    """Writes the blobs of a new layout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "blobs" / "sha256"
        self._folder.mkdir(parents=True)

    def document(self, value: object, media_type: str) -> Descriptor:
        """Write a document as reproducible JSON."""
        data = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self._path(digest).write_bytes(data)
        return Descriptor(media_type, digest, len(data))

    def layer(self, layer: Layer) -> Descriptor:
        """Write a layer as stored, or compressed if it is not stored yet.

        Raises:
            UsageError: The layer is damaged.
        """
        return self._copied(layer.blob) if layer.blob else self._packed(layer)

    def _copied(self, blob: Blob) -> Descriptor:
        path = self._path(blob.digest)
        if not path.exists():
            with blob.open() as stream, path.open("xb") as file:
                measured = HashingReader(stream, streams.LAYER)
                for chunk in measured.chunks():
                    file.write(chunk)
            _require(blob.digest, measured)
        return Descriptor(blob.media_type, blob.digest, path.stat().st_size)

    def _packed(self, layer: Layer) -> Descriptor:
        path = self._folder / "layer"
        with layer.open() as stream, path.open("xb") as file:
            measured = HashingReader(stream, streams.LAYER)
            digest = layers.compress_to(measured.chunks(), file)
        _require(layer.diff_id, measured)
        path.rename(self._path(digest))
        return Descriptor(LAYER_GZIP, digest, self._path(digest).stat().st_size)

    def _path(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")


def _require(digest: str, stream: HashingReader) -> None:
    if stream.digest != digest:
        raise damaged_layer(f"it has the digest {stream.digest} instead of {digest}")


# Source: distribution.github.io/distribution/spec/manifest-v2-2.
_TYPES = {
    oci_image.INDEX: oci_image.DOCKER_LIST,
    oci_image.MANIFEST: oci_image.DOCKER_MANIFEST,
    oci_image.CONFIG: "application/vnd.docker.container.image.v1+json",
    oci_image.LAYER: "application/vnd.docker.image.rootfs.diff.tar",
    oci_image.LAYER_GZIP: "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


def to_docker_media_types(folder: Path) -> Descriptor:
    """Replace the manifests of a layout by those of Docker. Return the descriptor in index.json.

    Files are replaced and not changed, because other layouts may share them.

    Raises:
        UsageError: The layout is damaged.
    """
    index = oci_image.parse_json((folder / "index.json").read_bytes())
    (pointer,) = oci_image.descriptors(index, "manifests")
    found = _docker_manifest(folder, pointer)
    written = json.dumps({**index, "manifests": [found.to_json()]})
    (folder / "index.json").unlink()
    (folder / "index.json").write_text(written)
    return found


def _docker_manifest(folder: Path, pointer: Descriptor) -> Descriptor:
    manifest = oci_image.parse_json(LayoutStore(folder).manifest(pointer))
    converted: dict[str, Any] = {"schemaVersion": 2, "mediaType": _docker(pointer.media_type)}
    if "manifests" in manifest:
        each = oci_image.descriptors(manifest, "manifests")
        converted["manifests"] = [_docker_manifest(folder, entry).to_json() for entry in each]
    else:
        converted["config"] = _docker_entry(oci_image.descriptor_of(manifest["config"]))
        converted["layers"] = list(map(_docker_entry, oci_image.descriptors(manifest, "layers")))
    text = json.dumps(converted).encode()
    digest = hashlib.sha256(text).hexdigest()
    blobs = folder / "blobs" / "sha256"
    (blobs / pointer.digest.partition(":")[2]).unlink()
    (blobs / digest).write_bytes(text)
    return replace(
        pointer, media_type=converted["mediaType"], digest=f"sha256:{digest}", size=len(text)
    )


def _docker_entry(blob: Descriptor) -> dict[str, Any]:
    return {"mediaType": _docker(blob.media_type), "size": blob.size, "digest": blob.digest}


def _docker(media_type: str) -> str:
    """Return the media type of Docker. Layers of a base image may have one already."""
    return _TYPES.get(media_type, media_type)
