"""TorchScript archives: the module that they contain, and checks of its pickle and its code.

An archive records neither the version of PyTorch nor shapes. `torch.jit.load` unpickles with a
reader of its own, which looks up no names of Python.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from modelpack.types import Field, Finding, Signature

from ..facts.columns import Column
from ..nodes import DictNode, Malformed, Node, ObjectNode, require
from . import torch_archive, torch_text, torchscript_code
from .model import NativeModel, columns
from .torch_archive import ORDERED, PARAMETER, TENSOR, Members, SavedTensor
from .torch_export import SIGNATURE

DESCRIPTION = "a TorchScript model"

_MEMBERS = re.compile(
    r"(data|constants|traced_inputs)(\.pkl|/\d{1,9})|version|byteorder|\.format_version|"
    r"\.storage_alignment|\.data/(serialization_id|version)|extra/.+|"
    r"code/__torch__(/[\w.]+)*(\.py|\.py\.debug_pkl)"
)
_POSITIONS = ".debug_pkl"
_WITH_TABLE = "FORMAT_WITH_STRING_TABLE"
_MOBILE = re.compile(r"bytecode(\.pkl|/)|mobile_debug|metadata\.pkl$|.*\.(ff|ptl)$")
_FLOATS = {"d", "e", "f"}
_SIGNED = {"b", "h", "i", "q"}
_LISTS = {f"torch.jit._pickle:build_{kind}list" for kind in ("bool", "double", "int", "tensor")}
_INTEGERS = "torch.jit._pickle:build_intlist"
_TAG = "torch.jit._pickle:restore_type_tag"
_NAMES = frozenset({_TAG, ORDERED, PARAMETER, TENSOR, *_LISTS})


def read(data: bytes) -> NativeModel:
    """Read a TorchScript archive.

    Raises:
        Malformed: PyTorch writes no such file, or its code uses what is not admitted.
    """
    members = torch_archive.members(data)
    for name in members:
        if _MOBILE.match(name):
            message = f"the archive contains {name[:80]!a}, which only PyTorch Mobile reads"
            raise Malformed(torch_text.UNSUPPORTED, message)
        if not _MEMBERS.fullmatch(name):
            message = f"the archive contains {name[:80]!a}, which torch.jit.save does not write"
            raise Malformed(torch_text.UNSUPPORTED, message)
    files = {name: _text(content) for name, content in members.items() if name.endswith(".py")}
    constants = torch_archive.read_script(members, "constants.pkl", _NAMES)
    torchscript_code.check(files.values(), _divisors(constants, members))
    for name in members:
        if name.endswith(_POSITIONS):
            _check_positions(members, name)
    root = torch_archive.read_script(members, "data.pkl", _NAMES)
    is_module = isinstance(root, ObjectNode) and root.cls.key.startswith("__torch__")
    require(is_module, "the archive contains no module")
    names = torchscript_code.inputs(files, root.cls.key)
    traced = _traced(members, len(names))
    problem = _problem(names, traced)
    return NativeModel(
        estimator="torch.jit.ScriptModule",
        framework="torch",
        description=DESCRIPTION,
        signature=Signature((), ()) if problem else _signature(names, traced),
        requires={"torch": f"the file is {DESCRIPTION}, which records no version"},
        problem=Finding(SIGNATURE, problem) if problem else None,
    )


def _text(content: memoryview) -> str:
    try:
        return bytes(content).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("malformed", "the code of the archive is not UTF-8") from error


def _check_positions(members: Members, name: str) -> None:
    """Check the positions in the source, which PyTorch reads when an operator fails.

    It looks up texts by their index without a limit. Source: source_range_serialization.cpp.
    """
    root = torch_archive.read_script(members, name, frozenset({_INTEGERS}))
    has_table = isinstance(root, tuple) and len(root) == 3 and root[0] == _WITH_TABLE
    table, records = (root[1], root[2]) if has_table else ((), root)
    is_valid = isinstance(table, tuple) and all(isinstance(text, str) for text in table)
    is_valid = is_valid and isinstance(records, tuple)
    lengths: dict[int, int] = {}  # by id: many positions are in the same source
    for record in records if isinstance(records, tuple) and is_valid else ():
        parts = _tuple(record, 2, 3)
        span = next((each for each in parts if isinstance(each, tuple)), None)
        source, start, end = _tuple(span, 3) or (None, None, None)
        if id(source) not in lengths:
            lengths[id(source)] = _source_length(source, table if has_table else None)
        numbers = [start, end, *(each for each in parts if each is not span)]
        is_valid = all(type(number) is int for number in numbers)
        length = lengths[id(source)]  # tracing writes the positions 0 and 1 of an empty text
        is_valid = is_valid and 0 <= start <= end <= (length or 1)
        if not is_valid:
            break
    require(is_valid, f"{name[-60:]} has positions that are not in its texts", "broken-invariant")


def _source_length(source: Node, table: Any) -> int:
    """Return the bytes of a source, or -1 if it is none. `table`: of its texts, or None."""
    text, file, line = _tuple(source, 3) or (None, None, None)
    if table is None:
        is_known = isinstance(text, str) and (file is None or isinstance(file, str))
        return len(text.encode()) if is_known and type(line) is int else -1
    is_list = isinstance(text, ObjectNode) and text.cls.key == _INTEGERS and len(text.args) == 1
    indexes = text.args[0] if is_list else None
    if not isinstance(indexes, list) or type(file) is not int or type(line) is not int:
        return -1
    is_known = -1 <= file < len(table)
    if not is_known or not all(type(each) is int and 0 <= each < len(table) for each in indexes):
        return -1
    return sum(len(table[each].encode()) for each in indexes)


def _tuple(node: Node, *lengths: int) -> tuple[Node, ...]:
    """Return a tuple of one of some lengths, or an empty one."""
    return node if isinstance(node, tuple) and len(node) in lengths else ()


def _divisors(constants: Node, members: Members) -> set[str]:
    """Return the constants in whose numbers there is no -1 of an integer type."""
    found = set()
    for index, node in enumerate(constants if isinstance(constants, tuple) else ()):
        tensor = torch_archive.saved_tensor(node)
        if tensor and not _has_minus_one(tensor, members):
            found.add(f"CONSTANTS.c{index}")
    return found


def _has_minus_one(tensor: SavedTensor, members: Members) -> bool:
    size = struct.calcsize(tensor.code or "e")
    content = bytes(members.get(f"constants/{tensor.member[5:]}", b"")[: tensor.count * size])
    minus_one = b"\xff" * size
    if tensor.code not in _SIGNED or minus_one not in content:
        return False
    return any(content[at : at + size] == minus_one for at in range(0, len(content), size))


def _traced(members: Members, count: int) -> list[SavedTensor]:
    """Return the tensors that the module was traced with; none if it was not, or with others."""
    if "traced_inputs.pkl" not in members:
        return []
    root = _untagged(torch_archive.read_script(members, "traced_inputs.pkl", _NAMES))
    keys = root.keys if isinstance(root, DictNode) else []
    value = _untagged(root.values[keys.index("forward")]) if "forward" in keys else None
    listed = value if isinstance(value, list) else []
    tensors = [each for each in map(torch_archive.saved_tensor, listed) if each]
    is_known = len(tensors) == len(listed) == count and all(t.code in _FLOATS for t in tensors)
    return tensors if is_known else []


def _untagged(node: Node) -> Node:
    """Return a list or dict without its type."""
    is_tagged = isinstance(node, ObjectNode) and node.cls.key == _TAG and node.args
    return node.args[0] if is_tagged else node


def _problem(names: list[str], traced: list[SavedTensor]) -> str | None:
    """Return why the module cannot predict rows of a table."""
    expected = 2 if len(names) == 1 else 1
    other = next((each for each in traced if len(each.sizes) != expected), None)
    if other is None:
        return None
    what = "one tensor" if len(names) == 1 else "several tensors"
    return f"it takes {what} of {len(other.sizes)} dimensions, not of {expected}"


def _signature(names: list[str], traced: list[SavedTensor]) -> Signature:
    """Describe the columns of one tensor, if its width is known, or a column for each of several.

    Tracing saves the shapes of inputs, and none of their numbers.
    """
    found = [Column(name) for name in names] if len(names) > 1 else []
    if len(names) == 1 and traced:
        found, _ = columns(traced[0].sizes[1], None)
    fields = tuple(column.field("number") for column in found)
    outputs = (Field("prediction", "number"),)
    return Signature(fields, outputs, layout="array", named=len(names) > 1)
