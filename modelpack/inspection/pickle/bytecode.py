"""Functions and classes that cloudpickle and dill save as byte code."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PureWindowsPath
from typing import Any

from ..nodes import Global, Node, ObjectNode

_BUILTIN_TYPE = "cloudpickle.cloudpickle:_builtin_type"
_LOAD_TYPE = ("dill._dill:_load_type", "dill.dill:_load_type")
DILL = {
    "dill._dill:_create_code", "dill._dill:_create_function", "dill._dill:_create_type",
    "dill.dill:_create_code", "dill.dill:_create_function", "dill.dill:_create_type",
}  # fmt: skip
"""Functions of dill that create code objects, functions and classes."""

DILL_MODULE = {"dill._dill:_import_module", "dill.dill:_import_module"}
_NAME = re.compile(r"\w[\w.<>]{0,99}", re.ASCII)
_LAMBDA = "<lambda>"
_CODE_TEXTS = 2  # co_filename, co_name, and co_qualname since Python 3.11
_MAX_LINE = 10**6
_MAX_TEXT = 300
_FILE = re.compile(r"[\w.+ -]{1,60}", re.ASCII)
_NOTEBOOK = re.compile(r"<ipython-input-|.*[/\\]ipykernel_\d+[/\\]")


def saver_of_type(callee: ObjectNode) -> Global | None:
    """Return the name that a code object is created with, if the result of a call is its type.

    cloudpickle creates code objects with `_builtin_type("CodeType")`, and dill before 0.3.5 with
    `_load_type("CodeType")`.
    """
    is_type = callee.cls.key == _BUILTIN_TYPE or (
        callee.cls.key in _LOAD_TYPE and callee.args == ("CodeType",)
    )
    return callee.cls if is_type else None


def code_arguments(saver: Global, arguments: Sequence[Node]) -> Sequence[Node]:
    """Return the arguments of the code object. dill puts those of other Pythons before them."""
    is_longer = saver.name == "_create_code" and isinstance(next(iter(arguments), None), bytes)
    return arguments[1:] if is_longer else arguments


def description(saver: Global, arguments: Sequence[Node]) -> str:
    """Return the message of the finding. `arguments`: those of the code object or class."""
    versions = " or ".join(pythons(arguments))
    name = saver.module.partition(".")[0]
    return (
        f"{name} saved {_subject(saver, arguments)} in it as byte code, which can do anything and "
        "runs only on the Python that wrote it" + (f": Python {versions}" if versions else "")
    )


def _subject(saver: Global, arguments: Sequence[Node]) -> str:
    """Return the function or class, and where it was defined, if both are plain text."""
    texts = [argument for argument in arguments if isinstance(argument, str)]
    if saver.name == "_create_type" and texts and _NAME.fullmatch(texts[0]):
        return f"the class {texts[0]}"
    if len(texts) < _CODE_TEXTS:
        return "functions or classes"
    path, name = texts[0][-_MAX_TEXT:], texts[-1][-_MAX_TEXT:]
    if name.endswith(_LAMBDA):
        return f"a lambda{_place(path, arguments)}"
    known = _NAME.fullmatch(name)
    return f"the function {name}{_place(path, arguments)}" if known else "functions or classes"


def _place(path: str, arguments: Sequence[Node]) -> str:
    """Return " of FILE (line N)" for a code object. cloudpickle 3 saves no name of the file."""
    if _NOTEBOOK.match(path):
        return " of a notebook"
    file = PureWindowsPath(path).name  # the part after the last / or \\
    origin = f" of {file}" if _FILE.fullmatch(file) else ""
    last = max(i for i, each in enumerate(arguments) if isinstance(each, str))
    line = next(iter(arguments[last + 1 :]), None)
    is_line = type(line) is int and 0 < line < _MAX_LINE
    return f"{origin} (line {line})" if is_line else origin


# scripts/make_bytecode.py writes bytecode.json with each Python. Byte code of 3.10 differs from
# that of 3.8 and 3.9 in its line table (PEP 626), which covers all of the code. That of 3.11 and
# later has caches. Short code may be valid for several versions.
_CACHE, _WORD = 0, 2  # the opcode of a cache entry; bytes of an instruction


def pythons(arguments: Sequence[Node]) -> tuple[str, ...]:
    """Return the Python versions ("3.11"), oldest first, that may have written a code object.

    `arguments`: those of the code object.
    """
    versions = [v for v, facts in _table().items() if facts["arguments"] == len(arguments)]
    binary = [argument for argument in arguments if isinstance(argument, bytes)]
    if not binary:  # too long to keep
        return tuple(versions)
    code, lines = binary[0], binary[1] if len(binary) > 1 else b""
    fitting = [version for version in versions if _is_code_of(code, _table()[version])]
    if "3.10" in fitting:
        covers = sum(lines[::_WORD]) == len(code)
        fitting = [version for version in fitting if (version == "3.10") == covers]
    return tuple(fitting)


def specifier(versions: Sequence[str]) -> str | None:
    """Return the specifier of these consecutive Python versions."""
    if not versions:
        return None
    major, minor = versions[-1].split(".")
    after = f"{major}.{int(minor) + 1}"
    return f"=={versions[0]}.*" if len(versions) == 1 else f">={versions[0]},<{after}"


def _is_code_of(code: bytes, facts: dict[str, Any]) -> bool:
    """Return whether the code consists of instructions of this Python, with their caches."""
    opcodes, caches = set(facts["opcodes"]), facts["caches"]
    at = 0
    while at < len(code):
        opcode = code[at]
        count = caches.get(str(opcode), 0)
        words = code[at + _WORD : at + _WORD * (count + 1)]
        if opcode not in opcodes or (caches and opcode == _CACHE) or any(words):
            return False
        at += _WORD * (count + 1)
    return at == len(code) and facts["resume"] in {None, *code[::_WORD]}


@cache
def _table() -> dict[str, dict[str, Any]]:
    text = (Path(__file__).parent / "bytecode.json").read_text("utf-8")
    table: dict[str, dict[str, Any]] = json.loads(text)
    return table
