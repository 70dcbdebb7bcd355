"""The merged file system of an image, with cached layer listings.

Source: image-spec, layer.md, "Applying Changesets". The whiteouts of a layer remove entries of the
layers below, not its own. A path follows the links of the layers below, as in engines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from operator import attrgetter
from typing import Any

from modelpack import cache
from modelpack.errors import UsageError
from modelpack.oci import image as oci_image
from modelpack.oci import streams, tar
from modelpack.oci.image import Image, Layer
from modelpack.oci.streams import HashingReader, Readable
from modelpack.oci.tar import KINDS, OPAQUE, WHITEOUT, Entry, unsupported_entry

__all__ = ["Entry", "layer_listing", "merge_layers", "read"]


def merge_layers(listings: Iterable[Sequence[Entry]]) -> dict[str, Entry]:
    """Merge the listings of layers, bottom to top. A hard link stays one.

    Returns:
        Path -> entry of `/`, sorted by the names of directories and files.

    Raises:
        UsageError: A layer puts a file into something that is not a directory.
    """
    return dict(_apply_layers(listings).entries())


def read(image: Image, path: str, limit: int = 2 * streams.DOCUMENT) -> bytes:
    """Return the content of a regular file of `/`, through links.

    Layers below the last one are read only if they can change the result. `limit` is in bytes.

    Raises:
        UsageError: There is no such file, it is too large, or a layer is damaged.
    """
    entry = _find(image, path)
    if entry is None or entry.kind != "file":
        raise UsageError(f"The image has no file {path!r}.", hint="Give an image of modelpack.")
    if entry.size > limit:
        raise UsageError(
            f"{path!r} in the image has {entry.size} bytes, more than {limit}.",
            hint="Give an image of modelpack.",
        )
    return next(
        content
        for layer in reversed(image.layers)
        if (content := _content(layer, entry)) is not None
    )


def _find(image: Image, path: str) -> Entry | None:
    top = [layer_listing(layer) for layer in image.layers[-1:]]
    found = _apply_layers(top).find(path, certain=True)
    return found or _apply_layers(map(layer_listing, image.layers)).find(path)


def _content(layer: Layer, expected: Entry) -> bytes | None:
    """Return the content of the file with the expected digest, if the layer has it."""
    if expected.sha256 not in {entry.sha256 for entry in layer_listing(layer)}:
        return None
    with layer.open() as stream:
        for entry, content in tar.members(HashingReader(stream, streams.LAYER)):
            if content is None or entry.size != expected.size:
                continue
            data = content.read()
            if hashlib.sha256(data).hexdigest() == expected.sha256:
                return data
    raise UsageError(
        f"A layer of the image changed while it was read: {expected.path!r} is gone.",
        hint="Try again.",
    )


def _apply_layers(layers: Iterable[Sequence[Entry]]) -> LayeredTree:
    tree = LayeredTree()
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
                tree.apply(entry)
    return tree


def _name(entry: Entry) -> str:
    return entry.path.rpartition("/")[2]


# A listing is cached only if the layer has the digest by which it is looked up.
_CHUNK = 2**20
_FIELDS = tuple(field.name for field in fields(Entry))
_TYPES = tuple(type(value) for value in astuple(Entry("", "file", 0, 0, 0, 0, 0)))


Observer = Callable[[Entry, int], Callable[[bytes], None] | None]
"""Gets a file and the position of its content in the tar. Returns a function that takes the content
in pieces, or None.
"""


def layer_listing(layer: Layer, observe: Observer | None = None) -> tuple[Entry, ...]:
    """Return the entries of a layer in their order, whiteouts included.

    If the listing is not cached, `observe` is called with each file while the layer is read.

    Raises:
        UsageError: The layer is damaged, or does not have its digest.
    """
    if not oci_image.is_digest(layer.diff_id):
        raise oci_image.malformed(f"{layer.diff_id[:100]!r} is not a digest")
    found = _load_listing(layer.diff_id)
    if found is None:
        found = _read(layer, observe or (lambda _, __: None))
        _store_listing(layer.diff_id, found)
    return found


def _read(layer: Layer, observe: Observer) -> tuple[Entry, ...]:
    with layer.open() as stream:
        measured = HashingReader(stream, streams.LAYER)
        found = tuple(
            replace(entry, sha256=_sha256(content, observe(entry, measured.tell())))
            if content
            else entry
            for entry, content in tar.members(measured)
        )
    if measured.digest != layer.diff_id:
        raise UsageError(
            f"A layer of the image has the digest {measured.digest}, but its configuration"
            f" contains {layer.diff_id}.",
            hint="Get the image again.",
        )
    return found


def _sha256(content: Readable, take: Callable[[bytes], None] | None) -> str:
    found = hashlib.sha256()
    while data := content.read(_CHUNK):
        found.update(data)
        if take:
            take(data)
    return found.hexdigest()


def _name_of_listing(diff_id: str) -> str:
    return f"{diff_id.replace(':', '-')}.json"


def _load_listing(diff_id: str) -> tuple[Entry, ...] | None:
    try:
        rows = json.loads(cache.read("layers", _name_of_listing(diff_id)))
        return tuple(map(_entry, rows)) if isinstance(rows, list) else None
    except (OSError, ValueError, TypeError):
        return None


def _entry(row: list[Any]) -> Entry:
    """Raise ValueError if the row is malformed."""
    if tuple(map(type, row)) != _TYPES or row[1] not in KINDS:
        raise ValueError("not an entry")
    return Entry(*row)


def _store_listing(diff_id: str, entries: tuple[Entry, ...]) -> None:
    rows = list(map(attrgetter(*_FIELDS), entries))
    cache.write("layers", _name_of_listing(diff_id), json.dumps(rows, separators=(",", ":")))


_LINKS = 40  # in one path, as in Linux


@dataclass(slots=True)
class _Node:
    """A node of the tree. `entry` is None for a directory without an entry in any layer."""

    entry: Entry | None = None
    below: dict[str, _Node] = field(default_factory=dict)


class LayeredTree:
    """The tree of merged layers, empty at first. Each path follows the links in it."""

    def __init__(self) -> None:
        self._root = _Node()
        self._made = 1

    def apply(self, entry: Entry) -> None:
        """Replace what has its path. A directory keeps its contents."""
        folder, _, name = entry.path.rpartition("/")
        node = self._child(self._folder(folder), name) if name else self._root
        if entry.kind != "directory":
            node.below.clear()
        node.entry = entry

    def remove(self, folder: str, name: str) -> None:
        if node := self._node(folder):
            node.below.pop(name, None)

    def empty(self, folder: str) -> None:
        if node := self._node(folder):
            node.below.clear()

    def find(self, path: str, *, certain: bool = False) -> Entry | None:
        """Return the entry at `path`, through links.

        If `certain`, every directory in the path must have an entry, so that lower layers cannot
        change the result.
        """
        node = self._node(path, certain=certain)
        for _ in range(_LINKS):
            if node is None or node.entry is None or node.entry.kind != "hardlink":
                return node.entry if node else None
            node = self._node(node.entry.target, certain=certain)
        return None

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Yield all entries with their paths, directories before their contents."""
        left = [("", self._root)]
        while left:
            path, node = left.pop()
            if node.entry:
                yield (
                    path,
                    node.entry if node.entry.path == path else replace(node.entry, path=path),
                )
            inside = f"{path}/" if path else ""
            left += [(inside + name, node.below[name]) for name in sorted(node.below, reverse=True)]

    def _folder(self, folder: str) -> _Node:
        node = self._node(folder, make=True)
        if node is None or (node.entry and node.entry.kind != "directory"):
            raise unsupported_entry(folder, "is not a directory, but contains others")
        return node

    def _child(self, folder: _Node, name: str) -> _Node:
        """Return a child, which is created if it does not exist."""
        if name not in folder.below:
            self._made += 1
            if self._made > streams.TREE:
                raise unsupported_entry(name, f"is one of more than {streams.TREE} files")
            folder.below[name] = _Node()
        return folder.below[name]

    def _node(self, path: str, *, make: bool = False, certain: bool = False) -> _Node | None:
        way, left, links = [self._root], _names(path), 0
        while left:
            name = left.pop()
            if name == "..":
                way = way[:-1] or way
                continue
            node = self._child(way[-1], name) if make else way[-1].below.get(name)
            if node is None or (certain and node.entry is None):
                return None
            way.append(node)
            if node.entry and node.entry.kind == "symlink":
                links += 1
                if links > _LINKS:
                    return None
                way = way[:1] if node.entry.target.startswith("/") else way[:-1]
                left += _names(node.entry.target)
        return way[-1]


def _names(path: str) -> list[str]:
    """Split a path into names, last one first."""
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]
