"""Podman's API, for as long as modelpack needs it: `podman system service` on a socket of its own.

Podman has no daemon. Another one's socket is not used, as that may be of another user, whose
images and containers the `podman` command does not see.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import weakref
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import docker
from docker.errors import DockerException

from modelpack import processes
from modelpack.engines import podman_build, podman_settings
from modelpack.engines.hosts import Host
from modelpack.engines.sandbox import end_with_modelpack
from modelpack.errors import NoEngineError

_SECONDS = 20.0  # to start: the first time of a user its storage is made
_NAP = 0.01
_INSTALL = "Install it (apt-get install podman), or package without one: --engine process"


def start() -> Host:
    """Podman as a `Host`, for as long as somebody holds that.

    Raises:
        NoEngineError: it is not installed, or does not start.
    """
    with ExitStack() as stack:
        host = _host(stack)
        weakref.finalize(host, stack.pop_all().close)
    return host


def _host(stack: ExitStack) -> Host:
    if not shutil.which("podman"):
        raise NoEngineError("There is no podman command.", hint=_INSTALL)
    folder = stack.enter_context(processes.scratch_folder())
    variables = _variables(folder)
    said = stack.enter_context(TemporaryFile())  # noqa: SIM115 - that closes it
    socket = folder / "podman.sock"
    process = subprocess.Popen(
        ["podman", "system", "service", "--time=0", f"unix://{socket}"],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        start_new_session=True,  # a Ctrl-C at the terminal must not end it first
        preexec_fn=end_with_modelpack,  # noqa: PLW1509 - nothing in it takes a lock
    )
    stack.callback(_end, process)
    _wait(process, socket, said)
    connect = partial(_connect, socket)
    return Host("podman", variables, podman_build, connect(), connect)


def _variables(folder: Path) -> dict[str, str]:
    variables = podman_settings.variables(os.environ)
    if (text := podman_settings.overrides()) and "CONTAINERS_CONF_OVERRIDE" not in os.environ:
        (folder / "containers.conf").write_text(text)
        variables["CONTAINERS_CONF_OVERRIDE"] = str(folder / "containers.conf")
    return variables


def _wait(process: subprocess.Popen[bytes], socket: Path, said: IO[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not socket.is_socket():
        if process.poll() is not None or time.monotonic() > deadline:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise NoEngineError(
                f"Podman does not start: {last[0] if last else 'it says nothing'}.",
                hint="podman info shows what it lacks.",
            )
        time.sleep(_NAP)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _connect(socket: Path) -> docker.DockerClient:
    try:
        return docker.DockerClient(base_url=f"unix://{socket}", timeout=60, version="auto")
    except DockerException as error:
        raise NoEngineError(f"Podman does not answer: {error}.", hint="podman info") from error
