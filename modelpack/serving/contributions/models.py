"""The class that computes the contributions of each kind of model."""

from __future__ import annotations

from typing import Any, Callable

from . import boosters, ensembles, linear, links, origins, trees
from .scope import Scope
from .scores import is_linear
from .steps import Steps, UnavailableError

KINDS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(trees.CLASSES, trees.PathModel),
    "BaggingClassifier": ensembles.Mean,
    "BaggingRegressor": ensembles.Mean,
    "CalibratedClassifierCV": links.Calibrated,
    "Inverted": links.TransformedTarget,
    "MultiOutputRegressor": ensembles.Separate,
    "OneVsRestClassifier": ensembles.Separate,
    "TransformedTargetRegressor": links.TransformedTarget,
    "VotingClassifier": ensembles.Mean,
    "VotingRegressor": ensembles.Mean,
}
"""Name of a class -> class of its contributions. Boosters and linear models are found otherwise."""


def build(steps: Steps, scope: Scope) -> Any:
    """Return the model that computes the contributions of the predictor of some steps.

    Raises:
        UnavailableError: No class is known for it, or a step combines inputs.
    """
    kind = _kind(steps.predictor)
    names = [field.name for field in scope.service.manifest.inputs]
    return kind(steps, origins.trace(steps.transformers, names), scope)


def _kind(predictor: Any) -> Callable[..., Any]:
    name = type(predictor).__name__
    if boosters.is_booster(predictor):
        return boosters.Booster
    if name in KINDS:
        return KINDS[name]
    if is_linear(predictor):
        return linear.Linear
    raise UnavailableError("The model is not a linear model, tree, forest or boosting.")
