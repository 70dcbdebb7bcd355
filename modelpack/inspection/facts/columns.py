"""What is known of one input column."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelpack.types import Field, FieldType, Scalar

from ..nodes import DictNode, Node
from ..pickle.ndarrays import clean, view
from .estimators import EstimatorNode, attributes, axes

DATE = "2000-01-01T00:00:00"
"""An example, where no date of training is known."""
MAX_CATEGORIES = 1_000
"""Of an encoder with more, the categories are no help to anyone."""


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
    dtype: str | None = None
    missing_none: bool = False
    kept: bool | None = None
    """Whether some step takes it, where others leave it out; None where nothing leaves it out."""
    changed: bool = False
    """A step has made other numbers of its values: those that later steps tell of are not its."""

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
        """Training met values from `low` to `high`; the example of two integers is one too."""
        if not math.isfinite(low + high):
            return
        middle = (low + high) / 2
        is_whole = float(low).is_integer() and float(high).is_integer()
        self.number(example=math.floor(middle) if is_whole else middle, low=low, high=high)

    def separated(self, thresholds: Sequence[float], enough: int) -> None:
        """`thresholds`, sorted, lie between values of training; those of integers are multiples of
        a half, and are given as integers that training met. Fewer than `enough` bound nothing.
        """
        low, middle, high = thresholds[0], thresholds[len(thresholds) // 2], thresholds[-1]
        if all(float(2 * t).is_integer() for t in thresholds):
            low, middle, high = math.floor(low), math.floor(middle), math.ceil(high)
        if len(set(thresholds)) >= enough:
            self.number(example=middle, low=low, high=high)
        else:
            self.number(example=middle)

    def category(self, values: Sequence[Scalar]) -> None:
        """`values` are all that it may have; a missing one among them."""
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
        """It had pandas' category dtype: `values` are all categories in the order of their codes,
        none where the file does not tell them.
        """
        self.dtype, self.nullable = "category", True
        self.type = scalar_type(values) if values else "any"
        self.categories = tuple(values) or None
        self.minimum = self.maximum = None
        self.example = values[0] if values else None

    def flag(self) -> None:
        """It had the dtype bool, which nothing can be missing in."""
        self.type, self.dtype, self.example, self.nullable = "boolean", "bool", False, False

    def date(self) -> None:
        """It had dates. The file does not tell whether one may be missing."""
        self.type, self.example, self.nullable = "datetime", DATE, True

    def opaque(self) -> None:
        """It goes into code that may take anything, of which a number is the likeliest."""
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
    """The rows (n_rows, n_features) that results of statsmodels keep of their training."""
    results = attributes(part.get("_results")) or part.attributes
    return attributes(results.get("model")).get("exog")


def exogenous_names(part: EstimatorNode) -> list[str] | None:
    """The names of the columns of a DataFrame that statsmodels was given."""
    results = attributes(part.get("_results")) or part.attributes
    data = attributes(attributes(results.get("model")).get("data"))
    columns = axes(data.get("orig_exog"))
    array = view(columns[0]) if len(columns) == 2 else None
    names = (array.values() if array else None) or []
    return names if names and all(isinstance(name, str) for name in names) else None


def kept_rows(part: EstimatorNode, columns: Columns) -> None:
    """Give the columns values of the first rows as their examples."""
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
    """A few words of the vocabulary, in the order in which training met them."""
    vocabulary = part.get("vocabulary_", "vocabulary")
    terms = vocabulary.keys if isinstance(vocabulary, DictNode) else []
    words = [t for t in terms[:2_000] if isinstance(t, str) and _WORD.fullmatch(t)]
    return " ".join(words[:6]) or "an example text"


def dict_columns(part: EstimatorNode, most: int) -> list[Column]:
    """The keys of the dicts that a DictVectorizer was fitted on; none where there are more than
    `most`. It counts {"city": "Bern"} as "city=Bern" and {"rooms": 3} as "rooms": what has values
    after a separator is text, everything else a number. Any key may be left out.
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
