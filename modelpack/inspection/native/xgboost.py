"""What XGBoost's models tell, whichever of its formats holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelpack.types import Field, Finding, Signature, Task

from ..facts.columns import Column
from ..facts.splits import Splits
from .told import Told, columns, outputs

_RANKERS = "rank:"
_LABELS = "multi:softmax"
_WITH_PROBABILITIES = {"binary:logistic", "multi:softprob"}
_CLASSIFIER = "xgboost.sklearn.XGBClassifier"
_CLASSIFIERS = ("binary:", "multi:")
_INDICATOR, _CATEGORY = "i", "c"


@dataclass
class Learner:
    """What each of the formats tells: `groups` of classes, 0 where there are none; `targets`, the
    number of outputs of a regressor; `kinds` of the features: q, float, int, i, c. `known` are the
    values of those of kind c in a DataFrame, by the number of the feature. `wrapper`: what saved it
    of XGBoost's estimators for scikit-learn: "classifier", "regressor", "ranker" or "".
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
    wrapper: str = ""
    splits: Splits = field(default_factory=Splits)

    @property
    def predicts_labels(self) -> bool:
        """Whether XGBClassifier saved it, whose `predict` gives labels where a Booster's gives
        probabilities.
        """
        gives = self.objective in _WITH_PROBABILITIES and self.targets <= 1
        return gives and self.wrapper == "classifier"


def told(learner: Learner) -> Told:
    return Told(
        estimator=_CLASSIFIER if learner.predicts_labels else "xgboost.core.Booster",
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
    inputs = tuple(column.field("number") for column in made)
    if learner.predicts_labels:
        labels = labels or (0, 1)
        output = Field("prediction", "integer", (), labels)
        return Signature(inputs, (output,), labels, named=named, probabilities=True)
    return Signature(
        inputs=inputs,
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
