"""The code in TorchScript archives, read as text.

PyTorch compiles it itself; it is no Python. It can call every operator that PyTorch registers, and
some write files (`torch.save`, `ops.aten.from_file`). Here all names are read by their form. An
operator must be one that `torch_operators.json` lists, or one of lists and numbers.

Every other operator with an argument `self` is also an attribute of tensors, whether it is called
at once or later (`f = x._indices`), and some let code write to any address. `torch_methods.json`
lists them. As the types of values are not known here, no attribute may have such a name.

A division of the smallest integer by -1, or of a number that is no tensor by 0, ends the process.
So the divisor must be a constant with another value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Set
from functools import cache
from pathlib import Path

from ..nodes import Malformed, require
from . import torch_text

DIVISION = "torch-division"
"""Code of a finding: a division that can end the process."""

_MAX_CODE = 16 * 2**20
_SIGNS = re.compile(r"[ -~\n]*")
_TEXT = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
_CHAIN = re.compile(r"(?<![\w.])([A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)(\s*\()?")
_METHOD = re.compile(r"\.\s*([A-Za-z_]\w*)(\s*\()?")
_GETATTR = re.compile(r'(?<![\w.])getattr\(((?:\([\w.]+\)|\w+)[\w.]*), "(\d+)"\)')
_ANY_GETATTR = re.compile(r"(?<![\w.])getattr\b")
_SEPARATOR = re.compile(r"[(\[{)\]},]")
_BRACKET = re.compile(r"[(\[{)\]}]")
_MAX_NESTED = 16
_DEFINED = re.compile(r"^ *def (\w+)\(", re.MULTILINE)
_MAX_STATEMENT, _MAX_DEPTH, _MAX_INDENTATION = 6_000, 200, 400
"""Characters, open brackets and spaces of a statement. PyTorch parses by recursion: 5,000 brackets,
or a sum of 10,000 terms, end its process."""
_RUNS_ON_LOAD = {"__getstate__", "__setstate__"}
_FILE_OPERATORS = {"from_file", "save"}
_RECURRENT = {"gru", "lstm", "rnn_relu", "rnn_tanh"}
"""Operators that modelpack admits in programs of torch.export, but not here."""
_FORWARD = re.compile(r"forward\d{0,6}")
_ENTRY = re.compile(r"^  def forward\([^\W\d]\w*: [\w.]+(?![\w.])([^()]*)\) -> ", re.MULTILINE)
_TENSOR = re.compile(r"\s*([A-Za-z_]\w*): Tensor\s*")

_PRIMITIVES = {
    "append", "backward", "Bool", "ceil", "device", "dim", "dtype", "extend", "Float", "floor",
    "floordiv", "format", "get", "get_device", "insert", "Int", "is_cuda", "is_floating_point",
    "items", "jit", "join", "keys", "layout", "len", "list", "ndimension", "numel", "pop", "range",
    "remainder", "requires_grad", "reverse", "size", "sorted", "str", "stride", "sym_size",
    "truediv", "unchecked_cast", "values", "warn", "_set_item", "select", "slice",
    "__contains__", "__derive_index", "__getitem__", "__is__", "__isnot__", "__not__",
    "__range_length", "__round_to_zero_floordiv",
} - {"backward", "jit", "str"}  # fmt: skip
"""Functions of lists, texts and numbers, and attributes of tensors."""

_PRIM = {
    "data", "device", "dtype", "is_cuda", "max", "min", "NumToTensor", "RaiseException",
    "TupleIndex", "unchecked_cast", "unchecked_unwrap_optional", "layout", "grad", "is_nested",
    "itemsize", "requires_grad", "shape", "abs",
}  # fmt: skip
_UNCHECKED = {
    "_native_batch_norm_legit_no_training", "embedding_bag", "gru", "lstm", "rnn_relu", "rnn_tanh",
    "scaled_dot_product_attention",
}  # fmt: skip
"""Operators that read beyond short tensors; the runtime of programs of torch.export checks them."""
_DIVISIONS = {
    "__round_to_zero_floordiv", "div", "div_", "divide", "floor_divide", "floordiv", "fmod",
    "remainder",
}  # fmt: skip
"""Operators that can divide integers."""
_TRUE_DIVISIONS = {"div", "div_", "divide"}
"""Those whose result is a float, unless they have a third argument."""
_DIVISOR = re.compile(r"-?\d+|-?\d+\.\d*(?:e[+-]?\d+)?|CONSTANTS\.c\d{1,6}")
_BY_NAME = re.compile(r"[A-Za-z_]\w*\s*=|\*")
_STARTS_PROCESSES = {"awaitable", "fork", "rpc_async", "rpc_remote", "rpc_sync"}


def check(files: Iterable[str], divisors: Set[str]) -> None:
    """Check the names in the code of an archive.

    Args:
        files: The code.
        divisors: The constants by which any integer may be divided, such as "CONSTANTS.c0".

    Raises:
        Malformed: It uses an operator that is not listed, or is not written by PyTorch.
    """
    texts, total = list(files), 0
    own = {name for text in texts for name in _DEFINED.findall(text)}
    for name in own & _RUNS_ON_LOAD:
        raise Malformed(torch_text.UNSUPPORTED, f"the code of the archive defines {name}")
    for text in texts:
        total += len(text)
        require(total <= _MAX_CODE, "the code of the archive is too large", "limit")
        plain, literals = _without_literals(text)
        _check_statements(plain)
        plain = _without_getattr(plain, literals)
        for match in _CHAIN.finditer(plain):
            parts = re.sub(r"\s", "", match[1]).split(".")
            _check_name(parts, bool(match[2]), own)
            if parts[0] in {"torch", "ops"} and parts[-1] in _DIVISIONS:
                called = _arguments(plain, match.end()) if match[2] else []
                _check_division(parts, called, divisors)
            elif parts[0] in {"torch", "ops"} and parts[-1] == "arange":
                _check_range(_arguments(plain, match.end()) if match[2] else ["", "", ""])
        rest = _CHAIN.sub(lambda match: f"_{match[2] or ''}", plain)
        for match in _METHOD.finditer(rest):  # of a literal, or of a result
            _check_method([match[1]], bool(match[2]), own)


def _without_literals(text: str) -> tuple[str, list[str]]:
    """Return code with the index of each text in its place, and the texts."""
    literals: list[str] = []

    def numbered(match: re.Match[str]) -> str:
        literals.append(match[0][1:-1])
        return f'"{len(literals) - 1}"'

    plain = _TEXT.sub(numbered, text)
    is_plain = _SIGNS.fullmatch(text) and not re.search(r"[#;\\`$%]|//|'|\"\s*\"\d", plain)
    is_plain = is_plain and plain.count('"') == 2 * len(literals)
    require(bool(is_plain), "the archive contains code that PyTorch does not write",
            torch_text.UNSUPPORTED)  # fmt: skip
    return plain, literals


def _check_statements(plain: str) -> None:
    """Check that no statement, which ends with a line outside of brackets, is nested deeply."""
    depth = length = 0
    for line in plain.split("\n"):
        length = len(line) if depth <= 0 else length + len(line)
        deepest = depth = max(depth, 0)
        for bracket in _BRACKET.findall(line):
            depth += 1 if bracket in "([{" else -1
            deepest = max(deepest, depth)
        is_deep = deepest > _MAX_DEPTH or len(line) - len(line.lstrip()) > _MAX_INDENTATION
        require(length <= _MAX_STATEMENT and not is_deep,
                "a statement of the code of the archive is too long or nested too deeply",
                torch_text.UNSUPPORTED)  # fmt: skip


def _without_getattr(plain: str, literals: list[str]) -> str:
    """Return code without `getattr(self, "0")`, which names an attribute by a text."""

    def checked(match: re.Match[str]) -> str:
        name = literals[int(match[2])]
        _require("\\" not in name and name not in _methods() | _DIVISIONS, [name])
        return match[1]  # which is checked with the rest

    for _ in range(_MAX_NESTED):
        plain, count = _GETATTR.subn(checked, plain)
        if not count:
            break
    _require(_ANY_GETATTR.search(plain) is None, ["getattr"])
    return plain


@cache
def _methods() -> frozenset[str]:
    """Return the operators with an argument `self` that are not admitted."""
    text = Path(__file__).with_name("torch_methods.json").read_text(encoding="utf-8")
    names: list[str] = json.loads(text)
    return frozenset(names) - _PRIMITIVES


def _arguments(plain: str, start: int) -> list[str]:
    """Return the arguments of a call whose bracket opens before `start`. Texts are in `plain`."""
    found, depth, first = [], 0, start
    for match in _SEPARATOR.finditer(plain, start):
        sign = match[0]
        if sign in ")]}" and not depth:
            found.append(plain[first : match.start()].strip())
            break
        if sign == "," and not depth:
            found.append(plain[first : match.start()].strip())
            first = match.end()
        elif sign != ",":
            depth += 1 if sign in "([{" else -1
    return found


def _check_division(parts: list[str], arguments: list[str], divisors: Set[str]) -> None:
    """Check a call of an operator that can divide integers; without arguments if it is no call."""
    is_float = parts[-1] in _TRUE_DIVISIONS and len(arguments) == 2
    if is_float and not any(map(_BY_NAME.match, arguments)):
        return
    divisor = arguments[1] if len(arguments) > 1 else ""
    is_known = _DIVISOR.fullmatch(divisor) is not None and (
        divisor in divisors if divisor[0] == "C" else float(divisor) not in {0, -1}
    )
    if not is_known:
        shown = f"{'.'.join(parts)[:80]} by a value that may be -1 or 0"
        message = f"the code of the archive uses {shown}, and such a division can end the process"
        raise Malformed(DIVISION, message)


def _check_range(arguments: list[str]) -> None:
    """Check a call of `arange`, which divides the distance of its limits by its step."""
    step = arguments[2] if len(arguments) > 2 else "dtype="
    is_default = any(map(step.startswith, ("dtype=", "layout=", "device=", "pin_memory=")))
    is_known = re.fullmatch(r"-?\d{1,18}", step) is not None and int(step) not in {0, -1}
    if not (is_default or is_known) or any(each.startswith("step") for each in arguments):
        message = "the code of the archive uses torch.arange with a step that may be -1 or 0"
        raise Malformed(DIVISION, f"{message}, and such a division can end the process")


def _check_name(parts: list[str], is_called: bool, own: Set[str]) -> None:
    first, *rest = parts
    _require(_UNCHECKED.isdisjoint(parts) and parts != ["divmod"], parts)
    if first == "torch":
        is_known = len(rest) == 1 and (rest[0] in _PRIMITIVES or torch_text.is_operator(rest[0]))
        _require(is_known, parts)
    elif first == "ops":
        is_known = len(rest) == 2 and (rest[0], rest[1] in _PRIM) == ("prim", True)
        is_known |= len(rest) == 2 and rest[0] == "aten" and torch_text.is_operator(rest[1])
        _require(is_known, parts)
    elif first in _STARTS_PROCESSES:
        _require(False, parts)
    elif first == "__torch__":  # no namespace, and no class of native code
        _require(rest not in ([], ["torch"]) and rest[:2] != ["torch", "classes"], parts)
    elif rest:
        _check_method(rest, is_called, own)


def _check_method(parts: list[str], is_called: bool, own: Set[str]) -> None:
    """Check the names of attributes. That of a tensor may be any operator, even one that writes."""
    _require((_methods() | _DIVISIONS).isdisjoint(parts), parts)
    is_own = parts[-1] in own - _FILE_OPERATORS
    _require(not is_called or is_own or _FORWARD.fullmatch(parts[-1]) is not None, parts)


def _require(condition: bool, parts: list[str]) -> None:
    if not condition:
        shown = ".".join(parts)[:80]
        message = f"the code of the archive uses {shown}, which modelpack does not admit"
        code = "torch-recurrent" if parts[-1] in _RECURRENT else "torch-operator"
        raise Malformed(code, message)


def inputs(files: Mapping[str, str], key: str) -> list[str]:
    """Return the names of the tensors that the module with a key ("__torch__.a:Net") takes.

    Raises:
        Malformed: It takes other values, or has no method `forward`.
    """
    module, _, name = key.partition(":")
    text = files.get(f"code/{module.replace('.', '/')}.py", "")
    start = re.search(rf"^class {re.escape(name)}\(Module\):$", text, re.MULTILINE)
    body = (
        re.split(r"^class ", text[start.end() :], maxsplit=1, flags=re.MULTILINE) if start else []
    )
    entry = _ENTRY.search(body[0]) if body else None
    require(entry is not None, "the module in the archive has no forward", torch_text.UNSUPPORTED)
    declared = entry[1].split(",")[1:] if entry else []
    names = [_TENSOR.fullmatch(each) for each in declared]
    found = [match[1] for match in names if match]
    if len(found) != len(declared) or not found:
        message = "its forward takes other arguments than tensors"
        raise Malformed(torch_text.UNSUPPORTED, message)
    return found
