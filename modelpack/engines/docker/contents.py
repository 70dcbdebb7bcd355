"""An engine's image as an OCI image.

Its layers come only by `docker save`, of all of them together, which takes seconds: so not before
one is opened; and not for the layer of the model alone, which is new with each training.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO, Any

from docker.errors import ImageNotFound, NotFound

from modelpack import oci, processes
from modelpack.engines.docker import containers
from modelpack.engines.docker.connection import EngineHost
from modelpack.errors import NoEngineError
from modelpack.oci import archive

_CONFIG = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
    "StopSignal", "Healthcheck", "Shell", "OnBuild",
)  # fmt: skip
_MAKES_A_LAYER = re.compile(
    r"(RUN|COPY|ADD|WORKDIR) |/bin/sh -c (#\(nop\) (ADD|COPY) |(?!#\(nop\)))"
)


@contextmanager
def open_saved_image(host: EngineHost, target: str) -> Iterator[oci.Image]:
    """Its layers can be opened while the block runs.

    Raises:
        UsageError: there is no such image.
    """
    try:
        found = host.client.images.get(target)
    except ImageNotFound as error:
        raise host.no_image(target) from error
    diff_ids = found.attrs["RootFS"].get("Layers") or []
    history = _history(found.history())
    made_by = [entry["created_by"] for entry in history if not entry["empty_layer"]]
    with (
        processes.temporary_directory() as folder,
        _Layers(host, found.id, diff_ids, folder) as layers,
    ):
        if len(made_by) != len(diff_ids):  # only the configuration itself tells
            yield layers.image
            return
        yield oci.Image(
            _config(found.attrs, history),
            tuple(
                oci.Layer(diff_id, partial(layers.opened, number, diff_id), made_by[number])
                for number, diff_id in enumerate(diff_ids)
            ),
        )


def _history(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """From the base upwards. The engine does not say which instructions have made a layer."""
    return [
        {
            "created_by": entry["CreatedBy"],
            "empty_layer": not entry["Size"] and not _MAKES_A_LAYER.match(entry["CreatedBy"]),
        }
        for entry in reversed(entries)
    ]


def _config(told: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "architecture": told["Architecture"],
        "os": told["Os"],
        "created": told["Created"],
        "config": {name: told["Config"][name] for name in _CONFIG if told["Config"].get(name)},
        "rootfs": {"type": "layers", "diff_ids": told["RootFS"].get("Layers") or []},
        "history": list(history),
    }


class _Layers:
    """The layers of an image, in the folder `folder` as soon as they are asked for."""

    def __init__(self, host: EngineHost, id_: str, diff_ids: Sequence[str], folder: Path) -> None:
        self._host = host
        self._id = id_
        self._diff_ids = diff_ids
        self._folder = folder
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._image: oci.Image | None = None
        self._is_closed = False

    def __enter__(self) -> _Layers:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends what another thread waits for."""
        self._is_closed = True
        if self._process:
            self._process.kill()
        with self._lock:
            pass

    @contextmanager
    def opened(self, number: int, diff_id: str) -> Iterator[IO[bytes]]:
        path = self._folder / "model.tar"
        is_last = diff_id == self._diff_ids[-1]
        with self._lock:
            if is_last and self._image is None and not path.exists():
                fetch(self._host, self._id, diff_id, path)
        if is_last and path.exists():
            with path.open("rb") as stream:
                yield stream
        else:
            with self.image.layers[number].open() as stream:
                yield stream

    @property
    def image(self) -> oci.Image:
        """Raises NoEngineError: the engine does not give it."""
        with self._lock:
            if self._image is None:
                self._image = archive.image(self._saved())
            return self._image

    def _saved(self) -> Path:
        path = self._folder / "image.tar"
        command = [self._host.command, "save", "--output", str(path), self._id]
        with subprocess.Popen(command, env=self._host.environ, stderr=subprocess.PIPE) as process:
            self._process = process
            if self._is_closed:
                process.kill()
            _, said = process.communicate()
        if process.returncode:
            raise NoEngineError(
                f"The layers of {self._id} cannot be had: {said.decode(errors='replace').strip()}",
                hint="Is there room for the image once more, where temporary files are?",
            )
        return path


# The engine packs a folder as it packs layers, so that the members which are of the model are,
# byte by byte, that layer; and its digest proves it. The 40 ms of this take the place of seconds.
_FOLDER = "/app"
_OF_THE_MODEL = re.compile(r"app|app/(modelpack|sbom\.cdx|provenance)\.json|app/model(/.*)?")
_BLOCK = 512
_CHUNK = 2**20


def fetch(host: EngineHost, image: str, diff_id: str, target: Path) -> None:
    """Makes the file `target`, if the layer of that digest holds the files of the model alone."""
    folder = target.with_suffix(".folder")
    try:
        _copy(host, image, folder)
    except NotFound:  # it is no image of ours
        return
    digest = hashlib.sha256()
    with folder.open("rb") as source, target.open("wb") as layer:
        for block in _members(source):
            digest.update(block)
            layer.write(block)
    folder.unlink()
    if f"sha256:{digest.hexdigest()}" != diff_id:
        target.unlink()


def _copy(host: EngineHost, image: str, target: Path) -> None:
    """The folder, as a tar. Nothing is run."""
    name = containers.new_name()
    with containers.remove_on_exit(host, name), target.open("wb") as file:
        containers.create(host.client, image, command=["-"], name=name, network_disabled=True)
        chunks, _ = host.client.api.get_archive(name, _FOLDER)
        for chunk in chunks:
            file.write(chunk)


def _members(source: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a tar of those members of another one that are of the model."""
    with tarfile.open(fileobj=source, mode="r:") as tar:
        places = [
            (member.offset, member.offset_data + member.size)
            for member in tar
            if _OF_THE_MODEL.fullmatch(member.name)
        ]
    for start, end in places:
        source.seek(start)
        left = end - start + (start - end) % _BLOCK
        while left and (block := source.read(min(left, _CHUNK))):
            left -= len(block)
            yield block
    yield bytes(2 * _BLOCK)
