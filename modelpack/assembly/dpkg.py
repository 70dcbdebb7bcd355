"""Debian's notes of what is installed: which packages files are of, and what is told of them."""

from __future__ import annotations

import glob
import os
import re
from typing import Iterator

from .tree import Tree

_DATABASE = "/var/lib/dpkg"
STATUS = f"{_DATABASE}/status.d"
"""A file a package, as https://github.com/GoogleContainerTools/distroless has it."""


def note_left(image: Tree, kept: set[str], root: str) -> None:
    """Notes in `root` the packages of the image that have a file among `kept`, and adds what they
    say of their copyright to `kept`.
    """
    files = {place for place in kept if os.path.isfile(image.folder + place)}
    for name, told in _installed(image):
        if not files.isdisjoint(_files(image, name)):
            note(told, root)
            kept.update(image.trail(f"/usr/share/doc/{name}/copyright"))


def note(control: bytes, root: str) -> None:
    """`control`: what a package says of itself.

    Raises:
        ValueError: it does not say its name.
    """
    name = _name(control)
    if not name:
        raise ValueError("a Debian package does not say what it is")
    os.makedirs(root + STATUS, exist_ok=True)
    with open(f"{root}{STATUS}/{name}", "wb") as file:
        file.write(control)


def _installed(image: Tree) -> Iterator[tuple[str, bytes]]:
    path = f"{image.folder}{_DATABASE}/status"
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        for told in re.split(rb"\n{2,}", file.read()):
            name = _name(told)
            if name:
                yield name, told.rstrip() + b"\n"


def _files(image: Tree, name: str) -> Iterator[str]:
    folder = glob.escape(f"{image.folder}{_DATABASE}/info/{name}")
    for path in [*glob.glob(f"{folder}.list"), *glob.glob(f"{folder}:*.list")]:
        with open(path, encoding="utf-8") as file:
            for line in file:
                yield image.merged(line.rstrip("\n"))


def _name(told: bytes) -> str:
    match = re.search(rb"^Package: ([a-z0-9][a-z0-9+.-]+)$", told, re.MULTILINE)
    return match[1].decode() if match else ""
