"""The output of the model that contributions add up to, found by a comparison with its results."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..data.columns import Rows
from ..service import Service
from .steps import UnavailableError
from .sums import Sums

PAIR = 2
EXACT, SHORT = 1e-9, 1e-4
"""Relative differences up to which numbers of 64 and of 32 bits are equal."""


class Output(NamedTuple):
    """One of the outputs of a model.

    Attributes:
        kind: One of OUTPUTS.
        number: Its index among the sums.
        sign: -1 if the sums are those of the other one of two classes.
        label: The predicted class, None for a regressor.
        target: The number of the output, None if the model has one.
    """

    kind: str
    number: int = 0
    sign: int = 1
    label: Any = None
    target: int | None = None


def chosen(service: Service, rows: Rows) -> Output:
    """Return the output of one row whose differences are the effects of changes.

    Raises:
        UnavailableError: The model predicts no number and no class of known score.
    """
    prediction, classes = np.ravel(service.runner.call("predict", rows)), _classes(service)
    if len(prediction) != 1:
        raise UnavailableError("The model has several outputs.")
    if not len(classes):
        if service.manifest.model["task"] != "regressor":
            raise UnavailableError("The model predicts no number and no class of known score.")
        return Output("prediction")
    number, label = _class_number(prediction, classes), prediction[0]
    if "predict_proba" in service.methods:
        return Output("probability", number, label=label)
    if "decision_function" not in service.methods:
        raise UnavailableError("The model predicts no number and no class of known score.")
    sign = 1
    if len(classes) == PAIR:
        number, sign = 0, 1 if number == 1 else -1
    return Output("score", number, sign, label)


def values(service: Service, rows: Rows, output: Output) -> np.ndarray:
    """Return the values of an output that `chosen` returned, (n_rows,)."""
    method = {"probability": "predict_proba", "score": "decision_function"}.get(
        output.kind, "predict"
    )
    result = np.asarray(service.runner.call(method, rows), np.float64)
    table = result.reshape(len(result), -1)
    if output.number >= table.shape[1]:
        raise UnavailableError("The model has other outputs than classes.")
    return table[:, output.number] * output.sign


def _classes(service: Service) -> np.ndarray:
    classes = service.runner.classes
    return np.empty(0) if classes is None else np.asarray(classes)


def _class_number(prediction: np.ndarray, classes: np.ndarray) -> int:
    """Return the number of the class that is predicted for one row."""
    numbers = np.flatnonzero(classes == prediction[0])
    if len(numbers) != 1:
        raise UnavailableError("The prediction is not one of the classes.")
    return int(numbers[0])


def matching(
    service: Service, rows: Rows, sums: Sums, is_short: bool, target: int | None = None
) -> Output:
    """Return the output of one row that the sums are equal to.

    Args:
        service: The service that predicts.
        rows: The row.
        sums: The contributions.
        is_short: Whether they have 32 bits.
        target: The number of an output of several, by default the largest one.

    Raises:
        UnavailableError: They are equal to none.
    """
    tolerance = SHORT if is_short else EXACT
    call = service.runner.call
    prediction, classes = np.ravel(call("predict", rows)), _classes(service)
    with np.errstate(all="ignore"):
        if not len(classes) or len(prediction) > 1:
            output = _number_output(prediction, sums, tolerance, target)
            is_class = output.kind == "score" and len(classes) == len(prediction)
            return output._replace(label=classes[output.number]) if is_class else output
        if target:
            raise UnavailableError("The model has 1 output.")
        number = _class_number(prediction, classes)
        results: dict[str, np.ndarray] = {
            method: np.asarray(call(method, rows), np.float64).ravel()
            for method in ("predict_proba", "decision_function")
            if method in service.methods
        }
        output = _class_output(number, len(classes), sums.totals, results, tolerance)
    return output._replace(label=prediction[0])


def _number_output(
    prediction: np.ndarray, sums: Sums, tolerance: float, target: int | None
) -> Output:
    prediction = np.asarray(prediction, np.float64)
    totals, count = sums.totals, len(prediction)
    if len(totals) != count:
        raise UnavailableError("The model has other outputs than contributions.")
    if target is not None and target >= count:
        raise UnavailableError(f"The model has {count} outputs.")
    number = int(np.argmax(prediction)) if target is None else target
    position = number if count > 1 else None
    kinds = {"prediction": totals, "log_prediction": np.exp(totals), "log_odds": _share(totals)}
    if sums.inverse is not None:
        kinds["transformed_prediction"] = sums.inverse(totals)
    for kind, value in kinds.items():
        if _is_equal(value, prediction, tolerance):
            return Output(kind, number, target=position)
    if count > 1 and _is_equal(_shares(totals), prediction, tolerance):
        return Output("score", number, label=number, target=position)
    raise UnavailableError("The contributions do not add up to the prediction.")


def _class_output(
    number: int, count: int, totals: np.ndarray, results: dict[str, np.ndarray], tolerance: float
) -> Output:
    chances, scores = results.get("predict_proba"), results.get("decision_function")
    if len(totals) == 1 and count == 2:
        sign = 1 if number == 1 else -1
        if chances is not None and _is_equal(_share(totals[0]), chances[1], tolerance):
            return Output("log_odds", 0, sign)
        if scores is not None and _is_equal(totals, scores, tolerance):
            return Output("score", 0, sign)
    elif len(totals) == count:
        if chances is not None and _is_equal(totals, chances, tolerance):
            return Output("probability", number)
        if scores is not None and _is_equal(totals, scores, tolerance):
            return Output("score", number)
        if chances is not None and _is_equal(_shares(totals), chances, tolerance):
            return Output("score", number)
        if chances is None and scores is None and int(np.argmax(totals)) == number:
            return Output("score", number)  # of a booster that only names the class
    raise UnavailableError("The contributions do not add up to the prediction.")


def _share(odds: Any) -> Any:
    return 1 / (1 + np.exp(-odds))


def _shares(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def _is_equal(value: Any, other: Any, tolerance: float) -> bool:
    return bool(np.allclose(value, other, rtol=tolerance, atol=tolerance))
