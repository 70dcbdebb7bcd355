"""Unpacks an image's files into a folder, from where they are read, and its interpreter is run.

No path leads out of the folder, whatever links a layer has: each is followed as if the folder were
`/`, and those to absolute paths are made relative. Devices, fifos, owners and the bits of
set-user-ID are left out.
Source: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path, PurePosixPath

from modelpack.engines.embedded import blobs
from modelpack.errors import BuildFailedError
from modelpack.oci import streams, tar
from modelpack.oci.image import Layer
from modelpack.oci.streams import Measured, Readable
from modelpack.oci.tar import OPAQUE, WHITEOUT, Entry

_BLOCK = 2**18
_LINKS = 40  # that a path may go through, as for Linux


def extract(layers: Iterable[Layer], folder: Path) -> None:
    """Puts the files that the layers make of each other into the new folder.

    Raises:
        UsageError: a layer is damaged, or not the one that it says it is.
        BuildFailedError: it cannot be unpacked here.
    """
    folder.mkdir()
    for layer in layers:
        try:
            with layer.open() as stream:
                measured = Measured(stream, streams.LAYER)
                _apply(measured, folder)
        except (ValueError, OSError) as error:
            raise BuildFailedError(
                f"A layer of the image cannot be unpacked: {error}.",
                hint="Look for space on the disk of the cache, and get the image once more.",
            ) from error
        blobs.require(measured.digest, layer.diff_id)


def resolve(root: Path, path: str, *, last: bool = True) -> Path:
    """Where `path` of an image lies below `root`. `last`: whether its last name is followed too.

    Raises:
        ValueError: links go in circles.
    """
    todo = list(reversed(PurePosixPath("/", path).parts[1:]))
    at, links = root, 0
    while todo:
        name = todo.pop()
        if name == "..":
            at = at if at == root else at.parent
        elif (todo or last) and (at / name).is_symlink():
            links += 1
            if links > _LINKS:
                raise ValueError(f"too many links in {path!r}")
            target = PurePosixPath((at / name).readlink())
            at = root if target.is_absolute() else at
            todo += reversed([part for part in target.parts if part != "/"])
        else:
            at /= name
    return at


def _apply(stream: Measured, root: Path) -> None:
    fresh: set[Path] = set()  # what this very layer brought: whiteouts are of those below
    for entry, content in tar.members(stream):
        folder, _, name = entry.path.rpartition("/")
        if not name:
            continue
        place = resolve(root, folder) / name
        if name == OPAQUE:
            _empty(place.parent, fresh)
        elif name.startswith(WHITEOUT):
            _remove(place.with_name(name.removeprefix(WHITEOUT)), fresh)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            _put(entry, content, place, root)
            fresh.add(place)


def _put(entry: Entry, content: Readable | None, place: Path, root: Path) -> None:
    if not (entry.kind == "directory" and place.is_dir() and not place.is_symlink()):
        _remove(place)
    if entry.kind == "directory":
        place.mkdir(exist_ok=True)
        place.chmod(0o700 | (entry.mode & 0o1777))
    elif entry.kind == "symlink":
        place.symlink_to(_inside(entry.target, place, root))
    elif entry.kind == "hardlink":
        place.hardlink_to(resolve(root, entry.target, last=False))
    elif content is not None:
        with place.open("xb") as file:
            file.writelines(iter(partial(content.read, _BLOCK), b""))
        place.chmod(0o400 | (entry.mode & 0o777))
        os.utime(place, (entry.mtime, entry.mtime))


def _inside(target: str, place: Path, root: Path) -> str:
    """What a link says, so that from here it leads where it would lead in the image: not to files
    of this machine.
    """
    if not target.startswith("/"):
        return target
    return os.path.relpath(f"{root}/{target}", place.parent)


def _empty(folder: Path, fresh: set[Path]) -> None:
    for path in folder.iterdir() if folder.is_dir() else ():
        _remove(path, fresh)


def _remove(path: Path, kept: Iterable[Path] = ()) -> None:
    if path in kept:
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
