"""What goes into a model: the form of its rows, their names, their number, their types."""

from __future__ import annotations

from modelpack.spec import Field, Layout

from .boosters import booster
from .columns import Column
from .parts import Part, column_names
from .steps import describe
from .vocabulary import DICT_VECTORIZER, TEXT_VECTORIZERS, dict_columns, text_example
from .widths import features_in

MOST_INPUTS = 100_000
"""Of a wider model the inputs are not listed."""

_NUMERIC = {"sklearn", "xgboost", "lightgbm", "catboost", "imblearn", "category_encoders",
            "statsmodels"}  # fmt: skip
_FORMS = {"ColumnTransformer", DICT_VECTORIZER, *TEXT_VECTORIZERS}
"""What takes rows in a form of its own, however deep inside a model it stands first."""


def head(part: Part) -> Part:
    """The part that the rows reach first, functions without state and samplers aside; of several
    that they reach side by side, one that takes them in a form of its own.
    """
    if part.name in {"Pipeline", "FeatureUnion"} or part.name.endswith("SearchCV"):
        parts = [p for p in part.parts if not p.is_sampler]
        reached = [p for p in parts if p.name != "FunctionTransformer"] or parts
        heads = [head(p) for p in (reached if part.name == "FeatureUnion" else reached[:1])]
        formed = (found for found in heads if found.name in _FORMS)
        return next(formed, heads[0] if heads else part)
    inner = next(part.parts, None)
    if inner is None or part.name == "ColumnTransformer":
        return part
    first = head(inner)
    return first if first.name in _FORMS else part


def layout(root: Part) -> Layout:
    """The form of the rows: what chooses columns by their names needs a DataFrame."""
    first = head(root)
    if first.name in TEXT_VECTORIZERS:
        return "text"
    if first.name == DICT_VECTORIZER:
        return "dicts"
    if first.name == "ColumnTransformer" and _chosen_names(first):
        return "frame"
    return "frame" if first.top == "category_encoders" and names(first) else "array"


def _chosen_names(part: Part) -> list[str]:
    """The names that the steps of a ColumnTransformer choose, each once."""
    chosen = [c for _, _, node in part.steps for c in column_names(node) or ()]
    return list(dict.fromkeys(c for c in chosen if isinstance(c, str)))


def fields(root: Part) -> list[Field]:
    """The inputs in the model's order; none where the file does not tell how many there are."""
    if layout(root) == "text":
        return [Field("text", "string", example=text_example(head(root)))]
    if layout(root) == "dicts":
        return [column.field("number") for column in dict_columns(head(root), MOST_INPUTS)]
    known = names(root)
    if known is None:
        width = features_in(root) or 0
        known = [f"x{i}" for i in range(width if width <= MOST_INPUTS else 0)]
    columns = [Column(name) for name in known]
    describe(root, columns)
    numeric = head(root).top in _NUMERIC
    return [column.field("number" if numeric else "any") for column in columns]


def names(part: Part) -> list[str] | None:
    """`feature_names_in_` of the part, or of the first of its parts that the rows reach."""
    told = column_names(part.get("feature_names_in_", "_feature_names_in"))
    if told and all(isinstance(name, str) for name in told):
        return [str(name) for name in told]
    if part.name == "ColumnTransformer":
        return _chosen_names(part) or None  # of releases that did not record all names
    if (boosted := booster(part)) and boosted.names:
        return list(boosted.names)
    first = next(part.parts, None)
    return names(first) if first and part.name not in TEXT_VECTORIZERS else None
