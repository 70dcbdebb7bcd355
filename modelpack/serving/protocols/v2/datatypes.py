"""Tensor datatypes in JSON and binary.

Follows the "Tensor Data Types" of the Open Inference Protocol,
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
and Triton's extension for binary tensor data,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import math
import struct
from typing import Any, Sequence

import numpy as np

from ...data import results, rows, validation
from ...data.columns import MISSING, NUMBER
from ...problems import Problem

DTYPES = {
    "BOOL": np.dtype(np.uint8),
    **{f"{sign}INT{8 * size}": np.dtype(f"<{code}{size}")
       for sign, code in (("U", "u"), ("", "i")) for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}  # fmt: skip
"""Of the elements of a fixed size, as they lie in binary data."""

BYTES = "BYTES"
OBJECT = np.dtype(object)
LENGTH = struct.Struct("<I")

KINDS: dict[str, set[type]] = {
    "BOOL": {bool},
    BYTES: {str},
    **{name: NUMBER if dtype.kind == "f" else {int} for name, dtype in DTYPES.items()
       if name != "BOOL"},
}  # fmt: skip
"""The types of the values that are plainly right in JSON."""


class WrongValuesError(Exception):
    """Values that are none of the datatype: (position, what was expected, what came)."""

    def __init__(self, places: Sequence[tuple[int, str, str]]) -> None:
        super().__init__(len(places))
        self.places = places


def check(datatype: Any) -> str:
    """Raises:
    Problem: 400 the datatype is none that is served.
    """
    if datatype == "BF16":
        raise Problem(400, "The datatype BF16 is not served. Send the tensor as FP32.")
    if not isinstance(datatype, str) or datatype not in (*DTYPES, BYTES):
        known = ", ".join([*DTYPES, BYTES])
        raise Problem(
            400, f"Expected a datatype of {known}, got {validation.describe_value(datatype)}."
        )
    return datatype


def from_json(datatype: str, values: list[Any]) -> np.ndarray:
    """The array (n,) of values of JSON. A null is NaN among floats, and else None among objects.

    Raises:
        WrongValuesError: a value is none of the datatype.
    """
    dtype = DTYPES.get(datatype, OBJECT)
    if dtype.kind == "f" and len(values) >= rows.MANY:
        packed = rows.float_matrix([values], len(values))
        if packed is not None and _are_within(dtype, packed):
            return packed.reshape(-1).astype(dtype, copy=False)
    kinds = set(map(type, values))
    if not (kinds <= KINDS[datatype] and _within(datatype, values)):
        _explain(datatype, values)
    if dtype.kind == "f":
        return np.array(values, np.float64).astype(dtype)
    if float in kinds:
        values = [int(value) if type(value) is float else value for value in values]
    if dtype is OBJECT or MISSING in kinds:
        objects = np.empty(len(values), object)
        objects[:] = values
        return objects
    return np.array(values, bool if datatype == "BOOL" else dtype)


def _are_within(dtype: np.dtype[Any], numbers: np.ndarray) -> bool:
    """Whether float64 numbers are plainly in the range of a type of floats."""
    return bool(np.abs(numbers).max() <= np.finfo(dtype).max)  # not so with NaN


def _within(datatype: str, values: list[Any]) -> bool:
    """Whether numbers are plainly in the range of the datatype."""
    if datatype in ("BOOL", BYTES, "FP64") or not values:
        return True
    low, high = _range(datatype)
    return bool(low <= min(values) and max(values) <= high)


def _range(datatype: str) -> tuple[float, float]:
    dtype = DTYPES[datatype]
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _explain(datatype: str, values: list[Any]) -> None:
    wrong = [index for index, value in enumerate(values) if not _fits(datatype, value)]
    if wrong:
        expected = _expected(datatype)
        raise WrongValuesError(
            [
                (index, expected, validation.describe_value(values[index]))
                for index in wrong[: validation.MOST]
            ]
        )


def _fits(datatype: str, value: Any) -> bool:
    """NaN and infinity are left to the signature, as is null."""
    if value is None:
        return True
    if datatype in ("BOOL", BYTES):
        return type(value) in KINDS[datatype]
    if type(value) not in NUMBER:
        return False
    low, high = _range(datatype)
    if DTYPES[datatype].kind == "f":
        return not math.isfinite(value) or low <= value <= high
    return math.isfinite(value) and value == int(value) and low <= value <= high


def _expected(datatype: str) -> str:
    if datatype in ("BOOL", BYTES):
        return "true or false" if datatype == "BOOL" else "a string"
    low, high = _range(datatype)
    if DTYPES[datatype].kind == "f":
        return f"a finite number of {datatype}"
    return f"an integer from {low} to {high}"


def from_binary(datatype: str, data: memoryview, count: int) -> np.ndarray:
    """The array (count,) of binary data that `check_size` has seen: of numbers without a copy, of
    texts as objects.

    Raises:
        Problem: 400 the lengths in the data do not add up to its size.
        WrongValuesError: a value is none of the datatype.
    """
    if datatype == BYTES:
        return _texts(_elements(data, count))
    array = np.frombuffer(data, DTYPES[datatype])
    if datatype != "BOOL":
        return array
    if (array > 1).any():
        wrong = np.flatnonzero(array > 1)[: validation.MOST].tolist()
        raise WrongValuesError([(i, "a byte of 0 or 1", str(int(array[i]))) for i in wrong])
    return array.astype(bool)


def check_size(datatype: str, size: int, count: int) -> None:
    """Raises:
    Problem: 400 so many bytes of binary data are not so many elements.
    """
    least = count * (LENGTH.size if datatype == BYTES else DTYPES[datatype].itemsize)
    if size < least or (size > least and datatype != BYTES):
        expected = f"{least} bytes for {count} elements of {datatype}"
        more = " or more" if datatype == BYTES else ""
        raise Problem(400, f"Expected {expected}{more}, got {size} bytes of binary data.")


def _elements(data: memoryview, count: int) -> list[bytes]:
    problem = Problem(400, f"Expected {count} elements of BYTES, each a length and so many bytes.")
    elements, start = [], 0
    for _ in range(count):
        begin = start + LENGTH.size
        if begin > len(data):
            raise problem
        start = begin + LENGTH.unpack_from(data, start)[0]
        elements.append(bytes(data[begin:start]))
    if start != len(data):
        raise problem
    return elements


def _texts(elements: list[bytes]) -> np.ndarray:
    texts = np.empty(len(elements), object)
    wrong = []
    for index, element in enumerate(elements):
        try:
            texts[index] = element.decode("utf-8")
        except UnicodeDecodeError:
            wrong.append((index, "text in UTF-8", "other bytes"))
    if wrong:
        raise WrongValuesError(wrong[: validation.MOST])
    return texts


def to_binary(datatype: str, array: np.ndarray) -> bytes:
    """The bytes of an array, row-major."""
    if datatype != BYTES:
        return array.astype(DTYPES[datatype], copy=False).tobytes()
    encoded = [results.text(text).encode("utf-8") for text in array.ravel().tolist()]
    return b"".join(LENGTH.pack(len(each)) + each for each in encoded)
