"""The facts about one input column."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelpack.types import Field, FieldType, Scalar

from ..nodes import DictNode, Node
from ..pickle.ndarrays import view
from ..text import clean
from .estimators import EstimatorNode, attributes, axes

DATE = "2000-01-01T00:00:00"
"""The example of a column of dates."""
MAX_CATEGORIES = 1_000
"""Longer lists of categories are left out of the signature."""


@dataclass
class Column:
    """One input while its facts are collected.

    The first step that records a fact is right: later steps see transformed values.
    """

    name: str
    type: FieldType | None = None
    categories: tuple[Scalar, ...] | None = None
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    example: Scalar = None
    dtype: str | None = None
    missing_none: bool = False
    kept: bool | None = None
    """Whether a step takes the column, although another drops it; None if no step drops it."""
    changed: bool = False
    """Whether a step has transformed the values: later steps record other numbers."""

    def number(
        self, *, example: float, low: float | None = None, high: float | None = None
    ) -> None:
        is_open = self.type in (None, "number") and self.minimum is None and not self.changed
        if is_open and math.isfinite(example):
            self.type = "number"
            self.example = rounded(example) if self.example is None else self.example
            self.minimum = rounded(low) if low is not None and math.isfinite(low) else None
            self.maximum = rounded(high) if high is not None and math.isfinite(high) else None

    def between(self, low: float, high: float) -> None:
        """Record the range in training; the example is an integer if both bounds are."""
        if not math.isfinite(low + high):
            return
        middle = (low + high) / 2
        is_whole = float(low).is_integer() and float(high).is_integer()
        self.number(example=math.floor(middle) if is_whole else middle, low=low, high=high)

    def separated(self, thresholds: Sequence[float], enough: int) -> None:
        """Record sorted thresholds, which are between values in training.

        Those of integers are multiples of a half, and are rounded to integers. Fewer than `enough`
        distinct thresholds do not set a range.
        """
        low, middle, high = thresholds[0], thresholds[len(thresholds) // 2], thresholds[-1]
        if all(float(2 * t).is_integer() for t in thresholds):
            low, middle, high = math.floor(low), math.floor(middle), math.ceil(high)
        if len(set(thresholds)) >= enough:
            self.number(example=middle, low=low, high=high)
        else:
            self.number(example=middle)

    def category(self, values: Sequence[Scalar]) -> None:
        """Record all values that are allowed, including a missing one."""
        kept = tuple(v for v in values if v is not None and not is_nan(v))
        self.nullable |= len(kept) < len(values)
        self.missing_none |= None in values
        if not kept or self.type not in (None, "string"):
            return
        self.type = scalar_type(kept)
        self.categories = kept if len(kept) <= MAX_CATEGORIES else None
        if self.example not in kept:
            self.example = kept[0]

    def coded(self, values: Sequence[Scalar]) -> None:
        """Record pandas' category dtype, and the categories by code; none if unknown."""
        self.dtype, self.nullable = "category", True
        self.type = scalar_type(values) if values else "any"
        self.categories = tuple(values) or None
        self.minimum = self.maximum = None
        self.example = values[0] if values else None

    def flag(self) -> None:
        """Record the dtype bool, which has no missing values."""
        self.type, self.dtype, self.example, self.nullable = "boolean", "bool", False, False

    def date(self) -> None:
        """Record dates. The file does not contain whether one may be missing."""
        self.type, self.example, self.nullable = "datetime", DATE, True

    def opaque(self) -> None:
        """Record that the column reaches code that may accept any type, probably numbers."""
        if self.type is None:
            self.type, self.nullable = "any", True
            if self.example is None and self.kept is not False:
                self.example = 0.0

    def field(self, default: FieldType) -> Field:
        if self.kept is False:
            self.opaque()
        kind = self.type or default
        blanks: dict[str, Scalar] = {"string": "", "boolean": False, "integer": 0}
        example, blank = self.example, blanks.get(kind, 0.0)
        if example is None and not (kind == "any" and self.nullable):
            example = blank
        return Field(self.name, kind, (), self.categories, self.nullable, self.minimum,
                     self.maximum, example, self.dtype, None, self.missing_none)  # fmt: skip


Columns = Sequence[Column]


def rounded(value: float) -> float:
    """Four digits are enough for an example, and can be read."""
    return float(f"{value:.4g}")


def is_nan(value: Scalar) -> bool:
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


_ROWS = ("_fit_X", "support_vectors_", "cluster_centers_", "centroids_", "X_fit_", "X_train_",
         "means_", "theta_", "sigma_")  # fmt: skip
_MAX_ROWS = 20
_MEANS = ("mean_", "xbar_", "_x_mean", "x_mean_", "location_")


def exogenous(part: EstimatorNode) -> Node:
    """Return the training rows (n_rows, n_features) in results of statsmodels."""
    results = attributes(part.get("_results")) or part.attributes
    return attributes(results.get("model")).get("exog")


def exogenous_names(part: EstimatorNode) -> list[str] | None:
    """Return the names of the columns of the training DataFrame of statsmodels."""
    results = attributes(part.get("_results")) or part.attributes
    data = attributes(attributes(results.get("model")).get("data"))
    columns = axes(data.get("orig_exog"))
    array = view(columns[0]) if len(columns) == 2 else None
    names = (array.values() if array else None) or []
    return names if names and all(isinstance(name, str) for name in names) else None


def set_examples_from_rows(part: EstimatorNode, columns: Columns) -> None:
    """Set values of the first training rows as the examples of the columns."""
    array = view(exogenous(part) if part.top == "statsmodels" else part.get(*_ROWS))
    rows = array.rows(_MAX_ROWS) if array else []
    for row in [*rows, part.floats(*_MEANS) or []]:
        if len(row) == len(columns) and all(isinstance(v, int | float) for v in row):
            for column, value in zip(columns, row, strict=True):
                is_open = column.type in (None, "number") and not column.changed
                if is_open and column.example is None and math.isfinite(value):
                    column.example = float(f"{value:.6g}")


TEXT_VECTORIZERS = ("TfidfVectorizer", "CountVectorizer", "HashingVectorizer")
DICT_VECTORIZER = "DictVectorizer"
_WORD = re.compile(r"[^\W\d_]{2,}")


def text_example(part: EstimatorNode) -> str:
    """Return a few words of the vocabulary, in the order of training."""
    vocabulary = part.get("vocabulary_", "vocabulary")
    terms = vocabulary.keys if isinstance(vocabulary, DictNode) else []
    words = [t for t in terms[:2_000] if isinstance(t, str) and _WORD.fullmatch(t)]
    return " ".join(words[:6]) or "an example text"


def dict_columns(part: EstimatorNode, most: int) -> list[Column]:
    """Return the keys of the dicts that a DictVectorizer was fitted on; none if over `most`.

    It saves {"city": "Bern"} as "city=Bern" and {"rooms": 3} as "rooms": a key with a separator has
    texts, any other key has numbers. Each key may be missing in a request.
    """
    separator = part.text("separator") or "="
    keys: dict[str, list[str | None]] = {}
    for feature in _features(part):
        name, found, value = feature.partition(separator)
        keys.setdefault(name, []).append(value if found else None)
        if len(keys) > most:
            return []
    return [_dict_column(name, values) for name, values in keys.items()]


def _dict_column(name: str, values: list[str | None]) -> Column:
    column = Column(name, nullable=True)
    if None not in values:
        column.category(values)
    elif len(values) > 1:  # a number in some dicts, text in others
        column.type, column.example = "any", values[-1]
    return column


def _features(part: EstimatorNode) -> list[str]:
    names = part.get("feature_names_")
    if not isinstance(names, list):
        vocabulary = part.get("vocabulary_")
        names = vocabulary.keys if isinstance(vocabulary, DictNode) else []
    return [clean(name) for name in names if isinstance(name, str)]
