"""Inputs of a request that the model does not have: ignored, and named in the response.

A table that users have at hand holds more than the model takes: an id, the target, the index of
pandas. Names are text of clients, so that headers hold them encoded and cut.
"""

from __future__ import annotations

from typing import Dict, Iterable, Mapping, Optional
from urllib.parse import quote

from ..errors import StartupError
from . import validation

VARIABLE = "MODELPACK_EXTRA_INPUTS"
HEADER = "Modelpack-Ignored-Inputs"

Extras = Optional[Dict[str, None]]
"""The names that were ignored, in the order in which they came. None: extra inputs are refused."""

MAX_NAMES = 1000
"""Names that are kept."""
MAX_HEADER_NAMES, MAX_HEADER_CHARACTERS = 20, 1000
"""In a header."""
UNQUOTED = "".join(map(chr, range(0x20, 0x7F))).translate({ord(mark): None for mark in '"\\%'})
"""What a string of RFC 8941 may hold and percent-encoding leaves alone."""


def are_ignored(environ: Mapping[str, str]) -> bool:
    """Whether extra inputs are ignored, as MODELPACK_EXTRA_INPUTS sets it: ignore or refuse.

    Raises:
        StartupError: it is set to something else.
    """
    value = environ.get(VARIABLE) or "ignore"
    if value not in ("ignore", "refuse"):
        raise StartupError(f"{VARIABLE} is {value!r}, neither ignore nor refuse.")
    return value == "ignore"


def add(extras: dict[str, None], names: Iterable[str]) -> None:
    """Add names, up to MOST."""
    for name in names:
        if len(extras) >= MAX_NAMES:
            return
        extras[name] = None


def header(extras: Iterable[str]) -> str:
    """The names as a list of strings of RFC 8941, percent-encoded where they are not visible
    ASCII. Names beyond the limits are counted by the parameter `more` of the last string.
    """
    names = list(extras)
    listed: list[str] = []
    size = 0
    for name in names[:MAX_HEADER_NAMES]:
        text = f'"{quote(validation.shorten(name), safe=UNQUOTED, errors="replace")}"'
        size += len(text) + 2
        if size > MAX_HEADER_CHARACTERS:
            break
        listed.append(text)
    more = len(names) - len(listed)
    return ", ".join(listed) + (f";more={more}" if more else "")
