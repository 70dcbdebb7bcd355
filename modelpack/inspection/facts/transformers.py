"""Facts that fitted transformers record about each column."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..nodes import DictNode, Node, ObjectNode
from ..pickle.ndarrays import scalar, view
from .boosters import Booster, booster, splits_of, takes_missing
from .columns import (
    TEXT_VECTORIZERS,
    Column,
    Columns,
    is_nan,
    rounded,
    set_examples_from_rows,
    text_example,
)
from .estimators import EstimatorNode, as_dict, attributes, axes, column_names
from .input_types import entries, is_elementwise, recorded_names
from .statsmodels import describe_inputs, formula
from .widths import features_out

# Each function records facts in the columns. It returns whether the output has the same columns,
# with missing values unchanged or imputed.
_SAME_VARIANCE = 1e-9
_WHOLE = 1e-4
"""Difference to an integer up to which a sum is one, after the errors of a mean and a variance."""
_MAX_SUM = 1e9
"""Larger sums have larger errors."""


def fills_nan(part: EstimatorNode) -> bool:
    """Return whether the imputer replaces NaN."""
    missing = scalar(part.attributes.get("missing_values"))
    return missing in (None, "NaN") or is_nan(missing)


def fills_none(part: EstimatorNode) -> bool:
    """Return whether the imputer replaces None."""
    return "missing_values" in part.attributes and part.attributes["missing_values"] is None


def _imputer(part: EstimatorNode, columns: Columns) -> bool:
    array = view(part.get("statistics_"))
    values = array.values() if array else None
    if values is None or len(values) != len(columns):
        return False
    for column, value in zip(columns, values, strict=True):
        column.nullable = fills_nan(part)
        column.missing_none |= fills_none(part)
        if isinstance(value, str):
            column.type, column.example = column.type or "string", value
        elif isinstance(value, int | float) and column.example is None and math.isfinite(value):
            column.example = rounded(value)
    is_whole = all(v is not None and not is_nan(v) for v in values)  # otherwise it drops a column
    return is_whole and not part.get("add_indicator")


def _encoder(part: EstimatorNode, columns: Columns) -> bool:
    lists = part.get("categories_")
    for column, node in zip(columns, lists if isinstance(lists, list) else [], strict=False):
        array = view(node)
        if array and array.dtype.kind == "M":
            column.date()
            continue
        column.category((array.values() if array else None) or ())
        if array and column.type == "boolean":  # some releases cannot compare the two dtypes
            column.dtype = column.dtype or ("bool" if array.dtype.kind == "b" else "object")
    return False


def _centred(centre: str, spread: str) -> Callable[[EstimatorNode, Columns], bool]:
    """Return a function for centres and variances, which identify columns of 0 and 1."""

    def describe_columns(part: EstimatorNode, columns: Columns) -> bool:
        centres, spreads = part.floats(centre), part.floats(spread)
        count = scalar(part.attributes.get("n_samples_seen_"))
        if centres is not None and len(centres) == len(columns):
            spreads = spreads if spreads and len(spreads) == len(centres) else [-1.0] * len(centres)
            for column, c, s in zip(columns, centres, spreads, strict=True):
                is_flag = 0 < c < 1 and abs(s - c * (1 - c)) < _SAME_VARIANCE
                is_whole = is_flag or _are_whole(count, c, s)
                column.number(example=round(c) if is_whole else c)
                if is_flag and column.type == "number" and not column.changed:
                    column.example = float(round(c))
        return _changed_columns(columns)

    return describe_columns


def _are_whole(count: object, mean: float, variance: float) -> bool:
    """Return whether values look like integers: their sum and the sum of their squares are some.

    This is no proof, so the type of the column remains that of any number.
    """
    if not isinstance(count, int | float) or not abs(count) < _MAX_SUM:
        return False
    sums = (count * mean, count * (variance + mean * mean))
    return variance >= 0 and all(
        abs(each) < _MAX_SUM and abs(each - round(each)) < _WHOLE for each in sums
    )


def _bounded(low: str, high: str) -> Callable[[EstimatorNode, Columns], bool]:
    def describe_columns(part: EstimatorNode, columns: Columns) -> bool:
        lows, highs = part.floats(low), part.floats(high)
        if lows is not None and highs is not None and len(lows) == len(highs) == len(columns):
            for column, a, b in zip(columns, lows, highs, strict=True):
                column.between(a, b)
        return _changed_columns(columns)

    return describe_columns


def _max_abs(part: EstimatorNode, columns: Columns) -> bool:
    for column, peak in zip(columns, part.floats("max_abs_") or [], strict=False):
        column.number(example=peak / 2, high=peak)
    return _changed_columns(columns)


def _bins(part: EstimatorNode, columns: Columns) -> bool:
    edges = view(part.get("bin_edges_"))
    for column, node in zip(columns, (edges and edges.items) or [], strict=False):
        between(column, node)
    return False


def _splines(part: EstimatorNode, columns: Columns) -> bool:
    """Record the range of the knots, without the `degree` knots beyond each end."""
    splines, degree = part.get("bsplines_"), part.number("degree") or 0
    for column, node in zip(columns, splines if isinstance(splines, list) else [], strict=False):
        spline = attributes(node) or attributes(_wrapped_spline(node))
        between(column, spline.get("t", spline.get("_t")), degree)
    return False


def _wrapped_spline(node: Node) -> Node:
    """Return the spline inside a spline, as scipy pickles it since 1.18."""
    state = node.states[0] if isinstance(node, ObjectNode) and node.states else None
    return state[0] if isinstance(state, tuple) and state else None


def _quantiles(part: EstimatorNode, columns: Columns) -> bool:
    array = view(part.get("quantiles_"))
    values = array.values() if array else None
    if not array or not values or len(array.shape) != 2 or array.shape[1] != len(columns):
        return _changed_columns(columns)
    rows, width = array.shape
    for index, column in enumerate(columns):
        cells = values[index * rows : (index + 1) * rows] if array.fortran else values[index::width]
        if all(isinstance(cell, float) for cell in cells):
            column.number(example=cells[rows // 2], low=cells[0], high=cells[-1])
    return _changed_columns(columns)


def _isotonic(part: EstimatorNode, columns: Columns) -> bool:
    low, high = scalar(part.get("X_min_")), scalar(part.get("X_max_"))
    if len(columns) == 1 and isinstance(low, float) and isinstance(high, float):
        columns[0].between(low, high)
    return False


def between(column: Column, node: Node, margin: int = 0) -> None:
    """Record the range of a sorted array, without `margin` values at each end."""
    array = view(node)
    values = ((array.values() if array else None) or [])[margin : -margin or None]
    if len(values) > 1 and all(isinstance(v, float) for v in values):
        column.between(values[0], values[-1])


def _power(_: EstimatorNode, columns: Columns) -> bool:
    return _changed_columns(columns)


def _changed_columns(columns: Columns) -> bool:
    """Record that the output has the same columns with other numbers."""
    for column in columns:
        column.changed = True
    return True


TRANSFORMERS: dict[str, Callable[[EstimatorNode, Columns], bool]] = {
    "SimpleImputer": _imputer,
    "Imputer": _imputer,
    "OneHotEncoder": _encoder,
    "OrdinalEncoder": _encoder,
    "TargetEncoder": _encoder,
    "StandardScaler": _centred("mean_", "var_"),
    "RobustScaler": _centred("center_", ""),
    "MinMaxScaler": _bounded("data_min_", "data_max_"),
    "MaxAbsScaler": _max_abs,
    "KBinsDiscretizer": _bins,
    "SplineTransformer": _splines,
    "QuantileTransformer": _quantiles,
    "PowerTransformer": _power,
    "IsotonicRegression": _isotonic,
}


_TAKES_MISSING = {"value", "indicator"}


def categorical(part: EstimatorNode, columns: Columns) -> bool:
    """Record facts; return whether each encoded column keeps its position."""
    by_name = {column.name: column for column in columns}
    encoded = set(column_names(part.get("cols")) or ())
    for column in columns:
        if column.name in encoded:
            column.type = column.type or "string"
            column.nullable = part.text("handle_missing") in _TAKES_MISSING
    for name, labels in _mappings(part):
        if name in encoded and name in by_name:
            by_name[str(name)].category(labels)
    return part.number("_dim") == len(columns)


def _mappings(part: EstimatorNode) -> list[tuple[Node, list[Node]]]:
    """Return the name and labels of each column.

    An OrdinalEncoder contains a pandas Series of labels, and most encoders contain an
    OrdinalEncoder.
    """
    inner = part.get("ordinal_encoder")
    mapping = attributes(inner).get("mapping") if inner is not None else part.get("mapping")
    found = []
    for node in mapping if isinstance(mapping, list) else []:
        facts = as_dict(node)
        labels = axes(facts.get("mapping"))
        array = view(labels[0]) if labels else None
        found.append((facts.get("col"), (array.values() if array else None) or []))
    return found


NUMERIC = {"sklearn", "xgboost", "lightgbm", "catboost", "imblearn", "category_encoders",
           "ngboost", "statsmodels"}  # fmt: skip
"""Libraries whose models take numbers unless the file records other types."""

_MAX_COLUMNS = 100_000


def describe(part: EstimatorNode, columns: Columns) -> Columns | None:
    """Record the facts of a part in its input columns.

    Returns:
        The output columns: unchanged ones, also with imputed or missing values, and new ones for
        all others. None if their number is unknown.
    """
    describe_part = _LIBRARIES.get(part.top) or _OTHERS.get(part.name)
    if formula(part) is not None:
        describe_part = describe_inputs
    if part.kind in _COMPOSITES:
        return _COMPOSITES[part.kind](part, columns)
    if describe_part is not None:
        return columns if describe_part(part, columns) else _new_columns(features_out(part))
    if part.is_sampler or is_elementwise(part):
        return columns if part.is_sampler or part.get("func") is None else _changed(columns)
    if part.top not in NUMERIC or part.name == "FunctionTransformer":
        for column in columns:
            column.opaque()
        return None
    set_examples_from_rows(part, columns)
    if part.is_sklearn:
        _split(part, columns)
        _narrow(part, columns)
        _describe_members(part, columns)
    return _new_columns(features_out(part))


def _new_columns(count: int) -> Columns | None:
    return [Column("") for _ in range(count)] if 0 <= count <= _MAX_COLUMNS else None


def _describe_members(part: EstimatorNode, columns: Columns) -> None:
    """Record the facts of inner parts with the same columns; RFE passes on selected ones."""
    if part.name in {"RFE", "RFECV"}:
        mask = view(part.get("support_"))
        flags = (mask.values() if mask else None) or []
        columns = [c for c, flag in zip(columns, flags, strict=False) if flag is True]
    if part.name in _WRAPPERS:
        for inner in entries(part):
            describe(inner, columns)


def _changed(columns: Columns) -> Columns:
    for column in columns:
        column.changed = True
    return columns


def _pipeline(part: EstimatorNode, columns: Columns) -> Columns | None:
    """Record the facts of all steps, by name if a step has recorded names, else by position."""
    now: Columns | None = columns
    for index, step in enumerate(part.parts):
        recorded = recorded_names(step) if index else None
        if recorded is not None:
            now = _by_name(recorded, columns if now is None else now)
        if now is None:
            return None
        now = describe(step, now)
    return now


def _by_name(names: list[str], columns: Columns) -> Columns:
    """Return the columns with these names, with or without the name of a step as a prefix.

    Other names get new columns. If no name is known, the columns are matched by position.
    """
    known = {column.name: column for column in columns if column.name}
    found = [known.get(name) or known.get(name.partition("__")[2]) for name in names]
    if not any(found) and len(names) == len(columns):
        return columns
    return [column or Column(name) for column, name in zip(found, names, strict=True)]


def _union(part: EstimatorNode, columns: Columns) -> Columns | None:
    return _concatenate([describe(inner, columns) for inner in part.parts])


def _concatenate(results: list[Columns | None]) -> Columns | None:
    """Return the output of steps side by side."""
    if any(result is None for result in results):
        return None
    return [column for result in results for column in result or ()]


def _column_transformer(part: EstimatorNode, columns: Columns) -> Columns | None:
    names = recorded_names(part) or []
    if len(names) != len(columns):
        names = [column.name for column in columns]
    by_name = dict(zip(names, columns, strict=True))
    results: list[Columns | None] = []
    for name, step, node in part.steps:
        chosen = _choose(node, columns, by_name)
        inner = part.inner(step)
        if inner is not None:
            found = describe(inner, chosen)
            results.append(_new_columns(_slice_width(part, name)) if found is None else found)
        elif step == "drop":
            for column in chosen:
                column.kept = bool(column.kept)
            continue
        else:
            results.append(chosen)
        for column in chosen:
            column.kept = True
    return _concatenate(results)


def _slice_width(part: EstimatorNode, step: str) -> int:
    """Return the number of output columns of a step of a ColumnTransformer; -1 if unknown."""
    slices = part.get("output_indices_")
    pairs = zip(slices.keys, slices.values, strict=True) if isinstance(slices, DictNode) else ()
    ends = next(
        (node.args for key, node in pairs if key == step and isinstance(node, ObjectNode)), ()
    )
    known = len(ends) == 3 and type(ends[0]) is type(ends[1]) is int
    return ends[1] - ends[0] if known else -1


def _choose(node: Node, columns: Columns, by_name: dict[str, Column]) -> Columns:
    if isinstance(node, ObjectNode) and node.cls.name == "slice":
        bounds = [v if v is None or type(v) is int else None for v in node.args[:3]]
        return list(columns)[slice(*bounds)] if bounds and 0 not in bounds[2:] else []
    names = column_names(node) or ()
    found = (
        by_name.get(n) if isinstance(n, str) else columns[n] if -len(columns) <= n < len(columns)
        else None
        for n in names
    )  # fmt: skip
    return [column for column in found if column is not None]


def _modelling_imputer(part: EstimatorNode, columns: Columns) -> bool:
    for column in columns:
        column.nullable = fills_nan(part)
    set_examples_from_rows(part, columns)
    return False


def _text(part: EstimatorNode, columns: Columns) -> bool:
    for column in columns[:1]:
        column.type, column.example = "string", text_example(part)
    return False


def _histograms(part: EstimatorNode, columns: Columns) -> bool:
    """Record categories and bins of histogram gradient boosting.

    A mask marks the columns of categories. An inner encoder numbers their values and moves these
    columns to the front. Without an encoder, the values are numbers chosen by the author.
    """
    encoder = part.inner(part.get("_preprocessor"))
    for _, step, node in encoder.steps if encoder else ():
        inner = part.inner(step)
        if inner is not None and inner.name == "OrdinalEncoder":
            describe(inner, _choose(node, columns, {}))
    for column in columns:
        column.nullable = True
    mask = view(part.get("is_categorical_"))
    flags = (mask.values() if mask else None) or [False] * len(columns)
    chosen = [column for column, flag in zip(columns, flags, strict=False) if flag is True]
    others = [column for column, flag in zip(columns, flags, strict=False) if flag is not True]
    if part.text("categorical_features") == "from_dtype":
        for column in chosen:
            column.coded(column.categories or ())
    bins = attributes(part.get("_bin_mapper")).get("bin_thresholds_")
    nodes = bins[-len(others) :] if isinstance(bins, list) and others else []
    if encoder is None and chosen:
        nodes = [node for node, flag in zip(bins or (), flags, strict=False) if flag is not True]
    for column, node in zip(others, nodes, strict=False):
        _between_bins(column, node)
    return False


def _between_bins(column: Column, node: Node) -> None:
    array = view(node)
    values = (array.values() if array else None) or []
    if len(values) > 1 and all(isinstance(v, float) for v in values):
        column.separated(values, 2)


def _split(part: EstimatorNode, columns: Columns) -> None:
    splits_of(part).describe(columns)
    if takes_missing(part):
        for column in columns:
            column.nullable = True


def _dates(part: EstimatorNode, columns: Columns) -> bool:
    """Record the columns that steps of feature-engine read as dates, its `variables_`.

    Dates may not be sent as integers: the steps expect nanoseconds, and pandas writes milliseconds
    to JSON.
    """
    dates = set(column_names(part.get("variables_", "variables")) or ())
    for column in columns:
        if column.name in dates:
            column.date()
        else:
            column.opaque()
    return False


def _narrow(part: EstimatorNode, columns: Columns) -> None:
    """Linear models compute in the dtype of their rows: coefficients of float32 come from a frame
    without a column of float64.
    """
    coefficients = view(part.get("coef_"))
    if coefficients is None or (coefficients.dtype.kind, coefficients.dtype.itemsize) != ("f", 4):
        return
    for column in columns:
        if column.dtype is None and column.type in (None, "number"):
            column.dtype = "float32"


def _boosted(part: EstimatorNode, columns: Columns) -> bool:
    (booster(part) or Booster()).describe(columns)
    return False


_COMPOSITES: dict[str, Callable[[EstimatorNode, Columns], Columns | None]] = {
    "Pipeline": _pipeline,
    "FeatureUnion": _union,
    "ColumnTransformer": _column_transformer,
}
_OTHERS: dict[str, Callable[[EstimatorNode, Columns], bool]] = {
    **dict.fromkeys(("DatetimeFeatures", "DatetimeOrdinal", "DatetimeSubtraction"), _dates),
    **TRANSFORMERS,
    "KNNImputer": _modelling_imputer,
    "IterativeImputer": _modelling_imputer,
    "HistGradientBoostingClassifier": _histograms,
    "HistGradientBoostingRegressor": _histograms,
    **dict.fromkeys(TEXT_VECTORIZERS, _text),
}
_LIBRARIES: dict[str, Callable[[EstimatorNode, Columns], bool]] = {
    **dict.fromkeys(("xgboost", "lightgbm", "catboost"), _boosted),
    "category_encoders": categorical,
}
_WRAPPERS = {
    "GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV",
    "TransformedTargetRegressor", "CalibratedClassifierCV", "OneVsRestClassifier",
    "OneVsOneClassifier", "OutputCodeClassifier", "MultiOutputClassifier", "MultiOutputRegressor",
    "VotingClassifier", "VotingRegressor", "StackingClassifier", "StackingRegressor",
    "FrozenEstimator", "FixedThresholdClassifier", "TunedThresholdClassifierCV", "RFE", "RFECV",
    "SelectFromModel", "BaggingClassifier", "BaggingRegressor", "SelfTrainingClassifier",
}  # fmt: skip
