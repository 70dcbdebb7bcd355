"""An engine's image as an OCI image.

`docker save` writes all layers together, which takes seconds. It therefore runs when the first
layer is opened, and not for the layer of the model, which is new with each training.
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
    """Open an image. Its layers are readable within the context.

    Raises:
        UsageError: The image does not exist.
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
        if len(made_by) != len(diff_ids):  # only the archive has the configuration
            yield layers.image
            return
        yield oci.Image(
            _config(found.attrs, history),
            tuple(
                oci.Layer(diff_id, partial(layers.open, number, diff_id), made_by[number])
                for number, diff_id in enumerate(diff_ids)
            ),
        )


def _history(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the history, base first. The engine does not report which entries created a layer."""
    return [
        {
            "created_by": entry["CreatedBy"],
            "empty_layer": not entry["Size"] and not _MAKES_A_LAYER.match(entry["CreatedBy"]),
        }
        for entry in reversed(entries)
    ]


def _config(attributes: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "architecture": attributes["Architecture"],
        "os": attributes["Os"],
        "created": attributes["Created"],
        "config": {
            name: attributes["Config"][name] for name in _CONFIG if attributes["Config"].get(name)
        },
        "rootfs": {"type": "layers", "diff_ids": attributes["RootFS"].get("Layers") or []},
        "history": list(history),
    }


class _Layers:
    """The layers of an image, saved to a directory when the first one is opened."""

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
        """End a save that another thread waits for."""
        self._is_closed = True
        if self._process:
            self._process.kill()
        with self._lock:
            pass

    @contextmanager
    def open(self, number: int, diff_id: str) -> Iterator[IO[bytes]]:
        path = self._folder / "model.tar"
        is_last = diff_id == self._diff_ids[-1]
        with self._lock:
            if is_last and self._image is None and not path.exists():
                fetch_model_layer(self._host, self._id, diff_id, path)
        if is_last and path.exists():
            with path.open("rb") as stream:
                yield stream
        else:
            with self.image.layers[number].open() as stream:
                yield stream

    @property
    def image(self) -> oci.Image:
        """The image as archived. Raises NoEngineError if the engine cannot save the image."""
        with self._lock:
            if self._image is None:
                self._image = archive.read_image(self._saved())
            return self._image

    def _saved(self) -> Path:
        path = self._folder / "image.tar"
        command = [self._host.command, "save", "--output", str(path), self._id]
        with subprocess.Popen(command, env=self._host.environ, stderr=subprocess.PIPE) as process:
            self._process = process
            if self._is_closed:
                process.kill()
            _, stderr = process.communicate()
        if process.returncode:
            raise NoEngineError(
                f"The image {self._id} cannot be saved: {stderr.decode(errors='replace').strip()}",
                hint="Free disk space in the directory of temporary files.",
            )
        return path


# The engine packs a directory as it packs layers. The members of the model are the bytes of their
# layer, which its digest proves. This takes 40 ms instead of seconds.
_FOLDER = "/app"
_MODEL_FILES = re.compile(r"app|app/(modelpack|sbom\.cdx|provenance)\.json|app/model(/.*)?")
_BLOCK = 512
_CHUNK = 2**20


def fetch_model_layer(host: EngineHost, image: str, diff_id: str, target: Path) -> None:
    """Write the layer to `target` if it contains the files of the model and no others."""
    folder = target.with_suffix(".folder")
    try:
        _copy(host, image, folder)
    except NotFound:  # modelpack did not create the image
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
    """Copy /app of an image to a tar file, without running it."""
    name = containers.new_name()
    with containers.remove_on_exit(host, name), target.open("wb") as file:
        containers.create(host.client, image, command=["-"], name=name, network_disabled=True)
        chunks, _ = host.client.api.get_archive(name, _FOLDER)
        for chunk in chunks:
            file.write(chunk)


def _members(source: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a tar file with those members that belong to the model."""
    with tarfile.open(fileobj=source, mode="r:") as tar:
        positions = [
            (member.offset, member.offset_data + member.size)
            for member in tar
            if _MODEL_FILES.fullmatch(member.name)
        ]
    for start, end in positions:
        source.seek(start)
        left = end - start + (start - end) % _BLOCK
        while left and (block := source.read(min(left, _CHUNK))):
            left -= len(block)
            yield block
    yield bytes(2 * _BLOCK)
