"""Imputers that predict missing values from other inputs."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .blocks import is_nan, matrix, no_infinity
from .compiler import Compiler, Compilers, Part, RecordsOnly, UnplannedError
from .distances import BLOCK, Blas, blas_of, squares_of
from .encoding import indicator_columns
from .nearest import nearest
from .neighbors import LARGEST, partition, weights_of

Transform = Callable[[np.ndarray], np.ndarray]


def with_indicator(model: Any, impute: Transform) -> Part:
    """Build the part of an imputer, whose result may end with flags of missing values."""
    if not is_nan(model.missing_values):
        raise UnplannedError(f"{type(model).__name__} replaces other values than NaN")
    flags = indicator_columns(model.indicator_) if model.add_indicator else None

    def transform(block: Any) -> np.ndarray:
        rows = no_infinity(matrix(block))
        filled = impute(rows)
        if flags is None:
            return filled
        return np.concatenate([filled, flags(np.isnan(rows))], axis=1)

    return {"transform": transform}


def iterative_imputer(model: Any, compiler: Compiler) -> Part:
    """Predict each input with missing values from others, several times."""
    if model.sample_posterior:
        raise UnplannedError("IterativeImputer draws its values")
    begin = compiler.part(model.initial_imputer_)["transform"]
    statistics = np.asarray(model.initial_imputer_.statistics_, np.float64)
    is_known = ~np.isnan(statistics)
    if getattr(model, "keep_empty_features", False) and _has_empty(model):
        raise UnplannedError("IterativeImputer keeps an input without values")
    width = int(is_known.sum())
    steps = [
        (int(each.feat_idx), np.asarray(each.neighbor_feat_idx), limits, predict)
        for each in (model.imputation_sequence_ if model.n_iter_ else ())
        for limits in [_limits(model, int(each.feat_idx), width)]
        for predict in [compiler.part(each.estimator)["predict"]]
    ]
    is_row_by_row = compiler.row_by_row

    def impute(rows: np.ndarray) -> np.ndarray:
        if rows.shape[1] != len(is_known):
            raise FallbackRequiredError
        filled, missing = np.array(begin(rows)), np.isnan(rows)[:, is_known]
        # Rows without any value are not improved, if they are alone in a call.
        is_left = missing.all(axis=1) if is_row_by_row else np.full(len(rows), missing.all())
        for index, others, (low, high), predict in steps:
            chosen = np.flatnonzero(missing[:, index] & ~is_left)
            if len(chosen):
                predicted = predict(np.ascontiguousarray(filled[chosen][:, others]))
                filled[chosen, index] = np.clip(predicted, low, high)
        return filled

    return with_indicator(model, impute)


def _has_empty(model: Any) -> bool:
    return bool(np.any(getattr(model, "_is_empty_feature", False)))


def _limits(model: Any, index: int, width: int) -> tuple[float, float]:
    """Return the limits of the values of an input, which were one number for all until 0.23."""
    low, high = (np.broadcast_to(each, (width,)) for each in (_minimum(model), _maximum(model)))
    return float(low[index]), float(high[index])


def _minimum(model: Any) -> Any:
    return model._min_value if hasattr(model, "_min_value") else model.min_value_


def _maximum(model: Any) -> Any:
    return model._max_value if hasattr(model, "_max_value") else model.max_value_


def nearest_imputer(model: Any, compiler: Compiler) -> Part:
    """Fill missing values with means of the nearest rows of the training."""
    trained = np.asarray(model._fit_X, np.float64)
    if trained.size > LARGEST:
        raise UnplannedError(f"the training has more than {LARGEST:,} numbers")
    if model.metric != "nan_euclidean":
        raise UnplannedError(f"the metric {model.metric} has no plan")
    unknown = np.isnan(trained)
    is_valid = np.logical_not(unknown.all(axis=0))
    if getattr(model, "keep_empty_features", False) and not is_valid.all():
        raise UnplannedError("KNNImputer keeps an input without values")
    distances = _partial_distances(trained, unknown, blas_of(compiler))
    donors = [np.flatnonzero(~each) for each in unknown.T]
    values = [column[numbers] for column, numbers in zip(trained.T, donors)]
    weigh, most = weights_of(model), int(model.n_neighbors)

    def fill(lengths: np.ndarray, index: int) -> np.ndarray:
        count = min(most, len(donors[index]))
        lengths = np.ascontiguousarray(lengths[:, donors[index]])
        filled: np.ndarray = np.full(len(lengths), values[index].mean())
        near = ~np.isnan(lengths).all(axis=1)
        if near.any():
            lengths = lengths[near]
            numbers = nearest(lengths, lengths, count, partition(compiler, count, len(trained)))
            chosen = np.take_along_axis(lengths, numbers, axis=1)
            weights = np.ones(chosen.shape) if weigh is None else weigh(chosen)
            weights = np.where(np.isnan(chosen), 0.0, weights)
            sums = np.sum(values[index][numbers] * weights, axis=1)
            filled[near] = sums / weights.sum(axis=1)
        return filled

    def impute(rows: np.ndarray) -> np.ndarray:
        if rows.shape[1] != len(is_valid):
            raise FallbackRequiredError
        filled = np.array(rows)
        missing: np.ndarray = np.isnan(rows) & is_valid
        step = max(1, BLOCK // len(trained))
        some = np.flatnonzero(missing.any(axis=1))
        for start in range(0, len(some), step):
            part = some[start : start + step]
            lengths = distances(rows[part])
            for index in np.flatnonzero(missing[part].any(axis=0)).tolist():
                chosen = missing[part, index]
                filled[part[chosen], index] = fill(lengths[chosen], index)
        return filled[:, is_valid]

    return with_indicator(model, impute)


def _partial_distances(trained: np.ndarray, unknown: np.ndarray, blas: Blas) -> Transform:
    """Return Euclidean distances by the known values of both rows, NaN if they share none."""
    known = np.where(unknown, 0.0, trained)
    squares, lengths = squares_of(known, blas), known * known

    def distances(rows: np.ndarray) -> np.ndarray:
        missing = np.isnan(rows)
        filled = np.ascontiguousarray(np.where(missing, 0.0, rows))
        result = squares(filled)
        result -= blas.dot(filled * filled, unknown.T.astype(np.float64))
        result -= blas.dot(missing.astype(np.float64), lengths.T)
        np.clip(result, 0, None, out=result)
        shared = (~missing).astype(np.float64) @ (~unknown).T.astype(np.float64)
        result[shared == 0] = np.nan
        result /= np.maximum(1, shared)
        result *= rows.shape[1]
        return np.asarray(np.sqrt(result, out=result))

    return distances


COMPILERS: Compilers = {
    "IterativeImputer": RecordsOnly(iterative_imputer),
    "KNNImputer": RecordsOnly(nearest_imputer),
}
