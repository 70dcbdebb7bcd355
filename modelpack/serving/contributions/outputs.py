"""The output of the model that contributions add up to, found by a comparison with its results."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..data.columns import Rows
from ..service import Service
from .steps import UnavailableError
from .sums import Sums

EXACT, SHORT = 1e-9, 1e-4
"""Relative differences up to which numbers of 64 and of 32 bits are equal."""


class Output(NamedTuple):
    """One of the outputs of a model.

    Attributes:
        kind: "prediction", "log_prediction", "probability", "log_odds" or "score".
        number: Its index among the sums.
        sign: -1 if the sums are those of the other one of two classes.
        label: The predicted class, None for a regressor.
    """

    kind: str
    number: int = 0
    sign: int = 1
    label: Any = None


def matching(service: Service, rows: Rows, sums: Sums, is_short: bool) -> Output:
    """Return the output of one row that the sums are equal to. `is_short`: they have 32 bits.

    Raises:
        UnavailableError: They are equal to none.
    """
    tolerance = SHORT if is_short else EXACT
    call, classes = service.runner.call, service.runner.classes
    prediction = np.ravel(call("predict", rows))
    if len(prediction) != 1:
        raise UnavailableError("The model has several outputs.")
    with np.errstate(all="ignore"):
        if classes is None or not len(classes):
            return _number_output(float(prediction[0]), sums.totals, tolerance)
        numbers = np.flatnonzero(np.asarray(classes) == prediction[0])
        if len(numbers) != 1:
            raise UnavailableError("The prediction is not one of the classes.")
        results: dict[str, np.ndarray] = {
            method: np.asarray(call(method, rows), np.float64).ravel()
            for method in ("predict_proba", "decision_function")
            if method in service.methods
        }
        output = _class_output(int(numbers[0]), len(classes), sums.totals, results, tolerance)
    return output._replace(label=prediction[0])


def _number_output(prediction: float, totals: np.ndarray, tolerance: float) -> Output:
    if len(totals) != 1:
        raise UnavailableError("The model has several outputs.")
    total = float(totals[0])
    kinds = {"prediction": total, "log_prediction": np.exp(total), "log_odds": _share(total)}
    for kind, value in kinds.items():
        if _is_equal(value, prediction, tolerance):
            return Output(kind)
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
