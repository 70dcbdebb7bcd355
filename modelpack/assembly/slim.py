"""`python -m`: copies the part of a base image that a service needs.

This is the interpreter, its standard library, the shared libraries that these and the files in each
FOLDER need, certificates, time zones, the locale C and user names. Scanners find the packages of
these files in dpkg's database. Shell, package manager and pip are left out.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import sys
from typing import Iterable, Iterator, Sequence

from . import python
from .debian import register_packages
from .elf import read_elf
from .files import Tree, tidy
from .python import compile_below

_KEPT = (
    "/etc/debian_version", "/etc/group", "/etc/host.conf", "/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/ld.so.conf.d", "/etc/localtime", "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd",
    "/etc/protocols", "/etc/services", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/timezone",
    "/usr/lib/locale/C.utf8", "/usr/lib/os-release", "/usr/lib/ssl", "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
)  # fmt: skip
_NOT_LIBRARY = re.compile(r"/(site-packages|dist-packages|ensurepip|__pycache__|config-[^/]*)(/|$)")
_WRITABLE = ("/tmp", "/var/tmp")  # noqa: S108 - of the image


def make(root: str, base: str, *folders: str) -> None:
    """Copy files of `base` to `root`, with the libraries that files in `folders` need.

    Raises:
        RuntimeError: See `compile_below`.
    """
    image, more = Tree(base), [Tree(folder) for folder in folders]
    library, interpreter = python.library(), python.interpreter()
    kept = {f"/{name}" for name in os.listdir(base) if os.path.islink(f"{base}/{name}")}
    kept -= {"/bin", "/sbin"}
    kept |= {place for place in image.below(library) if not _NOT_LIBRARY.search(place)}
    kept |= {place for start in _KEPT for place in image.below(start)}
    loader = read_elf(base + interpreter)
    programs = {*image.trail(interpreter), *image.trail(loader.loader if loader else "")}
    objects = [(image, place) for place in kept | programs]
    objects += [(tree, place) for tree in more for place in tree.below("/")]
    objects = [at for at in objects if _is_file(*at)]
    found = required_libraries([*more, image], objects)
    kept |= programs | {place for tree, place in found if tree is image}
    register_packages(image, kept, root)
    for place in sorted(kept):
        _copy(base + place, root + place, 0o755 if place in programs else 0o644)
    compile_below(root + library, library)
    for place in _WRITABLE:
        os.makedirs(root + place, exist_ok=True)
        os.chmod(root + place, 0o1777)  # noqa: S103 - with the sticky bit
    tidy(root)


def _is_file(tree: Tree, place: str) -> bool:
    path = tree.folder + place
    return os.path.isfile(path) and not os.path.islink(path)


def _copy(path: str, target: str, mode: int) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        os.makedirs(target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(path, target, follow_symlinks=False)
    if not os.path.islink(target):
        os.chmod(target, mode)


_FOLDERS = ("/usr/local/lib", "/usr/lib/*-linux-gnu", "/usr/lib", "/usr/lib64")
_NAMED = ("libnss_dns.so.2", "libnss_files.so.2")  # loaded by name by glibc before 2.34


def required_libraries(
    trees: Sequence[Tree], objects: Iterable[tuple[Tree, str]]
) -> set[tuple[Tree, str]]:
    """Return the libraries that `objects` need, and the links to them, as (tree, place).

    `trees` are searched in this order.
    """
    found: set[tuple[Tree, str]] = set()
    left = [*objects, *(at for name in _NAMED for at in _find(trees, name, ()))]
    done = set(left)
    while left:
        tree, place = left.pop()
        file = read_elf(tree.folder + place)
        for name in file.libraries if file else ():
            folders = [_origin(folder, place) for folder in file.folders] if file else []
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


if __name__ == "__main__":
    make(*sys.argv[1:])
