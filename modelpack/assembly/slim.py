"""ROOT BASE FOLDER...: what stays of a base image where a service is all that runs.

The interpreter, its standard library, the shared libraries that these and what lies in each FOLDER
need, certificates, time zones, the locale C, names of users; and Debian's notes of the packages
that these are of, for scanners. No shell, no package manager, no pip: nothing else could be run.
"""

from __future__ import annotations

import os
import re
import shutil
import sys

from . import libraries, python
from .bytecode import compile_below
from .dpkg import note_left
from .elf import needs
from .files import tidy
from .tree import Tree

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
    """Raises:
    RuntimeError: see `compile_below`.
    """
    image, more = Tree(base), [Tree(folder) for folder in folders]
    library, interpreter = python.library(), python.interpreter()
    kept = {f"/{name}" for name in os.listdir(base) if os.path.islink(f"{base}/{name}")}
    kept -= {"/bin", "/sbin"}
    kept |= {place for place in image.below(library) if not _NOT_LIBRARY.search(place)}
    kept |= {place for start in _KEPT for place in image.below(start)}
    loader = needs(base + interpreter)
    programs = {*image.trail(interpreter), *image.trail(loader.loader if loader else "")}
    objects = [(image, place) for place in kept | programs]
    objects += [(tree, place) for tree in more for place in tree.below("/")]
    objects = [at for at in objects if _is_file(*at)]
    found = libraries.needed([*more, image], objects)
    kept |= programs | {place for tree, place in found if tree is image}
    note_left(image, kept, root)
    for place in sorted(kept):
        _copy(base + place, root + place, 0o755 if place in programs else 0o644)
    compile_below(root + library, library)
    for place in _WRITABLE:
        os.makedirs(root + place, exist_ok=True)
        os.chmod(root + place, 0o1777)  # noqa: S103 - anybody's, and only for what is their own
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


if __name__ == "__main__":
    make(*sys.argv[1:])
