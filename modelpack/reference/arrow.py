"""Columns of Arrow as pandas has them: dtypes of numpy, as images have no pyarrow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .columns import Column, from_categories, from_values

_BITS = (8, 16, 32, 64)
DTYPES = {
    "bool": ("bool", "boolean"), "double": ("float64", "Float64"), "float": ("float32", "Float32"),
    "halffloat": ("float16", "Float32"), "string": ("str", "str"), "large_string": ("str", "str"),
    "string_view": ("str", "str"),
    **{f"int{bits}": (f"int{bits}", f"Int{bits}") for bits in _BITS},
    **{f"uint{bits}": (f"uint{bits}", f"UInt{bits}") for bits in _BITS},
}  # fmt: skip
"""Arrow's type -> the dtype of pandas without and with missing values."""
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]")
_KEPT = re.compile(r"U?Int[0-9]+|Float[0-9]+|boolean|string|str|float(16|32|64)|bool|u?int[0-9]+")
"""Names of dtypes in the notes of pandas that are taken as they are."""


def dtype_of(name: str, *, missing: bool) -> str:
    """Return the dtype of pandas for a type of Arrow."""
    if name in DTYPES:
        return DTYPES[name][missing]
    if match := _TIMESTAMP.fullmatch(name):
        return f"datetime64[{match[1]}{', ' + match[2] if match[2] else ''}]"
    return "object"


def column_of(name: str, column: Any, values: Sequence[Any], noted: str | None) -> Column:
    """Return what a column of a file tells. `noted`: its dtype in the notes of pandas."""
    missing = column.null_count > 0
    type_name = str(column.type)
    if type_name.startswith("dictionary"):
        chunk = column.combine_chunks() if column.num_chunks > 1 else column.chunk(0)
        chunk = getattr(chunk, "unify_dictionaries", lambda: chunk)()
        categories = chunk.dictionary.to_pylist()
        ordered = bool(column.type.ordered)
        return from_categories(name, categories, ordered=ordered, nullable=missing)
    dtype = dtype_of(type_name, missing=missing)
    if missing and not _is_nullable(noted):
        dtype = _of_numpy(dtype)
    elif noted and _KEPT.fullmatch(noted):
        dtype = noted
    found = from_values(name, values, dtype)
    is_number = found.type in {"number", "integer"}
    if is_number and dtype.lower().startswith("float"):
        return replace(found, type="number")
    if dtype.startswith("datetime64"):
        return replace(found, type="datetime")
    return found


def _is_nullable(noted: str | None) -> bool:
    return bool(noted and re.fullmatch(r"U?Int[0-9]+|Float[0-9]+|boolean|string", noted))


def _of_numpy(dtype: str) -> str:
    """The dtype that pandas gives to values with missing ones unless another is noted."""
    if re.fullmatch(r"U?Int[0-9]+|Float64", dtype):
        return "float64"
    return {"Float32": "float32", "boolean": "object"}.get(dtype, dtype)
