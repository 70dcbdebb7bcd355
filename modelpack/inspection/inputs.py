"""What goes into a model: the form of its rows, their names, their number, their types."""

from __future__ import annotations

from modelpack.spec import Field, Layout

from .arrays import view
from .columns import Column, describe, text_example
from .nodes import Node, Obj
from .parts import Part, column_names

TEXT_HEADS = {"TfidfVectorizer", "CountVectorizer", "HashingVectorizer"}
MOST_INPUTS = 100_000
"""Of a wider model the inputs are not listed."""

_WIDTHS = ("mean_", "scale_", "statistics_", "data_min_", "center_", "max_abs_", "variances_",
           "support_vectors_", "_fit_X", "cluster_centers_", "theta_", "feature_log_prob_",
           "components_", "coef_", "coefs_")  # fmt: skip
_NUMERIC = {"sklearn", "xgboost", "lightgbm", "catboost", "imblearn"}


def head(part: Part) -> Part:
    """The part that the rows reach first, functions without state aside."""
    if part.name in {"Pipeline", "FeatureUnion"} or part.name.endswith("SearchCV"):
        parts = list(part.parts)
        fitted = (p for p in parts if p.name != "FunctionTransformer")
        first = next(fitted, parts[0] if parts else None)
        return head(first) if first else part
    inner = next(part.parts, None)
    if inner and part.name != "ColumnTransformer" and inner.name in {"Pipeline", *TEXT_HEADS}:
        return head(inner)
    return part


def layout(root: Part) -> Layout:
    """The form of the rows: a ColumnTransformer that was told names needs a DataFrame."""
    first = head(root)
    if first.name in TEXT_HEADS:
        return "text"
    return "frame" if first.name == "ColumnTransformer" and _chosen_names(first) else "array"


def _chosen_names(part: Part) -> list[str]:
    """The names that the steps of a ColumnTransformer choose, each once."""
    chosen = [c for _, _, node in part.steps for c in column_names(node) or ()]
    return list(dict.fromkeys(c for c in chosen if isinstance(c, str)))


def fields(root: Part) -> list[Field]:
    """The inputs in the model's order; none where the file does not tell how many there are."""
    if layout(root) == "text":
        return [Field("text", "string", example=text_example(head(root)))]
    known = names(root)
    if known is None:
        width = _width(root) or 0
        known = [f"x{i}" for i in range(width if width <= MOST_INPUTS else 0)]
    columns = [Column(name) for name in known]
    describe(root, columns)
    numeric = head(root).cls.module.partition(".")[0] in _NUMERIC
    return [column.field("number" if numeric else "any") for column in columns]


def names(part: Part) -> list[str] | None:
    """`feature_names_in_` of the part, or of the first of its parts that the rows reach."""
    array = view(part.get("feature_names_in_", "_feature_names_in"))
    values = array.values() if array else None
    if values and all(isinstance(v, str) for v in values):
        return [v for v in values if isinstance(v, str)]
    if part.name == "ColumnTransformer":
        return _chosen_names(part) or None  # of releases that did not record all names
    first = next(part.parts, None)
    return names(first) if first and part.name not in TEXT_HEADS else None


def _width(part: Part) -> int | None:
    """The number of features, however this release and this class record it."""
    first = next(part.parts, None)
    if part.name in {"Pipeline", "FeatureUnion"} or part.name.endswith("SearchCV"):
        return _width(first) if first else None
    known = part.number("n_features_in_", "_n_features_in", "_n_features", "n_features_")
    if known is None:
        known = _width_of_arrays(part)
    if known is None and first is not None:
        known = _width(first)
    return known


def _width_of_arrays(part: Part) -> int | None:
    shape = part.get("shape_fit_")
    if isinstance(shape, tuple) and len(shape) == 2 and type(shape[1]) is int:
        return shape[1]
    for name in _WIDTHS:
        array = view(_first(part.get(name)))
        if array is not None and array.shape:
            return array.shape[-1] if name != "coefs_" else array.shape[0]
    return _width_of_tree(part)


def _first(node: Node) -> Node:
    return node[0] if isinstance(node, list) and node else node


def _width_of_tree(part: Part) -> int | None:
    if part.name == "IsotonicRegression":
        return 1
    tree = part.get("tree_")
    if isinstance(tree, Obj) and tree.args and type(tree.args[0]) is int:
        return tree.args[0]
    grown = part.get("estimators_")
    array = view(grown)
    items = array.items if array else grown
    member = part.inner(items[0]) if isinstance(items, list) and items else None
    return _width(member) if member else None
