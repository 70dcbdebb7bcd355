"""A tree of folders and files that is made by putting entries into it, one over the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from modelpack.oci import limits
from modelpack.oci.entries import Entry, refused

_LINKS = 40  # that a path may go through, as for Linux


@dataclass(slots=True)
class _Node:
    """`entry`: None for a folder that no layer has an entry of."""

    entry: Entry | None = None
    below: dict[str, _Node] = field(default_factory=dict)


class Tree:
    """Starts empty. Paths are as those of entries; each goes through the links that are there."""

    def __init__(self) -> None:
        self._root = _Node()
        self._made = 1

    def put(self, entry: Entry) -> None:
        """Takes the place of what is there; a folder keeps what is in it."""
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
        """What is at the end of all links. `certain`: only where each folder on the way has an
        entry, so that no layer below these could lead elsewhere.
        """
        node = self._node(path, certain=certain)
        for _ in range(_LINKS):
            if node is None or node.entry is None or node.entry.kind != "hardlink":
                return node.entry if node else None
            node = self._node(node.entry.target, certain=certain)
        return None

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """All there is, with the paths where it is: folders before what is in them."""
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
            raise refused(folder, "is no folder, and others are in it")
        return node

    def _child(self, folder: _Node, name: str) -> _Node:
        """Made where it is not there."""
        if name not in folder.below:
            self._made += 1
            if self._made > limits.TREE:
                raise refused(name, f"is one of more than {limits.TREE} files")
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
    """The last one first."""
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]
