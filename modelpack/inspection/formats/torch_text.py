"""Text in the files of PyTorch that loading resolves, evaluates or writes into Python code.

- Names of values become identifiers of the code that `torch.fx` generates and executes.
- `sympy.sympify` evaluates expressions of sizes.
- `ExportedProgram.module` executes the guards.
- Targets of nodes are looked up attribute by attribute, from `torch`, `operator` or `math` on.
- The structure of arguments may name classes that are imported.

Each has a grammar here that contains nothing to execute. Text outside of it is hostile, unless it
consists of the same signs as the grammar of a newer PyTorch would.
"""

from __future__ import annotations

import json
import keyword
import re
from functools import cache
from pathlib import Path
from typing import Any

from ..nodes import Malformed, require

HARMFUL, UNSUPPORTED = "bad-text", "torch-unsupported"

_IDENTIFIER = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_RESERVED = {
    *keyword.kwlist, "self", "torch", "fx_pytree", "pytree", "device", "inf", "nan", "NoneType",
    "math", "operator", "_operator",
}  # fmt: skip
"""Words that mean something else in the code that `torch.fx` generates."""

_PATH = re.compile(r"(?!__)\w{1,255}(\.(?!__)\w{1,255}){0,30}", re.ASCII)
_SYMBOL = re.compile(r"(s|u|zuf|zf|f)\d{1,6}", re.ASCII)
_MAX_TEXT = 4_096
_MAX_DEPTH = 32


def name(text: Any) -> None:
    """Require the name of a value: an identifier that is no word of the generated code."""
    is_name = isinstance(text, str) and _IDENTIFIER.fullmatch(text) and text not in _RESERVED
    _require(bool(is_name), "a name that is no identifier", text)


def path(text: Any) -> None:
    """Require the path of a parameter, such as `layers.0.weight`, or of a module."""
    is_path = isinstance(text, str) and (text == "" or _PATH.fullmatch(text))
    _require(bool(is_path), "a path that is no sequence of names", text)


def symbol(text: Any) -> None:
    """Require the name of an unknown size, such as `s77`, or an expression of them."""
    if not isinstance(text, str) or not _SYMBOL.fullmatch(text):
        expression(text)


def is_symbol(text: str) -> bool:
    """Return whether an expression is a single symbol."""
    return bool(_SYMBOL.fullmatch(text)) or bool(_LEAF.fullmatch(text) and text[:6] == "Symbol")


def _require(condition: bool, what: str, text: Any) -> None:
    require(condition, f"the program contains {what}: {str(text)[:80]!a}", HARMFUL)


_FLAG = "(?:integer|positive|nonnegative|real|finite|zero|nonzero)=(?:True|False)"
_LEAF = re.compile(
    rf"Symbol\('(?:s|u|zuf|zf|f)\d{{1,6}}'(?:, {_FLAG}){{0,6}}\)|Integer\(-?\d{{1,19}}\)"
    r"|(?<![\w.'])(?:s|u)\d{1,6}(?![\w.'(])|(?<![\w.'])\d{1,19}(?![\w.'(])",
    re.ASCII,
)
_CALLS = "Add|Mul|Max|Min|FloorDiv|Mod|PythonMod"
_TESTS = ("Equality|Unequality|GreaterThan|LessThan|StrictGreaterThan|StrictLessThan|Eq|Ne|Ge|Le|"
          "Gt|Lt|And|Or|Not")  # fmt: skip
_STEP = re.compile(
    rf"(?<![\w.])(?:{_CALLS}|{_TESTS})\(#(?:, #){{0,40}}\)|\(#\)|# ?(?:[-+*%]|//|[<>=!]=|[<>]) ?#"
    r"|(?<!#)(?<!# )-#"
)


def expression(text: Any) -> None:
    """Require an expression of symbols and integers, as `sympy` or Python writes it."""
    is_text = isinstance(text, str) and len(text) <= _MAX_TEXT and "#" not in text
    _require(bool(is_text) and _is_expression(text), "an expression that may run code", text)


def _is_expression(text: str) -> bool:
    reduced = _LEAF.sub("#", text.strip())
    for _ in range(_MAX_DEPTH):
        reduced, count = _STEP.subn("#", reduced)
        if not count:
            break
    return reduced == "#"


_SOURCE = re.compile(
    r"L\['(?!__)\w{1,255}'\](?:\[(?:\d{1,6}|'(?!__)\w{1,255}')\]){0,8}"
    r"(?:\.(?:size|stride)\(\)\[\d{1,3}\]|\.storage_offset\(\)|\.ndim|\.dim\(\)|(?=[^\w.(\[]|$))",
    re.ASCII,
)


def guard(text: Any) -> None:
    """Require a condition on the sizes of inputs: `L['x'].size()[0] <= 1024`."""
    is_text = isinstance(text, str) and len(text) <= _MAX_TEXT and "#" not in text
    parts = _SOURCE.sub("s0", text) if is_text else ""
    parts = re.sub(r"\b(?:and|or)\b", "+", re.sub(r"\bnot ", "-", parts), flags=re.ASCII)
    _require(bool(is_text) and _is_expression(parts), "a condition that may run code", text)


_TARGET = re.compile(r"torch\.ops(?:\.(?!__)\w+){2,4}", re.ASCII)
_PYTHON = {
    "_operator.add", "_operator.and_", "_operator.eq", "_operator.floordiv", "_operator.ge",
    "_operator.getitem", "_operator.gt", "_operator.le", "_operator.lt", "_operator.mod",
    "_operator.mul", "_operator.ne", "_operator.neg", "_operator.or_", "_operator.sub",
    "torch.sym_max", "torch.sym_min",
}  # fmt: skip
"""Functions of sizes. `operator` also has `attrgetter`, `methodcaller` and `call`."""


@cache
def _overloads() -> dict[str, list[str]]:
    text = (Path(__file__).parent / "torch_operators.json").read_text(encoding="utf-8")
    table: dict[str, list[str]] = json.loads(text)
    return table


def is_operator(operator: str) -> bool:
    """Return whether modelpack admits an operator of `aten`, such as "linear"."""
    return operator in _overloads()


def target(text: Any) -> None:
    """Require an operator of the table, or a function of sizes."""
    if not isinstance(text, str):
        raise Malformed("malformed", "the target of an operator is not text")
    if text in _PYTHON:
        return
    parts = text.split(".")
    is_aten = parts[:3] == ["torch", "ops", "aten"] and len(parts) == 5
    if is_aten and parts[4] in _overloads().get(parts[3], ()):
        return
    if not _TARGET.fullmatch(text):
        message = f"the program calls {text[:80]!a}, which is no operator of PyTorch"
        raise Malformed("bad-callable", message)
    message = f"the program uses the operator {text[:80]}, which modelpack does not admit"
    raise Malformed("torch-operator", message)


_CONTAINERS = {"builtins.tuple", "builtins.list"}


def _structure(text: Any) -> Any:
    try:
        document = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        document = None
    is_pair = isinstance(document, list) and len(document) == 2 and document[0] == 1
    _require(is_pair, "a structure of arguments that PyTorch does not write", text)
    return document[1] if isinstance(document, list) else None


def positional_inputs(text: Any) -> int:
    """Return the number of inputs of a program that takes tensors by position, and nothing else.

    Raises:
        Malformed: It takes others.
    """
    kind, arguments = _node(_structure(text), text)
    parts = [_node(each, text) for each in arguments]
    kinds = [each for each, _ in parts]
    leaves = [_node(leaf, text) for _, part in parts for leaf in part]
    is_plain = kind == "builtins.tuple" and kinds == ["builtins.tuple", "builtins.dict"]
    if not is_plain or any(each for each, _ in leaves) or parts[1][1]:
        message = "the program takes other arguments than tensors by position"
        raise Malformed(UNSUPPORTED, message)
    return len(leaves)


def output_structure(text: Any) -> None:
    """Require tensors in tuples, lists and dicts."""
    waiting, count = [_structure(text)], 0
    while waiting:
        count += 1
        require(count <= 10_000, "the program has too many outputs", "limit")
        waiting += _node(waiting.pop(), text)[1]


def _node(node: Any, text: Any) -> tuple[str | None, list[Any]]:
    """Return the kind and the members of a structure; the kind of a tensor is None."""
    is_node = isinstance(node, dict) and node.keys() == {"type", "context", "children_spec"}
    _require(is_node, "a structure of arguments that PyTorch does not write", text)
    kind, context, members = node["type"], node["context"], node["children_spec"]
    is_known = isinstance(members, list)
    if kind == "builtins.dict":
        keys = _keys(context)
        is_known = is_known and keys is not None and len(keys) == len(members)
    elif kind is None:
        is_known = is_known and context is None and not members
    else:
        is_known = is_known and kind in _CONTAINERS and context == "null"
    if not is_known:
        message = f"the program takes or returns {str(kind)[:60]!a}, not tensors in tuples or dicts"
        raise Malformed(UNSUPPORTED, message)
    return kind, members


def _keys(context: Any) -> list[str] | None:
    try:
        keys = json.loads(context) if isinstance(context, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(keys, list):
        return None
    for key in keys:
        name(key)
    return keys


_SOURCES = re.compile(r"[\w.<>]+,[\w.<> ']+(?:;[\w.<>]+,[\w.<> ']+)*", re.ASCII)


def metadata(key: str, text: Any) -> None:
    """Require text. Of the keys, `source_fn_stack` names functions that are looked up."""
    require(isinstance(text, str), "the metadata of an operator is not text")
    if key == "source_fn_stack" and ("__" in text or not _SOURCES.fullmatch(text)):
        message = "the metadata of an operator names what modelpack does not know"
        raise Malformed(UNSUPPORTED, message)


_VERSION = re.compile(r"(\d{1,3}(?:\.\d{1,3}){1,3}(?:(?:a|b|rc|\.dev)\d{1,12})?)(?:\+[\w.]{1,60})?",
                      re.ASCII)  # fmt: skip


def version(text: Any) -> str:
    """Return the version of PyTorch without its build ("2.13.0+cpu"), "" if it is not known."""
    match = _VERSION.fullmatch(text) if isinstance(text, str) else None
    return match[1] if match else ""
