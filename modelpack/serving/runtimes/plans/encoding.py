"""Categorical encoders and imputers."""

from __future__ import annotations

from itertools import chain
from typing import Any, Callable, List, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import finite
from .blocks import BEYOND_EXACT, Columns, bounded, columns, is_nan, matrix
from .compiler import Compiler, Compilers, Part, UnplannedError
from .sparse import Make, csr_maker

Lookup = Callable[[np.ndarray], List[Any]]

UNKNOWN_NAN = (1, 0)
"""First version of scikit-learn whose encoders all treat a missing value as an unknown one."""
KINDS = {"O": "O", "U": "O", "S": "", "b": "b", "i": "if", "u": "if", "f": "if"}
"""Kind of the dtype of categories -> kinds of columns that compare with them as in Python."""

CODES = tuple(map(np.dtype, (np.float64, np.int64, np.int32)))
"""Dtypes that represent all codes, and for which numpy's functions return float64."""


def one_hot_encoder(model: Any, compiler: Compiler) -> Part:
    _require_wide(model, compiler)
    if getattr(model, "_legacy_mode", False):
        raise UnplannedError("OneHotEncoder uses its legacy mode")
    is_sparse = getattr(model, "sparse_output", getattr(model, "sparse", None))
    lookups, width, accepts_nan = [], 0, compiler.since(*UNKNOWN_NAN)
    for index, categories in enumerate(model.categories_):
        positions, count = _positions(model, index, width)
        unknown = _unknown_position(model, index, positions)
        lookups.append(lookup(categories, positions, unknown, accepts_nan))
        width += count
    make = csr_maker(width, model) if is_sparse else None
    encode = indicators(width, make, model.dtype)

    def transform(block: Any) -> Any:
        inputs = columns(block)
        if len(inputs) != len(lookups):
            raise FallbackRequiredError
        return encode(list(zip(*(find(column) for find, column in zip(lookups, inputs)))))

    return {"transform": transform}


def _require_wide(model: Any, compiler: Compiler) -> None:
    """Check the dtype of an encoder's codes.

    Raises:
        UnplannedError: Codes may wrap around, or numpy's functions return short floats for them.
    """
    if np.dtype(model.dtype) not in CODES:
        raise UnplannedError(f"{type(model).__name__} returns codes of {np.dtype(model.dtype)}")
    compiler.gives_codes |= np.dtype(model.dtype) != np.float64


def indicators(
    width: int, make: Make | None, dtype: Any = np.float64
) -> Callable[[Sequence[Sequence[Any]]], Any]:
    """Return a function that creates rows of zeros, with 1 at the positions of each row.

    Positions are in ascending order, and may be None. `make` creates sparse rows; if it is None,
    the rows are an array.
    """

    def encode(rows: Sequence[Sequence[Any]]) -> Any:
        positions = [position for position in chain.from_iterable(rows) if position is not None]
        counts = [len(row) - row.count(None) for row in rows]
        if make is not None:
            indptr = np.zeros(len(rows) + 1, np.int32)
            np.cumsum(counts, out=indptr[1:])
            return make(np.ones(len(positions), dtype), np.array(positions, np.int32), indptr)
        result = np.zeros((len(rows), width), dtype)
        result[0 if len(rows) == 1 else np.repeat(np.arange(len(rows)), counts), positions] = 1
        return result

    return encode


def _positions(model: Any, index: int, offset: int) -> tuple[list[Any], int]:
    """Return the position of each category of an input in the result, and the number of columns.

    The position of a dropped category is None.
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
    """Return the code of each category. Infrequent ones share a code."""
    mappings = getattr(model, "_default_to_infrequent_mappings", None)
    if mappings is None or mappings[index] is None:
        return list(range(count))
    return [int(code) for code in mappings[index]]


def _dropped(model: Any, index: int) -> Any:
    by_feature = getattr(model, "_drop_idx_after_grouping", getattr(model, "drop_idx_", None))
    return None if by_feature is None else by_feature[index]


REFUSED = object()
"""Result for an unknown value that the estimator rejects."""


def _unknown_position(model: Any, index: int, positions: Sequence[Any]) -> Any:
    if model.handle_unknown == "error":
        return REFUSED
    rare = getattr(model, "_infrequent_indices", None)
    if model.handle_unknown == "ignore" or rare is None or rare[index] is None:
        return None
    if model.handle_unknown == "warn":
        raise UnplannedError("releases of OneHotEncoder differ in unknown values with a warning")
    return positions[rare[index][0]]


def lookup(
    categories: np.ndarray, values: Sequence[Any], unknown: Any, accepts_nan: bool
) -> Lookup:
    """Return a function that replaces the values of a column: categories by `values`.

    Other values become `unknown`, NaN too if `accepts_nan`. It raises FallbackRequiredError for
    them if `unknown` is REFUSED, and for values of another kind.
    """
    kinds = KINDS[categories.dtype.kind]
    listed = categories.tolist()
    if kinds == "if" and any(abs(each) >= BEYOND_EXACT for each in listed):
        raise UnplannedError("an encoder has categories of large numbers")
    known = {each: value for each, value in zip(listed, values) if not is_nan(each)}
    missing = [value for each, value in zip(listed, values) if is_nan(each)]

    def find(column: np.ndarray) -> list[Any]:
        if column.dtype.kind not in kinds:
            raise FallbackRequiredError
        results = [known.get(value, REFUSED) for value in column.tolist()]
        if REFUSED in results:
            for index, value in enumerate(column.tolist()):
                if results[index] is REFUSED:
                    results[index] = _unknown(value)
        return results

    def _unknown(value: Any) -> Any:
        if missing and is_nan(value):
            return missing[0]
        if unknown is REFUSED or not (isinstance(value, str) or is_unknown(value)):
            raise FallbackRequiredError
        return unknown

    def is_unknown(value: Any) -> bool:
        return bool(abs(value) < np.inf or (accepts_nan and is_nan(value)))

    return find


def ordinal_encoder(model: Any, compiler: Compiler) -> Part:
    _require_wide(model, compiler)
    unknown = REFUSED
    if getattr(model, "handle_unknown", "error") == "use_encoded_value":
        unknown = float(model.unknown_value)
    lookups = [
        lookup(categories, _codes(model, index), unknown, compiler.since(*UNKNOWN_NAN))
        for index, categories in enumerate(model.categories_)
    ]
    return {"transform": encode_columns(lookups, model.dtype)}


def _codes(model: Any, index: int) -> list[float]:
    count = len(model.categories_[index])
    absent = getattr(model, "_missing_indices", {}).get(index)
    codes = [float(code) for code in grouped(model, index, count)]
    if absent is not None:
        codes[absent:] = [float(getattr(model, "encoded_missing_value", np.nan))]
    return codes


def encode_columns(
    lookups: Sequence[Lookup], dtype: Any = np.float64
) -> Callable[[Any], np.ndarray]:
    """Return a transform that replaces each value of columns by a number."""

    def transform(block: Any) -> np.ndarray:
        inputs = columns(block)
        if len(inputs) != len(lookups):
            raise FallbackRequiredError
        codes = [find(column) for find, column in zip(lookups, inputs)]
        return np.array(list(zip(*codes)), dtype)

    return transform


def target_encoder(model: Any, compiler: Compiler) -> Part:
    means = np.ravel(model.target_mean_).tolist()  # of each class, if there are more than two
    lookups = [
        lookup(
            model.categories_[index // len(means)],
            encodings.tolist(),
            means[index % len(means)],
            compiler.since(*UNKNOWN_NAN),
        )
        for index, encodings in enumerate(model.encodings_)
    ]
    encode, count = encode_columns(lookups), len(means)

    def transform(block: Any) -> np.ndarray:
        return encode([column for column in columns(block) for _ in range(count)])

    return {"transform": transform}


Mask = Callable[[np.ndarray], np.ndarray]


def simple_imputer(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    statistics = model.statistics_
    if statistics.dtype.kind == "O" and any(isinstance(each, str) for each in statistics):
        return {"transform": _object_imputer(model, statistics.tolist())}
    fitted = statistics.astype(getattr(model, "_fill_dtype", statistics.dtype))
    return {"transform": _number_imputer(model, fitted.astype(np.float64))}


def _object_imputer(model: Any, fillings: Sequence[Any]) -> Callable[[Any], Columns]:
    """Return the transform of columns of objects. Numbers next to texts become objects, too."""
    if getattr(model, "add_indicator", False) or not is_nan(model.missing_values):
        raise UnplannedError("SimpleImputer of texts replaces other values than NaN")
    if any(map(is_nan, fillings)):
        raise UnplannedError("SimpleImputer leaves out a column of texts")

    def transform(block: Any) -> Columns:
        if not isinstance(block, list) or len(block) != len(fillings):
            raise FallbackRequiredError
        if not any(column.dtype.kind == "O" for column in block):
            raise FallbackRequiredError
        return [_filled(column, filling) for column, filling in zip(block, fillings)]

    return transform


def _filled(column: np.ndarray, filling: Any) -> np.ndarray:
    filled = np.empty(len(column), object)
    filled[:] = [filling if is_nan(value) else value for value in column.tolist()]
    return filled


def _number_imputer(model: Any, statistics: np.ndarray) -> Callable[[Any], np.ndarray]:
    is_missing = _mask(model.missing_values)
    keeps = getattr(model, "keep_empty_features", False)
    if model.strategy == "constant" and is_nan(model.fill_value):
        raise UnplannedError("SimpleImputer has no fill value")
    valid = np.flatnonzero(~np.isnan(statistics))
    leaves_out = len(valid) < len(statistics) and not keeps
    fillings = statistics[valid] if leaves_out else statistics
    has_indicator = getattr(model, "add_indicator", False)
    indicator = indicator_columns(model.indicator_) if has_indicator else None

    def transform(block: Any) -> np.ndarray:
        values = _numbers(block)
        missing = is_missing(values)
        filled = values
        if leaves_out:
            filled = values[:, valid]
        if missing.any():
            filled = filled.copy(order="K")
            np.copyto(filled, fillings, where=missing[:, valid] if leaves_out else missing)
        if indicator is None:
            return filled
        return np.concatenate([filled, indicator(missing)], axis=1)

    return transform


def missing_indicator(model: Any, compiler: Compiler) -> Part:
    compiler.gives_flags = compiler.gives_codes = True
    if model.sparse is True:
        raise UnplannedError("MissingIndicator returns sparse columns")
    is_missing, indicator = _mask(model.missing_values), indicator_columns(model)
    unseen = np.setdiff1d(np.arange(model._n_features), model.features_)
    refuses = model.features == "missing-only" and model.error_on_new

    def transform(block: Any) -> np.ndarray:
        missing = is_missing(_numbers(block))
        if refuses and missing[:, unseen].any():
            raise FallbackRequiredError
        return indicator(missing)

    return {"transform": transform}


def indicator_columns(indicator: Any) -> Mask:
    """Return a function that selects the columns of a mask that the indicator returns."""
    features = indicator.features_
    is_whole = indicator.features == "all" or len(features) == indicator._n_features
    return (lambda missing: missing) if is_whole else (lambda missing: missing[:, features])


def _numbers(block: Any) -> np.ndarray:
    if isinstance(block, list) and any(column.dtype.kind == "b" for column in block):
        raise FallbackRequiredError  # some releases reject booleans
    values: np.ndarray = bounded(matrix(block))
    return values


def _mask(missing: Any) -> Mask:
    if is_nan(missing):
        return np.isnan
    if not isinstance(missing, (int, float)):
        raise UnplannedError("the missing value is not a number")

    def is_missing(values: np.ndarray) -> np.ndarray:
        return np.asarray(finite(values) == missing)

    return is_missing


COMPILERS: Compilers = {
    "MissingIndicator": missing_indicator,
    "OneHotEncoder": one_hot_encoder,
    "OrdinalEncoder": ordinal_encoder,
    "SimpleImputer": simple_imputer,
    "TargetEncoder": target_encoder,
}
