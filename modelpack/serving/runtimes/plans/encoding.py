"""Categories as numbers: looked up in a dict for each value."""

from __future__ import annotations

from itertools import chain
from typing import Any, Callable, List, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from .blocks import BEYOND_EXACT, VERSION, columns, csr_maker, is_nan
from .compiler import Compiler, Compilers, Part, UnplannedError

Lookup = Callable[[np.ndarray], List[Any]]

UNKNOWN_NAN = (1, 0)
"""The version of scikit-learn since which all encoders take a missing value for one more that they
may not know."""
KINDS = {"O": "O", "U": "O", "S": "", "b": "b", "i": "if", "u": "if", "f": "if"}
"""Kind of the dtype of categories -> kinds of columns whose values are equal to them or not as in
Python."""

CODES = tuple(map(np.dtype, (np.float64, np.int64, np.int32)))
"""Dtypes of codes that hold each of them, and whose functions are float64."""


def one_hot_encoder(model: Any, compiler: Compiler) -> Part:
    _require_wide(model, compiler)
    if getattr(model, "_legacy_mode", False):
        raise UnplannedError("OneHotEncoder is of an old kind")
    is_sparse = getattr(model, "sparse_output", getattr(model, "sparse", None))
    lookups, width = [], 0
    for index, categories in enumerate(model.categories_):
        places, count = _places(model, index, width)
        lookups.append(lookup(categories, places, _unknown_place(model, index, places)))
        width += count
    encode = indicators(width, bool(is_sparse), model.dtype)

    def transform(block: Any) -> Any:
        given = columns(block)
        if len(given) != len(lookups):
            raise FallbackRequiredError
        return encode(list(zip(*(find(column) for find, column in zip(lookups, given)))))

    return {"transform": transform}


def _require_wide(model: Any, compiler: Compiler) -> None:
    """Raises:
    UnplannedError: codes of the encoder's dtype may wrap around, or functions of them are short.
    """
    if np.dtype(model.dtype) not in CODES:
        raise UnplannedError(f"{type(model).__name__} gives codes of {np.dtype(model.dtype)}")
    compiler.gives_codes |= np.dtype(model.dtype) != np.float64


def indicators(
    width: int, is_sparse: bool, dtype: Any = np.float64
) -> Callable[[Sequence[Sequence[Any]]], Any]:
    """What makes rows of `width` columns that are 1 at the given places of each, in ascending
    order, and 0 elsewhere. A place may be None.
    """
    make = csr_maker(width)

    def of_places(rows: Sequence[Sequence[Any]]) -> Any:
        places = [place for place in chain.from_iterable(rows) if place is not None]
        counts = [len(row) - row.count(None) for row in rows]
        if is_sparse:
            indptr = np.zeros(len(rows) + 1, np.int32)
            np.cumsum(counts, out=indptr[1:])
            return make(np.ones(len(places), dtype), np.array(places, np.int32), indptr)
        made = np.zeros((len(rows), width), dtype)
        made[0 if len(rows) == 1 else np.repeat(np.arange(len(rows)), counts), places] = 1
        return made

    return of_places


def _places(model: Any, index: int, offset: int) -> tuple[list[Any], int]:
    """The column of the result of each category of the input `index`, None for one that is dropped,
    and the number of columns.
    """
    count = len(model.categories_[index])
    codes = grouped(model, index, count)
    count = max(codes) + 1
    dropped = _dropped(model, index)
    if dropped is None:
        return [offset + code for code in codes], count
    return [
        None if code == dropped else offset + code - (code > dropped) for code in codes
    ], count - 1


def grouped(model: Any, index: int, count: int) -> list[int]:
    """The number of each category, where rare ones have the same."""
    mappings = getattr(model, "_default_to_infrequent_mappings", None)
    if mappings is None or mappings[index] is None:
        return list(range(count))
    return [int(code) for code in mappings[index]]


def _dropped(model: Any, index: int) -> Any:
    by_feature = getattr(model, "_drop_idx_after_grouping", getattr(model, "drop_idx_", None))
    return None if by_feature is None else by_feature[index]


REFUSED = object()
"""An unknown value, where the estimator refuses it."""


def _unknown_place(model: Any, index: int, places: Sequence[Any]) -> Any:
    if model.handle_unknown == "error":
        return REFUSED
    rare = getattr(model, "_infrequent_indices", None)
    if model.handle_unknown == "ignore" or rare is None or rare[index] is None:
        return None
    if model.handle_unknown == "warn":
        raise UnplannedError("OneHotEncoder warns: releases differ in what it makes of rare values")
    return places[rare[index][0]]


def lookup(categories: np.ndarray, values: Sequence[Any], unknown: Any) -> Lookup:
    """What finds the value of each category in a column, and `unknown` for others.

    It raises FallbackRequiredError for an unknown category if that is REFUSED, and for values
    of another kind.
    """
    kinds = KINDS[categories.dtype.kind]
    listed = categories.tolist()
    if kinds == "if" and any(abs(each) >= BEYOND_EXACT for each in listed):
        raise UnplannedError("there are categories of large numbers")
    known = {each: value for each, value in zip(listed, values) if not is_nan(each)}
    missing = [value for each, value in zip(listed, values) if is_nan(each)]

    def find(column: np.ndarray) -> list[Any]:
        if column.dtype.kind not in kinds:
            raise FallbackRequiredError
        found = [known.get(value, REFUSED) for value in column.tolist()]
        if REFUSED in found:
            for place, value in enumerate(column.tolist()):
                if found[place] is REFUSED:
                    found[place] = _unknown(value)
        return found

    def _unknown(value: Any) -> Any:
        if missing and is_nan(value):
            return missing[0]
        if unknown is REFUSED or not (isinstance(value, str) or _is_number(value)):
            raise FallbackRequiredError
        return unknown

    return find


def _is_number(value: Any) -> bool:
    """Whether encoders take it for one that they do not know; older ones refuse NaN."""
    return abs(value) < np.inf or (is_nan(value) and VERSION >= UNKNOWN_NAN)


def ordinal_encoder(model: Any, compiler: Compiler) -> Part:
    _require_wide(model, compiler)
    unknown = REFUSED
    if getattr(model, "handle_unknown", "error") == "use_encoded_value":
        unknown = float(model.unknown_value)
    lookups = [
        lookup(categories, _codes(model, index), unknown)
        for index, categories in enumerate(model.categories_)
    ]
    return {"transform": looked_up(lookups, model.dtype)}


def _codes(model: Any, index: int) -> list[float]:
    count = len(model.categories_[index])
    absent = getattr(model, "_missing_indices", {}).get(index)
    codes = [float(code) for code in grouped(model, index, count)]
    if absent is not None:
        codes[absent:] = [float(getattr(model, "encoded_missing_value", np.nan))]
    return codes


def looked_up(lookups: Sequence[Lookup], dtype: Any = np.float64) -> Callable[[Any], np.ndarray]:
    """What replaces each value of columns by a number."""

    def transform(block: Any) -> np.ndarray:
        given = columns(block)
        if len(given) != len(lookups):
            raise FallbackRequiredError
        found = [find(column) for find, column in zip(lookups, given)]
        return np.array(list(zip(*found)), dtype)

    return transform


def target_encoder(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    if len(model.encodings_) != len(model.categories_):
        raise UnplannedError("TargetEncoder gives several columns for one")
    unknown = float(model.target_mean_)
    lookups = [
        lookup(categories, encodings.tolist(), unknown)
        for categories, encodings in zip(model.categories_, model.encodings_)
    ]
    return {"transform": looked_up(lookups)}


COMPILERS: Compilers = {
    "OneHotEncoder": one_hot_encoder,
    "OrdinalEncoder": ordinal_encoder,
    "TargetEncoder": target_encoder,
}
