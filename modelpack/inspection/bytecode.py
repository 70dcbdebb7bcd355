"""Which Pythons a code object may be of: byte code is read only by the minor version that wrote it.

bytecode.json is made by scripts/make_bytecode.py from the Pythons themselves. Byte code of 3.10 is
told from that of 3.8 and 3.9 by its line table (PEP 626), whose steps cover all of the code; that
of 3.11 and later by its caches. Where the code is short, more than one Python may have written it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .nodes import Node

_CACHE, _WORD = 0, 2  # the opcode that stands for a word of cache; bytes of an instruction


def pythons(arguments: Sequence[Node]) -> tuple[str, ...]:
    """The versions ("3.11"), oldest first, that a code object of these arguments may be of; none
    where no known one fits.
    """
    versions = [v for v, told in _table().items() if told["arguments"] == len(arguments)]
    found = [argument for argument in arguments if isinstance(argument, bytes)]
    if not found:  # too long to be kept
        return tuple(versions)
    code, lines = found[0], found[1] if len(found) > 1 else b""
    fitting = [version for version in versions if _is_of(code, _table()[version])]
    if "3.10" in fitting:
        covers = sum(lines[::_WORD]) == len(code)
        fitting = [version for version in fitting if (version == "3.10") == covers]
    return tuple(fitting)


def specifier(versions: Sequence[str]) -> str | None:
    """A specifier of no other Pythons than these, which follow each other."""
    if not versions:
        return None
    major, minor = versions[-1].split(".")
    after = f"{major}.{int(minor) + 1}"
    return f"=={versions[0]}.*" if len(versions) == 1 else f">={versions[0]},<{after}"


def _is_of(code: bytes, told: dict[str, Any]) -> bool:
    """Whether the code is made of this Python's instructions, with caches where it has them."""
    opcodes, caches = set(told["opcodes"]), told["caches"]
    at = 0
    while at < len(code):
        opcode = code[at]
        count = caches.get(str(opcode), 0)
        words = code[at + _WORD : at + _WORD * (count + 1)]
        if opcode not in opcodes or (caches and opcode == _CACHE) or any(words):
            return False
        at += _WORD * (count + 1)
    return at == len(code) and told["resume"] in {None, *code[::_WORD]}


@cache
def _table() -> dict[str, dict[str, Any]]:
    text = (Path(__file__).parent / "bytecode.json").read_text("utf-8")
    table: dict[str, dict[str, Any]] = json.loads(text)
    return table
