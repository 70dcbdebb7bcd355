"""How much one request may ask for. Each limit can be set by an environment variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from .errors import CannotStartError


@dataclass(frozen=True)
class Limits:
    """`body_bytes`: of a request. `json_depth`: nesting of arrays and objects. `rows`: a request.
    `answer_values`: numbers or labels of one answer, which bounds what a sparse one grows to.
    """

    body_bytes: int = 16 * 2**20
    json_depth: int = 32
    rows: int = 10_000
    answer_values: int = 5_000_000

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
    """PORT, else 8080.

    Raises:
        CannotStartError: it is no port.
    """
    number = positive("PORT", environ.get("PORT") or "8080")
    if number > 65535:
        raise CannotStartError(f"PORT is {number}, beyond the last port, 65535.")
    return number


def positive(variable: str, text: str) -> int:
    """The number that the environment variable was set to.

    Raises:
        CannotStartError: it is not a positive integer.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text)):
        raise CannotStartError(f"{variable} is {text!r}, not a positive integer.")
    return int(text)
