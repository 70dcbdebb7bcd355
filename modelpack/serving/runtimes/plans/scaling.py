"""Numeric transformers."""

from __future__ import annotations

from itertools import combinations, combinations_with_replacement
from typing import Any, Callable, Iterator, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import finite
from .blocks import bounded, matrix, no_infinity
from .compiler import Compiler, Compilers, Part, UnplannedError, after, identity
from .distributions import bending, normal_quantile
from .encoding import indicators
from .records import is_record
from .selection import support
from .sparse import csr_maker, maker_like, row_numbers, row_sums
from .trees import accepts_nan

Transform = Callable[[Any], Any]

SORTED_BINS = (1, 2)
"""First version of scikit-learn whose bins have no tolerance."""
NESTED_PRODUCTS = (0, 22)
"""First version that computes products of three factors from those of two."""
MAX_FACTORS = 1 << 22
"""Factors of all products of PolynomialFeatures, which take 50 bytes each."""
TINY = 1e-12
"""A norm below this may count as zero."""


def standard_scaler(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    mean = model.mean_ if model.with_mean else None
    scale = model.scale_ if model.with_std else None
    return {"transform": _dense_or_sparse(_shifted(mean, scale), mean, scale)}


def robust_scaler(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    center = model.center_ if model.with_centering else None
    scale = model.scale_ if model.with_scaling else None
    return {"transform": _dense_or_sparse(_shifted(center, scale), center, scale)}


def max_abs_scaler(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    if getattr(model, "clip", False):
        raise UnplannedError("MaxAbsScaler clips")
    return {"transform": _dense_or_sparse(_shifted(None, model.scale_), None, model.scale_)}


def _shifted(center: Any, scale: Any) -> Transform:
    def transform(block: np.ndarray) -> np.ndarray:
        if center is not None:
            block = block - center
        return block if scale is None else block / scale

    return transform


def _dense_or_sparse(transform_dense: Transform, center: Any, scale: Any) -> Transform:
    """Return a transform that calls `transform_dense`, and multiplies the values of sparse rows."""
    factors = None if scale is None else 1.0 / scale

    def transform(block: Any) -> Any:
        bounded(block)
        if isinstance(block, np.ndarray):
            return transform_dense(block)
        if center is not None:
            raise FallbackRequiredError
        return block if factors is None else with_data(block, block.data * factors[block.indices])

    return transform


def with_data(block: Any, data: np.ndarray) -> Any:
    """Copy a sparse matrix with other values at the same positions."""
    return maker_like(block, block.shape[1])(data, block.indices, block.indptr)


def min_max_scaler(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    scale, minimum, (low, high) = model.scale_, model.min_, model.feature_range
    clips = getattr(model, "clip", False)

    def transform(block: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = bounded(matrix(block)) * scale + minimum
        return np.clip(scaled, low, high) if clips else scaled

    return {"transform": transform}


def row_norm(norm: str | None, model: Any) -> Callable[[Any], Any]:
    """Return a function that scales the rows of a sparse matrix to length 1, in place."""
    if norm is None:
        return lambda block: block
    if is_record(model):
        return {"l1": _normalize_l1, "l2": _normalize_l2}[norm]
    from sklearn.utils import sparsefuncs_fast  # noqa: PLC0415 - absent for records

    scale = {
        "l1": sparsefuncs_fast.inplace_csr_row_normalize_l1,
        "l2": sparsefuncs_fast.inplace_csr_row_normalize_l2,
    }[norm]

    def normalize(block: Any) -> Any:
        scale(block)
        return block

    return normalize


def _normalize_l1(block: Any) -> Any:
    return _divided(block, row_sums(block, np.abs(block.data)))


def _normalize_l2(block: Any) -> Any:
    return _divided(block, np.sqrt(row_sums(block, block.data * block.data)))


def _divided(block: Any, lengths: np.ndarray) -> Any:
    """Divide the rows of a sparse matrix by their lengths, in place, except for those of zeros."""
    block.data /= np.where(lengths == 0, 1.0, lengths)[row_numbers(block)]
    return block


def normalizer(model: Any, compiler: Compiler) -> Part:
    arrange = memory_order(compiler)
    norms: Transform = {
        "l1": lambda rows: np.abs(rows).sum(axis=1),
        "l2": lambda rows: np.sqrt(np.einsum("ij,ij->i", rows, rows)),
        "max": lambda rows: (np.abs(rows) if compiler.since(0, 23) else rows).max(axis=1),
    }[model.norm]
    is_tolerant = compiler.since(1, 0)

    normalize = None if model.norm == "max" else row_norm(model.norm, model)

    def transform(block: Any) -> Any:
        if not isinstance(block, np.ndarray):
            if normalize is None:
                raise FallbackRequiredError
            return normalize(with_data(block, finite(block.data).copy()))
        block = arrange(finite(block))
        lengths = norms(block)
        if (lengths < TINY).any():
            is_zero = lengths < 10 * np.finfo(np.float64).eps if is_tolerant else lengths == 0
            lengths[is_zero] = 1.0
        return block / lengths[:, np.newaxis]

    return {"transform": transform}


def memory_order(compiler: Compiler) -> Transform:
    """Return a function that gives rows the memory order of a batch, or of single rows.

    The order decides how numpy adds up rows, and which routine computes a function.
    """
    return np.ascontiguousarray if compiler.row_by_row else lambda block: block


def binarizer(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    threshold = model.threshold
    return {"transform": lambda block: (finite(matrix(block)) > threshold).astype(np.float64)}


def power_transformer(model: Any, compiler: Compiler) -> Part:
    is_boxcox = model.method == "box-cox"
    bend = _bending(model, compiler)
    lambdas = model.lambdas_
    order: Any = "F" if compiler.row_by_row else "K"
    after = standard_scaler(model._scaler, compiler)["transform"] if model.standardize else None

    def transform(block: np.ndarray) -> np.ndarray:
        bent: np.ndarray = np.array(no_infinity(matrix(block)), order=order)
        if is_boxcox and (bent <= 0).any():
            raise FallbackRequiredError
        for index, power in enumerate(lambdas):
            with np.errstate(invalid="ignore"):
                bent[:, index] = bend(bent[:, index], power)
        return bent if after is None else np.asarray(after(bent))

    return {"transform": transform}


def _bending(model: Any, compiler: Compiler) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return the function of a column and its lambda."""
    if is_record(model):
        return bending(model.method, by_logarithm=compiler.since(1, 7))
    from scipy import special, stats  # type: ignore[import-untyped]  # noqa: PLC0415

    if model.method == "box-cox":
        return special.boxcox  # type: ignore[no-any-return]
    bend: Callable[[np.ndarray, float], np.ndarray]
    bend = getattr(model, "_yeo_johnson_transform", None) or stats.yeojohnson
    return bend


def quantile_transformer(model: Any, compiler: Compiler) -> Part:
    quantiles = model.quantiles_
    record = is_record(model)
    transform_column = quantile_mapper(model, compiler) if record else model._transform_col

    def transform(block: np.ndarray) -> np.ndarray:
        moved: np.ndarray = no_infinity(matrix(block)).copy(order="K")
        for index in range(moved.shape[1]):
            moved[:, index] = transform_column(moved[:, index], quantiles[:, index], False)
        return moved

    return {"transform": transform}


BOUNDS_THRESHOLD = 1e-7
"""Distance from the ends of a distribution within which values count as the ends."""


UNCLIPPED_SHARES = (0, 21)
"""First version whose uniform distribution reaches from 0 to 1."""


def quantile_mapper(
    model: Any, compiler: Compiler
) -> Callable[[np.ndarray, np.ndarray, bool], np.ndarray]:
    """Return a function that maps a column to a uniform or normal distribution, in place.

    It equals `_transform_col`.
    """
    is_normal, references = model.output_distribution == "normal", model.references_
    clips = is_normal or not compiler.since(*UNCLIPPED_SHARES)
    end = BOUNDS_THRESHOLD - np.spacing(1)
    spread: Transform = normal_quantile if is_normal else np.asarray
    lowest, highest = spread(np.array([end, 1 - end]))

    def to_quantile(column: np.ndarray, quantiles: np.ndarray, _: bool) -> np.ndarray:
        low, high, known = quantiles[0], quantiles[-1], ~np.isnan(column)
        with np.errstate(invalid="ignore"):
            is_low = column - BOUNDS_THRESHOLD < low if clips else column == low
            is_high = column + BOUNDS_THRESHOLD > high if clips else column == high
        values = column[known]
        upwards = np.interp(values, quantiles, references)
        column[known] = 0.5 * (upwards - np.interp(-values, -quantiles[::-1], -references[::-1]))
        column[is_high], column[is_low] = 1, 0
        if not clips:
            return column
        return np.asarray(np.clip(spread(column), lowest, highest))

    return to_quantile


def polynomial_features(model: Any, compiler: Compiler) -> Part:
    """Compute each product from one of a lower degree and its leftmost column."""
    terms = list(_terms(model))
    index_of = {term: index for index, term in enumerate(terms)}
    width = len(terms)
    order: Any = getattr(model, "order", "C")
    if not compiler.since(*NESTED_PRODUCTS):
        return {"transform": _term_by_term(terms)}
    singles = [(index_of[term], term[0]) for term in terms if len(term) == 1]
    products = []
    for degree in range(2, max(map(len, terms)) + 1):
        chosen = [term for term in terms if len(term) == degree]
        products.append(
            (
                [index_of[term] for term in chosen],
                [index_of[term[1:]] for term in chosen],
                [term[0] for term in chosen],
            )
        )
    targets, sources = (list(each) for each in zip(*singles))

    def transform(block: np.ndarray) -> np.ndarray:
        result = np.empty((len(block), width), order=order)
        if () in index_of:
            result[:, 0] = 1
        result[:, targets] = finite(matrix(block))[:, sources]
        for target, parent, column in products:
            result[:, target] = result[:, parent] * block[:, column]
        return result

    return {"transform": transform}


def _terms(model: Any) -> Iterator[tuple[int, ...]]:
    """Yield the columns of each product, in the order of the result.

    Raises:
        UnplannedError: The products have more than MAX_FACTORS factors.
    """
    lowest = getattr(model, "_min_degree", 0)  # since 1.0
    highest = getattr(model, "_max_degree", model.degree)
    count = getattr(model, "n_features_in_", None)
    if count is None:
        count = model.n_input_features_  # until 0.23
    choose = combinations if model.interaction_only else combinations_with_replacement
    if model.interaction_only:
        highest = min(highest, count)
    _require_few_factors(count, highest, -1 if model.interaction_only else 1)
    if model.include_bias:
        yield ()
    for degree in range(max(1, lowest), highest + 1):
        yield from choose(range(count), degree)


def _require_few_factors(count: int, highest: int, sign: int) -> None:
    products, factors = 1, 0
    for degree in range(1, highest + 1):
        products = products * (count + sign * (degree - 1)) // degree
        factors += products * degree
        if factors > MAX_FACTORS:
            raise UnplannedError("PolynomialFeatures has too many columns")


def _term_by_term(terms: Sequence[tuple[int, ...]]) -> Transform:
    """Return the transform of old releases, which compute each product from all its factors."""

    def transform(block: np.ndarray) -> np.ndarray:
        rows = finite(matrix(block))
        result = np.empty((len(rows), len(terms)))
        for index, term in enumerate(terms):
            result[:, index] = rows[:, list(term)].prod(1)
        return result

    return transform


def k_bins(model: Any, compiler: Compiler) -> Part:
    if getattr(model, "dtype", None) not in (None, np.float64):
        raise UnplannedError("KBinsDiscretizer has a dtype without a plan")
    has_tolerance = not compiler.since(*SORTED_BINS)
    edges = [each[1:-1] for each in model.bin_edges_]
    counts = model.n_bins_.tolist()
    offsets = np.cumsum([0, *counts[:-1]])
    width = int(sum(counts))
    encode = indicators(width, csr_maker(width, model) if model.encode == "onehot" else None)

    def transform(block: np.ndarray) -> Any:
        finite(matrix(block))
        bins = np.empty_like(block)
        for index, inner in enumerate(edges):
            values = block[:, index]
            if has_tolerance:
                values = values + (1e-8 + 1e-5 * np.abs(values))
            bins[:, index] = np.searchsorted(inner, values, side="right")
        if model.encode == "ordinal":
            return bins
        return encode((bins.astype(int) + offsets).tolist())

    return {"transform": transform}


FUNCTIONS = (np.log, np.log1p, np.log2, np.log10, np.sqrt, np.cbrt, np.exp, np.expm1)
"""Functions that return one float for each integer or float."""


def function_transformer(model: Any, compiler: Compiler) -> Part:
    function = model.func
    if function is not None and not any(function is known for known in FUNCTIONS):
        raise UnplannedError("FunctionTransformer calls a function of the author")
    if function is not None and compiler.gives_flags:
        raise UnplannedError(
            "FunctionTransformer may get booleans, for which numpy computes short floats"
        )
    if model.kw_args or getattr(model, "pass_y", False) is True:
        raise UnplannedError("FunctionTransformer has arguments")
    validates = model.validate is not False
    arrange = memory_order(compiler) if function is not None else matrix

    def transform(block: Any) -> Any:
        if function is None and not validates:
            return block
        if isinstance(block, list) and any(column.dtype.kind == "b" for column in block):
            raise FallbackRequiredError
        values = matrix(block)
        if validates:
            finite(values)
        return values if function is None else function(arrange(values))

    return {"transform": transform}


def eliminator(model: Any, compiler: Compiler) -> Part:
    """Select columns, and pass them on to the estimator that they were selected for."""
    part = selector(model, compiler)
    try:
        inner = compiler.part(model.estimator_)
    except UnplannedError:
        return part
    methods = ((name, inner[name]) for name in PREDICTING if name in inner)
    return {**part, **{name: after(part["transform"], method) for name, method in methods}}


PREDICTING = ("predict", "predict_proba", "decision_function")


def _accepts_nan(model: Any, compiler: Compiler) -> bool:
    """Return whether a selector of a record does not check values, as its estimator does it."""
    if not is_record(model) or not compiler.since(0, 22):
        return False
    if type(model).__name__ == "VarianceThreshold":
        return True
    inner = getattr(model, "estimator_", None)
    if type(inner).__name__.startswith(("DecisionTree", "ExtraTree", "RandomForest")):
        return accepts_nan(inner, compiler)
    return type(inner).__name__.startswith("HistGradientBoosting")


def selector(model: Any, compiler: Compiler) -> Part:
    mask = support(model)
    if not mask.any():
        raise UnplannedError("a selector selects no column")
    new_index = np.cumsum(mask, dtype=np.int32) - np.int32(1)
    width = int(mask.sum())
    check = identity if _accepts_nan(model, compiler) else finite

    def transform(block: Any) -> Any:
        if isinstance(block, np.ndarray):
            return check(block)[:, mask]
        kept = mask[block.indices]
        finite(block.data)
        indptr = np.concatenate([[0], np.cumsum(kept)]).astype(np.int32)[block.indptr]
        make = maker_like(block, width)
        return make(block.data[kept], new_index[block.indices[kept]], indptr)

    return {"transform": transform}


COMPILERS: Compilers = {
    "Binarizer": binarizer,
    "FunctionTransformer": function_transformer,
    "GenericUnivariateSelect": selector,
    "KBinsDiscretizer": k_bins,
    "MaxAbsScaler": max_abs_scaler,
    "MinMaxScaler": min_max_scaler,
    "Normalizer": normalizer,
    "PolynomialFeatures": polynomial_features,
    "PowerTransformer": power_transformer,
    "QuantileTransformer": quantile_transformer,
    "RFE": eliminator,
    "RFECV": eliminator,
    "RobustScaler": robust_scaler,
    "SelectFdr": selector,
    "SelectFpr": selector,
    "SelectFromModel": selector,
    "SelectFwe": selector,
    "SelectKBest": selector,
    "SelectPercentile": selector,
    "SequentialFeatureSelector": selector,
    "StandardScaler": standard_scaler,
    "VarianceThreshold": selector,
}
