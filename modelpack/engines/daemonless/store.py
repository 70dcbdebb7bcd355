"""The local image store: one OCI layout.

`skopeo` and `podman` can read it: oci:FOLDER:NAME. Each process that builds has a shared lock of
the directory. Blobs without a name are removed when no other process builds. See
https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from modelpack.engines.daemonless.assemble import AssembledImage
from modelpack.files import atomic_write_text, link_or_copy
from modelpack.oci import image as oci_image
from modelpack.oci import layout
from modelpack.oci.image import Image

Descriptor = dict[str, Any]

_LAYOUT = '{"imageLayoutVersion":"1.0.0"}'


def folder() -> Path:
    """`$XDG_DATA_HOME/modelpack/images`.

    Source: XDG Base Directory Specification 0.8; a relative XDG_DATA_HOME is ignored.
    """
    home = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local/share") / "modelpack" / "images"


class Store:
    """The images in a directory, which is created if it does not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._blobs = path / "blobs" / "sha256"
        self._blobs.mkdir(parents=True, exist_ok=True)
        if not (path / "oci-layout").exists():
            atomic_write_text(path / "oci-layout", _LAYOUT)
        self._lock = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._lock)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def add(self, image: AssembledImage) -> Descriptor:
        """Store an untagged image, and return the descriptor of its manifest."""
        for layer in image.layers:
            link_or_copy(layer.path, self._place(layer.digest))
        manifest = {
            "schemaVersion": 2,
            "mediaType": oci_image.MANIFEST,
            "config": self._put(image.config, oci_image.CONFIG),
            "layers": [
                {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}
                for layer in image.layers
            ],
        }
        config = image.config
        platform = {
            name: config[name] for name in ("architecture", "os", "variant") if name in config
        }
        return {**self._put(manifest, oci_image.MANIFEST), "platform": platform}

    def add_index(self, manifests: Sequence[Descriptor]) -> Descriptor:
        """Store an untagged index of images for several platforms."""
        return self._put(_index(manifests), oci_image.INDEX)

    def image(self, descriptor: Mapping[str, Any], platform: str | None = None) -> Image:
        """Open a stored image.

        Raises:
            UsageError: It does not exist, or not for the platform.
        """
        pointer = oci_image.descriptor_of(descriptor)
        return oci_image.image(layout.LayoutStore(self.path), pointer, platform)

    def document(self, descriptor: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._place(descriptor["digest"]).read_bytes())
        return found

    def find(self, name: str) -> Descriptor | None:
        return next((entry for entry in self._entries() if _name(entry) == name), None)

    def all_names(self) -> list[str]:
        return sorted(map(_name, self._entries()))

    def identity(self, descriptor: Mapping[str, Any]) -> str:
        """The id of an image: the digest of its configuration; of several, that of their index."""
        document = self.document(descriptor)
        found: str = document.get("config", descriptor)["digest"]
        return found

    def names(self, descriptor: Mapping[str, Any]) -> list[str]:
        digest = descriptor["digest"]
        return [_name(entry) for entry in self._entries() if entry["digest"] == digest]

    def name(self, descriptor: Mapping[str, Any], name: str) -> None:
        """Name an image. Another image may lose the name."""
        with self._changed() as entries:
            entries[:] = [entry for entry in entries if _name(entry) != name]
            entries.append(_named(descriptor, name))
            entries.sort(key=_name)

    def write_layout(
        self, descriptor: Mapping[str, Any], name: str, path: Path, *, share: bool
    ) -> None:
        """Write a layout of one image to a new directory.

        `name` is that of the image in the layout, or "". With `share`, files of the store are
        linked instead of copied.
        """
        (path / "blobs" / "sha256").mkdir(parents=True)
        for digest in {*self._reached(descriptor)}:
            source, target = self._place(digest), path / "blobs" / digest.replace(":", "/")
            link_or_copy(source, target) if share else shutil.copyfile(source, target)
        entry = {k: v for k, v in descriptor.items() if k != "annotations"}
        (path / "index.json").write_text(_text(_index([_named(entry, name) if name else entry])))
        (path / "oci-layout").write_text(_LAYOUT)

    def collect(self) -> None:
        """Remove blobs without a name, unless another process builds."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        try:
            live = {digest for entry in self._entries() for digest in self._reached(entry)}
            for path in self._blobs.iterdir():
                if f"sha256:{path.name}" not in live:
                    path.unlink()
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def _reached(self, entry: Mapping[str, Any]) -> Iterator[str]:
        yield entry["digest"]
        if entry["mediaType"] in {oci_image.INDEX, oci_image.MANIFEST}:
            found = self.document(entry)
            below = (*found.get("manifests", ()), *found.get("layers", ()), found.get("config"))
            for part in filter(None, below):
                yield from self._reached(part)

    @contextmanager
    def _changed(self) -> Iterator[list[Descriptor]]:
        """Yield the entries of the index, one process at a time, and write them afterwards."""
        with (self.path / ".index.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = self._entries()
            yield entries
            atomic_write_text(self.path / "index.json", _text(_index(entries)))

    def _entries(self) -> list[Descriptor]:
        with suppress(FileNotFoundError):
            found: list[Descriptor] = json.loads((self.path / "index.json").read_bytes())[
                "manifests"
            ]
            return found
        return []

    def _put(self, document: Mapping[str, Any], media_type: str) -> Descriptor:
        text = _text(document)
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        if not self._place(digest).exists():
            atomic_write_text(self._place(digest), text)
        return {"mediaType": media_type, "digest": digest, "size": len(text.encode())}

    def _place(self, digest: str) -> Path:
        return self._blobs / digest.removeprefix("sha256:")


def _index(entries: Sequence[Mapping[str, Any]]) -> Descriptor:
    return {"schemaVersion": 2, "mediaType": oci_image.INDEX, "manifests": [*entries]}


def _named(descriptor: Mapping[str, Any], name: str) -> Descriptor:
    return {**descriptor, "annotations": {layout.REF_NAME: name, layout.DOCKER_NAME: name}}


def _name(entry: Mapping[str, Any]) -> str:
    name: str = (entry.get("annotations") or {}).get(layout.REF_NAME, "")
    return name


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
