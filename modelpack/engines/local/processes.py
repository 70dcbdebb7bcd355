"""The process group of a service."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO

from modelpack import processes
from modelpack.engines import bubblewrap
from modelpack.engines.sandbox import REFERENCE_COMMAND, Sandbox, die_with_parent, memory_for
from modelpack.errors import UsageError

_LOG_BYTES = 64 * 1024
_SERVICE_PREFIXES = ("MODELPACK_", "OTEL_")
_SERVICE_VARIABLES = {"WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"}
_PATH_VARIABLE = "MODELPACK_TOKEN_FILE"
_SET_ASIDE = 4 * 2**30


class LocalService:
    """A running gunicorn as a `Service`."""

    engine = "process"

    def __init__(
        self, process: subprocess.Popen[bytes], target: str, url: str, output: IO[bytes] | None
    ) -> None:
        self._process = process
        self._output = output
        self.target = target
        self.url = url

    @property
    def pid(self) -> int:
        """Of gunicorn's master, and of the group that all of the service's processes are in."""
        return self._process.pid

    def logs(self) -> str:
        if self._output is None:
            return ""
        # Read by position: the service writes through the same open file.
        fd = self._output.fileno()
        start = max(0, os.fstat(fd).st_size - _LOG_BYTES)
        return os.pread(fd, _LOG_BYTES, start).decode(errors="replace")

    def user_id(self) -> int | None:
        return Path(f"/proc/{self._process.pid}").stat().st_uid if self.is_running() else None

    def health(self) -> str | None:
        return None

    def memory_bytes(self) -> int | None:
        return memory_bytes(self._process.pid) or None

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self, timeout: float) -> int:
        if self.is_running():
            self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._kill()
        return self._exit_code()

    def wait(self) -> int:
        """Waits until the service ends; Ctrl-C lets it finish what it has begun."""
        try:
            self._process.wait()
        except KeyboardInterrupt:
            return self.stop(timeout=30)
        return self._exit_code()

    def end(self) -> None:
        """Ends all processes of the service, even if this is interrupted."""
        try:
            self.stop(timeout=5)
        finally:
            self._kill()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _exit_code(self) -> int:
        code = self._process.wait()
        return code if code >= 0 else 128 - code


def service_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a service reads, as `docker run --env` would set them."""
    found = {
        name: value
        for name, value in environ.items()
        if name.startswith(_SERVICE_PREFIXES) or name in _SERVICE_VARIABLES
    }
    if _PATH_VARIABLE in found:  # the service runs in another folder
        found[_PATH_VARIABLE] = str(Path(found[_PATH_VARIABLE]).absolute())
    return found


@contextmanager
def running(
    bundle: Path,
    environment: Path,
    *,
    port: int = 0,
    quiet: bool = True,
    variables: Mapping[str, str] | None = None,
) -> Iterator[LocalService]:
    """Starts the bundle in the virtual environment; all of it has ended when the block is left.

    `port` 0: any that is free. `quiet`: what it says is kept for `logs()`, not printed.
    `variables`: settings of the service.

    Raises:
        UsageError: the port is taken.
    """
    with processes.temporary_directory() as home, listen(port) as listener:
        output = tempfile.TemporaryFile() if quiet else None  # noqa: SIM115 - closed below
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        own = {**(variables or {}), **_variables(environment, str(home))}
        process = _start(bundle, environment, own, listener, output)
        listener.close()  # else it would answer for a service that is gone
        service = LocalService(process, str(bundle), url, output)
        try:
            yield service
        finally:
            service.end()
            if output:
                output.close()


def listen(port: int) -> socket.socket:
    """A listening socket. The service inherits it, so that no one else can take its port first."""
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(
            f"The service cannot listen on 127.0.0.1:{port}: {error.strerror}.",
            hint="Choose another port: --port NUMBER",
        ) from error
    # As gunicorn does with its own: else answers wait 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _start(
    bundle: Path,
    environment: Path,
    variables: Mapping[str, str],
    listener: socket.socket,
    output: IO[bytes] | None,
) -> subprocess.Popen[bytes]:
    python = str(environment / "bin" / "python")
    bind = f"fd://{listener.fileno()}"
    command = [python, "-m", "gunicorn", "--config=gunicorn.conf.py", f"--bind={bind}", "app:app"]
    return subprocess.Popen(
        command,
        cwd=bundle,
        env={**variables, "PORT": str(listener.getsockname()[1])},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output and subprocess.STDOUT,
        pass_fds=[listener.fileno()],
        start_new_session=True,
        preexec_fn=limit,  # noqa: PLW1509 - nothing in it takes a lock
    )


def sandbox(
    bundle: Path, environment: Path, arguments: Sequence[str] = REFERENCE_COMMAND
) -> Sandbox:
    """Runs `python` with these arguments in the bundle, as a process of its own: behind walls of
    bubblewrap where they can be had, else within the limits of a process of this user. Inside, it
    confines itself.
    """
    bundle, python = bundle.absolute(), environment / "bin" / "python"
    variables = {**_variables(environment, "/tmp"), "JOBLIB_MULTIPROCESSING": "0"}  # noqa: S108
    seen = (python.resolve().parent.parent, environment, bundle)
    walls = bubblewrap.bwrap_command(seen, variables, bundle, [str(python)])
    memory = memory_for(_model_bytes(bundle))
    options = {
        "cwd": bundle,
        "env": variables,
        "start_new_session": True,
        "preexec_fn": partial(_limit_sandbox, memory),
    }
    return Sandbox([*walls, str(python), *arguments], options, memory)


def _model_bytes(bundle: Path) -> int:
    return sum(path.stat().st_size for path in (bundle / "model").rglob("*") if path.is_file())


def _limit_sandbox(memory: int) -> None:
    """In the new process. Address space is more than memory, as libraries set some aside: it bounds
    what is shared, which does not count as data.
    """
    limit()
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_AS, (memory + _SET_ASIDE, memory + _SET_ASIDE))


def _variables(environment: Path, home: str) -> dict[str, str]:
    return {
        "PATH": f"{environment / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def limit() -> None:
    """In the new process: no core dumps with the model's data, and an end when modelpack ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    die_with_parent(signal.SIGTERM)


def memory_bytes(leader: int) -> int:
    """Of all processes in the group of `leader`; what they share, as workers do with their master,
    counts once: proportional set size.
    """
    return sum(map(_pss, _group(leader)))


def _group(leader: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        with suppress(ValueError, ProcessLookupError):
            if os.getpgid(int(entry.name)) == leader:
                yield int(entry.name)


def _pss(pid: int) -> int:
    with suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        if match := re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE):
            return int(match[1]) * 1024
    return 0
