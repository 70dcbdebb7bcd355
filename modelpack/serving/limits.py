"""How much clients may ask for, how long they may take. Each limit can be set by an environment
variable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from .errors import CannotStartError
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
        CannotStartError: a variable is not a positive integer.
    """
    return Limits(
        **{
            name: positive(variable, environ[variable])
            for name, variable in VARIABLES.items()
            if environ.get(variable)
        }
    )


def port(environ: Mapping[str, str]) -> int:
    """Return the port of the first of PORTS that is set, or 8080.

    Raises:
        CannotStartError: It is not a port.
    """
    variable = next((each for each in PORTS if environ.get(each)), None)
    if variable is None:
        return DEFAULT_PORT
    number = positive(variable, environ[variable])
    if number > 65535:
        raise CannotStartError(f"{variable} is {number}, beyond the last port, 65535.")
    return number


def flag(environ: Mapping[str, str], variable: str, default: str = "0") -> bool:
    """Whether a variable is 1.

    Raises:
        CannotStartError: it is neither 0 nor 1.
    """
    asked = environ.get(variable) or default
    if asked not in ("0", "1"):
        raise CannotStartError(f"{variable} is {asked!r}, neither 0 nor 1.")
    return asked == "1"


def positive(variable: str, text: str) -> int:
    """The number that the environment variable was set to.

    Raises:
        CannotStartError: it is not a positive integer.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text)):
        raise CannotStartError(f"{variable} is {text!r}, not a positive integer.")
    return int(text)
