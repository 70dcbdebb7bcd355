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
# Twice, as the engine may still be creating it.
_REMOVE = ("sh", "-c", '"$0" kill "$1"; "$0" rm -fv "$1"; sleep 3; "$0" rm -fv "$1"')

# What the service is promised to work under. Each is a rule of the CIS Docker Benchmark 1.6,
# section 5; the seccomp profile is the engine's own.
_HARDENED: dict[str, Any] = {
    "user": "54321:0",  # any will do, as some clusters choose one; the sandbox has the image's own
    "read_only": True,
    "tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=64m"},  # noqa: S108
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "pids_limit": 256,
    "init": False,  # the service itself is process 1, and must handle signals as such
}


class Container:
    """A running container as a `Service`."""

    engine = "docker"

    def __init__(self, container: Any, target: str) -> None:
        self._container = container
        self.target = target
        self.url = f"http://127.0.0.1:{_host_port(container, self.engine)}"

    def logs(self) -> str:
        output: bytes = self._container.logs(tail=1000)
        return output[-_LOG_BYTES:].decode(errors="replace")

    def user_id(self) -> int | None:
        question = "print(open('/proc/1/status').read().split('Uid:')[1].split()[0])"
        with suppress(APIError, ValueError):
            return int(self._python(question))
        return None

    def _python(self, code: str) -> bytes:
        """What Python says in the container, or what is said instead."""
        output: bytes = self._container.exec_run(["python", "-c", code]).output
        return output

    def health(self) -> str | None:
        self._container.reload()
        health = self._container.attrs["State"].get("Health") or {}
        return health.get("Status")

    def memory_bytes(self) -> int | None:
        stats = self._container.stats(stream=False, one_shot=True)["memory_stats"]
        if "usage" not in stats:
            return None
        # As `docker stats` does: what the kernel can drop at any time is not counted.
        return int(stats["usage"] - stats.get("stats", {}).get("inactive_file", 0))

    def is_running(self) -> bool:
        self._container.reload()
        return bool(self._container.attrs["State"]["Running"])

    def stop(self, timeout: float) -> int:
        with suppress(APIError):  # it has ended already
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
    """Starts a container of the image `target` and removes it at the end, whatever happens.

    Raises:
        UsageError: there is no such image.
        SmokeFailedError: it could not be started, or ended at once.
    """
    name = new_name()
    with remove_on_exit(host, name):
        yield container(_start(host, target, name), target)


def new_name() -> str:
    """A name before the container exists: an interrupt may come between its creation and the
    answer.
    """
    return f"modelpack-smoke-{secrets.token_hex(6)}"


@contextmanager
def remove_on_exit(host: EngineHost, name: str) -> Iterator[None]:
    """No container is called `name` afterwards, whatever happens in the block."""
    # Podman finds the firewall rules of the container only by the variables it started it with.
    with processes.run_on_exit(*_REMOVE, host.command, name, environ=host.environ_afterwards):
        try:
            yield
        finally:
            with suppress(APIError):  # Podman, told to remove it by force, asks it to end for 10 s
                host.client.api.kill(name)
            with suppress(NotFound):
                host.client.api.remove_container(name, force=True, v=True)


def model_bytes(host: EngineHost, target: str) -> int:
    """The size of the last layer of an image, which is the model's.

    Raises:
        ImageNotFound: there is no such image.
    """
    newest: dict[str, Any] = host.client.images.get(target).history()[0]
    return int(newest["Size"])


def create(client: docker.DockerClient, image: str, **options: Any) -> Any:
    """Creates a container, and if it is interrupted, has waited for the engine's answer."""
    return _waited(client.containers.create, image, **options)


def create_sandbox(
    host: EngineHost, target: str, name: str, arguments: Sequence[str], memory: int
) -> list[str]:
    """Creates a container for `python` with these arguments, as `create` does. Returns the command
    that starts it. `memory`: in bytes.

    Raises:
        SmokeFailedError: the engine does not create it.
    """
    options = ["--label=dev.modelpack.smoke=1", f"--name={name}"]
    flags = sandbox.container(host.command, memory)
    command = [host.command, "create", *flags, *options, target, *arguments]
    created = _waited(
        subprocess.run,
        command,
        env={k: v for k, v in host.environ.items() if k not in sandbox.PROXIES},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # a Ctrl-C at the terminal must not end it first
    )
    if created.returncode:
        raise SmokeFailedError(f"No container could be made: {created.stderr.strip()}")
    return [host.command, "start", "--attach", "--interactive", name]


def _waited(make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The engine makes what it was asked for even if nobody waits, and before that there is
    nothing to remove.
    """
    with processes.defer_interrupts():
        return make(*arguments, **options)


def _start(host: EngineHost, target: str, name: str) -> Any:
    try:
        memory = sandbox.memory_for(model_bytes(host, target))
        container = create(
            host.client,
            target,
            name=name,
            ports={_PORT: ("127.0.0.1", None)},
            labels={"dev.modelpack.smoke": "1"},
            # The image's own check, asked more often: nobody wants to wait ten seconds here.
            healthcheck={"interval": 1_000_000_000},
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
            hint=f"{engine} run --rm IMAGE shows all that it says.",
        )
    return str(bindings[0]["HostPort"])
