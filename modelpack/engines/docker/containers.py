"""Containers: created hardened, always removed."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import docker
import requests
from docker.errors import APIError, ImageNotFound, NotFound

from modelpack import processes
from modelpack.engines import sandbox
from modelpack.engines.docker.connection import EngineHost
from modelpack.errors import SmokeFailedError

_PORT = "8080/tcp"
_LOG_BYTES = 64 * 1024
_ATTEMPTS = 3
"""A busy engine may lose the output of a command that ends at once."""
# Twice, because the engine may still be creating the container.
_REMOVE = ("sh", "-c", '"$0" kill "$1"; "$0" rm -fv "$1"; sleep 3; "$0" rm -fv "$1"')

# The documented conditions under which the service works. See CIS Docker Benchmark 1.6, section 5.
# The seccomp profile is the default of the engine.
_HARDENED: dict[str, Any] = {
    "user": "54321:0",  # any user, as some clusters choose one; the sandbox has that of the image
    "read_only": True,
    "tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=64m"},  # noqa: S108
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "pids_limit": 256,
    "init": False,  # the service must handle signals as process 1
}


class Container:
    """A `RunningService` in a container."""

    engine = "docker"

    def __init__(self, container: Any, target: str) -> None:
        self._container = container
        self.target = target
        self.url = f"http://127.0.0.1:{_host_port(container, self.engine)}"

    def logs(self) -> str:
        output: bytes = self._container.logs(tail=1000)
        return output[-_LOG_BYTES:].decode(errors="replace")

    def user_id(self) -> int | None:
        code = "print(open('/proc/1/status').read().split('Uid:')[1].split()[0])"
        for _ in range(_ATTEMPTS):
            with suppress(APIError, ValueError):
                return int(self.run_python("-I", "-S", "-c", code))  # starts in half of the time
        return None

    def run_python(self, *arguments: str) -> bytes:
        output: bytes = self._container.exec_run(["python", *arguments]).output
        return output

    def health(self) -> str | None:
        self._container.reload()
        status: str | None = (self._container.attrs["State"].get("Health") or {}).get("Status")
        return "healthy" if status == "starting" and self._run_health_check() else status

    def _run_health_check(self) -> bool:
        """Run the command of the health check. The engine runs it after its interval only.

        A shorter interval would also disturb the measurement of CPU time.
        """
        kind, *command = self._container.attrs["Config"]["Healthcheck"]["Test"]
        if kind == "CMD-SHELL":
            command = ["/bin/sh", "-c", *command]
        return bool(self._container.exec_run(command).exit_code == 0)

    def memory_bytes(self) -> int | None:
        stats = self._container.stats(stream=False, one_shot=True)["memory_stats"]
        if "usage" not in stats:
            return None
        # As `docker stats`: without memory that the kernel can free at any time.
        return int(stats["usage"] - stats.get("stats", {}).get("inactive_file", 0))

    def cpu_seconds(self) -> float | None:
        stats = self._container.stats(stream=False, one_shot=True)
        nanoseconds = stats["cpu_stats"]["cpu_usage"].get("total_usage")
        return nanoseconds / 1e9 if nanoseconds else None

    def is_running(self) -> bool:
        self._container.reload()
        return bool(self._container.attrs["State"]["Running"])

    def stop(self, timeout: float) -> int:
        with suppress(APIError):  # it has already ended
            self._container.kill("SIGTERM")
        try:
            return self._exit_code(timeout)
        except (requests.ReadTimeout, requests.ConnectionError):
            with suppress(APIError):
                self._container.kill("SIGKILL")
            return self._exit_code(timeout=30)

    def _exit_code(self, timeout: float) -> int:
        return int(self._container.wait(timeout=timeout)["StatusCode"])


@contextmanager
def run_container(
    host: EngineHost, target: str, container: type[Container] = Container
) -> Iterator[Container]:
    """Run a container of an image. It is always removed with the context.

    Raises:
        UsageError: The image does not exist.
        SmokeFailedError: The container could not be started, or ended at once.
    """
    name = new_name()
    with remove_on_exit(host, name):
        yield container(_start(host, target, name), target)


def new_name() -> str:
    """Return a name for a container.

    The name is known before the container exists, because an interrupt may hide the response.
    """
    return f"modelpack-smoke-{secrets.token_hex(6)}"


@contextmanager
def remove_on_exit(host: EngineHost, name: str) -> Iterator[None]:
    """Remove the container of this name with the context, even if modelpack is killed."""
    # Podman needs the variables of the start to find the firewall rules of the container.
    with processes.run_on_exit(*_REMOVE, host.command, name, environ=host.environ_afterwards):
        try:
            yield
        finally:
            with suppress(APIError):  # Podman waits 10 s for the end if it is removed by force
                host.client.api.kill(name)
            with suppress(NotFound):
                host.client.api.remove_container(name, force=True, v=True)


def model_bytes(host: EngineHost, target: str) -> int:
    """Return the size of the last layer of an image, which contains the model.

    Raises:
        ImageNotFound: The image does not exist.
    """
    newest: dict[str, Any] = host.client.images.get(target).history()[0]
    return int(newest["Size"])


def create(client: docker.DockerClient, image: str, **options: Any) -> Any:
    """Create a container. An interrupt is deferred until the engine responds."""
    return _defer_interrupts(client.containers.create, image, **options)


def create_sandbox(
    host: EngineHost, target: str, name: str, arguments: Sequence[str], memory: int
) -> list[str]:
    """Create a container for `python` in `memory` bytes, and return the command that starts it.

    Raises:
        SmokeFailedError: The engine does not create the container.
    """
    options = ["--label=dev.modelpack.smoke=1", f"--name={name}"]
    flags = sandbox.container(host.command, memory)
    command = [host.command, "create", *flags, *options, target, *arguments]
    created = _defer_interrupts(
        subprocess.run,
        command,
        env={k: v for k, v in host.environ.items() if k not in sandbox.PROXIES},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # a Ctrl-C at the terminal must not end it first
    )
    if created.returncode:
        raise SmokeFailedError(f"The container could not be created: {created.stderr.strip()}")
    return [host.command, "start", "--attach", "--interactive", name]


def _defer_interrupts(create: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The engine creates a container even if the request is cancelled, and it must be removed."""
    with processes.defer_interrupts():
        return create(*arguments, **options)


def _start(host: EngineHost, target: str, name: str) -> Any:
    try:
        memory = sandbox.memory_for(model_bytes(host, target))
        container = create(
            host.client,
            target,
            name=name,
            ports={_PORT: ("127.0.0.1", None)},
            labels={"dev.modelpack.smoke": "1"},
            mem_limit=memory,
            memswap_limit=memory,
            **_HARDENED,
        )
        container.start()
    except ImageNotFound as error:
        raise host.no_image(target) from error
    except APIError as error:
        raise SmokeFailedError(
            f"The container could not be started: {error.explanation}."
        ) from error
    return container


def _host_port(container: Any, engine: str) -> str:
    container.reload()
    bindings = container.ports.get(_PORT)
    if not bindings:
        state = container.attrs["State"]
        last = container.logs(tail=15).decode(errors="replace").strip()
        raise SmokeFailedError(
            f"The container ended at once with exit code {state['ExitCode']}. "
            f"Its last lines:\n{last}",
            hint=f"`{engine} run --rm IMAGE` shows the whole output.",
        )
    return str(bindings[0]["HostPort"])
