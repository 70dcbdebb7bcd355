"""One row made from the signature is predicted, and the prediction is one the model can give."""

from __future__ import annotations

import math

from modelpack.smoke.probe import CheckFailedError, Probe, brief, predictions_of

NAME = "prediction"


def check(probe: Probe) -> str:
    row = probe.example_row()
    predictions = predictions_of(probe.predict({"instances": [row]}))
    if len(predictions) != 1:
        raise CheckFailedError(f"{len(predictions)} predictions for one row")
    _plausible(probe, predictions[0])
    return f"{brief(row)} -> {brief(predictions[0])}"


def _plausible(probe: Probe, prediction: object) -> None:
    classes = probe.model.signature.classes
    if classes is not None and not isinstance(prediction, list) and prediction not in classes:
        raise CheckFailedError(f"{brief(prediction)} is none of the classes {brief(classes)}")
    if prediction is None or (isinstance(prediction, float) and not math.isfinite(prediction)):
        raise CheckFailedError(f"the prediction is {prediction}")
