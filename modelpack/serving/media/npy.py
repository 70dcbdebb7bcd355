"""NumPy's file format (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): one
matrix, rows by inputs in the order of the signature, or a vector for a model of one input.
"""

from __future__ import annotations

import io
import re
import struct
from typing import Any, Mapping

import numpy as np

from ..data import results
from ..data.columns import Rows
from ..data.extra_inputs import Extras
from ..problems import Problem
from ..service import Service

TYPES = ("application/x-npy",)
NEEDS = None

MAGIC = b"\x93NUMPY"
LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
KEYS = {"descr", "fortran_order", "shape"}
MAX_HEADER_BYTES = 10_000  # as numpy's own readers take
ENTRY = r"""['"](\w+)['"]\s*:\s*(['"][^'"]*['"]|True|False|\([\d, ]*\))\s*"""
HEADER = re.compile(r"\{\s*" + r",\s*".join([ENTRY] * 3) + r"(?:,\s*)?\}\s*")
"""No two repetitions of blanks are adjacent: otherwise the time of a failed match is cubic."""
DTYPE = re.compile(r"[<>|=]?([?biufU])(\d{0,9})")
MAX_NUMBER_BYTES = 8  # of a number
MAX_DIMENSIONS = 8
MAX_CODE_POINT = 0x10FFFF
SURROGATES = 0xD800 >> 11


def read(
    service: Service,
    body: bytes,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
    ignored: Extras = None,  # noqa: ARG001
) -> Rows:
    """The rows of an array of numbers, booleans or texts. Nothing is allocated for what the header
    claims: it must tell the body's size.

    Raises:
        Problem: 400 it is no such file; as `Service.matrix`.
    """
    dtype, fortran, shape, start = parse_header(body)
    if not _fits(dtype, shape, len(body) - start):
        raise Problem(400, "The size of the array is not the one that its header tells.")
    if dtype.kind == "U" and not _is_unicode(body, dtype, start):
        raise Problem(400, "A text of the array holds what is no character.")
    array = np.frombuffer(body, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
    return service.matrix(
        array.reshape(-1, 1) if array.ndim == 1 and _has_one_input(service) else array
    )


def write(answer: results.Prediction, parameters: Mapping[str, str] = {}) -> bytes:  # noqa: ARG001
    """The array of predictions, (n_rows,) or (n_rows, n_outputs); with probabilities a structured
    array (n_rows,), whose fields are named as the columns of a csv answer are.

    Raises:
        Problem: 406 the values have no common type.
    """
    single = answer.probabilities is None
    array = (
        to_plain_array(answer.predictions)
        if single
        else to_structured_array(results.columns(answer))
    )
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def parse_header(body: bytes) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """Type, order, shape, and where the values begin.

    Raises:
        Problem: 400 the body does not begin with such a header.
    """
    if body[:6] != MAGIC or len(body) < 12 or body[6] not in LENGTHS:
        raise Problem(400, "The body is no file of NumPy's format, versions 1 to 3.")
    form = LENGTHS[body[6]]
    (length,) = struct.unpack_from(form, body, 8)
    start = 8 + struct.calcsize(form)
    text = body[start : start + length].decode("latin-1") if length <= MAX_HEADER_BYTES else ""
    # By hand, since the parser of Python that numpy gives it to fails on what is nested deeply.
    found = HEADER.fullmatch(text)
    entries = dict(zip(found.groups()[::2], found.groups()[1::2])) if found else {}
    if set(entries) != KEYS or not entries["shape"].startswith("("):
        raise Problem(400, "The header of the array is malformed.")
    shape = tuple(int(length) for length in re.findall(r"\d{1,18}", entries["shape"]))
    return _dtype(entries["descr"][1:-1]), entries["fortran_order"] == "True", shape, start + length


def _dtype(descr: str) -> np.dtype[Any]:
    found = DTYPE.fullmatch(descr)
    if not found or (found[1] != "U" and int(found[2] or 1) > MAX_NUMBER_BYTES):
        raise Problem(400, "Expected an array of numbers, booleans or texts.")
    try:
        return np.dtype(descr)
    except TypeError as error:
        raise Problem(400, "Expected an array of numbers, booleans or texts.") from error


def _fits(dtype: np.dtype[Any], shape: tuple[int, ...], size: int) -> bool:
    count = 1
    for length in shape:
        count *= length
    whole = len(shape) <= MAX_DIMENSIONS and all(0 < length <= size for length in shape)
    return whole and dtype.itemsize > 0 and count * dtype.itemsize == size


def _is_unicode(body: bytes, dtype: np.dtype[Any], start: int) -> bool:
    """Whether texts are of Unicode's scalar values: nothing beyond them, and no half of a pair."""
    points = np.frombuffer(body, np.dtype(np.uint32).newbyteorder(dtype.byteorder), offset=start)
    return not bool(((points > MAX_CODE_POINT) | ((points >> 11) == SURROGATES)).any())


def _has_one_input(service: Service) -> bool:
    return len(service.manifest.inputs) == 1


def to_structured_array(columns: Mapping[str, Any]) -> np.ndarray:
    """An array (n_rows,) with a field a column."""
    plains = {name: to_plain_array(np.asarray(column)) for name, column in columns.items()}
    length = len(next(iter(plains.values())))
    array = np.empty(length, [(name, column.dtype) for name, column in plains.items()])
    for name, column in plains.items():
        array[name] = column
    return array


def to_plain_array(array: np.ndarray) -> np.ndarray:
    """An array of objects as one of texts, numbers or booleans; infinity as NaN."""
    if array.dtype.kind not in "OU":
        return np.asarray(results.replace_infinity(array))
    values = array.ravel().tolist()
    if len(set(map(type, values))) == 1:
        typed = np.array(values).reshape(array.shape)
        if typed.dtype.kind == "U" and results.SURROGATE.search("".join(values)):
            return to_plain_array(results.replace_all_surrogates(typed))
        if typed.dtype.kind in "biufU":
            return np.asarray(results.replace_infinity(typed))
    raise Problem(406, "These predictions are of several types, which one array does not hold.")
