"""The shared libraries that programs and libraries need, found as ld.so(8) would find them."""

from __future__ import annotations

import glob
import os
from typing import Iterable, Iterator, Sequence

from .elf import needs
from .tree import Tree

_FOLDERS = ("/usr/local/lib", "/usr/lib/*-linux-gnu", "/usr/lib", "/usr/lib64")
_NAMED = ("libnss_dns.so.2", "libnss_files.so.2")  # which glibc before 2.34 loads by their names


def needed(trees: Sequence[Tree], objects: Iterable[tuple[Tree, str]]) -> set[tuple[Tree, str]]:
    """What is needed of the trees, links that lead there too: (tree, place).

    `trees`: where to look, in this order. `objects`: what may need something.
    """
    found: set[tuple[Tree, str]] = set()
    left = [*objects, *(at for name in _NAMED for at in _find(trees, name, ()))]
    done = set(left)
    while left:
        tree, place = left.pop()
        wanted = needs(tree.folder + place)
        for name in wanted.libraries if wanted else ():
            folders = [_origin(folder, place) for folder in wanted.folders] if wanted else []
            trail = _find(trees, name, folders)
            found.update(trail)
            left += [at for at in trail if at not in done and at == trail[-1]]
            done.update(trail)
    return found | {at for name in _NAMED for at in _find(trees, name, ())}


def _origin(folder: str, place: str) -> str:
    origin = os.path.dirname(place)
    return folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)


def _find(trees: Sequence[Tree], name: str, folders: Sequence[str]) -> list[tuple[Tree, str]]:
    for tree in trees:
        for folder in [*folders, *_usual(tree)]:
            trail = tree.trail(f"{folder}/{name}")
            if trail:
                return [(tree, place) for place in trail]
    return []


def _usual(tree: Tree) -> Iterator[str]:
    for pattern in _FOLDERS:
        for path in sorted(glob.glob(glob.escape(tree.folder) + pattern)):
            yield path[len(tree.folder) :]
