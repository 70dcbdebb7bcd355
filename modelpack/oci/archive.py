"""Image archives: those of `docker save` and `podman save`, and OCI layouts in a tar.

Source: image-spec, image-layout.md; for `manifest.json`, github.com/moby/moby,
image/spec/v1.2.md. Docker writes both since version 25.
"""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from modelpack import files
from modelpack.errors import UsageError
from modelpack.oci import image as oci_image
from modelpack.oci import layer_writer, layout, streams
from modelpack.oci.image import Descriptor, Image, in_file
from modelpack.oci.streams import Section
from modelpack.oci.tar import Entry

_MEMBERS = 10_000


def read_image(path: Path, name: str = "", platform: str | None = None) -> Image:
    """Return an image of an archive. The file must stay: layers are read from it when opened.

    `name` selects an image, if the archive contains several.

    Raises:
        UsageError: The file is not an archive, or does not contain the image.
    """
    members = Members(path)
    if "oci-layout" in members and "index.json" in members:
        pointer = layout.find_manifest(members.document("index.json"), name)
        return oci_image.image(members, pointer, platform)
    if "manifest.json" in members:
        return _docker(members, name)
    raise _no_archive(path, "it has neither an index.json nor a manifest.json")


@dataclass(frozen=True)
class _Section:
    start: int
    size: int


def write(path: Path, folder: Path) -> None:
    """Write the layout in `folder` to the new file `path`, as `docker save` does.

    For old engines, it also contains Docker's list of images: of several, only the first.

    Raises:
        UsageError: `path` exists.
    """
    if path.exists():
        raise UsageError(f"{str(path)!r} already exists.", hint="Give a new file, or remove it.")
    with files.atomic_directory(path) as temporary, temporary.open("xb") as file:
        file.writelines(packed(folder))


def packed(folder: Path) -> Iterator[bytes]:
    """Yield the bytes that `write` writes."""
    return layer_writer.tar([*_files(folder), _list(folder)])


def _files(folder: Path) -> Iterator[layer_writer.Member]:
    for file in folder.rglob("*"):
        name = str(file.relative_to(folder))
        if file.is_dir():
            yield Entry(name, "directory", 0o755, 0, 0, 0, 0), None
        else:
            size = file.stat().st_size
            yield Entry(name, "file", 0o644, 0, 0, size, 0), in_file(file)


def _list(folder: Path) -> layer_writer.Member:
    """Return Docker's list of the images in an archive."""
    pointer = layout.find_manifest((folder / "index.json").read_bytes(), "")
    store = layout.LayoutStore(folder)
    names = [pointer.annotations[layout.DOCKER_NAME]] if pointer.annotations else None
    manifest = oci_image.parse_json(store.manifest(pointer))
    if "manifests" in manifest:
        manifest = oci_image.parse_json(
            store.manifest(oci_image.descriptors(manifest, "manifests")[0])
        )
    config = oci_image.descriptor_of(manifest["config"])
    layers = oci_image.descriptors(manifest, "layers")
    entry = {
        "Config": _blob_name(config.digest),
        "RepoTags": names,
        "Layers": [_blob_name(found.digest) for found in layers],
    }
    data = json.dumps([entry]).encode()
    return Entry("manifest.json", "file", 0o644, 0, 0, len(data), 0), partial(io.BytesIO, data)


class Members:
    """The members of an archive by name, and a `Store` if they are an OCI layout."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with tarfile.open(path, "r:") as archive:
                self._sections = _sections(archive)
        except (OSError, tarfile.TarError) as error:
            raise _no_archive(path, str(error)) from error

    def __contains__(self, name: str) -> bool:
        return name in self._sections

    def manifest(self, descriptor: Descriptor) -> bytes:
        return self.document(_blob_name(descriptor.digest))

    def blob(self, descriptor: Descriptor) -> AbstractContextManager[IO[bytes]]:
        return self.open(_blob_name(descriptor.digest))

    def document(self, name: str) -> bytes:
        with self.open(name) as stream:
            return stream.read(streams.DOCUMENT + 1)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        section = self._section(name)
        with self._path.open("rb") as file:
            file.seek(section.start)
            yield io.BufferedReader(Section(file, section.size), 2**18)

    def _section(self, name: str) -> _Section:
        if name not in self._sections:
            raise oci_image.malformed(f"its archive has no {name[:200]!r}")
        return self._sections[name]


def _sections(archive: tarfile.TarFile) -> Mapping[str, _Section]:
    """Return the position of each regular file, also by the links of older archives."""
    found: dict[str, _Section] = {}
    links: dict[str, str] = {}
    for _ in range(_MEMBERS):
        member = archive.next()
        if member is None:
            return found | {name: found[to] for name, to in links.items() if to in found}
        archive.members = []  # type: ignore[attr-defined]  # or it keeps all of them
        name = posixpath.normpath(member.name)
        if member.isreg() and member.sparse is None and member.size >= 0:
            found[name] = _Section(member.offset_data, member.size)
        elif member.issym():
            links[name] = posixpath.normpath(f"{posixpath.dirname(name)}/{member.linkname}")
        elif member.islnk():
            links[name] = posixpath.normpath(member.linkname)
    raise tarfile.ReadError(f"it has more than {_MEMBERS} members")


def _docker(members: Members, name: str) -> Image:
    entry = _named(members.document("manifest.json"), name)
    paths, pointer = entry.get("Layers"), entry.get("Config")
    if not isinstance(pointer, str) or not isinstance(paths, list):
        raise oci_image.malformed("its manifest.json contains no configuration or no layers")
    config = oci_image.parse_json(members.document(posixpath.normpath(pointer)))
    named = [posixpath.normpath(str(path)) for path in paths]
    return Image(config, oci_image.layers(config, [partial(members.open, path) for path in named]))


def _named(manifest: bytes, name: str) -> dict[str, Any]:
    """Return the entry of a manifest.json with this name, or the only entry."""
    entries = oci_image.parse_json(b'{"images":' + manifest + b"}")["images"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise oci_image.malformed("its manifest.json is not a list of images")
    fitting = [entry for entry in entries if not name or name in _names(entry)]
    if len(fitting) == 1:
        return dict(fitting[0])
    names = ", ".join(sorted(name for entry in entries for name in _names(entry)))
    raise UsageError(
        f"The archive has no image {name!r}."
        if name
        else f"The archive has {len(entries)} images.",
        hint=f"Append one of its names after a colon: {names or 'it has none.'}",
    )


def _names(entry: Mapping[str, Any]) -> list[str]:
    names = entry.get("RepoTags")
    return [str(name) for name in names] if isinstance(names, list) else []


def _blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _no_archive(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{str(path)!r} is not an image archive: {why}.",
        hint="Give an uncompressed file as `docker save` or `podman save` write it.",
    )
