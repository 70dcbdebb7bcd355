"""Arrays in numpy's own format, told without numpy, as joblib's wrapper would tell them.

Format: numpy/lib/format.py. The header is the text of a Python dict as numpy writes it; whatever
else numpy's reader would evaluate is no header here.
"""

from __future__ import annotations

import re

from .. import dtypes
from ..arrays import dict_get
from ..nodes import Dct, Global, Malformed, Node, Obj, Payload
from ..payloads import layout
from ..reader import Reader

_MAGIC = b"\x93NUMPY"
_WIDTHS = {b"\1\0": 2, b"\2\0": 4, b"\3\0": 4}  # version -> bytes of the header's length
_LONGEST = 10_000  # longer ones numpy itself refuses to evaluate
_TYPE = r"'([<>|])([biufcSUVMm])(\d{1,9})(?:\[\d{0,9}[A-Za-z]{1,7}\])?'"
_FIELD = rf"\('([A-Za-z0-9_]{{0,64}})', {_TYPE}(?:, \((\d{{1,9}}(?:, \d{{1,9}})*),?\))?\)"
_HEADER = re.compile(
    rf"\{{'descr': (?:{_TYPE}|\[((?:{_FIELD}(?:, )?)+)\]), 'fortran_order': (?P<order>True|False), "
    r"'shape': \((?P<shape>\d{1,19},|\d{1,19}(?:, \d{1,19})+)?\), \} *\n"
)


def read(reader: Reader, size: int) -> Payload:
    """The array in a member of `size` bytes; of a long one, only its head is kept.

    Raises:
        Malformed: it is no array as numpy writes it, one of objects, or cut short.
    """
    start = reader.offset
    payload, count, _ = layout(_wrapper(*_told(_header(reader))))
    if count is None or reader.offset - start + count != size:
        raise _broken("its shape and dtype do not give the number of its bytes")
    payload.data = reader.value(count)
    return payload


def of_objects(items: list[Node], shape: tuple[int, ...]) -> Payload:
    """An array of objects, given in the order of C."""
    dtype = _dtype("O8", (3, "|", None, None, None, -1, -1, 63))
    payload, _, _ = layout(_wrapper(dtype, shape, "C"))
    payload.inner = items
    return payload


def dtype_of(array: Payload) -> Obj:
    """The dtype of an array, as it is pickled."""
    made: Obj = dict_get(array.wrapper.states[0], "dtype")
    return made


def _broken(why: str) -> Malformed:
    return Malformed("broken-array", f"an array is not as numpy saves it: {why}")


def _header(reader: Reader) -> re.Match[str]:
    start = reader.take(8)
    width = _WIDTHS.get(start[6:])
    if start[:6] != _MAGIC or width is None:
        raise _broken("it does not begin as a .npy file")
    length = int.from_bytes(reader.take(width), "little")
    if length > _LONGEST:
        raise _broken(f"its header is longer than {_LONGEST:,} bytes")
    header = _HEADER.fullmatch(reader.take(length).decode("latin-1"))
    if header is None:
        raise _broken("its header is not that of an array of plain values")
    return header


def _told(header: re.Match[str]) -> tuple[Obj, tuple[int, ...], str]:
    order, kind, size, fields = header.group(1, 2, 3, 4)
    dtype = _structured(fields) if fields else _plain(order, kind, int(size))
    if dtype.dtype is None:
        raise _broken("its dtype is none that numpy has")
    shape = tuple(map(int, re.findall(r"\d+", header["shape"] or "")))
    return dtype, shape, "F" if header["order"] == "True" else "C"


def _wrapper(dtype: Obj, shape: tuple[int, ...], order: str) -> Obj:
    state = {"subclass": _made("numpy:ndarray"), "shape": shape, "order": order, "dtype": dtype}
    wrapper = Obj("new", _made("numpy:ndarray"), (), 0, "")
    wrapper.states.append(Dct(list(state), list(state.values())))
    return wrapper


def _made(key: str) -> Global:
    """A name that the format implies and that the file does not hold."""
    return Global(key, 0, "")


def _plain(order: str, kind: str, size: int) -> Obj:
    told = size * (4 if kind == "U" else 1) if kind in "SUV" else -1
    return _dtype(f"{kind}{size}", (3, order, None, None, None, told, -1, 0))


def _structured(fields: str) -> Obj:
    names, kinds, offset = [], [], 0
    for name, order, kind, size, shape in re.findall(_FIELD, fields):
        part = _plain(order, kind, int(size))
        if shape:
            part = _subarray(part, tuple(map(int, shape.split(", "))))
        if name or kind != "V":  # else it is padding, which is no field of the dtype
            names.append(name)
            kinds.append((part, offset))
        offset += part.dtype.itemsize if part.dtype else 0
    state = (3, "|", None, tuple(names), Dct([*names], [*kinds]), offset, 1, 16)
    return _dtype(f"V{offset}", state)


def _subarray(base: Obj, shape: tuple[int, ...]) -> Obj:
    size = base.dtype.itemsize if base.dtype else 0
    for length in shape:
        size *= length
    return _dtype(f"V{size}", (3, "|", (base, shape), None, None, size, -1, 0))


def _dtype(code: str, state: tuple[Node, ...]) -> Obj:
    """A dtype as it is pickled."""
    made = Obj("call", _made(dtypes.DTYPE), (code, False, True), 0, "", states=[state])
    made.dtype = dtypes.read(made)
    return made
