"""Chains, pairs and codes of estimators, and thresholds of classifiers."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from ...data.columns import FallbackRequiredError
from .arithmetic import finite
from .compiler import Compiler, Compilers, Part, RecordsOnly, UnplannedError, classes_of
from .distances import Metric, blas_of
from .svm import votes

Function = Callable[[Any], Any]


def regressor_chain(model: Any, compiler: Compiler) -> Part:
    predictions = [compiler.part(each)["predict"] for each in model.estimators_]
    return {"predict": _chained(model, predictions, predictions)}


def classifier_chain(model: Any, compiler: Compiler) -> Part:
    if any(len(classes_of(each)) > 2 for each in model.estimators_):
        raise UnplannedError("a classifier of the chain has more than two classes")
    parts = [compiler.part(each) for each in model.estimators_]
    common = [name for name in _RESPONSES if all(name in part for part in parts)]
    responses = {name: [_RESPONSES[name](part[name]) for part in parts] for name in common}
    previous = responses[getattr(model, "chain_method_", "predict")]  # since 1.6
    return {name: _chained(model, previous, each) for name, each in responses.items()}


_RESPONSES: dict[str, Callable[[Function], Function]] = {
    "predict": lambda method: method,
    "predict_proba": lambda method: lambda block: method(block)[:, 1],
    "decision_function": lambda method: lambda block: method(block).ravel(),
}
"""Method -> what a chain makes of it: a function with the result (n_rows,)."""


def _chained(model: Any, previous: list[Function], outputs: list[Function]) -> Function:
    """Return a function that passes on results of `previous`, and returns those of `outputs`."""
    order = np.argsort(model.order_)

    def call(block: Any) -> np.ndarray:
        if not isinstance(block, np.ndarray):
            raise FallbackRequiredError
        finite(block)
        passed = np.zeros((len(block), len(outputs)))
        results = np.zeros(passed.shape)
        for index, (give, output) in enumerate(zip(previous, outputs)):
            rows = np.hstack((block, passed[:, :index]))
            passed[:, index] = give(rows)
            results[:, index] = passed[:, index] if give is output else output(rows)
        return np.asarray(results[:, order])

    return call


def _confidence(part: Part) -> Function:
    """Return the decision of a classifier of two classes, or its probability of the second."""
    if "decision_function" in part:
        decide = part["decision_function"]
        return lambda block: np.ravel(decide(block))
    proba = part["predict_proba"]
    return lambda block: proba(block)[:, 1]


def _confidence_of(estimator: Any, compiler: Compiler) -> Function:
    """Return the confidence of a classifier, which is constant if the training had one class."""
    if type(estimator).__name__ != "_ConstantPredictor":
        return _confidence(compiler.part(estimator))
    constant = np.asarray(estimator.y_, np.float64)
    return lambda block: np.repeat(constant, block.shape[0])


def one_versus_one(model: Any, compiler: Compiler) -> Part:
    if getattr(model, "pairwise_indices_", None) is not None:
        raise UnplannedError("the rows are distances to those of the training")
    classes = np.asarray(model.classes_)
    parts = [compiler.part(each) for each in model.estimators_]
    confidences = [_confidence(part) for part in parts]
    has_decision = "decision_function" in parts[0]
    threshold = 0 if has_decision or not compiler.since(*OWN_THRESHOLD) else 0.5

    def scores(block: Any) -> np.ndarray:
        chosen = np.array([part["predict"](block) for part in parts]).T
        pairs = np.array([confidence(block) for confidence in confidences]).T
        return votes(-pairs, len(classes), chosen == 1)

    def predict(block: Any) -> np.ndarray:
        values = scores(block)
        if len(classes) == 2:
            return np.asarray(classes[(values[:, 1] > threshold).astype(int)])
        return np.asarray(classes[values.argmax(axis=1)])

    if not compiler.since(*OWN_SCALE):  # the scale of the scores depends on all rows of a call
        return {"predict": predict}
    is_pair = len(classes) == 2
    return {
        "predict": predict,
        "decision_function": lambda block: scores(block)[:, 1] if is_pair else scores(block),
    }


OWN_SCALE = (0, 21)
"""First version whose scores depend on one row only."""
OWN_THRESHOLD = (1, 1)
"""First version whose threshold of two classes depends on the method of the classifier."""


def output_code(model: Any, compiler: Compiler) -> Part:
    classes, codes = np.asarray(model.classes_), np.asarray(model.code_book_, np.float64)
    confidences = [_confidence_of(each, compiler) for each in model.estimators_]
    powers = Metric("euclidean", {}).powers(codes, blas_of(compiler))

    def predict(block: Any) -> np.ndarray:
        scores = np.array([confidence(block) for confidence in confidences], np.float64).T
        return np.asarray(classes[powers(np.ascontiguousarray(scores)).argmin(axis=1)])

    return {"predict": predict}


def self_training(model: Any, compiler: Compiler) -> Part:
    inner = getattr(model, "estimator_", None)
    return compiler.part(model.base_estimator_ if inner is None else inner)  # until 1.5


def fixed_threshold(model: Any, compiler: Compiler) -> Part:
    inner = getattr(model, "estimator_", None)
    inner = model.estimator if inner is None else inner
    part = compiler.part(inner)
    method = _response_method(model, part)
    threshold = USUAL_THRESHOLDS[method] if model.threshold == "auto" else float(model.threshold)
    return _with_threshold(inner, part, method, threshold, model.pos_label)


def tuned_threshold(model: Any, compiler: Compiler) -> Part:
    inner, part = model.estimator_, compiler.part(model.estimator_)
    label = _tuned_label(model, classes_of(inner))
    method = _response_method(model, part)
    return _with_threshold(inner, part, method, float(model.best_threshold_), label)


def _response_method(model: Any, part: Part) -> str:
    """Return the method whose result is compared with the threshold."""
    if model.response_method != "auto":
        return str(model.response_method)
    return "predict_proba" if "predict_proba" in part else "decision_function"


def _tuned_label(model: Any, classes: np.ndarray) -> Any:
    """Return the label for which the threshold was tuned, None for the second class."""
    arguments = model._curve_scorer._kwargs
    if "pos_label" in arguments:
        return arguments["pos_label"]
    if classes[1] == 1 or model.scoring in ("accuracy", "balanced_accuracy"):
        return None
    raise UnplannedError("TunedThresholdClassifierCV has a score whose label is not known")


def _with_threshold(inner: Any, part: Part, method: str, threshold: float, label: Any) -> Part:
    classes = classes_of(inner)
    if len(classes) != 2:
        raise UnplannedError("a classifier with a threshold has more than two classes")
    index = 1 if label is None else int(np.flatnonzero(classes == label)[0])
    respond = part[method]

    def scores(block: Any) -> np.ndarray:
        values = respond(block)
        if method == "predict_proba":
            return np.asarray(values[:, index])
        return np.asarray(values if index else -values)

    def predict(block: Any) -> np.ndarray:
        return np.asarray(classes[np.where(scores(block) >= threshold, index, 1 - index)])

    kept: Part = {name: method for name, method in part.items() if name in USUAL_THRESHOLDS}
    return {**kept, "predict": predict}


USUAL_THRESHOLDS = {"predict_proba": 0.5, "decision_function": 0.0}


COMPILERS: Compilers = {
    "ClassifierChain": RecordsOnly(classifier_chain),
    "FixedThresholdClassifier": RecordsOnly(fixed_threshold),
    "OneVsOneClassifier": RecordsOnly(one_versus_one),
    "OutputCodeClassifier": RecordsOnly(output_code),
    "RegressorChain": RecordsOnly(regressor_chain),
    "SelfTrainingClassifier": RecordsOnly(self_training),
    "TunedThresholdClassifierCV": RecordsOnly(tuned_threshold),
}
