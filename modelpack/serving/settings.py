"""Every environment variable: limits, names, workers."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping

from .errors import StartupError
from .health import DEFAULT_PORT, PORTS


@dataclass(frozen=True)
class Limits:
    """`body_bytes`: of a request. `json_depth`: nesting of arrays and objects. `rows`: a request.
    `answer_values`: numbers or labels of one answer, which bounds what a sparse one grows to.

    Of a worker: `connections`, open at a time; `queue`, complete requests that wait for the model;
    `held_bytes`, kept in memory of requests that are not answered and answers that are not read.

    Of the head of a request: `line_bytes`, its first line; `headers`, their number; `header_bytes`,
    each.

    Seconds: `header_seconds` from the first byte of a request to the end of its head,
    `body_seconds` from there to the end of its body; `predict_seconds` for its turn to come, and
    again for the answer of the model; `write_seconds` for the client to take the answer, and one
    more for each MiB of it; `idle_seconds` until it asks again.
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
        """The rows of so many inputs that a request takes: with two bytes a value, no more than a
        body of lists can hold. By name, three bytes are a row of nothing but missing values.
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


def from_environment(environ: Mapping[str, str]) -> Limits:
    """The limits that `environ` sets, defaults for the rest.

    Raises:
        StartupError: a variable is not a positive integer.
    """
    return Limits(
        **{
            name: positive_integer(variable, environ[variable])
            for name, variable in VARIABLES.items()
            if environ.get(variable)
        }
    )


def port(environ: Mapping[str, str]) -> int:
    """Return the port of the first of PORTS that is set, or 8080.

    Raises:
        StartupError: It is not a port.
    """
    variable = next((each for each in PORTS if environ.get(each)), None)
    if variable is None:
        return DEFAULT_PORT
    number = positive_integer(variable, environ[variable])
    if number > 65535:
        raise StartupError(f"{variable} is {number}, beyond the last port, 65535.")
    return number


def flag(environ: Mapping[str, str], variable: str, default: str = "0") -> bool:
    """Whether a variable is 1.

    Raises:
        StartupError: it is neither 0 nor 1.
    """
    asked = environ.get(variable) or default
    if asked not in ("0", "1"):
        raise StartupError(f"{variable} is {asked!r}, neither 0 nor 1.")
    return asked == "1"


def positive_integer(variable: str, text: str) -> int:
    """The number that the environment variable was set to.

    Raises:
        StartupError: it is not a positive integer.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text)):
        raise StartupError(f"{variable} is {text!r}, not a positive integer.")
    return int(text)


MAX_NAME_LENGTH = 256


def name(environ: Mapping[str, str]) -> str:
    """MODELPACK_MODEL_NAME, else "model".

    Raises:
        StartupError: it cannot stand in a URL.
    """
    return _url_name(environ, "MODELPACK_MODEL_NAME", "model")


def version(environ: Mapping[str, str]) -> str:
    """MODELPACK_MODEL_VERSION, else "1".

    Raises:
        StartupError: it cannot stand in a URL.
    """
    return _url_name(environ, "MODELPACK_MODEL_VERSION", "1")


def _url_name(environ: Mapping[str, str], variable: str, default: str) -> str:
    text = environ.get(variable) or default
    stands = text.isprintable() and not set("/:") & set(text) and text not in (".", "..")
    if not stands or len(text) > MAX_NAME_LENGTH:
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
    """Let BLAS and OpenMP use one thread a worker. Their libraries look once, when numpy is
    imported: call this before. More threads would not only fight for the CPUs: the model answers
    its example before the workers are forked, and GNU OpenMP's threads do not survive a fork.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))


def worker_count(
    environ: Mapping[str, str] = os.environ, root: Path = Path("/sys/fs/cgroup")
) -> int:
    """WEB_CONCURRENCY, else one worker a CPU of the cgroup's quota, from 1 to 4.

    Raises:
        StartupError: WEB_CONCURRENCY is not a positive integer.
    """
    asked = environ.get("WEB_CONCURRENCY")
    if asked:
        return positive_integer("WEB_CONCURRENCY", asked)
    usable = min(quota(root), len(os.sched_getaffinity(0)))
    return max(1, min(MAX_WORKERS, math.ceil(usable)))


def quota(root: Path) -> float:
    """CPUs that the cgroup mounted at `root` (version 2 or 1) grants, infinity if not limited."""
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
