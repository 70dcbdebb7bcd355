"""Results of statsmodels: their inputs, and the probabilities that they predict."""

from __future__ import annotations

from ..formulas.grammar import Formula, NotAFormula, parse
from ..nodes import Node, ObjectNode, class_key
from ..pickle.ndarrays import Array, scalar
from .columns import Column, Columns, is_nan
from .estimators import EstimatorNode, attributes, columns_of


def formula(part: EstimatorNode) -> Formula | None:
    """Return the formula that statsmodels applies to the rows of a request, if there is one."""
    text = _model(part).get("formula")
    if part.top != "statsmodels" or type(text) is not str:
        return None
    try:
        return parse(text)
    except NotAFormula:
        return None


def describe_inputs(part: EstimatorNode, columns: Columns) -> bool:
    """Record the contents of the training frame; the output has other columns."""
    found = formula(part)
    if found is None:
        return False
    frame = attributes(_model(part).get("data")).get("frame")
    by_name = {column.name: column for column in columns}
    for name, array, place in columns_of(frame, set(by_name)):
        _describe(by_name[name], array, place, coded=place is None or name in found.coded)
    return False


_PROBABILITIES = {
    "Logit": "the probability of the outcome 1", "MNLogit": "the probability of each outcome",
    "OrderedModel": "the probability of each outcome", "Probit": "the probability of the outcome 1",
}  # fmt: skip
"""Model -> what its results predict. The outcome of a GLM may be any of two, or a proportion."""


def probabilities(part: EstimatorNode) -> str | None:
    """Return a notice if the results predict probabilities, where labels might be expected."""
    if part.top != "statsmodels":
        return None
    model = (attributes(part.get("_results")) or part.attributes).get("model")
    name = _name(model)
    if name in _PROBABILITIES:
        return f"The prediction is {_PROBABILITIES[name]} ({name}), not a label."
    if _name(attributes(model).get("family")) == "Binomial":
        return f"The prediction is a probability ({name} of the family Binomial), not a label."
    return None


def _name(node: Node) -> str:
    """Return the name of the class of an object of statsmodels, otherwise an empty text."""
    key = class_key(node) if isinstance(node, ObjectNode) else ""
    return key.rpartition(":")[2] if key.startswith("statsmodels.") else ""


def _describe(column: Column, array: Array, place: int | None, *, coded: bool) -> None:
    values = _values(array, place or 0)
    kept = [value for value in values if value is not None and not is_nan(value)]
    kind = array.dtype.kind
    if kind == "b":
        column.flag()
    elif kind in "OU" or (coded and kept):
        if kept and all(isinstance(value, str | int | float) for value in kept):
            column.category(sorted(set(kept), key=lambda value: (str(type(value)), value)))
        elif kind in "OU":
            column.type = "string" if not kept else "any"
    elif kind in "iuf" and kept:
        numbers = sorted(float(value) for value in kept)
        column.number(example=numbers[len(numbers) // 2])


def _values(array: Array, place: int) -> list[Node]:
    """Return the values of a column of a block; none if they were not kept."""
    found: list[Node] = (array.values() if array.items is None else array.items) or []
    if len(array.shape) == 2:
        count, length = array.shape
        start = place * length
        found = found[place::count] if array.fortran else found[start : start + length]
    return found if array.items is None else list(map(scalar, found))


def _model(part: EstimatorNode) -> dict[str, Node]:
    results = attributes(part.get("_results")) or part.attributes
    return attributes(results.get("model"))
