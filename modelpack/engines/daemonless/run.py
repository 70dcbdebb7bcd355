"""Runs an image in a container engine or under bubblewrap.

As in a container, it sees its own files only, writes to /tmp only, and reaches no network: the
service answers through a socket that it was given.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from modelpack import oci
from modelpack import processes as modelpack_processes
from modelpack.engines import bubblewrap, sandbox
from modelpack.engines.bubblewrap import CLOSED, UNSHARE_OPTIONS
from modelpack.engines.daemonless import config as daemonless_config
from modelpack.engines.daemonless import rootfs
from modelpack.engines.docker.engine import DockerEngine
from modelpack.engines.local import processes
from modelpack.engines.local.processes import LocalService
from modelpack.engines.protocol import AnswerFuture, BatchStreams
from modelpack.engines.sandbox import Sandbox
from modelpack.errors import NoEngineError, SmokeFailedError
from modelpack.oci import archive
from modelpack.types import RunningService

_PLACES = (
    *("--dev", "/dev", "--tmpfs", "/dev/shm", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108
)
_OF_ITS_OWN: dict[str, Any] = {"start_new_session": True, "preexec_fn": processes.limit}


class BubblewrapService(LocalService):
    """A running service behind walls. `inside`: its own first process, as this machine sees it."""

    engine = "bubblewrap"

    def __init__(
        self, process: subprocess.Popen[bytes], inside: int, url: str, output: IO[bytes]
    ) -> None:
        super().__init__(process, "the image", url, output)
        self._inside = inside

    def memory_bytes(self) -> int | None:
        return processes.memory_bytes(self._inside) or None

    def stop(self, timeout: float) -> int:
        """Bubblewrap itself would end at once, and all with it."""
        if self.is_running():
            with suppress(ProcessLookupError):
                os.kill(self._inside, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        return super().stop(timeout=5)


class BubblewrapRunner:
    """Runs the image that is unpacked at `root`."""

    def __init__(self, root: Path, config: dict[str, Any]) -> None:
        self._root = root
        self._config = config

    def query_model(self, request: bytes) -> AbstractContextManager[AnswerFuture]:
        return self._sandbox(sandbox.REFERENCE_COMMAND).query(request)

    def predict(self, arguments: Sequence[str], streams: BatchStreams) -> int:
        process = self._sandbox((*sandbox.PREDICT_COMMAND, *arguments))
        return process.stream(streams)

    @contextmanager
    def run(self) -> Iterator[BubblewrapService]:
        with processes.listen(0) as listener, tempfile.TemporaryFile() as output:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            process, inside = self._start(listener.fileno(), output)
            listener.close()  # else it would answer for a service that is gone
            service = BubblewrapService(process, inside, url, output)
            try:
                yield service
            finally:
                service.end()

    def _start(self, listener: int, output: IO[bytes]) -> tuple[subprocess.Popen[bytes], int]:
        """The service's process, and the number of the one inside."""
        # gunicorn's own variable, which counts for more than its file
        walls = self._walls({"GUNICORN_CMD_ARGS": f"--bind=fd://{listener}"})
        words = [*(self._config.get("Entrypoint") or ()), *(self._config.get("Cmd") or ())]
        told, tell = os.pipe()
        with os.fdopen(told, "rb") as info:
            with os.fdopen(tell, "wb"):
                process = subprocess.Popen(
                    [*walls, "--as-pid-1", "--info-fd", str(tell), *words],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[listener, tell],
                    **_OF_ITS_OWN,
                )
            try:
                return process, int(json.load(info)["child-pid"])
            except ValueError as error:
                process.kill()
                process.wait()
                raise SmokeFailedError("bubblewrap does not start the image.") from error

    def _sandbox(self, arguments: Sequence[str]) -> Sandbox:
        return Sandbox([*self._walls({}), "python", *arguments], _OF_ITS_OWN)

    def _walls(self, variables: dict[str, str]) -> list[str]:
        environ = {**daemonless_config.variables(self._config), **variables}
        told = [word for name, value in environ.items() for word in ("--setenv", name, value)]
        walls = [*UNSHARE_OPTIONS, "--ro-bind", str(self._root), "/", *_PLACES, *told, *CLOSED]
        return [*walls, "--chdir", self._config.get("WorkingDir") or "/"]

    def require_stands(self) -> None:
        """Raises:
        NoEngineError: it cannot be run behind walls.
        """
        if not bubblewrap.is_available((*self._walls({}), "python")):
            raise NoEngineError(
                "The embedded engine runs no containers, and neither Docker nor Podman nor"
                " bubblewrap works here, in which the image could be tried.",
                hint="apt-get install bubblewrap, or do without the test: --no-smoke",
            )


@contextmanager
def unpack_runner(image: oci.Image) -> Iterator[BubblewrapRunner]:
    """The image, unpacked while the block runs.

    Raises:
        UsageError: a layer is damaged.
        BuildFailedError: it cannot be unpacked.
        NoEngineError: it cannot be run behind walls.
    """
    with modelpack_processes.temporary_directory("modelpack-room-") as scratch:
        root = scratch / "root"
        rootfs.extract(image.layers, root)
        for name in ("dev", "proc", "tmp"):
            rootfs.resolve(root, name).mkdir(exist_ok=True)
        rooms = BubblewrapRunner(root, image.config.get("config") or {})
        rooms.require_stands()
        yield rooms


_ENGINES = ("modelpack.engines.docker.engine", "modelpack.engines.podman.engine")


class LoadedImageRunner:
    """Runs an image that was loaded into a container engine."""

    def __init__(self, engine: DockerEngine, id_: str) -> None:
        self._runner = engine.runner
        self._id = id_

    def query_model(self, request: bytes) -> AbstractContextManager[AnswerFuture]:
        return self._runner.query_model(self._id, request)

    def predict(self, arguments: Sequence[str], streams: BatchStreams) -> int:
        return self._runner.predict(self._id, arguments, streams)

    def run(self) -> AbstractContextManager[RunningService]:
        return self._runner.run(self._id)


ImageRunner = BubblewrapRunner | LoadedImageRunner


@contextmanager
def select_runner(
    image: oci.Image, open_layout: Callable[[], AbstractContextManager[Path]]
) -> Iterator[ImageRunner]:
    """Yield what can run an image for this machine. Nothing is left after the context.

    Args:
        image: The image.
        open_layout: Yields a layout of the image.

    Raises:
        NoEngineError: Nothing on this machine can run it.
    """
    engine = _container_engine()
    if engine is None:
        with unpack_runner(image) as runner:
            yield runner
        return
    with open_layout() as directory:
        loaded = engine.images.load(archive.packed(directory))
    try:
        yield LoadedImageRunner(engine, loaded.id)
    finally:
        engine.images.remove_untagged(loaded)


def _container_engine() -> DockerEngine | None:
    for module in _ENGINES:
        with suppress(NoEngineError):
            engine: DockerEngine = import_module(module).create_engine()
            return engine
    return None
