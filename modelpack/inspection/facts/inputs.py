"""What goes into a model: the form of its rows, their names, their number, their types."""

from __future__ import annotations

from modelpack.types import Field, Layout

from .boosters import booster
from .columns import Column
from .formulas import formula
from .parts import Part, every
from .passage import chosen_names, entries, head, reached, recorded_names, tells_frames_apart
from .rows import exogenous_names
from .steps import NUMERIC, describe
from .vocabulary import DICT_VECTORIZER, TEXT_VECTORIZERS, dict_columns, text_example
from .widths import features_in

MOST_INPUTS = 100_000
"""Of a wider model the inputs are not listed."""

_MOST_DESCRIBED = 10_000_000
"""Columns of all steps together. A step claims columns that take no bytes of the file."""


def form(root: Part) -> Layout | None:
    """The form of rows that are no columns of a table, texts or dicts; None of all others."""
    first = head(root)
    if first.kind in TEXT_VECTORIZERS:
        return "text"
    return "dicts" if first.kind == DICT_VECTORIZER else None


def layout(root: Part, inputs: list[Field]) -> Layout:
    """The form of the rows: a DataFrame wherever a part could tell it from the array of its values,
    which only the libraries that convert it at once and columns of numbers exclude.
    """
    told = form(root)
    if told is not None:
        return told
    if not inputs:
        return "frame" if _passes_frames_on(root) else "array"
    if names(root) is None:
        return "array"
    if formula(root.last) is not None:
        return "frame"
    return "array" if all(map(_is_number, inputs)) and not tells_frames_apart(root) else "frame"


def _is_number(field: Field) -> bool:
    """Whether its values are those of an array of numbers; boosters take booleans as such."""
    if field.dtype is None:
        return field.type in {"number", "integer"}
    return field.dtype in {"bool", "float32"}


def _passes_frames_on(root: Part) -> bool:
    """Whether the model, or a step behind one that records nothing, as authors write them, recorded
    the columns of a DataFrame: then the model was given one itself.
    """
    return any(names(part) for part in (root, *root.parts))


def fields(root: Part) -> list[Field]:
    """The inputs in the model's order; none where the file does not tell how many there are."""
    told = form(root)
    if told == "text":
        return [Field("text", "string", example=text_example(head(root)))]
    if told == "dicts":
        return [column.field("number") for column in dict_columns(head(root), MOST_INPUTS)]
    if any(told.undecided for told in map(booster, reached(root)) if told):
        return []
    known = names(root)
    if known is None:
        width = features_in(root) or 0
        known = [f"x{i}" for i in range(width if width <= MOST_INPUTS else 0)]
    columns = [Column(name) for name in known]
    if sum(1 for _ in every(root)) * len(columns) <= _MOST_DESCRIBED:
        describe(root, columns)
    numeric = head(root).top in NUMERIC
    return [column.field("number" if numeric else "any") for column in columns]


def names(part: Part) -> list[str] | None:
    """The names that the part records, or the first of its parts that gets the same columns."""
    if told := recorded_names(part):
        return told
    if part.kind == "ColumnTransformer":
        return chosen_names(part) or None  # of releases that did not record all names
    if (boosted := booster(part)) and boosted.names:
        return list(boosted.names)
    if part.top == "statsmodels":
        found = formula(part)
        return found.inputs if found else exogenous_names(part)
    return next(filter(None, map(names, entries(part))), None)
