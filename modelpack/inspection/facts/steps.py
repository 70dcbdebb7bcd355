"""What the fitted steps of a model tell of each column that goes in."""

from __future__ import annotations

from collections.abc import Callable

from ..arrays import view
from ..nodes import Dct, Node, Obj
from .boosters import Booster, booster
from .categorical import categorical
from .columns import Column, Columns
from .formulas import describe_inputs, formula
from .parts import Part, attributes, column_names
from .passage import entries, is_elementwise, recorded_names
from .preprocessing import TRANSFORMERS, fills_nan
from .rows import kept_rows
from .splits import splits_of, takes_missing
from .vocabulary import TEXT_VECTORIZERS, text_example
from .widths import features_out

NUMERIC = {"sklearn", "xgboost", "lightgbm", "catboost", "imblearn", "category_encoders",
           "statsmodels"}  # fmt: skip
"""Libraries whose models take numbers where nothing in the file says otherwise."""

_MOST_COLUMNS = 100_000
"""The example of a column of dates."""


def describe(part: Part, columns: Columns) -> Columns | None:
    """Record in the columns what the part knows of them.

    Returns the columns as they come out of it: those that come out one by one, with what is missing
    still missing or filled in, and new ones in the places of all others; None if their number is
    unknown.
    """
    told = _LIBRARIES.get(part.top) or _OTHERS.get(part.name)
    if formula(part) is not None:
        told = describe_inputs
    if part.kind in _COMPOSITES:
        return _COMPOSITES[part.kind](part, columns)
    if told is not None:
        return columns if told(part, columns) else _new_columns(features_out(part))
    if part.is_sampler or is_elementwise(part):
        return columns if part.is_sampler or part.get("func") is None else _changed(columns)
    if part.top not in NUMERIC or part.name == "FunctionTransformer":
        for column in columns:
            column.opaque()
        return None
    kept_rows(part, columns)
    if part.is_sklearn:
        _split(part, columns)
        _narrow(part, columns)
        _describe_members(part, columns)
    return _new_columns(features_out(part))


def _new_columns(count: int) -> Columns | None:
    return [Column("") for _ in range(count)] if 0 <= count <= _MOST_COLUMNS else None


def _describe_members(part: Part, columns: Columns) -> None:
    """Those that get the same columns, or of RFE the ones that it has selected."""
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


def _pipeline(part: Part, columns: Columns) -> Columns | None:
    """By place, or by name where the next step has recorded the names of what it gets."""
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
    """The columns that have these names, or have them behind the name of a step that scikit-learn
    puts in front; new ones for all other names. All of them by place, if no name is known.
    """
    known = {column.name: column for column in columns if column.name}
    found = [known.get(name) or known.get(name.partition("__")[2]) for name in names]
    if not any(found) and len(names) == len(columns):
        return columns
    return [column or Column(name) for column, name in zip(found, names, strict=True)]


def _union(part: Part, columns: Columns) -> Columns | None:
    return _together([describe(inner, columns) for inner in part.parts])


def _together(results: list[Columns | None]) -> Columns | None:
    """What comes out of steps that are side by side."""
    if any(result is None for result in results):
        return None
    return [column for result in results for column in result or ()]


def _column_transformer(part: Part, columns: Columns) -> Columns | None:
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
    return _together(results)


def _slice_width(part: Part, step: str) -> int:
    """How many columns of a ColumnTransformer come from one of its steps; -1 if unknown."""
    slices = part.get("output_indices_")
    pairs = zip(slices.keys, slices.values, strict=True) if isinstance(slices, Dct) else ()
    ends = next((node.args for key, node in pairs if key == step and isinstance(node, Obj)), ())
    known = len(ends) == 3 and type(ends[0]) is type(ends[1]) is int
    return ends[1] - ends[0] if known else -1


def _choose(node: Node, columns: Columns, by_name: dict[str, Column]) -> Columns:
    if isinstance(node, Obj) and node.cls.name == "slice":
        bounds = [v if v is None or type(v) is int else None for v in node.args[:3]]
        return list(columns)[slice(*bounds)] if bounds and 0 not in bounds[2:] else []
    names = column_names(node) or ()
    found = (
        by_name.get(n) if isinstance(n, str) else columns[n] if -len(columns) <= n < len(columns)
        else None
        for n in names
    )  # fmt: skip
    return [column for column in found if column is not None]


def _modelling_imputer(part: Part, columns: Columns) -> bool:
    for column in columns:
        column.nullable = fills_nan(part)
    kept_rows(part, columns)
    return False


def _text(part: Part, columns: Columns) -> bool:
    for column in columns[:1]:
        column.type, column.example = "string", text_example(part)
    return False


def _histograms(part: Part, columns: Columns) -> bool:
    """The columns of categories are those of a mask. An encoder of its own numbers them and puts
    them before the others; without one their values are numbers as the author chose them.
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


def _split(part: Part, columns: Columns) -> None:
    splits_of(part).tell(columns)
    if takes_missing(part):
        for column in columns:
            column.nullable = True


def _of_dates(part: Part, columns: Columns) -> bool:
    """feature-engine: `variables_` are the columns that its steps take as dates. As integers they
    would be nanoseconds, and pandas writes milliseconds to JSON.
    """
    dates = set(column_names(part.get("variables_", "variables")) or ())
    for column in columns:
        if column.name in dates:
            column.date()
        else:
            column.opaque()
    return False


def _narrow(part: Part, columns: Columns) -> None:
    """Linear models compute in the dtype of their rows: coefficients of float32 come from a frame
    without a column of float64.
    """
    coefficients = view(part.get("coef_"))
    if coefficients is None or (coefficients.dtype.kind, coefficients.dtype.itemsize) != ("f", 4):
        return
    for column in columns:
        if column.dtype is None and column.type in (None, "number"):
            column.dtype = "float32"


def _boosted(part: Part, columns: Columns) -> bool:
    (booster(part) or Booster()).describe(columns)
    return False


_COMPOSITES: dict[str, Callable[[Part, Columns], Columns | None]] = {
    "Pipeline": _pipeline,
    "FeatureUnion": _union,
    "ColumnTransformer": _column_transformer,
}
_OTHERS: dict[str, Callable[[Part, Columns], bool]] = {
    **dict.fromkeys(("DatetimeFeatures", "DatetimeOrdinal", "DatetimeSubtraction"), _of_dates),
    **TRANSFORMERS,
    "KNNImputer": _modelling_imputer,
    "IterativeImputer": _modelling_imputer,
    "HistGradientBoostingClassifier": _histograms,
    "HistGradientBoostingRegressor": _histograms,
    **dict.fromkeys(TEXT_VECTORIZERS, _text),
}
_LIBRARIES: dict[str, Callable[[Part, Columns], bool]] = {
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
