"""OCI image layouts: folders with all of an image.

Source: image-spec, image-layout.md (version 1.1).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from modelpack import files
from modelpack.errors import UsageError
from modelpack.oci import documents, limits
from modelpack.oci.blobs import Blobs
from modelpack.oci.documents import Descriptor
from modelpack.oci.image import Image

NAME = "org.opencontainers.image.ref.name"
DOCKER_NAME = "io.containerd.image.name"  # the whole name, which Docker gives beside its tag


class Folder:
    """A `Store`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def manifest(self, descriptor: Descriptor) -> bytes:
        with self.blob(descriptor) as stream:
            return stream.read(limits.DOCUMENT + 1)

    @contextmanager
    def blob(self, descriptor: Descriptor) -> Iterator[IO[bytes]]:
        path = self._path / "blobs" / descriptor.digest.replace(":", "/")
        if not path.is_file():
            raise documents.malformed(f"{descriptor.digest} is missing")
        with path.open("rb") as stream:
            yield stream


def image(path: Path, tag: str = "", platform: str | None = None) -> Image:
    """The image of a layout. It is read when its layers are opened: the folder must stay.

    Raises:
        UsageError: there is no layout, none of that tag, or several and no tag is given.
    """
    try:
        text = (path / "index.json").read_bytes()
    except OSError as error:
        raise UsageError(
            f"{str(path)!r} is no OCI layout: it has no index.json that can be read.",
            hint="Give a folder as `skopeo copy ... oci:DIR` makes it.",
        ) from error
    return documents.image(Folder(path), named(text, tag), platform)


def write(path: Path, images: Sequence[Image], name: str = "") -> Descriptor:
    """Writes a new layout. Returns the manifest of its image, or the index of its images for
    several platforms. `name`: "iris:1", under which engines will know it.

    Raises:
        UsageError: something is at `path` already, or a layer is damaged.
    """
    if path.exists():
        raise UsageError(
            f"{str(path)!r} is there already.", hint="Give a new folder, or remove it."
        )
    with files.made_whole(path) as folder:
        blobs = Blobs(folder)
        found = [_manifest(blobs, image) for image in images]
        top = found[0] if len(found) == 1 else _index(blobs, found)
        entry = {**top.to_json(), **({"annotations": _annotations(name)} if name else {})}
        index = {"schemaVersion": 2, "mediaType": documents.INDEX, "manifests": [entry]}
        (folder / "index.json").write_text(json.dumps(index))
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return top


def _manifest(blobs: Blobs, image: Image) -> Descriptor:
    manifest = {
        "schemaVersion": 2,
        "mediaType": documents.MANIFEST,
        "config": blobs.document(image.config, documents.CONFIG).to_json(),
        "layers": [blobs.layer(layer).to_json() for layer in image.layers],
    }
    words = (image.config.get(name) for name in ("os", "architecture", "variant"))
    platform = "/".join(str(word) for word in words if word)
    return replace(blobs.document(manifest, documents.MANIFEST), platform=platform)


def _index(blobs: Blobs, manifests: Sequence[Descriptor]) -> Descriptor:
    entries = [manifest.to_json() for manifest in manifests]
    index = {"schemaVersion": 2, "mediaType": documents.INDEX, "manifests": entries}
    return blobs.document(index, documents.INDEX)


def _annotations(name: str) -> dict[str, str]:
    """As Docker writes them: podman and skopeo look for the first, containerd for the second."""
    return {NAME: name.rpartition(":")[2], DOCKER_NAME: name}


def named(index: bytes, tag: str) -> Descriptor:
    """What the index of a layout calls `tag`; all of it, if there is only one thing.

    Raises:
        UsageError: there is none, or several and no tag is given.
    """
    entries = documents.descriptors(documents.parsed(index), "manifests")
    fitting = [entry for entry in entries if not tag or tag in _names(entry)]
    if len({entry.digest for entry in fitting}) == 1:
        return fitting[0]
    raise UsageError(
        f"The layout has no image {tag!r}." if tag else f"The layout has {len(entries)} images.",
        hint=f"Give one of its names behind a colon: {_all_names(entries)}",
    )


def _names(entry: Descriptor) -> set[str]:
    found = (entry.annotations.get(NAME, ""), entry.annotations.get(DOCKER_NAME, ""))
    return {name for name in found if name}


def _all_names(entries: Sequence[Descriptor]) -> str:
    return ", ".join(sorted(name for entry in entries for name in _names(entry))) or "it has none."
