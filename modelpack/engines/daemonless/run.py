"""Runs an image in a container engine or under bubblewrap.

As in a container, it sees only the files of the image, writes only to /tmp, and has no network. The
service accepts connections on an inherited socket.
"""

from __future__ import annotations

import json
import os
import shutil
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
from modelpack.engines.bubblewrap import LOCK_DOWN, UNSHARE_OPTIONS
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

_MOUNTS = (
    *("--dev", "/dev", "--tmpfs", "/dev/shm", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108
)
_PROCESS_OPTIONS: dict[str, Any] = {"start_new_session": True, "preexec_fn": processes.limit}


class BubblewrapService(LocalService):
    """A running service under bubblewrap. `inside`: the id of its first process on this machine."""

    engine = "bubblewrap"

    def __init__(
        self, process: subprocess.Popen[bytes], inside: int, url: str, output: IO[bytes]
    ) -> None:
        super().__init__(process, "the image", url, output)
        self._inside = inside

    def memory_bytes(self) -> int | None:
        return processes.memory_bytes(self._inside) or None

    def cpu_seconds(self) -> float | None:
        return processes.cpu_seconds(self._inside) or None

    def stop(self, timeout: float) -> int:
        """Stop the first process. SIGTERM to bubblewrap would kill all of them at once."""
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

    def query_model(
        self, request: bytes, more_seconds: float = 0.0
    ) -> AbstractContextManager[AnswerFuture]:
        return self._sandbox(sandbox.REFERENCE_COMMAND).query(request, more_seconds)

    def predict(self, arguments: Sequence[str], streams: BatchStreams) -> int:
        process = self._sandbox((*sandbox.PREDICT_COMMAND, *arguments))
        return process.stream(streams)

    @contextmanager
    def run(self) -> Iterator[BubblewrapService]:
        with processes.listen(0) as listener, tempfile.TemporaryFile() as output:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            process, inside = self._start(listener.fileno(), output)
            listener.close()  # an open listener would accept connections after the service ends
            service = BubblewrapService(process, inside, url, output)
            try:
                yield service
            finally:
                service.end()

    def _start(self, listener: int, output: IO[bytes]) -> tuple[subprocess.Popen[bytes], int]:
        """Return the process of bubblewrap, and the id of the first process in it."""
        # overrides the configuration file of gunicorn
        command = self._command({"GUNICORN_CMD_ARGS": f"--bind=fd://{listener}"})
        words = [*(self._config.get("Entrypoint") or ()), *(self._config.get("Cmd") or ())]
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as info:
            with os.fdopen(writer, "wb"):
                process = subprocess.Popen(
                    [*command, "--as-pid-1", "--info-fd", str(writer), *words],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[listener, writer],
                    **_PROCESS_OPTIONS,
                )
            try:
                return process, int(json.load(info)["child-pid"])
            except ValueError as error:
                process.kill()
                process.wait()
                raise SmokeFailedError("bubblewrap does not start the image.") from error

    def _sandbox(self, arguments: Sequence[str]) -> Sandbox:
        return Sandbox([*self._command({}), "python", *arguments], _PROCESS_OPTIONS)

    def _command(self, variables: dict[str, str]) -> list[str]:
        environ = {**daemonless_config.variables(self._config), **variables}
        setenv = [word for name, value in environ.items() for word in ("--setenv", name, value)]
        mounts = ("--ro-bind", str(self._root), "/", *_MOUNTS)
        command = [*UNSHARE_OPTIONS, *mounts, *setenv, *LOCK_DOWN]
        return [*command, "--chdir", self._config.get("WorkingDir") or "/"]

    def require_available(self) -> None:
        """Require that bubblewrap can run the image.

        Raises:
            NoEngineError: It cannot.
        """
        if not bubblewrap.is_available((*self._command({}), "python")):
            raise _no_runner()


def _no_runner() -> NoEngineError:
    message = "neither Docker nor Podman nor bubblewrap works on this machine"
    hint = "Run: apt-get install bubblewrap, or skip the test: --no-smoke"
    if shutil.which("bwrap"):
        message += ". The kernel or this container forbids namespaces to bubblewrap"
        hint = "Use a privileged container, or skip the test: --no-smoke"
    return NoEngineError(f"The image cannot be tested: {message}.", hint=hint)


def require_runner() -> None:
    """Require that this machine can run images, before one is built.

    Raises:
        NoEngineError: Neither a container engine nor bubblewrap works.
    """
    probe = (*UNSHARE_OPTIONS, "--ro-bind", "/", "/", *_MOUNTS, *LOCK_DOWN, "/bin/sh", "-c", ":")
    if _container_engine() is None and not bubblewrap.succeeds(probe):
        raise _no_runner()


@contextmanager
def unpack_runner(image: oci.Image) -> Iterator[BubblewrapRunner]:
    """Unpack an image, and yield what runs it.

    Raises:
        UsageError: A layer is damaged.
        BuildFailedError: The image cannot be unpacked.
        NoEngineError: Bubblewrap cannot run it.
    """
    with modelpack_processes.temporary_directory("modelpack-room-") as scratch:
        root = scratch / "root"
        rootfs.extract(image.layers, root)
        for name in ("dev", "proc", "tmp"):
            rootfs.resolve(root, name).mkdir(exist_ok=True)
        runner = BubblewrapRunner(root, image.config.get("config") or {})
        runner.require_available()
        yield runner


_ENGINES = ("modelpack.engines.docker.engine", "modelpack.engines.podman.engine")


class LoadedImageRunner:
    """Runs an image that was loaded into a container engine."""

    def __init__(self, engine: DockerEngine, id_: str) -> None:
        self._runner = engine.runner
        self._id = id_

    def query_model(
        self, request: bytes, more_seconds: float = 0.0
    ) -> AbstractContextManager[AnswerFuture]:
        return self._runner.query_model(self._id, request, more_seconds)

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
