"""What the fitted steps of a model tell of each column that goes in."""

from __future__ import annotations

from collections.abc import Callable

from ..nodes import Node, Obj
from .boosters import Booster, booster
from .categorical import categorical
from .columns import Column, Columns
from .parts import Part, attributes, column_names
from .preprocessing import TRANSFORMERS, between, fills_nan
from .rows import kept_rows
from .splits import splits_of, takes_missing
from .vocabulary import TEXT_VECTORIZERS, text_example


def describe(part: Part, columns: Columns) -> bool:
    """Tell the columns what the part knows of them; whether they come out of it one by one, with
    what is missing still missing or filled in, so that the next step tells of them too.
    """
    told = _LIBRARIES.get(part.top) or _COMPOSITES.get(part.name) or TRANSFORMERS.get(part.name)
    if told is not None:
        return told(part, columns)
    if part.is_sampler:
        return True
    kept_rows(part, columns)
    if part.is_sklearn:
        _split(part, columns)
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


def _modelling_imputer(part: Part, columns: Columns) -> bool:
    for column in columns:
        column.nullable = fills_nan(part)
    kept_rows(part, columns)
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
    bins = attributes(part.get("_bin_mapper")).get("bin_thresholds_")
    if isinstance(bins, list) and encoder is None:  # which puts the columns in another order
        for column, node in zip(columns, bins, strict=False):
            between(column, node)
    return False


def _split(part: Part, columns: Columns) -> None:
    splits_of(part).tell(columns)
    if takes_missing(part):
        for column in columns:
            column.nullable = True


def _boosted(part: Part, columns: Columns) -> bool:
    told = booster(part) or Booster()
    for index, column in enumerate(columns):
        column.nullable = index not in told.texts
        if index in told.texts:
            column.type = column.type or "string"
    for column, found in zip(columns, told.ranges, strict=False):
        if found:
            column.number(example=sum(found) / 2, low=found[0], high=found[1])
    if told.splits:
        told.splits.tell(columns)
    return False


_COMPOSITES: dict[str, Callable[[Part, Columns], bool]] = {
    "Pipeline": _pipeline,
    "FeatureUnion": _union,
    "ColumnTransformer": _column_transformer,
    "KNNImputer": _modelling_imputer,
    "IterativeImputer": _modelling_imputer,
    "HistGradientBoostingClassifier": _hist,
    "HistGradientBoostingRegressor": _hist,
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
