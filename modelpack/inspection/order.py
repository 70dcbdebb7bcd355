"""The order in which rows pass through the estimators of a collection.

Widths, names and ranges of columns that training recorded contradict most wrong orders.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, permutations

from modelpack.types import Field, Finding, Member, Signature

from .companions import is_for_target, outputs_of_labels
from .facts.estimators import EstimatorNode
from .facts.input_types import head
from .facts.signature import names
from .facts.signature import signature as signature_of
from .facts.widths import keeps_columns
from .nodes import ObjectNode

CLASS_ENCODER = "LabelEncoder"
_BINARIZERS = {"LabelBinarizer", "MultiLabelBinarizer"}
_LABEL_TRANSFORMERS = {CLASS_ENCODER, *_BINARIZERS}
"""Transformers of labels, not of rows."""

_INVERTIBLE = {
    "MaxAbsScaler", "MinMaxScaler", "PowerTransformer", "QuantileTransformer", "RobustScaler",
    "StandardScaler",
}  # fmt: skip
"""Transformers whose inverse needs nothing but the values."""

_MODEL = re.compile(r"model|estimator|classifier|regressor|clf|best", re.IGNORECASE)
_MAX_ORDERED = 4
_MAX_ESTIMATORS = 16
"""The order of more transformers or estimators is not searched."""

_DEVIATIONS = 10.0
"""Training data is hardly ever farther from its centre, in units of the scale."""

_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Candidate:
    """An estimator, the node that it was read from, and where it is located."""

    part: EstimatorNode
    node: ObjectNode
    member: Member
    name: str

    @cached_property
    def signature(self) -> Signature:
        """The signature of the estimator alone."""
        return signature_of(self.part)

    @property
    def text(self) -> str:
        """Its location as a value of `--select`, such as "models.churn"."""
        return ".".join(map(str, self.member.path))


def printable(candidate: Candidate) -> str:
    """Return the location and the class for a message."""
    return f"{repr(candidate.text)[1:-1]} ({candidate.part.name})"


def transforms(candidate: Candidate) -> bool:
    """Return whether an estimator transforms rows and does not predict."""
    part = candidate.part
    if part.last.name in _LABEL_TRANSFORMERS:
        return False
    return part.only_transforms or (part.has("transform") is True and not part.has("predict"))


def can_transform(candidate: Candidate) -> bool:
    """Return whether an estimator may transform rows."""
    part = candidate.part
    return part.has("transform") is not False and part.last.name not in _LABEL_TRANSFORMERS


def width_out(candidate: Candidate) -> int | None:
    """Return the number of values per row that a transformer returns. None if unknown."""
    shape = candidate.signature.outputs[0].shape
    return shape[0] if len(shape) == 1 and shape[0] >= 0 else None


def width_in(candidate: Candidate) -> int | None:
    """Return the number of inputs of an estimator. None if unknown."""
    return len(candidate.signature.inputs) or None


def only_order(estimators: Sequence[Candidate]) -> list[Candidate] | None:
    """Return the estimators of a collection in the only order that rows can pass through them.

    All transformers come before the single estimator that predicts. Copies of an estimator, and
    parts of another one, are left out. Several orders are possible if widths are unknown or equal.
    Then those are left in which no estimator that recorded names of columns follows one that did
    not: a transformer returns arrays.

    Returns:
        None if no order or more than one is possible, or if a transformer is one of the target.
    """
    if len(estimators) > _MAX_ESTIMATORS:
        return None
    distinct = _without_parts(estimators)
    transformers = [one for one in distinct if transforms(one)]
    predictors = [one for one in distinct if not transforms(one)]
    is_uncertain = len(predictors) != 1 or len(transformers) > _MAX_ORDERED
    if is_uncertain or any(map(_is_of_target, transformers)):
        return None
    orders = [
        [*order, *predictors]
        for order in permutations(transformers)
        if _fits([*order, *predictors])
    ]
    if len(orders) > 1:
        orders = [order for order in orders if _starts_with_names(order)]
    return orders[0] if len(orders) == 1 else None


def _is_of_target(candidate: Candidate) -> bool:
    """Return whether a transformer transforms the target, by its key."""
    return is_for_target(candidate.text) and candidate.part.name != "TargetEncoder"


def _fits(order: Sequence[Candidate]) -> bool:
    return not any(mismatch(a, b) or unscaled(a, b) for a, b in pairwise(order))


def _starts_with_names(order: Sequence[Candidate]) -> bool:
    named = [names(one.part) is not None for one in order]
    return named == sorted(named, reverse=True)


def _without_parts(estimators: Sequence[Candidate]) -> list[Candidate]:
    """Return the estimators, each once, without those that another one consists of."""
    inner = _inside([one.part for one in estimators])
    distinct = {id(one.node): one for one in reversed(estimators) if id(one.node) not in inner}
    return [one for one in estimators if distinct.get(id(one.node)) is one]


def _inside(parts: Sequence[EstimatorNode]) -> set[int]:
    """Return the ids of the nodes inside estimators, each visited once."""
    waiting, seen = list(parts), set[int]()
    while waiting:
        part = waiting.pop()
        for _, node, _ in part.steps:
            if id(node) not in seen and isinstance(node, ObjectNode):
                seen.add(id(node))
                waiting += filter(None, [part.inner(node)])
    return seen


def target_transformer(estimators: Sequence[Candidate]) -> Candidate | None:
    """Return the transformer whose inverse belongs behind the single regressor of a collection.

    By its key, it transforms the target, and no other one does. None if this is uncertain.
    """
    if len(estimators) > _MAX_ESTIMATORS:
        return None
    distinct = _without_parts(estimators)
    targets = [one for one in distinct if transforms(one) and _is_of_target(one)]
    predictors = [one for one in distinct if not transforms(one)]
    if len(targets) != 1 or len(predictors) != 1:
        return None
    return targets[0] if can_invert(targets[0], predictors[0]) else None


def binarizers_of_outputs(estimators: Sequence[Candidate]) -> list[Candidate]:
    """Return the binarizers whose labels are as many as the outputs of another estimator."""
    models = [one for one in estimators if one.part.last.name not in _LABEL_TRANSFORMERS]
    binarizers = [one for one in estimators if one.part.name in _BINARIZERS]
    return [
        each
        for each in binarizers[:_MAX_ESTIMATORS]
        if any(
            any(outputs_of_labels(model.signature, [(each.text, each.part)]))
            for model in models[:_MAX_ESTIMATORS]
        )
    ]


def can_invert(target: Candidate, predictor: Candidate) -> bool:
    """Return whether the inverse of a transformer converts the predictions of a regressor."""
    part = predictor.part
    if part.task != "regressor" or part.last.name == "TransformedTargetRegressor":
        return False  # the latter inverts by itself
    (width,) = predictor.signature.outputs[0].shape or (1,)
    return target.part.name in _INVERTIBLE and width_in(target) == width


def objection(estimators: Sequence[Candidate]) -> str | None:
    """Return why two estimators are not one pipeline, or why a transformer is not part of one."""
    distinct = _without_parts(estimators) if len(estimators) <= _MAX_ESTIMATORS else []
    target = next(filter(_is_of_target, filter(transforms, distinct)), None)
    if target:
        return (
            f"by its key, {printable(target)} transforms the target, and it is "
            "uncertain how predictions are converted back"
        )
    if len(distinct) != 2 or not transforms(distinct[0]) ^ transforms(distinct[1]):
        return None
    first, then = sorted(distinct, key=transforms, reverse=True)
    if problem := mismatch(first, then):
        return problem.message
    name = unscaled(first, then)
    return name and (
        f"{then.part.name} was trained on values of {name!r} that {first.part.name} does not return"
    )


def suggested(estimators: list[Candidate]) -> list[Candidate]:
    """Return the longest chain of fitting transformers, and the estimator that predicts."""
    predictors = [one for one in estimators if not transforms(one)] or estimators[:1]
    last = next((one for one in predictors if _MODEL.search(one.name)), predictors[0])
    transformers = [
        one for one in estimators if transforms(one) and one is not last and not _is_of_target(one)
    ]
    if len(transformers) > _MAX_ORDERED:
        return [last]
    longest: list[Candidate] = []
    for count in range(1, len(transformers) + 1):
        for order in permutations(transformers, count):
            if all(_surely_fit(first, then) for first, then in pairwise((*order, last))):
                longest = list(order)
                break
    return [*longest, last]


def _surely_fit(first: Candidate, then: Candidate) -> bool:
    width = width_out(first)
    return width is not None and width == width_in(then) and _fits([first, then])


def mismatch(first: Candidate, then: Candidate) -> Finding | None:
    """Return why rows cannot pass from one estimator to the other."""
    if not can_transform(first):
        message = f"{first.part.name} comes before {then.part.name}, but does not transform rows"
        return Finding("misfit", message)
    (width,) = first.signature.outputs[0].shape or (-1,)
    takes = len(then.signature.inputs)
    if width >= 0 and takes and width != takes:
        message = (
            f"{first.part.name} returns {width:,} values per row, but {then.part.name} takes "
            f"{takes:,}"
        )
        return Finding("misfit", message)
    before, behind = names(first.part), names(then.part)
    if not (before and behind and keeps_columns(first.part)):
        return None
    if before != behind and sorted(before) == sorted(behind):
        message = (
            f"{first.part.name} and {then.part.name} were trained on the same columns in different "
            "orders"
        )
        return Finding("misfit", message)
    return None


def unscaled(first: Candidate, then: Candidate) -> str | None:
    """Return the input of an estimator whose values are those before the scaler, not behind it.

    Such an estimator was trained on values that did not pass through the scaler.
    """
    inputs = then.signature.inputs
    if inputs and _scales_alike(first.part, head(then.part)):
        return inputs[0].name
    for field, (raw, scaled) in zip(inputs, _intervals(first.part), strict=False):
        low, high = _learned_range(field)
        is_raw = raw[0] <= low and high <= raw[1]
        margin = _ROUNDING * max(abs(scaled[0]), abs(scaled[1]))
        is_bounded = first.part.name == "MinMaxScaler"
        below, above = (low, high) if is_bounded else (high, low)
        if is_raw and (below < scaled[0] - margin or above > scaled[1] + margin):
            return field.name
    return None


def _learned_range(field: Field) -> tuple[float, float]:
    """Return the range of an input, or its example twice; NaN if training recorded neither."""
    if field.minimum is not None and field.maximum is not None:
        return float(field.minimum), float(field.maximum)
    value = field.example
    # An example of 0 may be made up.
    known = float(value) if isinstance(value, int | float) and value else math.nan
    return known, known


_SCALERS = {
    "MinMaxScaler": ("data_min_", "data_range_"),
    "RobustScaler": ("center_", "scale_"),
    "StandardScaler": ("mean_", "scale_"),
}
"""Scaler -> what it subtracts from a column, and what it divides by. Then these are 0 and 1."""


def _scales_alike(outer: EstimatorNode, inner: EstimatorNode) -> bool:
    """Return whether a scaler at the start of a model was trained on the same rows as `outer`.

    Had it been trained on scaled rows, its attributes would be nearer to 0 and 1.
    """
    if outer.name != inner.name or outer.name not in _SCALERS:
        return False
    lists = [part.floats(key) for part in (outer, inner) for key in _SCALERS[outer.name]]
    columns = list(zip(*(each or () for each in lists), strict=False))
    to_raw = sum(abs(b - a) + abs(t - s) for a, s, b, t in columns)
    to_scaled = sum(abs(b) + abs(t - 1) for _, _, b, t in columns)
    return bool(to_raw < to_scaled)


_Interval = tuple[float, float]


def _intervals(part: EstimatorNode) -> Iterator[tuple[_Interval, _Interval]]:
    """Yield the ranges of training of each column of a scaler, before and behind it."""
    if part.name == "MinMaxScaler":
        arrays = [part.floats(key) for key in ("data_min_", "data_max_", "scale_", "min_")]
        for low, high, scale, shift in zip(*(a or () for a in arrays), strict=False):
            yield (low, high), (low * scale + shift, high * scale + shift)
    if part.name in {"StandardScaler", "RobustScaler"}:
        centres, scales = part.floats("mean_", "center_"), part.floats("scale_")
        for centre, scale in zip(centres or (), scales or (), strict=False):
            reach = _DEVIATIONS * scale
            yield (centre - reach, centre + reach), (-_DEVIATIONS, _DEVIATIONS)
