"""Zip archives of PyTorch, and the pickles of tensors in them.

`torch.save`, `torch.jit.save` and `torch.export.save` write through the same class. A zip contains
all facts twice, in the header of each member and in the directory at its end, and programs differ
in which they use. Here both must agree, and the members must follow each other without a gap, as
PyTorch writes them: no encryption, no comments, and no fields but its padding. So PyTorch reads the
same members. Format: APPNOTE.TXT 6.3 of PKWARE, and inline_container.cc of PyTorch.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod

from .. import limits
from ..allowlist import standing
from ..nodes import (
    DictNode,
    Global,
    Malformed,
    Node,
    ObjectNode,
    PersistentId,
    require,
    within,
)
from ..pickle.interpreter import run
from ..pickle.machine import Trace
from ..stream import Reader, check_inflated

Members = Mapping[str, memoryview]
"""Name of a member without the folder that contains all of them -> its content."""

_END, _END64 = struct.Struct("<4s4H2IH"), struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_ENTRY, _HEADER = struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s5H3I2H")
_DESCRIPTOR = struct.Struct("<4s3I")
_WITH_DESCRIPTOR, _UTF8 = 8, 0x800
_STORED, _DEFLATED = 0, 8
_FULL16, _FULL32 = 2**16 - 1, 2**32 - 1
_ROOT = re.compile(r"[^/\\:\x00-\x1f\x7f]{1,200}")
_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,200}(/[A-Za-z0-9_.+-]{1,200}){0,30}")

CODE = "torch-code"
TENSOR, ORDERED = "torch._utils:_rebuild_tensor_v2", "collections:OrderedDict"
PARAMETER = "torch._utils:_rebuild_parameter"
TYPED, PLAIN = "torch._tensor:_rebuild_from_type_v2", "torch:Tensor"
SETS = {"__builtin__:set", "builtins:set"}
STORAGES = {
    "torch:DoubleStorage": "d", "torch:FloatStorage": "f", "torch:HalfStorage": "e",
    "torch:LongStorage": "q", "torch:IntStorage": "i", "torch:ShortStorage": "h",
    "torch:CharStorage": "b", "torch:ByteStorage": "B", "torch:BoolStorage": "?",
    "torch:BFloat16Storage": "",
}  # fmt: skip
"""Storage -> its type as in `struct`; "" if Python has none."""


@dataclass(frozen=True)
class _Entry:
    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def broken(why: str) -> Malformed:
    return Malformed("broken-zip", f"PyTorch does not write such an archive: {why}")


def members(data: bytes | memoryview) -> Members:
    """Return the members of an archive.

    Raises:
        Malformed: PyTorch does not write such an archive, or a limit is exceeded.
    """
    view = memoryview(data)
    try:
        entries, end = _directory(view)
        contents = _contents(view, entries, end)
    except struct.error as error:
        raise Malformed("truncated", "the file is a truncated zip archive") from error
    roots = {name.partition("/")[0] for name in contents}
    if len(roots) != 1 or not _ROOT.fullmatch(root := next(iter(roots))) or root in {".", ".."}:
        raise broken("its members are not in one folder")
    found = {name[len(root) + 1 :]: content for name, content in contents.items()}
    for name in found:
        if not _NAME.fullmatch(name) or {".", ".."} & {*name.split("/")}:
            raise broken(f"it has a member named {name[:80]!a}")
    if len({name.lower() for name in found}) != len(found):  # PyTorch ignores the case
        raise broken("it has two members of one name")
    return found


def _directory(view: memoryview) -> tuple[list[_Entry], int]:
    """Return the entries of the directory, and its offset."""
    at = len(view) - _END.size
    if at < 0 or bytes(view[at : at + 4]) != b"PK\5\6":
        raise Malformed("truncated", "the file is a truncated zip archive: it has no end")
    _, disk, first, in_part, count, size, offset, comment = _END.unpack_from(view, at)
    if disk or first or comment or in_part != count:
        raise broken("it has a comment, or several parts")
    if at >= _LOCATOR.size and bytes(view[at - _LOCATOR.size :][:4]) == b"PK\6\7":
        at, narrow = at - _LOCATOR.size - _END64.size, (count, size, offset)
        if at < 0:
            raise broken("its end is incomplete")
        count, size, offset = _wide_end(view, at)
        fits = zip(narrow, (count, size, offset), (_FULL16, _FULL32, _FULL32), strict=True)
        if any(short not in (wide, full) for short, wide, full in fits):
            raise broken("its two ends contradict each other")
    if offset + size != at or count > limits.MEMBERS:
        raise broken("its end contradicts its directory")
    entries, position = [], offset
    for _ in range(count):
        entry, position = _entry(view, position, at)
        entries.append(entry)
    if position != at:
        raise broken("its end contradicts its directory")
    return sorted(entries, key=lambda entry: entry.offset), offset


def _wide_end(view: memoryview, at: int) -> tuple[int, int, int]:
    values = _END64.unpack_from(view, at)
    locator = _LOCATOR.unpack_from(view, at + _END64.size)
    signature, rest, _, _, disk, first, in_part, count, size, offset = values
    is_plain = signature == b"PK\6\6" and rest == _END64.size - 12 and not disk and not first
    if not is_plain or in_part != count or locator[1:] != (0, at, 1):
        raise broken("its zip64 end is not consistent")
    return count, size, offset


def _entry(view: memoryview, at: int, end: int) -> tuple[_Entry, int]:
    values = _ENTRY.unpack_from(view, at)
    signature, _, _, flags, method, _, _, crc, packed, size, length, extra = values[:12]
    comment, disk, _, mode, offset = values[12:]
    stop = at + _ENTRY.size + length
    if signature != b"PK\1\2" or stop > end or extra or comment or disk:
        raise broken("its directory has an unknown entry")
    if mode >> 28 not in (0, 8):
        raise broken("it contains a link or another special file")
    name = _text(view[at + _ENTRY.size : stop])
    return _Entry(name, flags, method, crc, packed, size, offset), stop


def _text(data: memoryview) -> str:
    try:
        return bytes(data).decode("utf-8")
    except UnicodeDecodeError as error:
        raise broken("the name of a member is not UTF-8") from error


def _contents(view: memoryview, entries: list[_Entry], end: int) -> dict[str, memoryview]:
    position, inflated = 0, 0
    found: dict[str, memoryview] = {}
    for entry in entries:
        shown = ascii(entry.name[-80:])
        position = _check_header(view, entry, position, shown)
        packed = view[position : position + entry.packed]
        if position + entry.packed > end or entry.name in found:
            raise broken(f"{shown} is in it twice, or ends after its directory")
        content = packed
        if entry.method == _DEFLATED:
            inflated += entry.size
            check_inflated(inflated, len(view))
            limits.OWN.add(entry.size)
            content = _inflate(packed, entry.size, shown)
        if len(content) != entry.size or zlib.crc32(content) != entry.crc:
            raise broken(f"the size or checksum of {shown} is wrong")
        found[entry.name] = content
        position += entry.packed
        if entry.flags & _WITH_DESCRIPTOR:
            expected = (b"PK\7\x08", entry.crc, entry.packed, entry.size)
            if _DESCRIPTOR.unpack_from(view, position) != expected:
                raise broken(f"the sizes behind {shown} contradict the directory")
            position += _DESCRIPTOR.size
    if position != end:
        raise broken("bytes lie between its members and its directory")
    return found


def _check_header(view: memoryview, entry: _Entry, position: int, shown: str) -> int:
    """Check the header at a position against the directory, and return the offset of its data."""
    values = _HEADER.unpack_from(view, position)
    signature, _, flags, method, _, _, crc, packed, size, length, extra = values
    start = position + _HEADER.size
    name = bytes(view[start : start + length])
    numbers, declared = (crc, packed, size), (entry.crc, entry.packed, entry.size)
    is_known = not flags & ~(_WITH_DESCRIPTOR | _UTF8) and method in (_STORED, _DEFLATED)
    if (
        signature != b"PK\3\4"
        or entry.offset != position
        or (flags, method) != (entry.flags, entry.method)
        or name != entry.name.encode()
        or not is_known
        or numbers not in (declared, (0, 0, 0) if flags & _WITH_DESCRIPTOR else declared)
    ):
        raise broken(f"the header of {shown} is unknown, or contradicts the directory")
    padding = bytes(view[start + length : start + length + extra])
    if extra and (padding[:2] != b"FB" or int.from_bytes(padding[2:4], "little") != extra - 4):
        raise broken(f"the header of {shown} has an unknown field")
    return int(start + length + extra)


def _inflate(packed: memoryview, size: int, shown: str) -> memoryview:
    codec = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = codec.decompress(packed, size + 1)
    except zlib.error as error:
        raise broken(f"{shown} cannot be decompressed") from error
    if not codec.eof or codec.unused_data or codec.unconsumed_tail:
        raise broken(f"the size of {shown} is wrong")
    return memoryview(content)


def read_pickle(data: memoryview, names: frozenset[str], what: str, records: Members) -> Node:
    """Return the root of a pickle of tensors, which may name only `names` and storages.

    `records` has their numbers.

    Raises:
        Malformed: It names anything else, or no pickler writes it.
    """
    root, trace = _interpreted(data, what)
    _require_names(trace, names, what)
    _require_numbers(trace, records, "data", what)
    for each in trace.objects:
        if each.cls.key == TYPED:
            _require_typed(each, what)
        require(each.cls.key not in STORAGES and each.how == "call" and not each.states, what
                + " calls a storage, or sets a state", "bad-arguments")  # fmt: skip
    return root


def _require_typed(node: ObjectNode, what: str) -> None:
    """Require a tensor with the attributes that torch.export sets on an example."""
    function, kind, _, state = (*node.args, None, None, None, None)[:4]
    is_plain = isinstance(function, Global) and function.key == TENSOR
    is_plain = is_plain and isinstance(kind, Global) and kind.key == PLAIN
    keys = state.keys if isinstance(state, DictNode) else [None]
    is_plain = is_plain and all(isinstance(k, str) and _ATTRIBUTE.fullmatch(k) for k in keys)
    names = [each for each in within(state, 8) if isinstance(each, Global | PersistentId)]
    others = [each for each in names if isinstance(each, PersistentId) or each.key not in SETS]
    require(is_plain and not others, f"{what} contains a tensor with unknown attributes", CODE)


def read_script(files: Members, name: str, names: frozenset[str]) -> Node:
    """Return the root of a pickle of TorchScript, which may also create its own classes.

    Raises:
        Malformed: It is missing, names anything else, or no pickler writes it.
    """
    require(name in files, f"the archive has no {name}")
    root, trace = _interpreted(files[name], name)
    own = {key for key in trace.globals if _OWN_CLASS.match(key)}
    _require_names(trace, names | own, name)
    is_called = all(each.how == "call" for each in trace.objects if each.cls.key in names)
    require(is_called, f"{name} creates a tensor without its function", "bad-arguments")
    if name != "traced_inputs.pkl":  # which has shapes only, and is not loaded
        _require_numbers(trace, files, name.partition(".")[0], name)
        _require_inside(trace, name)
    return root


def _require_numbers(trace: Trace, records: Members, folder: str, what: str) -> None:
    """Require that each storage has its numbers in the file: `torch.jit.load` reads beyond."""
    for each in trace.persistent:
        ident = each.value if isinstance(each.value, tuple) else ()
        kind, count = (ident[1], ident[4]) if len(ident) == 5 else (None, None)
        is_known = isinstance(kind, Global) and kind.key in STORAGES and type(count) is int
        size = struct.calcsize(STORAGES[kind.key] or "e") if isinstance(kind, Global) else 0
        size *= count if isinstance(count, int) else 0
        content = records.get(f"{folder}/{ident[2]}", b"") if len(ident) == 5 else b""
        require(is_known and 0 <= size <= len(content), f"{what} has a storage without its numbers",
                "broken-array")  # fmt: skip


def _require_inside(trace: Trace, what: str) -> None:
    """Require that each tensor lies inside of its storage, which `torch.load` compares itself."""
    for node in trace.objects:
        if node.cls.key == TENSOR:
            tensor = saved_tensor(node)
            require(tensor is not None and tensor.end <= tensor.count,
                    f"{what} has a tensor beyond its storage", "broken-array")  # fmt: skip


def _interpreted(data: memoryview, what: str) -> tuple[Node, Trace]:
    trace = Trace(max_opcodes=limits.opcodes(len(data)), has_persistent_ids=True)
    reader = Reader(iter([bytes(data)]))
    reader.refill()
    try:
        root = run(reader, trace)
    except Malformed as problem:
        raise Malformed(problem.code, f"{what}: {problem.message}") from problem
    if not reader.at_end():
        raise Malformed("trailing-data", f"{what}: bytes follow the end of the pickle")
    return root, trace


def _require_names(trace: Trace, names: frozenset[str], what: str) -> None:
    for key in trace.globals:
        if key not in names and key not in STORAGES:
            message = f"{what} names {key.replace(':', '.')}, which is no part of a tensor"
            code = "banned-global" if standing(key) == "banned" else CODE
            raise Malformed(code, message, global_=key)


_OWN_CLASS = re.compile(r"__torch__[.:](?!torch\.classes\b)")
"""A class in the code of the archive. `torch.classes` are native, and trust their state."""
_ATTRIBUTE = re.compile(r"_dynamo_\w{1,60}|_specialize_on", re.ASCII)
_RECORDS = re.compile(r"data/\d{1,9}|byteorder|version|\.format_version|\.storage_alignment|"
                      r"\.data/(serialization_id|version)")  # fmt: skip


def read_tensors(data: memoryview, what: str) -> tuple[Node, Members]:
    """Return the root of an archive of `torch.save` that contains only tensors, and its members.

    `torch.load` unpickles such a file with `weights_only`. Any name in it that this refuses would
    be looked up after all, because `torch.export.load` then tries again without `weights_only`.

    Raises:
        Malformed: It contains anything else.
    """
    found = members(data)
    for name in found:
        if name != "data.pkl" and not _RECORDS.fullmatch(name):
            raise broken(f"{what} contains {name[:80]!a}")
    require("data.pkl" in found, f"{what} contains no pickle")
    names = frozenset({TENSOR, ORDERED, PARAMETER, TYPED, PLAIN, *SETS})
    return read_pickle(found["data.pkl"], names, what, found), found


@dataclass(frozen=True)
class SavedTensor:
    """A tensor in a pickle: the member of its numbers, their type, and where they are."""

    member: str
    code: str
    count: int
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def end(self) -> int:
        """The position behind the last number; 0 without numbers."""
        steps = ((n - 1) * step for n, step in zip(self.sizes, self.strides, strict=True))
        return 0 if 0 in self.sizes else self.offset + sum(steps) + 1


def saved_tensor(node: Node) -> SavedTensor | None:
    """Return the tensor of a node. None if it is something else."""
    if isinstance(node, ObjectNode) and node.cls.key == TYPED and len(node.args) > 2:
        inner = node.args[2]
        inner = inner if isinstance(inner, tuple) else ()
        node = ObjectNode("call", node.args[0], inner, node.offset, node.opcode)
    if not isinstance(node, ObjectNode) or node.cls.key != TENSOR or len(node.args) < 4:
        return None
    storage, offset, sizes, strides = node.args[:4]
    ident = storage.value if isinstance(storage, PersistentId) else None
    if not isinstance(ident, tuple) or len(ident) != 5 or not isinstance(ident[1], Global):
        return None
    if not isinstance(sizes, tuple) or not isinstance(strides, tuple):
        return None
    integers = (*sizes, *strides, offset, ident[4])
    if len(sizes) != len(strides) or not all(type(n) is int and 0 <= n < 2**40 for n in integers):
        return None
    code = STORAGES.get(ident[1].key, "")
    return SavedTensor(f"data/{ident[2]}", code, ident[4], offset, tuple(sizes), tuple(strides))


MAX_FIRST_ROW = 100_000
"""Numbers of a row that are read as an example."""


def first_row(tensor: SavedTensor, records: Members) -> list[float | int | bool] | None:
    """Return the numbers of the first row of a tensor, None if they cannot be read."""
    content = records.get(tensor.member)
    if content is None or not tensor.code or not tensor.sizes:
        return None
    if bytes(records.get("byteorder", b"little")) != b"little" or not tensor.sizes[0]:
        return None
    sizes, strides = tensor.sizes[1:], tensor.strides[1:]
    if prod(sizes) > MAX_FIRST_ROW:
        return None
    number = struct.Struct(f"<{tensor.code}")
    steps = [range(0, size * step, step) if step else [0] * size
             for size, step in zip(sizes, strides, strict=True)]  # fmt: skip
    places = (tensor.offset + sum(each) for each in product(*steps))
    try:
        return [number.unpack_from(content, place * number.size)[0] for place in places]
    except struct.error:
        return None
