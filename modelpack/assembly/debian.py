"""`python -m`: unpacks Debian packages, and writes dpkg's database.

Maintainer scripts are not run: images need only shared libraries, which the loader finds by their
folder. BASE contains the files of the base image, whose links decide where /lib is.
Sources: deb(5); var/lib/dpkg/status.d as in https://github.com/GoogleContainerTools/distroless
"""

from __future__ import annotations

import glob
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from typing import BinaryIO, Iterator

from .files import Tree, tidy

_UNREAD = re.compile(
    r"/usr/share/((man|info|locale|lintian|bash-completion)/|doc/(?!.*/copyright$)).*"
)


def make(root: str, base: str, debs: str) -> None:
    """Unpack all packages of the folder `debs` into `root`.

    Raises:
        ValueError: A file is not a Debian package, or has a path outside of `root`.
    """
    image = Tree(base)
    for name in sorted(os.listdir(debs)):
        if name.endswith(".deb"):
            path = os.path.join(debs, name)
            with _archive(path, "data", "--fsys-tarfile") as files:
                for member in files:
                    _extract(files, member, root, image)
            note(_control(path), root)
    tidy(root)


def _control(deb: str) -> bytes:
    with _archive(deb, "control", "--ctrl-tarfile") as files:
        member = next(member for member in files if member.name.strip("./") == "control")
        return files.extractfile(member).read()  # type: ignore[union-attr]


def _extract(files: tarfile.TarFile, member: tarfile.TarInfo, root: str, image: Tree) -> None:
    name = image.merged(member.name)
    target = root + name
    if _UNREAD.fullmatch(name) or member.isdir():
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if member.issym():
        os.symlink(member.linkname, target)
    elif member.islnk():
        os.link(root + image.merged(member.linkname), target)
    elif member.isreg():
        with files.extractfile(member) as source, open(target, "wb") as file:  # type: ignore[union-attr]
            shutil.copyfileobj(source, file, 2**20)
        os.chmod(target, 0o755 if member.mode & 0o111 else 0o644)


def _archive(deb: str, which: str, option: str) -> tarfile.TarFile:
    for name, content in _members(deb):
        if name.startswith(f"{which}.tar"):
            if name.endswith(".zst"):  # of Ubuntu; Python reads it from 3.14 on
                command = ["dpkg-deb", option, deb]
                content = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout  # noqa: PLW2901
            return tarfile.open(fileobj=io.BytesIO(content))
    raise ValueError(f"{deb} is not a Debian package")


def _members(deb: str) -> Iterator[tuple[str, bytes]]:
    with open(deb, "rb") as file:
        if file.read(8) == b"!<arch>\n":
            yield from _read(file)


def _read(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    head = file.read(60)
    while len(head) == 60:
        size = int(head[48:58])
        yield head[:16].decode("ascii").rstrip(" /"), file.read(size)
        head = file.read(size % 2 + 60)[size % 2 :]


_DATABASE = "/var/lib/dpkg"
STATUS = f"{_DATABASE}/status.d"
"""One file per package, as in https://github.com/GoogleContainerTools/distroless."""


def register_packages(image: Tree, kept: set[str], root: str) -> None:
    """Register in `root` the packages that own a file of `kept`, and keep their copyright files."""
    files = {place for place in kept if os.path.isfile(image.folder + place)}
    for name, control in _installed(image):
        if not files.isdisjoint(_files(image, name)):
            note(control, root)
            kept.update(image.trail(f"/usr/share/doc/{name}/copyright"))


def note(control: bytes, root: str) -> None:
    """Register a package in `root` by its control file.

    Raises:
        ValueError: The control file has no package name.
    """
    name = _name(control)
    if not name:
        raise ValueError("a Debian package has no name")
    os.makedirs(root + STATUS, exist_ok=True)
    with open(f"{root}{STATUS}/{name}", "wb") as file:
        file.write(control)


def _installed(image: Tree) -> Iterator[tuple[str, bytes]]:
    path = f"{image.folder}{_DATABASE}/status"
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        for control in re.split(rb"\n{2,}", file.read()):
            name = _name(control)
            if name:
                yield name, control.rstrip() + b"\n"


def _files(image: Tree, name: str) -> Iterator[str]:
    folder = glob.escape(f"{image.folder}{_DATABASE}/info/{name}")
    for path in [*glob.glob(f"{folder}.list"), *glob.glob(f"{folder}:*.list")]:
        with open(path, encoding="utf-8") as file:
            for line in file:
                yield image.merged(line.rstrip("\n"))


def _name(control: bytes) -> str:
    match = re.search(rb"^Package: ([a-z0-9][a-z0-9+.-]+)$", control, re.MULTILINE)
    return match[1].decode() if match else ""


if __name__ == "__main__":
    make(*sys.argv[1:])
