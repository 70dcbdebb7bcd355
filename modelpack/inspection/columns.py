"""What the fitted steps of a model tell of each column that goes in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelpack.spec import Field, FieldType, Scalar

from .arrays import scalar, view
from .nodes import Dct, Node, Obj
from .parts import Part, column_names

MOST_CATEGORIES = 1_000
"""Of an encoder with more, the categories are no help to anyone."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_ROWS = ("_fit_X", "support_vectors_", "cluster_centers_", "centroids_", "X_fit_", "X_train_",
         "means_", "theta_", "sigma_")  # fmt: skip
_ACCEPT_MISSING = {"xgboost", "lightgbm", "catboost"}
_MEANS = ("mean_", "xbar_", "_x_mean", "x_mean_", "location_")


@dataclass
class Column:
    """One input while its facts are gathered. The first to tell of a fact is right: later steps
    see what earlier ones have made of the values.
    """

    name: str
    type: FieldType | None = None
    categories: tuple[Scalar, ...] | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    example: Scalar = None

    def number(
        self, *, example: float, low: float | None = None, high: float | None = None
    ) -> None:
        if self.type in (None, "number") and self.minimum is None and math.isfinite(example):
            self.type = "number"
            self.example = rounded(example) if self.example is None else self.example
            self.minimum = rounded(low) if low is not None and math.isfinite(low) else None
            self.maximum = rounded(high) if high is not None and math.isfinite(high) else None

    def field(self, default: FieldType) -> Field:
        kind = self.type or default
        blanks: dict[str, Scalar] = {"string": "", "boolean": False, "integer": 0}
        example, blank = self.example, blanks.get(kind, 0.0)
        if example is None and not (kind == "any" and self.nullable):
            example = blank
        return Field(self.name, kind, (), self.categories, self.nullable, self.minimum,
                     self.maximum, example)  # fmt: skip


Columns = Sequence[Column]


def rounded(value: float) -> float:
    """Four digits are enough for an example, and can be read."""
    return float(f"{value:.4g}")


def describe(part: Part, columns: Columns) -> bool:
    """Tell the columns what the part knows of them; whether they come out of it one by one, with
    what is missing still missing or filled in, so that the next step tells of them too.
    """
    told = _STEPS.get(part.name)
    if told is not None:
        return told(part, columns)
    if part.cls.module.partition(".")[0] in _ACCEPT_MISSING:
        return _hist(part, columns)
    _rows(part, columns)
    if not part.is_sklearn or part.name not in _WRAPPERS:
        return False
    for inner in part.parts:
        describe(inner, columns)
    return False


def _pipeline(part: Part, columns: Columns) -> bool:
    return all(describe(step, columns) for step in part.parts)


def _union(part: Part, columns: Columns) -> bool:
    for inner in part.parts:
        describe(inner, columns)
    return False


def _column_transformer(part: Part, columns: Columns) -> bool:
    by_name = {column.name: column for column in columns}
    for _, step, node in part.steps:
        chosen = _choose(node, columns, by_name)
        inner = part.inner(step)
        if inner is not None:
            describe(inner, chosen)
        elif step == "drop":
            for column in chosen:
                column.type, column.nullable = "any", True
    return False


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


def _imputer(part: Part, columns: Columns) -> bool:
    array = view(part.get("statistics_"))
    values = array.values() if array else None
    if values is None or len(values) != len(columns):
        return False
    for column, value in zip(columns, values, strict=True):
        column.nullable = _fills_nan(part)
        if isinstance(value, str):
            column.type, column.example = column.type or "string", value
        elif isinstance(value, int | float) and column.example is None and math.isfinite(value):
            column.example = rounded(value)
    return not part.get("add_indicator")


def _fills_nan(part: Part) -> bool:
    missing = scalar(part.attributes.get("missing_values"))
    return missing in (None, "NaN") or _is_nan(missing)


def _modelling_imputer(part: Part, columns: Columns) -> bool:
    for column in columns:
        column.nullable = _fills_nan(part)
    _rows(part, columns)
    return False


def _encoder(part: Part, columns: Columns) -> bool:
    lists = part.get("categories_")
    for column, node in zip(columns, lists if isinstance(lists, list) else [], strict=False):
        array = view(node)
        values = array.values() if array else None
        if values and column.type in (None, "string"):
            _set_categories(column, values)
    return False


def _set_categories(column: Column, values: list[Scalar]) -> None:
    kept = tuple(v for v in values if v is not None and not _is_nan(v))
    column.nullable |= len(kept) < len(values)
    if not kept:
        return
    column.type = scalar_type(kept)
    column.categories = kept if len(kept) <= MOST_CATEGORIES else None
    if column.example not in kept:
        column.example = kept[0]


def _is_nan(value: Scalar) -> bool:
    return isinstance(value, float) and math.isnan(value)


def scalar_type(values: Sequence[Scalar]) -> FieldType:
    """The type that all the values have."""
    if all(type(v) is bool for v in values):
        return "boolean"
    if all(type(v) is int for v in values):
        return "integer"
    if all(isinstance(v, int | float) for v in values):
        return "number"
    return "string" if all(isinstance(v, str) for v in values) else "any"


def _centred(centre: str, spread: str) -> Callable[[Part, Columns], bool]:
    def told(part: Part, columns: Columns) -> bool:
        centres, spreads = part.floats(centre), part.floats(spread)
        if centres is not None and len(centres) == len(columns):
            spreads = spreads if spreads and len(spreads) == len(centres) else [0.0] * len(centres)
            for column, c, s in zip(columns, centres, spreads, strict=True):
                column.number(example=c, low=c - 3 * s, high=c + 3 * s)
        return True

    return told


def _bounded(low: str, high: str) -> Callable[[Part, Columns], bool]:
    def told(part: Part, columns: Columns) -> bool:
        lows, highs = part.floats(low), part.floats(high)
        if lows is not None and highs is not None and len(lows) == len(highs) == len(columns):
            for column, a, b in zip(columns, lows, highs, strict=True):
                column.number(example=(a + b) / 2, low=a, high=b)
        return True

    return told


def _max_abs(part: Part, columns: Columns) -> bool:
    for column, peak in zip(columns, part.floats("max_abs_") or [], strict=False):
        column.number(example=peak / 2, low=-peak, high=peak)
    return True


def _bins(part: Part, columns: Columns) -> bool:
    edges = view(part.get("bin_edges_"))
    for column, node in zip(columns, (edges and edges.items) or [], strict=False):
        array = view(node)
        values = (array.values() if array else None) or []
        if len(values) > 1 and all(isinstance(v, float) for v in values):
            column.number(example=(values[0] + values[-1]) / 2, low=values[0], high=values[-1])
    return False


def _text(part: Part, columns: Columns) -> bool:
    for column in columns[:1]:
        column.type, column.example = "string", text_example(part)
    return False


def _hist(part: Part, columns: Columns) -> bool:
    encoder = part.inner(part.get("_preprocessor"))  # of columns of pandas' categories
    if encoder is not None:
        describe(encoder, columns)
    for column in columns:
        column.nullable = True
    return False


def _rows(part: Part, columns: Columns) -> None:
    """An example from the rows, or the means of rows, that many models keep of their training."""
    array = view(part.get(*_ROWS))
    row = array.row() if array else None
    values = row or part.floats(*_MEANS) or []
    if len(values) == len(columns) and all(isinstance(v, int | float) for v in values):
        for column, value in zip(columns, values, strict=True):
            if column.type in (None, "number") and column.example is None:
                column.example = float(f"{value:.6g}") if math.isfinite(value) else None


def text_example(part: Part) -> str:
    """A few words of the vocabulary, in the order in which training met them."""
    vocabulary = part.get("vocabulary_", "vocabulary")
    terms = vocabulary.keys if isinstance(vocabulary, Dct) else []
    words = [t for t in terms[:2_000] if isinstance(t, str) and _WORD.fullmatch(t)]
    return " ".join(words[:6]) or "an example text"


_STEPS: dict[str, Callable[[Part, Columns], bool]] = {
    "Pipeline": _pipeline,
    "FeatureUnion": _union,
    "ColumnTransformer": _column_transformer,
    "SimpleImputer": _imputer,
    "Imputer": _imputer,
    "KNNImputer": _modelling_imputer,
    "IterativeImputer": _modelling_imputer,
    "OneHotEncoder": _encoder,
    "OrdinalEncoder": _encoder,
    "TargetEncoder": _encoder,
    "StandardScaler": _centred("mean_", "scale_"),
    "RobustScaler": _centred("center_", "scale_"),
    "MinMaxScaler": _bounded("data_min_", "data_max_"),
    "MaxAbsScaler": _max_abs,
    "KBinsDiscretizer": _bins,
    "TfidfVectorizer": _text,
    "CountVectorizer": _text,
    "HashingVectorizer": _text,
    "HistGradientBoostingClassifier": _hist,
    "HistGradientBoostingRegressor": _hist,
}
_WRAPPERS = {
    "GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV",
    "TransformedTargetRegressor", "CalibratedClassifierCV", "OneVsRestClassifier",
    "OneVsOneClassifier", "OutputCodeClassifier", "MultiOutputClassifier", "MultiOutputRegressor",
    "VotingClassifier", "VotingRegressor", "StackingClassifier", "StackingRegressor",
    "FrozenEstimator", "FixedThresholdClassifier", "TunedThresholdClassifierCV", "RFE", "RFECV",
    "SelectFromModel", "BaggingClassifier", "BaggingRegressor", "SelfTrainingClassifier",
}  # fmt: skip
