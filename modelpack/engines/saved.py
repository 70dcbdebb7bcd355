"""An image of the Docker engine as the OCI specifications have it.

Its layers come only by `docker save`, of all of them together, which takes seconds: so not before
one is opened; and not for the layer of the model alone, which is new with each training.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO, Any

from docker.errors import ImageNotFound

from modelpack import oci, processes
from modelpack.engines import model_layer
from modelpack.engines.hosts import Host
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
def contents(host: Host, target: str) -> Iterator[oci.Image]:
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
    with processes.scratch_folder() as folder, _Layers(host, found.id, diff_ids, folder) as layers:
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

    def __init__(self, host: Host, id_: str, diff_ids: Sequence[str], folder: Path) -> None:
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
                model_layer.fetch(self._host, self._id, diff_id, path)
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
