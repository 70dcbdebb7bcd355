"""Layers of modelpack's Dockerfile, read from the file system of an image.

`docker save` writes all layers of an image twice: 380 MB take 2.9 s. The engine packs a folder as
it packs a layer, with the same bytes for each file, and that takes 1.1 s. So a layer is the archive
of the folders that a stage fills, without the files of other stages. Its digest proves that.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from docker.errors import APIError, NotFound

from modelpack.assembly.files import MTIME
from modelpack.engines.docker import containers
from modelpack.engines.docker.connection import EngineHost

_BLOCK = 512
_CHUNK = 2**20
END = bytes(2 * _BLOCK)
"""The end of a tar, and so a layer without files."""
_COPY = re.compile(r"COPY /(?P<stage>[a-z]+)/ / ")

Contains = Callable[[tarfile.TarInfo], bool]


@dataclass(frozen=True)
class _Stage:
    """A stage of the Dockerfile.

    Attributes:
        folders: Those in the root of the image that it fills, sorted.
        contains: Whether a member of their archives belongs to the stage; None if all do.
    """

    folders: tuple[str, ...]
    contains: Contains | None


def _named(pattern: str) -> Contains:
    matches = re.compile(pattern).fullmatch
    return lambda member: matches(member.name) is not None


_STAGES = {
    # Files of a base image are younger. If one is not, the digest differs.
    "system": _Stage(
        ("etc", "home", "root", "run", "srv", "tmp", "usr", "var"),
        lambda member: member.mtime == MTIME,
    ),
    "environment": _Stage(("opt",), None),
    "service": _Stage(("app",), _named(r"app|app/modelpack(/.*)?")),
    "application": _Stage(
        ("app",), _named(r"app|app/(app\.py|gunicorn\.conf\.py|requirements\.lock)|app/code(/.*)?")
    ),
    "model": _Stage(
        ("app",), _named(r"app|app/(modelpack|sbom\.cdx|provenance)\.json|app/model(/.*)?")
    ),
}


def stage_of(created_by: str) -> str | None:
    """Return the stage of the Dockerfile that a layer is a copy of, None for other layers."""
    match = _COPY.search(created_by)
    return match["stage"] if match and match["stage"] in _STAGES else None


class LayerFiles:
    """Writes layers of an image to files in `directory`, until it is closed by any thread."""

    def __init__(self, host: EngineHost, image: str, directory: Path) -> None:
        self._host = host
        self._image = image
        self._directory = directory
        self._stack = ExitStack()
        self._container = ""
        self._is_closed = False

    def cancel(self) -> None:
        """End a `read` of another thread, which then returns None."""
        self._is_closed = True

    def close(self) -> None:
        self._stack.close()

    def read(self, stage: str, diff_id: str) -> Path | None:
        """Return a file with the layer, None if the archives of its folders have other bytes."""
        target = self._directory / f"{stage}.tar"
        digest = hashlib.sha256()
        try:
            with target.open("wb") as layer:
                for block in self._blocks(_STAGES[stage]):
                    if self._is_closed:
                        return None
                    digest.update(block)
                    layer.write(block)
        except APIError:  # such as Podman's for an image of another engine
            return None
        return target if f"sha256:{digest.hexdigest()}" == diff_id else None

    def _blocks(self, stage: _Stage) -> Iterator[bytes]:
        if stage.contains is None:
            (folder,) = stage.folders
            yield from self._fetch(folder)
            return
        for folder in stage.folders:
            path = self._directory / f"folder-{folder}.tar"
            if not path.exists():
                with path.open("wb") as file:
                    file.writelines(self._fetch(folder))
            with path.open("rb") as source:
                yield from _members(source, stage.contains)
        yield END

    def _fetch(self, folder: str) -> Iterator[bytes]:
        """Yield the archive of a folder, an empty one if the image has no such folder."""
        if not self._container:
            self._container = containers.new_name()
            self._stack.enter_context(containers.remove_on_exit(self._host, self._container))
            options = {"command": ["-"], "name": self._container, "network_disabled": True}
            containers.create(self._host.client, self._image, **options)
        try:
            chunks, _ = self._host.client.api.get_archive(self._container, f"/{folder}")
        except NotFound:
            yield END
            return
        for chunk in chunks:
            if self._is_closed:
                return
            yield chunk


def _members(source: IO[bytes], contains: Contains) -> Iterator[bytes]:
    """Yield the bytes of the members that belong to a layer, with their headers."""
    with tarfile.open(fileobj=source, mode="r:") as tar:
        positions = [
            (member.offset, member.offset_data + (member.size if member.isreg() else 0))
            for member in tar
            if contains(member)
        ]
    for start, end in positions:
        source.seek(start)
        left = end - start + (start - end) % _BLOCK
        while left and (block := source.read(min(left, _CHUNK))):
            left -= len(block)
            yield block
