"""The settings of the service, from environment variables.

Functions without arguments read the environment of this process.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Mapping

from .errors import StartupError
from .health import DEFAULT_PORT, PORTS


@dataclass(frozen=True)
class Limits:
    """The limits of requests and workers.

    Attributes:
        body_bytes: Bytes of a body.
        json_depth: Nested arrays and objects in JSON.
        rows: Rows of a request.
        answer_values: Numbers or labels of a response, which bounds what a sparse result grows to.
        connections: Open connections of a worker.
        queue: Complete requests that wait for the model of a worker.
        held_bytes: Bytes in a worker of requests without a response and responses not yet read.
        line_bytes: Bytes of the request line.
        headers: The number of headers.
        header_bytes: Bytes of one header.
        header_seconds: From the first byte of a request to the end of its head.
        body_seconds: From there to the end of its body.
        predict_seconds: In the queue, and again for the prediction.
        write_seconds: For the client to read the response, and one more for each MiB.
        idle_seconds: Until the next request of a connection.
    """

    body_bytes: int = 16 * 2**20
    json_depth: int = 32
    rows: int = 10_000
    answer_values: int = 5_000_000
    connections: int = 200
    queue: int = 64
    held_bytes: int = 64 * 2**20
    line_bytes: int = 4096
    headers: int = 100
    header_bytes: int = 8192
    header_seconds: int = 10
    body_seconds: int = 30
    predict_seconds: int = 30
    write_seconds: int = 30
    idle_seconds: int = 5

    def rows_of(self, inputs: int) -> int:
        """Return how many rows of `inputs` values a request may have.

        A body of lists cannot contain more, as each value takes two bytes. This bounds rows by
        name, too, which take three bytes if all values are missing.
        """
        return max(1, min(self.rows, self.body_bytes // max(1, 2 * inputs)))


VARIABLES = {
    "body_bytes": "MODELPACK_MAX_BODY_BYTES",
    "json_depth": "MODELPACK_MAX_JSON_DEPTH",
    "rows": "MODELPACK_MAX_ROWS",
    "answer_values": "MODELPACK_MAX_ANSWER_VALUES",
    "connections": "MODELPACK_MAX_CONNECTIONS",
    "queue": "MODELPACK_MAX_QUEUE",
    "held_bytes": "MODELPACK_MAX_HELD_BYTES",
    "line_bytes": "MODELPACK_MAX_LINE_BYTES",
    "headers": "MODELPACK_MAX_HEADERS",
    "header_bytes": "MODELPACK_MAX_HEADER_BYTES",
    "header_seconds": "MODELPACK_HEADER_SECONDS",
    "body_seconds": "MODELPACK_BODY_SECONDS",
    "predict_seconds": "MODELPACK_PREDICT_SECONDS",
    "write_seconds": "MODELPACK_WRITE_SECONDS",
    "idle_seconds": "MODELPACK_IDLE_SECONDS",
}


def from_environment(
    environ: Mapping[str, str] = os.environ, defaults: Limits | None = None
) -> Limits:
    """Return the limits that variables set, and defaults for the others.

    Raises:
        StartupError: A variable is not a positive integer.
    """
    return replace(
        defaults or Limits(),
        **{
            name: positive_integer(variable, environ[variable])
            for name, variable in VARIABLES.items()
            if environ.get(variable)
        },
    )


def port(environ: Mapping[str, str] = os.environ) -> int:
    """Return the port to listen on: the first variable of PORTS that is set, or 8080.

    Raises:
        StartupError: The variable is not a port.
    """
    variable = next((each for each in PORTS if environ.get(each)), None)
    if variable is None:
        return DEFAULT_PORT
    return _port(variable, environ)


def _port(variable: str, environ: Mapping[str, str]) -> int:
    number = positive_integer(variable, environ[variable])
    if number > 65535:
        raise StartupError(f"{variable} is {number}, but the last port is 65535.")
    return number


ALL_ADDRESSES = ("[::]", "0.0.0.0")  # noqa: S104 - containers listen on all interfaces


def bind(environ: Mapping[str, str] = os.environ) -> str:
    """Return the address to listen on: all of IPv6 and IPv4, or of IPv4 if there is no IPv6.

    Raises:
        StartupError: See `port`.
    """
    return all_addresses(port(environ))


def all_addresses(number: int) -> str:
    """Return the address of all interfaces with a port."""
    return f"{ALL_ADDRESSES[0 if _is_dual_stack() else 1]}:{number}"


GRPC_PORT = "MODELPACK_GRPC_PORT"


def grpc_port(environ: Mapping[str, str] = os.environ) -> int | None:
    """Return the port of gRPC, None if it is not set.

    Raises:
        StartupError: The variable is not a port, or is the port of HTTP.
    """
    if not environ.get(GRPC_PORT):
        return None
    number = _port(GRPC_PORT, environ)
    if number == port(environ):
        raise StartupError(f"{GRPC_PORT} is {number}, the port of HTTP.")
    return number


def _is_dual_stack() -> bool:
    """Return whether a socket of IPv6 accepts connections of IPv4, too."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::", 0))
        return not probe.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    return False


def flag(environ: Mapping[str, str], variable: str, default: str = "0") -> bool:
    """Return whether a variable is 1. Raise StartupError if it is neither 0 nor 1."""
    value = environ.get(variable) or default
    if value not in ("0", "1"):
        raise StartupError(f"{variable} is {value!r}, neither 0 nor 1.")
    return value == "1"


def positive_integer(variable: str, text: str) -> int:
    """Parse an environment variable. Raise StartupError unless it is a positive integer."""
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text)):
        raise StartupError(f"{variable} is {text!r}, not a positive integer.")
    return int(text)


MAX_NAME_LENGTH = 256


def name(environ: Mapping[str, str]) -> str:
    """Return the name of the model in URLs: MODELPACK_MODEL_NAME, or "model".

    Raises:
        StartupError: A URL cannot contain the name.
    """
    return _url_name(environ, "MODELPACK_MODEL_NAME", "model")


def version(environ: Mapping[str, str]) -> str:
    """Return the version of the model in URLs: MODELPACK_MODEL_VERSION, or "1".

    Raises:
        StartupError: A URL cannot contain the version.
    """
    return _url_name(environ, "MODELPACK_MODEL_VERSION", "1")


def _url_name(environ: Mapping[str, str], variable: str, default: str) -> str:
    text = environ.get(variable) or default
    is_valid = text.isprintable() and not set("/:") & set(text) and text not in (".", "..")
    if not is_valid or len(text) > MAX_NAME_LENGTH:
        rule = f"printable, without slash and colon, of at most {MAX_NAME_LENGTH} characters"
        raise StartupError(f"{variable} is {text[:MAX_NAME_LENGTH]!r}: a name in URLs is {rule}.")
    return text


MAX_WORKERS = 4
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def limit_threads() -> None:
    """Let BLAS and OpenMP use one thread in each worker. Call this before numpy is imported.

    More threads would compete for the CPUs. And the model predicts its example before the workers
    are forked, but the threads of GNU OpenMP do not survive a fork.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))


def worker_count(
    environ: Mapping[str, str] = os.environ, root: Path = Path("/sys/fs/cgroup")
) -> int:
    """Return the number of workers: WEB_CONCURRENCY, or one for each CPU of the cgroup, up to 4.

    Raises:
        StartupError: WEB_CONCURRENCY is not a positive integer.
    """
    value = environ.get("WEB_CONCURRENCY")
    if value:
        return positive_integer("WEB_CONCURRENCY", value)
    usable = min(quota(root), len(os.sched_getaffinity(0)))
    return max(1, min(MAX_WORKERS, math.ceil(usable)))


def quota(root: Path) -> float:
    """Return the CPUs of the cgroup mounted at `root` (version 2 or 1), infinity if unlimited."""
    try:
        share, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        share, period = _read_quota_v1(root / "cpu")
    try:
        return int(share) / int(period) if int(share) > 0 else math.inf
    except (ValueError, ZeroDivisionError):  # "max"
        return math.inf


def _read_quota_v1(folder: Path) -> tuple[str, str]:
    try:
        share = (folder / "cpu.cfs_quota_us").read_text()
        return share, (folder / "cpu.cfs_period_us").read_text()
    except OSError:
        return "max", "0"
