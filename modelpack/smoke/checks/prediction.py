"""One row is predicted, two rows get two predictions, and each is one that the model can give.

A prediction that is missing fails the check only for a real row: a sound model may have none for
values that were made up from its signature.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from modelpack.smoke.probe import CheckFailedError, CheckNotRunError, Probe, brief, predictions_of

_NUMERIC = {"regressor", "clusterer", "outlier_detector"}
"""Tasks whose predictions are numbers, whatever the model was trained on."""


def check(probe: Probe) -> str:
    """One row gets one prediction, two rows get two, and the model can return each of them.

    A missing prediction fails the check only for a real row: a model may have none for values that
    were generated from its signature.
    """
    probe.require_row()
    row = probe.example_row()
    for rows in ([row], [row, row]):
        predictions = predictions_of(probe.predict({"instances": rows}))
        if len(predictions) != len(rows):
            count = "one row" if len(rows) == 1 else f"{len(rows)} rows"
            noun = "prediction" if len(predictions) == 1 else "predictions"
            raise CheckFailedError(f"{len(predictions)} {noun} for {count}")
        for prediction in predictions:
            _require_plausible(probe, prediction)
    return f"{brief(row)} -> {brief(predictions[0])}"


def _require_plausible(probe: Probe, prediction: object) -> None:
    classes = probe.model.signature.classes
    if _is_missing(prediction):
        _refuse_missing(probe, prediction)
    elif classes is not None and not isinstance(prediction, list):
        if not any(_is_same(prediction, label) for label in classes):
            raise CheckFailedError(f"{brief(prediction)} is none of the classes {brief(classes)}")
    elif probe.model.task in _NUMERIC:
        for value in _leaves(prediction):
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                kind = probe.model.task.replace("_", " ")
                raise CheckFailedError(f"a {kind} predicts a number, not {brief(value)}")


def _refuse_missing(probe: Probe, prediction: object) -> None:
    if probe.reference.made_up:
        raise CheckNotRunError(
            "the model has no prediction for the row that was made up from its signature"
        )
    raise CheckFailedError(f"the prediction is {prediction}")


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _is_same(prediction: object, label: object) -> bool:
    """Whether a prediction is a label: 1 and 1.0 are the same, 1 and true are not."""
    return prediction == label and isinstance(prediction, bool) == isinstance(label, bool)


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
