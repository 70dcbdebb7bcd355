"""The process group of a service."""

from __future__ import annotations

import http.client
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO

from modelpack import processes
from modelpack.engines import bubblewrap
from modelpack.engines.sandbox import REFERENCE_COMMAND, Sandbox, die_with_parent, memory_for
from modelpack.errors import UsageError

_LOG_BYTES = 64 * 1024
_SERVICE_PREFIXES = ("MODELPACK_", "OTEL_")
_WORKERS = "WEB_CONCURRENCY"
_SERVICE_VARIABLES = {_WORKERS, "GUNICORN_CMD_ARGS"}
_PATH_VARIABLE = "MODELPACK_TOKEN_FILE"
_RESERVED_BYTES = 4 * 2**30
_NAP_SECONDS = 0.1


class LocalService:
    """A `RunningService` in local processes."""

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
        """The id of the master process of gunicorn, and of the process group of the service."""
        return self._process.pid

    def logs(self) -> str:
        if self._output is None:
            return ""
        # By position, because the service writes through the same open file.
        fd = self._output.fileno()
        start = max(0, os.fstat(fd).st_size - _LOG_BYTES)
        return os.pread(fd, _LOG_BYTES, start).decode(errors="replace")

    def user_id(self) -> int | None:
        return Path(f"/proc/{self._process.pid}").stat().st_uid if self.is_running() else None

    def health(self) -> str | None:
        return None

    def run_python(self, *arguments: str) -> bytes:  # noqa: ARG002 - of containers
        return b""

    def memory_bytes(self) -> int | None:
        return memory_bytes(self._process.pid) or None

    def cpu_seconds(self) -> float | None:
        return None  # nothing but images is deployed

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

    def wait(self) -> int | None:
        """Wait until the service ends, and return its exit code. Ctrl-C stops it gracefully.

        It is None, without a wait, if the service runs, but its model fails on its own example.
        """
        try:
            if self._first_readiness() == HTTPStatus.SERVICE_UNAVAILABLE:
                return None
            self._process.wait()
        except KeyboardInterrupt:
            return self.stop(timeout=30)
        return self._exit_code()

    def _first_readiness(self) -> int | None:
        """Return the status of the first response of /readyz, or None if the service ends before.

        The service listens after it has loaded the model. Until then, the request waits.
        """
        address = urllib.parse.urlsplit(self.url)
        while self.is_running():
            with closing(
                http.client.HTTPConnection(address.hostname or "", address.port)
            ) as client:
                try:
                    client.request("GET", "/readyz")
                    return client.getresponse().status
                except (OSError, http.client.HTTPException):
                    time.sleep(_NAP_SECONDS)
        return None

    def end(self) -> None:
        """End all processes of the service, even after an interrupt."""
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
    variables = {
        name: value
        for name, value in environ.items()
        if name.startswith(_SERVICE_PREFIXES) or name in _SERVICE_VARIABLES
    }
    if _PATH_VARIABLE in variables:  # the service runs in another directory
        variables[_PATH_VARIABLE] = str(Path(variables[_PATH_VARIABLE]).absolute())
    return variables


def with_valid_workers(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables without an empty number of workers, which means the default.

    Raises:
        UsageError: It is not a positive integer, for which gunicorn prints a traceback.
    """
    value = variables.get(_WORKERS)
    if value and not (value.isascii() and value.isdigit() and len(value) < 16 and int(value)):
        raise UsageError(
            f"{_WORKERS} is {value[:300]!r}, not a positive integer.",
            hint=f"Set it to the number of worker processes, such as: {_WORKERS}=2",
        )
    return {name: text for name, text in variables.items() if text or name != _WORKERS}


@contextmanager
def run_service(
    bundle: Path,
    environment: Path,
    *,
    port: int = 0,
    stderr: int | None = None,
    variables: Mapping[str, str] | None = None,
) -> Iterator[LocalService]:
    """Run the service of a bundle. All its processes end with the context.

    Args:
        bundle: Directory of the bundle.
        environment: Virtual environment of the bundle.
        port: Port to listen on; 0 for any free one.
        stderr: Descriptor for standard error. The service then prints its output; by default,
            it is collected for `logs()`.
        variables: Settings of the service.

    Raises:
        UsageError: The port is in use, or the number of workers is not valid.
    """
    variables = with_valid_workers(variables or {})
    with processes.temporary_directory() as home, listen(port) as listener:
        output = tempfile.TemporaryFile() if stderr is None else None  # noqa: SIM115 - closed below
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environ = {**variables, **_variables(environment, str(home))}
        process = _start(bundle, environment, environ, listener, output or stderr)
        listener.close()  # an open listener would accept connections after the service ends
        service = LocalService(process, str(bundle), url, output)
        try:
            yield service
        finally:
            service.end()
            if output:
                output.close()


def listen(port: int) -> socket.socket:
    """Open a listening socket. The service inherits it, so no other process takes the port."""
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise UsageError(
            f"The service cannot listen on 127.0.0.1:{port}: {error.strerror}.",
            hint="Choose another port: --port NUMBER",
        ) from error
    # As gunicorn sets it. Otherwise responses wait 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _start(
    bundle: Path,
    environment: Path,
    variables: Mapping[str, str],
    listener: socket.socket,
    output: IO[bytes] | int | None,
) -> subprocess.Popen[bytes]:
    """Start the service. `output`: a file for its output, or a descriptor for standard error."""
    python = str(environment / "bin" / "python")
    bind = f"fd://{listener.fileno()}"
    command = [python, "-m", "gunicorn", "--config=gunicorn.conf.py", f"--bind={bind}", "app:app"]
    return subprocess.Popen(
        command,
        cwd=bundle,
        env={**variables, "PORT": str(listener.getsockname()[1])},
        stdin=subprocess.DEVNULL,
        stdout=None if isinstance(output, int) else output,
        stderr=output if isinstance(output, int) else subprocess.STDOUT,
        pass_fds=[listener.fileno()],
        start_new_session=True,
        preexec_fn=limit,  # noqa: PLW1509 - nothing in it takes a lock
    )


def sandbox(
    bundle: Path, environment: Path, arguments: Sequence[str] = REFERENCE_COMMAND
) -> Sandbox:
    """Return a sandbox that runs `python` in a bundle.

    It uses bubblewrap if that is available. The process limits and confines itself in any case.
    """
    bundle, python = bundle.absolute(), environment / "bin" / "python"
    variables = {**_variables(environment, "/tmp"), "JOBLIB_MULTIPROCESSING": "0"}  # noqa: S108
    readable = (python.resolve().parent.parent, environment, bundle)
    prefix = bubblewrap.bwrap_command(readable, variables, bundle, [str(python)])
    memory = memory_for(_model_bytes(bundle))
    options = {
        "cwd": bundle,
        "env": variables,
        "start_new_session": True,
        "preexec_fn": partial(_limit_sandbox, memory),
    }
    return Sandbox([*prefix, str(python), *arguments], options, memory)


def _model_bytes(bundle: Path) -> int:
    return sum(path.stat().st_size for path in (bundle / "model").rglob("*") if path.is_file())


def _limit_sandbox(memory: int) -> None:
    """Set limits in the new process.

    RLIMIT_AS bounds shared memory, which RLIMIT_DATA does not count. It is larger, because
    libraries reserve address space that they do not use.
    """
    limit()
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_AS, (memory + _RESERVED_BYTES, memory + _RESERVED_BYTES))


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
    """Set limits in the new process: no core dumps, and an end when modelpack ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    die_with_parent(signal.SIGTERM)


def memory_bytes(leader: int) -> int:
    """Return the memory of a process group. Shared memory counts once (proportional set size)."""
    return sum(map(_pss, _group(leader)))


def cpu_seconds(leader: int) -> float:
    """Return the CPU time of a process group, in user and kernel mode."""
    return sum(map(_ticks, _group(leader))) / os.sysconf("SC_CLK_TCK")


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


def _ticks(pid: int) -> int:
    """Return the clock ticks of a process, and of its children that have ended. See proc(5)."""
    with suppress(OSError):
        # The name of the command, in parentheses, may contain spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15]))
    return 0
