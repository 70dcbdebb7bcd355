"""An engine's image as an OCI image.

Layers of modelpack's Dockerfile are read from the files of the image, those of its base image from
a `docker save` of the base image. A `docker save` of the image itself takes seconds, and is needed
only for other layers.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO, Any

from docker.errors import APIError, ImageNotFound

from modelpack import oci, processes
from modelpack.dockerfile import BASE_NAME
from modelpack.engines.docker import layer_files
from modelpack.engines.docker.connection import EngineHost
from modelpack.engines.docker.layer_files import LayerFiles
from modelpack.errors import NoEngineError
from modelpack.oci import archive
from modelpack.oci import image as oci_image

_CONFIG = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
    "StopSignal", "Healthcheck", "Shell", "OnBuild",
)  # fmt: skip
_EMPTY = f"sha256:{hashlib.sha256(layer_files.END).hexdigest()}"  # as of WORKDIR /app
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
        _Layers(host, found, made_by, folder) as layers,
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
    """The layers of an image, read by the fastest way that the engine offers."""

    def __init__(self, host: EngineHost, image: Any, made_by: Sequence[str], folder: Path) -> None:
        self._host = host
        self._id: str = image.id
        self._diff_ids: list[str] = image.attrs["RootFS"].get("Layers") or []
        self._labels: Mapping[str, str] = image.labels
        self._made_by = made_by
        self._folder = folder
        self._files = LayerFiles(host, self._id, folder)
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._saved: dict[str, oci.Image] = {}
        self._is_closed = False

    def __enter__(self) -> _Layers:
        return self

    def __exit__(self, *_: object) -> None:
        """End what another thread waits for."""
        self._is_closed = True
        self._files.cancel()
        if self._process:
            self._process.kill()
        with self._lock:
            self._files.close()

    @contextmanager
    def open(self, number: int, diff_id: str) -> Iterator[IO[bytes]]:
        with self._lock:
            opener = self._opener(number, diff_id)
        with opener() as stream:
            yield stream

    @property
    def image(self) -> oci.Image:
        """The image as archived. Raises NoEngineError if the engine cannot save the image."""
        with self._lock:
            return self._save(self._id)

    def _opener(self, number: int, diff_id: str) -> oci_image.Opener:
        """Return a function that opens a layer."""
        if diff_id == _EMPTY:
            return partial(io.BytesIO, layer_files.END)
        if self._id not in self._saved:
            stage = layer_files.stage_of(self._made_by[number])
            if not stage and BASE_NAME in self._labels and diff_id == self._diff_ids[-1]:
                stage = "model"  # Podman does not name the stage
            if stage and (path := self._files.read(stage, diff_id)):
                return oci_image.in_file(path)
            if base := self._base(number):
                return self._save(base).layers[number].open
        return self._save(self._id).layers[number].open

    def _base(self, number: int) -> str | None:
        """Return the id of the base image, if the engine has it and it contains the layer."""
        name = self._labels.get(BASE_NAME)
        with suppress(APIError):
            base = self._host.client.images.get(name) if name else None
            layers = base.attrs["RootFS"].get("Layers") or [] if base else []
            if base and number < len(layers) and layers == self._diff_ids[: len(layers)]:
                return str(base.id)
        return None

    def _save(self, image: str) -> oci.Image:
        """Return an image as archived by the engine."""
        if image not in self._saved:
            path = self._folder / f"image.tar{len(self._saved)}"
            command = [self._host.command, "save", "--output", str(path), image]
            with subprocess.Popen(
                command, env=self._host.environ, stderr=subprocess.PIPE
            ) as process:
                self._process = process
                if self._is_closed:
                    process.kill()
                _, stderr = process.communicate()
            if process.returncode:
                raise NoEngineError(
                    f"The image {image} cannot be saved: {stderr.decode(errors='replace').strip()}",
                    hint="Free disk space in the directory of temporary files.",
                )
            self._saved[image] = archive.read_image(path)
        return self._saved[image]
