"""A reader of HDF5 files with the default settings of h5py, without the HDF5 library.

Format: HDF5 File Format Specification 3.0. Read are superblock 0, object headers 1, groups with
symbol tables, and datasets whose bytes are in the file as they are. Everything that could lead out
of the file, grow when it is read, or be read twice is refused: links, external and virtual
datasets, chunks and filters, shared messages, and objects with several names.

Each byte that is looked at is counted, and an honest file is looked at once. So cycles and parts
that overlap end early, whatever they consist of.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from ..nodes import Malformed, require

SIGNATURE = b"\x89HDF\r\n\x1a\n"
OUTSIDE = "outside-file"
"""Code of a finding: the file refers to other files."""

_SUPERBLOCK = struct.Struct("<8s8B2HI4Q")
_ENTRY = struct.Struct("<2Q2I2Q")
_PREFIX = struct.Struct("<BxHII4x")
_MESSAGE = struct.Struct("<HHB3x")
_NODE = struct.Struct("<4s2BH2Q")
_LEAF = struct.Struct("<4s2BH")
_HEAP = struct.Struct("<4sB3x3Q")
_COLLECTION = struct.Struct("<4sB3xQ")
_HEAP_OBJECT = struct.Struct("<2H4xQ")
_REFERENCE = struct.Struct("<IQI")
_NOWHERE = 2**64 - 1

_NOTHING, _SPACE, _LINKS, _TYPE, _OLD_FILL, _FILL, _LINK, _FILES, _LAYOUT = range(9)
_GROUP_INFO, _FILTERS, _ATTRIBUTE, _OLD_TIME, _MORE, _TABLE, _TIME = 10, 11, 12, 14, 16, 17, 18
_IGNORED = {_NOTHING, _OLD_FILL, _FILL, _OLD_TIME, _TIME}
_NEW_GROUPS = {_LINKS, _GROUP_INFO}
_SHARED = 2
_COMPACT, _CONTIGUOUS, _CHUNKED, _VIRTUAL = range(4)
_INTEGER, _FLOAT, _STRING, _ENUM, _VARIABLE = 0, 1, 3, 8, 9
_KINDS = {_INTEGER: "integer", _FLOAT: "float", _STRING: "string", _ENUM: "boolean",
          _VARIABLE: "texts"}  # fmt: skip
_SOFT = 2  # cache type of a symbol table entry
_HARD = 0  # type of a link message

_MAX_DEPTH = 60
_MAX_OBJECTS = 100_000
_MAX_NAME = 1024
_MAX_RANK = 32
_MAX_ITEM = 16
_LOOKS, _LOOKS_FLOOR = 2, 4096
"""Bytes that may be looked at, per byte of the file. An honest file needs less than one."""

Texts = str | tuple[str, ...] | None
"""The value of an attribute; None if it is neither a text nor a list of texts."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Numbers in a file.

    Attributes:
        kind: "integer", "float", "boolean" or "string".
        item_bytes: Bytes of each number.
        start: The position of the first in the file.
    """

    shape: tuple[int, ...]
    kind: str
    item_bytes: int
    start: int
    attributes: Mapping[str, Texts]

    @property
    def count(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of datasets and groups by name."""

    attributes: Mapping[str, Texts]
    members: dict[str, Group | Dataset] = field(default_factory=dict)

    def datasets(self) -> Iterator[tuple[str, Dataset]]:
        """Yield all datasets inside the group, with their paths."""
        for name, member in self.members.items():
            if isinstance(member, Dataset):
                yield name, member
            else:
                yield from ((f"{name}/{path}", each) for path, each in member.datasets())


def read(data: bytes) -> Group:
    """Read all objects of a file.

    Raises:
        Malformed: The file is damaged, refers to other files, or h5py writes no such file by
            default.
    """
    return _File(data).root()


@dataclass(slots=True)
class _Header:
    """The messages of an object: its attributes, and those of which it may have only one."""

    attributes: dict[str, Texts] = field(default_factory=dict)
    single: dict[int, tuple[int, int]] = field(default_factory=dict)
    has_links: bool = False


class _File:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = _LOOKS * len(data) + _LOOKS_FLOOR
        self._seen: set[int] = set()
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}

    def _look(self, start: int, size: int) -> None:
        """Check that bytes are in the file, and count them."""
        if start + size > len(self._data):
            raise Malformed("truncated", "the HDF5 file ends in the middle of a value")
        self._left -= size
        require(self._left >= 0, "parts of the HDF5 file are used several times")

    def _bytes(self, start: int, size: int) -> bytes:
        self._look(start, size)
        return self._data[start : start + size]

    def _unpack(self, form: struct.Struct, start: int) -> tuple[Any, ...]:
        self._look(start, form.size)
        return form.unpack_from(self._data, start)

    def _signed(self, form: struct.Struct, start: int, signature: bytes) -> tuple[int, ...]:
        """Return the integers of a part that begins with a signature."""
        found, *numbers = self._unpack(form, start)
        require(found == signature, f"the HDF5 file has no {signature[:4].decode('latin-1')!a} at "
                f"byte {start:,}")  # fmt: skip
        return tuple(numbers)

    def root(self) -> Group:
        require(self._data[:8] == SIGNATURE, "the file does not begin as HDF5")
        require(len(self._data) > 8, "the HDF5 file ends too early", "truncated")
        if self._data[8] != 0:
            raise _unusual(f"superblock {self._data[8]}")
        (_, free, table, _, shared, offsets, lengths, _, _, _, _, base, _, end, driver) = (
            self._signed(_SUPERBLOCK, 0, SIGNATURE)
        )
        if (free, table, shared, offsets, lengths, base) != (0, 0, 0, 8, 8, 0):
            raise _unusual("other sizes of offsets")
        require(driver == _NOWHERE, "the HDF5 file is one of several", OUTSIDE)
        require(end <= len(self._data), "the HDF5 file is truncated", "truncated")
        require(end == len(self._data), "bytes follow the end of the HDF5 file", "trailing-data")
        root = self._object(self._entry(_SUPERBLOCK.size)[1], 0)
        if not isinstance(root, Group):
            raise Malformed("malformed", "the root of the HDF5 file is not a group")
        return root

    def _entry(self, start: int) -> tuple[int, int]:
        """Return the offset of the name of an entry, and the address of its object."""
        name, address, cache, _, _, _ = self._unpack(_ENTRY, start)
        if cache == _SOFT or address == _NOWHERE:
            raise Malformed(OUTSIDE, "the HDF5 file contains a link")
        require(cache < _SOFT, "an entry of a group is invalid")
        return name, address

    def _object(self, address: int, depth: int) -> Group | Dataset:
        require(depth <= _MAX_DEPTH, f"groups are nested over {_MAX_DEPTH} levels deep", "limit")
        require(address not in self._seen, "an object of the HDF5 file has two names")
        self._seen.add(address)
        require(len(self._seen) <= _MAX_OBJECTS, f"it has over {_MAX_OBJECTS:,} objects", "limit")
        header = self._header(address)
        if _TABLE in header.single:
            require(set(header.single) == {_TABLE}, "a group of the HDF5 file has other messages")
            start, size = header.single[_TABLE]
            require(size >= 16, "a group of the HDF5 file is invalid")
            tree, heap = struct.unpack_from("<2Q", self._data, start)
            members = {
                name: self._object(address, depth + 1) for name, address in self._names(tree, heap)
            }
            return Group(header.attributes, members)
        if not {_SPACE, _TYPE, _LAYOUT} <= set(header.single):
            raise _unusual("an object that is neither a group nor a dataset")
        return self._dataset(header)

    def _header(self, address: int) -> _Header:
        if self._data[address : address + 4] == b"OHDR":
            raise _unusual("object headers of version 2")
        version, _, _, size = self._unpack(_PREFIX, address)
        require(version == 1, "an object header of the HDF5 file is invalid")
        header = _Header()
        blocks = [(address + _PREFIX.size, size)]
        for start, length in blocks:  # grows while it is visited; every byte is counted
            self._look(start, length)
            position, end = start, start + length
            while position + _MESSAGE.size <= end:
                kind, size, flags = _MESSAGE.unpack_from(self._data, position)
                position += _MESSAGE.size
                require(position + size <= end, "a message of the HDF5 file is too long")
                if kind == _MORE:
                    require(size >= 16, "a message of the HDF5 file is too short")
                    first, more = struct.unpack_from("<2Q", self._data, position)
                    require(more > 0, "a part of an object header is empty")
                    blocks.append((first, more))
                else:
                    self._message(header, kind, flags, position, size)
                position += size
        if header.has_links:
            raise _unusual("groups of version 2")
        return header

    def _message(self, header: _Header, kind: int, flags: int, start: int, size: int) -> None:
        if kind in _IGNORED:
            return
        if kind == _FILES:
            raise Malformed(OUTSIDE, "a dataset of the HDF5 file is in another file")
        if kind == _LINK:
            has_type = size > 2 and self._data[start + 1] & 8
            if has_type and self._data[start + 2] != _HARD:
                raise Malformed(OUTSIDE, "the HDF5 file contains a link")
        if kind == _LINK or kind in _NEW_GROUPS:
            header.has_links = True
            return
        if kind == _FILTERS:
            raise _unusual("filters or compression")
        if flags & _SHARED:
            raise _unusual("shared messages")
        if kind == _ATTRIBUTE:
            name, value = self._attribute(start, size)
            require(name not in header.attributes, "an attribute of the HDF5 file occurs twice")
            header.attributes[name] = value
            return
        if kind not in {_SPACE, _TYPE, _LAYOUT, _TABLE}:
            raise _unusual(f"messages of type {kind}")
        require(kind not in header.single, "an object of the HDF5 file has a message twice")
        header.single[kind] = (start, size)

    def _names(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """Yield the members of a group: names, and addresses of objects."""
        version, length, _, segment = self._signed(_HEAP, heap, b"HEAP")
        require(version == 0, "a heap of the HDF5 file is invalid")
        require(segment + length <= len(self._data), "the HDF5 file is truncated", "truncated")
        names: set[str] = set()
        for leaf in self._leaves(tree):
            version, _, count = self._signed(_LEAF, leaf, b"SNOD")
            require(version == 1, "a group of the HDF5 file is invalid")
            for index in range(count):
                offset, address = self._entry(leaf + _LEAF.size + index * _ENTRY.size)
                name = self._name(segment, segment + length, offset)
                require(name not in names, "a group of the HDF5 file has a name twice")
                names.add(name)
                yield name, address

    def _name(self, segment: int, end: int, offset: int) -> str:
        start = segment + offset
        stop = self._data.find(b"\0", start, min(end, start + _MAX_NAME))
        require(start < stop, "a name in the HDF5 file is empty or has no end")
        self._look(start, stop - start)
        name = _text(self._data[start:stop])
        require("/" not in name and name not in {".", ".."}, "a name in the HDF5 file is a path")
        return name

    def _leaves(self, tree: int, level: int | None = None) -> Iterator[int]:
        """Yield the addresses below a node, whose level is below that of its parent."""
        kind, own, count, _, _ = self._signed(_NODE, tree, b"TREE")
        require(kind == 0, "a group of the HDF5 file has the chunks of a dataset")
        require(level is None or own == level - 1, "the levels of a group are invalid")
        self._look(tree + _NODE.size, (2 * count + 1) * 8)
        for index in range(count):
            (child,) = struct.unpack_from("<Q", self._data, tree + _NODE.size + 8 + 16 * index)
            if own:
                yield from self._leaves(child, own)
            else:
                yield child

    def _dataset(self, header: _Header) -> Dataset:
        shape = self._shape(*header.single[_SPACE])
        kind, item = self._type(*header.single[_TYPE])
        require(kind != "texts", "a dataset of the HDF5 file contains texts of any length")
        start, size = header.single[_LAYOUT]
        require(size >= 4, "a dataset of the HDF5 file is invalid")
        version, form = self._data[start], self._data[start + 1]
        if form == _VIRTUAL:
            raise Malformed(OUTSIDE, "a dataset of the HDF5 file is in other files")
        if form == _CHUNKED or version != 3:
            raise _unusual("datasets in chunks")
        needed = prod(shape) * item
        if form == _COMPACT:
            stored, where = int.from_bytes(self._data[start + 2 : start + 4], "little"), start + 4
            require(4 + stored <= size, "a dataset of the HDF5 file is invalid")
        else:
            require(form == _CONTIGUOUS and size >= 18, "a dataset of the HDF5 file is invalid")
            where, stored = struct.unpack_from("<2Q", self._data, start + 2)
        if needed and where == _NOWHERE:
            raise _bomb(needed)
        if needed > stored or (needed and where + needed > len(self._data)):
            raise _bomb(needed)
        if needed:
            self._look(where, needed)
        return Dataset(shape, kind, item, where, header.attributes)

    def _attribute(self, start: int, size: int) -> tuple[str, Texts]:
        require(size >= 8, "an attribute of the HDF5 file is invalid")
        version, flags, *sizes = struct.unpack_from("<2B3H", self._data, start)
        require(version in {1, 2, 3}, "an attribute of the HDF5 file is invalid")
        if version > 1 and flags:
            raise _unusual("attributes with shared types")
        position, end = start + 8 + (version == 3), start + size
        starts = []
        for each in sizes:
            starts.append(position)
            position += each + (-each % 8 if version == 1 else 0)
        require(position <= end, "an attribute of the HDF5 file is invalid")
        name = _text(self._data[starts[0] : starts[0] + sizes[0]].rstrip(b"\0"))
        kind, item = self._type(starts[1], sizes[1])
        shape = self._shape(starts[2], sizes[2])
        count = prod(shape)
        require(position + count * item <= end, "an attribute of the HDF5 file is too short")
        if kind not in {"string", "texts"} or len(shape) > 1:
            if kind == "texts":
                raise _unusual("tables of texts")
            return name, None
        values = [self._value(kind, position + n * item, item) for n in range(count)]
        return name, tuple(values) if shape else next(iter(values), None)

    def _value(self, kind: str, start: int, size: int) -> str:
        if kind == "string":
            return _text(self._data[start : start + size].rstrip(b"\0"))
        length, address, index = _REFERENCE.unpack_from(self._data, start)
        return _text(self._stored(address, index, length).rstrip(b"\0")) if length else ""

    def _stored(self, address: int, index: int, length: int) -> bytes:
        """Return the first bytes of an object of a global heap."""
        if address not in self._heaps:
            self._heaps[address] = dict(self._heap(address))
        start, stored = self._heaps[address].get(index, (0, -1))
        require(length <= stored, "a text of the HDF5 file is missing")
        return self._bytes(start, length)

    def _heap(self, address: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yield the objects of a global heap: the index, the position and the size of each."""
        version, size = self._signed(_COLLECTION, address, b"GCOL")
        require(version == 1, "a heap of the HDF5 file is invalid")
        position, end = address + _COLLECTION.size, address + size
        while position + _HEAP_OBJECT.size <= end:
            index, _, stored = self._unpack(_HEAP_OBJECT, position)
            if index == 0:  # free space, to the end
                break
            position += _HEAP_OBJECT.size
            require(position + stored <= end, "a text is longer than its heap")
            yield index, (position, stored)
            position += stored + -stored % 8

    def _shape(self, start: int, size: int) -> tuple[int, ...]:
        require(size >= 4, "a shape in the HDF5 file is invalid")
        version, rank, flags, kind = self._data[start : start + 4]
        require(version in {1, 2} and rank <= _MAX_RANK, "a shape in the HDF5 file is invalid")
        if version == 2 and kind == 2:
            return (0,)
        head = 8 if version == 1 else 4
        count = rank * (2 if flags & 1 else 1)
        require(head + 8 * count <= size and flags <= 1, "a shape in the HDF5 file is invalid")
        return struct.unpack_from(f"<{rank}Q", self._data, start + head)

    def _type(self, start: int, size: int) -> tuple[str, int]:
        """Return the kind of a value, and its bytes."""
        require(size >= 8, "a type in the HDF5 file is invalid")
        kind, flags, item = self._data[start] & 15, self._data[start + 1], int.from_bytes(
            self._data[start + 4 : start + 8], "little")  # fmt: skip
        is_known = kind in _KINDS and item > 0 and (kind == _STRING or item <= _MAX_ITEM)
        if not is_known or (kind == _VARIABLE and (flags & 15 != 1 or item != _MAX_ITEM)):
            raise _unusual("values that are neither numbers nor texts")
        return _KINDS[kind], item


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("malformed", "a text of the HDF5 file is not UTF-8") from None


def _unusual(what: str) -> Malformed:
    return Malformed("hdf5-layout", f"the HDF5 file has {what}, which Keras does not write")


def _bomb(needed: int) -> Malformed:
    message = f"a dataset of the HDF5 file declares {needed:,} bytes, which the file does not have"
    return Malformed("broken-array", message)
