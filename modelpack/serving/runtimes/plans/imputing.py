"""What is missing, replaced or told."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import finite
from .blocks import Columns, bounded, is_nan, matrix
from .compiler import Compiler, Compilers, Part, UnplannedError

Mask = Callable[[np.ndarray], np.ndarray]


def simple_imputer(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    statistics = model.statistics_
    if statistics.dtype.kind == "O" and any(isinstance(each, str) for each in statistics):
        return {"transform": _of_objects(model, statistics.tolist())}
    fitted = statistics.astype(getattr(model, "_fill_dtype", statistics.dtype))
    return {"transform": _of_numbers(model, fitted.astype(np.float64))}


def _of_objects(model: Any, fillings: Sequence[Any]) -> Callable[[Any], Columns]:
    """Columns of objects: numbers beside texts become objects, too."""
    if getattr(model, "add_indicator", False) or not is_nan(model.missing_values):
        raise UnplannedError("SimpleImputer of texts looks for something else than NaN")
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


def _of_numbers(model: Any, statistics: np.ndarray) -> Callable[[Any], np.ndarray]:
    is_missing = _mask(model.missing_values)
    keeps = getattr(model, "keep_empty_features", False)
    if model.strategy == "constant" and is_nan(model.fill_value):
        raise UnplannedError("SimpleImputer fills in nothing")
    valid = np.flatnonzero(~np.isnan(statistics))
    leaves_out = len(valid) < len(statistics) and not keeps
    fillings = statistics[valid] if leaves_out else statistics
    told = _told(model.indicator_) if getattr(model, "add_indicator", False) else None

    def transform(block: Any) -> np.ndarray:
        values = _numbers(block)
        missing = is_missing(values)
        filled = values
        if leaves_out:
            filled = values[:, valid]
        if missing.any():
            filled = filled.copy(order="K")
            np.copyto(filled, fillings, where=missing[:, valid] if leaves_out else missing)
        return filled if told is None else np.concatenate([filled, told(missing)], axis=1)

    return transform


def missing_indicator(model: Any, compiler: Compiler) -> Part:
    compiler.gives_flags = compiler.gives_codes = True
    if model.sparse is True:
        raise UnplannedError("MissingIndicator gives sparse columns")
    is_missing, told = _mask(model.missing_values), _told(model)
    unseen = np.setdiff1d(np.arange(model._n_features), model.features_)
    refuses = model.features == "missing-only" and model.error_on_new

    def transform(block: Any) -> np.ndarray:
        missing = is_missing(_numbers(block))
        if refuses and missing[:, unseen].any():
            raise FallbackRequiredError
        return told(missing)

    return {"transform": transform}


def _told(indicator: Any) -> Mask:
    """Which columns of a mask are told."""
    features = indicator.features_
    is_whole = indicator.features == "all" or len(features) == indicator._n_features
    return (lambda missing: missing) if is_whole else (lambda missing: missing[:, features])


def _numbers(block: Any) -> np.ndarray:
    if isinstance(block, list) and any(column.dtype.kind == "b" for column in block):
        raise FallbackRequiredError  # refused by some versions
    values: np.ndarray = bounded(matrix(block))
    return values


def _mask(missing: Any) -> Mask:
    if is_nan(missing):
        return np.isnan
    if not isinstance(missing, (int, float)):
        raise UnplannedError("what is missing is no number")

    def is_missing(values: np.ndarray) -> np.ndarray:
        return np.asarray(finite(values) == missing)

    return is_missing


COMPILERS: Compilers = {
    "MissingIndicator": missing_indicator,
    "SimpleImputer": simple_imputer,
}
