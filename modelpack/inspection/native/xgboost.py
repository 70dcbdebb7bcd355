"""What XGBoost's models tell, whichever of its formats holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelpack.spec import Field, Finding, Signature, Task

from ..facts.columns import Column
from ..facts.splits import Splits
from .told import Told, columns, outputs

_RANKERS = "rank:"
_LABELS = "multi:softmax"
_CLASSIFIERS = ("binary:", "multi:")
_INDICATOR, _CATEGORY = "i", "c"


@dataclass
class Learner:
    """What each of the formats tells: `groups` of classes, 0 where there are none; `targets`, the
    number of outputs of a regressor; `kinds` of the features: q, float, int, i, c. `known` are the
    values of those of kind c in a DataFrame, by the number of the feature.
    """

    words: str
    width: int
    groups: int
    targets: int
    objective: str
    names: list[str] | None = None
    kinds: list[str] | None = None
    known: dict[int, tuple[Any, ...]] | None = None
    version: str | None = None
    problem: Finding | None = None
    splits: Splits = field(default_factory=Splits)


def told(learner: Learner) -> Told:
    return Told(
        estimator="xgboost.core.Booster",
        framework="xgboost",
        words=learner.words,
        signature=_signature(learner),
        task=_task(learner.objective),
        version=learner.version,
        problem=learner.problem,
    )


def _task(objective: str) -> Task:
    if objective.startswith(_CLASSIFIERS):
        return "classifier"
    return "unknown" if objective.startswith(_RANKERS) or not objective else "regressor"


def _signature(learner: Learner) -> Signature:
    made, named = columns(learner.width, learner.names)
    learner.splits.tell(made)
    for index, column in enumerate(made):
        column.nullable = True
        _tell(column, index, learner)
    count = outputs(max(learner.groups, learner.targets, 1), "an XGBoost model")
    labels = tuple(range(learner.groups)) if learner.groups > 1 else None
    gives_labels = learner.objective == _LABELS
    shape = (count,) if count > 1 and not gives_labels else ()
    return Signature(
        inputs=tuple(column.field("number") for column in made),
        outputs=(Field("prediction", "number", shape, labels if gives_labels else None),),
        classes=labels if learner.objective.startswith(_CLASSIFIERS) else None,
        named=named,
    )


def _tell(column: Column, index: int, learner: Learner) -> None:
    kind = learner.kinds[index] if learner.kinds and index < len(learner.kinds) else ""
    if known := (learner.known or {}).get(index):
        column.coded(known)
    elif kind == _CATEGORY and learner.names:
        column.coded(())
    elif kind == _CATEGORY:
        column.type, column.example = "integer", 0
        column.minimum = column.maximum = None
    elif kind == _INDICATOR:
        column.flag()
