"""`podman system service`, and the settings it needs.

Podman has no daemon. An existing socket is not used, because it may belong to another user, whose
images and containers the `podman` command does not see.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import subprocess
import time
import weakref
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import docker
from docker.errors import DockerException, ImageNotFound

from modelpack import processes
from modelpack.engines.docker.connection import EngineHost
from modelpack.engines.podman import build
from modelpack.engines.sandbox import die_with_parent
from modelpack.errors import NoEngineError
from modelpack.oci.reference import ImageReference

_SECONDS = 20.0  # to start; the first start of a user creates the storage
_NAP = 0.01
_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")
_INSTALL = "Install it (apt-get install podman), or use --engine process."


class PodmanHost(EngineHost):
    """Podman's own names of images."""

    def engine_name(self, target: str) -> str:
        """Return the local image of this name, else that of Docker Hub, as Docker does.

        Podman itself takes "iris:1" for any image whose name ends so, in whatever registry.
        """
        reference = ImageReference.parse(target)
        if _ID.fullmatch(target) or reference.has_registry:
            return target
        with suppress(ImageNotFound):
            self.client.images.get(f"localhost/{target}")
            return f"localhost/{target}"
        return reference.canonical


def start() -> PodmanHost:
    """Start Podman's service. It ends with the returned object.

    Raises:
        NoEngineError: Podman is not installed, or does not start.
    """
    with ExitStack() as stack:
        host = _start(stack)
        weakref.finalize(host, stack.pop_all().close)
    return host


def _start(stack: ExitStack) -> PodmanHost:
    if not shutil.which("podman"):
        raise NoEngineError("The command `podman` is not installed.", hint=_INSTALL)
    folder = stack.enter_context(processes.temporary_directory())
    variables = _variables(folder)
    stderr = stack.enter_context(TemporaryFile())  # noqa: SIM115 - the stack closes it
    path = folder / "podman.sock"
    process = subprocess.Popen(
        ["podman", "system", "service", "--time=0", f"unix://{path}"],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,  # Ctrl-C must not end it before modelpack
        preexec_fn=die_with_parent,  # noqa: PLW1509 - nothing in it takes a lock
    )
    stack.callback(_end, process)
    _wait(process, path, stderr)
    connect = partial(_connect, path)
    client = connect()
    stack.callback(client.close)
    return PodmanHost("podman", variables, build, client, connect)


def _variables(folder: Path) -> dict[str, str]:
    variables = podman_variables(os.environ)
    if (text := overrides()) and "CONTAINERS_CONF_OVERRIDE" not in os.environ:
        (folder / "containers.conf").write_text(text)
        variables["CONTAINERS_CONF_OVERRIDE"] = str(folder / "containers.conf")
    return variables


def _wait(process: subprocess.Popen[bytes], path: Path, stderr: IO[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not _accepts(path):
        if process.poll() is not None or time.monotonic() > deadline:
            stderr.seek(0)
            last = stderr.read().decode(errors="replace").strip().splitlines()[-1:]
            raise NoEngineError(
                f"Podman does not start: {last[0] if last else 'no message'}.",
                hint="Run: podman info",
            )
        time.sleep(_NAP)


def _accepts(path: Path) -> bool:
    """Whether a service listens there. Its file exists earlier, when connections are refused."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _connect(path: Path) -> docker.DockerClient:
    try:
        return docker.DockerClient(base_url=f"unix://{path}", timeout=60, version="auto")
    except DockerException as error:
        raise NoEngineError(
            f"Podman does not respond: {error}.", hint="Run: podman info"
        ) from error


# Each function returns a line of a containers.conf(5), or "". CONTAINERS_CONF_OVERRIDE adds them to
# the settings of the user, for the commands of modelpack only.
_SYS_RESOURCE = 24  # capabilities(7)
# The limits that Podman requests. See pkg/config of containers/common.
_REQUESTED = 1048576
_STATUS = Path("/proc/self/status")
# See cgroups(7), "hybrid": version 1 with an additional tree of version 2.
_UNIFIED = Path("/sys/fs/cgroup/unified/cgroup.controllers")


def overrides() -> str:
    """Return the text of a containers.conf, or "" if none is needed."""
    sections = {"engine": _runtime(), "containers": _limits()}
    return "".join(f"[{name}]\n{line}\n" for name, line in sections.items() if line)


def podman_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables that Podman and its children need in addition to `environ`."""
    needed = {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
    # netavark(1) of Debian uses nft, which is only recommended there. Docker installs iptables.
    if not shutil.which("nft") and shutil.which("iptables"):
        needed["NETAVARK_FW"] = "iptables"
    return {name: value for name, value in needed.items() if name not in environ}


def _runtime() -> str:
    """Select runc where crun fails: if the tree of version 2 has a controller."""
    if not (_UNIFIED.is_file() and _UNIFIED.read_text().strip() and shutil.which("runc")):
        return ""
    command = ["podman", "info", "--format={{.Host.OCIRuntime.Name}}"]
    name = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return 'runtime = "runc"' if name == "crun" else ""


def _limits() -> str:
    """Lower the default limits to the hard limits of a user without CAP_SYS_RESOURCE.

    Builds fail otherwise: "setting rlimits: operation not permitted".
    """
    files, processes = (
        resource.getrlimit(number)[1] for number in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
    )
    if _may_raise_limits() or min(_unlimited(files), _unlimited(processes)) >= _REQUESTED:
        return ""
    limits = f'"nofile={files}:{files}", "nproc={processes}:{processes}"'
    return f"default_ulimits = [{limits}]"


def _unlimited(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit


def _may_raise_limits() -> bool:
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", _STATUS.read_text(), re.MULTILINE)
    return bool(effective and int(effective[1], 16) >> _SYS_RESOURCE & 1)
