"""OCI image layouts: folders with all of an image.

Source: image-spec, image-layout.md (version 1.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from modelpack.errors import UsageError
from modelpack.oci import documents, limits
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
