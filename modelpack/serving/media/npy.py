"""NumPy's file format (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).

A file has a matrix (n_rows, n_inputs), or a vector for a model with one input.
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
MAX_HEADER_BYTES = 10_000  # the limit of numpy's own readers
ENTRY = r"""['"](\w+)['"]\s*:\s*(['"][^'"]*['"]|True|False|\([\d, ]*\))\s*"""
HEADER = re.compile(r"\{\s*" + r",\s*".join([ENTRY] * 3) + r"(?:,\s*)?\}\s*")
"""Without adjacent repetitions of blanks, as a failed match would take cubic time."""
DTYPE = re.compile(r"[<>|=]?([?biufU])(\d{0,9})")
MAX_NUMBER_BYTES = 8
MAX_DIMENSIONS = 8
MAX_CODE_POINT = 0x10FFFF
SURROGATES = 0xD800 >> 11


def read(
    service: Service,
    body: bytes,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
    ignored: Extras = None,  # noqa: ARG001
) -> Rows:
    """Decode the rows of an array of numbers, booleans or texts.

    No memory is allocated for the shape in the header, which must match the size of the body.

    Raises:
        Problem: 400, the body is not such a file. See also `Service.matrix`.
    """
    dtype, fortran, shape, start = parse_header(body)
    if not _fits(dtype, shape, len(body) - start):
        raise Problem(400, "The size of the array differs from the shape in its header.")
    if dtype.kind == "U" and not _is_unicode(body, dtype, start):
        raise Problem(400, "A text of the array contains an invalid character.")
    array = np.frombuffer(body, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
    is_column = array.ndim == 1 and len(service.manifest.inputs) == 1
    return service.matrix(array.reshape(-1, 1) if is_column else array)


def write(
    prediction: results.Prediction,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
) -> bytes:
    """Return the array of predictions, (n_rows,) or (n_rows, n_outputs).

    With probabilities it is a structured array (n_rows,) with the columns of CSV as fields.

    Raises:
        Problem: 406, the values have no common type.
    """
    single = prediction.probabilities is None
    array = (
        to_plain_array(prediction.predictions)
        if single
        else to_structured_array(results.columns(prediction))
    )
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue()


def parse_header(body: bytes) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """Return the dtype, whether the order is Fortran's, the shape, and the start of the values.

    Raises:
        Problem: 400, the body does not begin with such a header.
    """
    if body[:6] != MAGIC or len(body) < 12 or body[6] not in LENGTHS:
        raise Problem(400, "The body is not a file in NumPy's format, versions 1 to 3.")
    form = LENGTHS[body[6]]
    (length,) = struct.unpack_from(form, body, 8)
    start = 8 + struct.calcsize(form)
    text = body[start : start + length].decode("latin-1") if length <= MAX_HEADER_BYTES else ""
    # Not with Python's parser as numpy does: it fails on deeply nested text.
    match = HEADER.fullmatch(text)
    entries = dict(zip(match.groups()[::2], match.groups()[1::2])) if match else {}
    if set(entries) != KEYS or not entries["shape"].startswith("("):
        raise Problem(400, "The header of the array is malformed.")
    shape = tuple(int(length) for length in re.findall(r"\d{1,18}", entries["shape"]))
    return _dtype(entries["descr"][1:-1]), entries["fortran_order"] == "True", shape, start + length


def _dtype(descr: str) -> np.dtype[Any]:
    match = DTYPE.fullmatch(descr)
    if not match or (match[1] != "U" and int(match[2] or 1) > MAX_NUMBER_BYTES):
        raise Problem(400, "Expected an array of numbers, booleans or texts.")
    try:
        return np.dtype(descr)
    except TypeError as error:
        raise Problem(400, "Expected an array of numbers, booleans or texts.") from error


def _fits(dtype: np.dtype[Any], shape: tuple[int, ...], size: int) -> bool:
    count = 1
    for length in shape:
        count *= length
    is_valid = len(shape) <= MAX_DIMENSIONS and all(0 < length <= size for length in shape)
    return is_valid and dtype.itemsize > 0 and count * dtype.itemsize == size


def _is_unicode(body: bytes, dtype: np.dtype[Any], start: int) -> bool:
    """Return whether texts contain only scalar values of Unicode."""
    points = np.frombuffer(body, np.dtype(np.uint32).newbyteorder(dtype.byteorder), offset=start)
    return not bool(((points > MAX_CODE_POINT) | ((points >> 11) == SURROGATES)).any())


def to_structured_array(columns: Mapping[str, Any]) -> np.ndarray:
    """Return an array (n_rows,) with a field for each column."""
    arrays = {name: to_plain_array(np.asarray(column)) for name, column in columns.items()}
    length = len(next(iter(arrays.values())))
    array = np.empty(length, [(name, column.dtype) for name, column in arrays.items()])
    for name, column in arrays.items():
        array[name] = column
    return array


def to_plain_array(array: np.ndarray) -> np.ndarray:
    """Return an array of objects as texts, numbers or booleans, with NaN for infinity.

    Raises:
        Problem: 406, the values have no common type.
    """
    if array.dtype.kind not in "OU":
        return np.asarray(results.replace_infinity(array))
    values = array.ravel().tolist()
    if len(set(map(type, values))) == 1:
        typed = np.array(values).reshape(array.shape)
        if typed.dtype.kind == "U" and results.SURROGATE.search("".join(values)):
            return to_plain_array(results.replace_all_surrogates(typed))
        if typed.dtype.kind in "biufU":
            return np.asarray(results.replace_infinity(typed))
    raise Problem(406, "These predictions have several types, which one array cannot contain.")
