"""The files in `/` of an image: its layers laid one over the other.

Source: image-spec, layer.md, "Applying Changesets". A layer's marks remove what is below it, and
nothing of its own; a path goes through the links of the layers below, as engines unpack it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from modelpack.errors import UsageError
from modelpack.oci import limits, tars
from modelpack.oci.entries import OPAQUE, WHITEOUT, Entry
from modelpack.oci.image import Image, Layer
from modelpack.oci.laid import Tree
from modelpack.oci.listings import listing
from modelpack.oci.streams import Measured

__all__ = ["Entry", "listing", "merged", "read"]


def merged(listings: Iterable[Sequence[Entry]]) -> dict[str, Entry]:
    """Path -> entry, as it is in `/`, sorted by the names of folders and files. A hard link is one
    still. `listings`: of the layers, bottom to top.

    Raises:
        UsageError: the layers do not fit on each other.
    """
    return dict(_laid(listings).entries())


def read(image: Image, path: str, limit: int = 2 * limits.DOCUMENT) -> bytes:
    """The content of a regular file of `/`, through links. `limit`: in bytes.

    Layers below the uppermost are only read if they can make a difference.

    Raises:
        UsageError: there is none at `path`, or it has more bytes, or a layer is damaged.
    """
    entry = _find(image, path)
    if entry is None or entry.kind != "file":
        raise UsageError(f"The image has no file {path!r}.", hint="Give one that modelpack made.")
    if entry.size > limit:
        raise UsageError(
            f"{path!r} in the image has {entry.size} bytes, more than {limit}.",
            hint="Give an image that modelpack made.",
        )
    return next(
        content
        for layer in reversed(image.layers)
        if (content := _content(layer, entry)) is not None
    )


def _find(image: Image, path: str) -> Entry | None:
    top = [listing(layer) for layer in image.layers[-1:]]
    found = _laid(top).find(path, certain=True)
    return found or _laid(map(listing, image.layers)).find(path)


def _content(layer: Layer, wanted: Entry) -> bytes | None:
    """What has the very digest, whichever layer it is in."""
    if wanted.sha256 not in {entry.sha256 for entry in listing(layer)}:
        return None
    with layer.open() as stream:
        for entry, content in tars.members(Measured(stream, limits.LAYER)):
            if content is None or entry.size != wanted.size:
                continue
            data = content.read()
            if hashlib.sha256(data).hexdigest() == wanted.sha256:
                return data
    raise UsageError(
        f"A layer of the image has changed while it was read: {wanted.path!r} is gone.",
        hint="Try again.",
    )


def _laid(layers: Iterable[Sequence[Entry]]) -> Tree:
    tree = Tree()
    for entries in layers:
        marks = [entry for entry in entries if _name(entry).startswith(WHITEOUT)]
        for mark in marks:
            folder = mark.path.rpartition("/")[0]
            if _name(mark) == OPAQUE:
                tree.empty(folder)
            else:
                tree.remove(folder, _name(mark).removeprefix(WHITEOUT))
        for entry in entries:
            if not _name(entry).startswith(WHITEOUT):
                tree.put(entry)
    return tree


def _name(entry: Entry) -> str:
    return entry.path.rpartition("/")[2]
