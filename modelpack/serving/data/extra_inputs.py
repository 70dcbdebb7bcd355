"""Inputs of a request that the model does not have. They are ignored and named in the response.

Tables often have more columns than the model: an id, the target, the index of pandas. Names are
text of clients, so headers contain them encoded and shortened.
"""

from __future__ import annotations

from typing import Dict, Iterable, Mapping, Optional
from urllib.parse import quote

from ..errors import StartupError
from . import validation

VARIABLE = "MODELPACK_EXTRA_INPUTS"
HEADER = "Modelpack-Ignored-Inputs"

Extras = Optional[Dict[str, None]]
"""The ignored names, in the order of the request. None: extra inputs are rejected."""

MAX_NAMES = 1000
MAX_HEADER_NAMES, MAX_HEADER_CHARACTERS = 20, 1000
UNQUOTED = "".join(map(chr, range(0x20, 0x7F))).translate({ord(mark): None for mark in '"\\%'})
"""Characters of strings of RFC 8941 that are not percent-encoded."""


def are_ignored(environ: Mapping[str, str]) -> bool:
    """Return whether MODELPACK_EXTRA_INPUTS is "ignore" and not "refuse".

    Raises:
        StartupError: The variable has another value.
    """
    value = environ.get(VARIABLE) or "ignore"
    if value not in ("ignore", "refuse"):
        raise StartupError(f"{VARIABLE} is {value!r}, neither ignore nor refuse.")
    return value == "ignore"


def add(extras: dict[str, None], names: Iterable[str]) -> None:
    """Add names, up to MAX_NAMES."""
    for name in names:
        if len(extras) >= MAX_NAMES:
            return
        extras[name] = None


def header(extras: Iterable[str]) -> str:
    """Return the header: a list of strings of RFC 8941, percent-encoded unless visible ASCII.

    The parameter `more` of the last string counts the names beyond the limits.
    """
    names = list(extras)
    strings: list[str] = []
    size = 0
    for name in names[:MAX_HEADER_NAMES]:
        text = f'"{quote(validation.shorten(name), safe=UNQUOTED, errors="replace")}"'
        size += len(text) + 2
        if size > MAX_HEADER_CHARACTERS:
            break
        strings.append(text)
    more = len(names) - len(strings)
    return ", ".join(strings) + (f";more={more}" if more else "")
