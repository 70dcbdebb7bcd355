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
"""The dtypes of elements of a fixed size in binary data."""

BYTES = "BYTES"
OBJECT = np.dtype(object)
LENGTH = struct.Struct("<I")

KINDS: dict[str, set[type]] = {
    "BOOL": {bool},
    BYTES: {str},
    **{name: NUMBER if dtype.kind == "f" else {int} for name, dtype in DTYPES.items()
       if name != "BOOL"},
}  # fmt: skip
"""The types of JSON values that need no closer look."""


class WrongValuesError(Exception):
    """Values that do not have the datatype, as (position, expected, got)."""

    def __init__(self, errors: Sequence[tuple[int, str, str]]) -> None:
        super().__init__(len(errors))
        self.errors = errors


def check(datatype: Any) -> str:
    """Return a supported datatype. Raise a Problem 400 for others."""
    if datatype == "BF16":
        raise Problem(400, "The datatype BF16 is not supported. Send the tensor as FP32.")
    if not isinstance(datatype, str) or datatype not in (*DTYPES, BYTES):
        known = ", ".join([*DTYPES, BYTES])
        raise Problem(
            400, f"Expected one of {known} as datatype, got {validation.describe_value(datatype)}."
        )
    return datatype


def from_json(datatype: str, values: list[Any]) -> np.ndarray:
    """Return the array (n,) of JSON values. A null is NaN among floats, and None otherwise.

    Raises:
        WrongValuesError: A value does not have the datatype.
    """
    dtype = DTYPES.get(datatype, OBJECT)
    if dtype.kind == "f" and len(values) >= rows.MIN_PACKED_VALUES:
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
    """Return whether float64 numbers are in the range of a type of floats."""
    return bool(np.abs(numbers).max() <= np.finfo(dtype).max)  # False for NaN


def _within(datatype: str, values: list[Any]) -> bool:
    """Return whether numbers are in the range of the datatype, False for NaN."""
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
                for index in wrong[: validation.MAX_ERRORS]
            ]
        )


def _fits(datatype: str, value: Any) -> bool:
    """Return whether a value has the datatype. The signature decides on NaN, infinity and null."""
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
    """Return the array (count,) of binary data whose size `check_size` has checked.

    Numbers are not copied. Texts are objects.

    Raises:
        Problem: 400, the lengths in the data do not add up to its size.
        WrongValuesError: A value does not have the datatype.
    """
    if datatype == BYTES:
        return _texts(_elements(data, count))
    array = np.frombuffer(data, DTYPES[datatype])
    if datatype != "BOOL":
        return array
    if (array > 1).any():
        wrong = np.flatnonzero(array > 1)[: validation.MAX_ERRORS].tolist()
        raise WrongValuesError([(i, "a byte of 0 or 1", str(int(array[i]))) for i in wrong])
    return array.astype(bool)


def check_size(datatype: str, size: int, count: int) -> None:
    """Raise a Problem 400 unless `count` elements of binary data have `size` bytes."""
    least = count * (LENGTH.size if datatype == BYTES else DTYPES[datatype].itemsize)
    if size < least or (size > least and datatype != BYTES):
        expected = f"{least} bytes for {count} elements of {datatype}"
        more = " or more" if datatype == BYTES else ""
        raise Problem(400, f"Expected {expected}{more}, got {size} bytes of binary data.")


def _elements(data: memoryview, count: int) -> list[bytes]:
    problem = Problem(400, f"Expected {count} elements of BYTES, each a length and its bytes.")
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
        raise WrongValuesError(wrong[: validation.MAX_ERRORS])
    return texts


def to_binary(datatype: str, array: np.ndarray) -> bytes:
    """Return the bytes of an array, row-major."""
    if datatype != BYTES:
        return array.astype(DTYPES[datatype], copy=False).tobytes()
    encoded = [results.replace_surrogates(text).encode("utf-8") for text in array.ravel().tolist()]
    return b"".join(LENGTH.pack(len(each)) + each for each in encoded)
