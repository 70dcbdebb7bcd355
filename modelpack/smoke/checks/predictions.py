"""Predictions, probabilities, named rows, bad input.

A prediction that is missing fails the check only for a real row: a sound model may have none for
values that were made up from its signature.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from modelpack.smoke.probe import (
    Answer,
    CheckFailedError,
    CheckNotRunError,
    Probe,
    predictions_of,
    shorten,
)

_NUMERIC = {"regressor", "clusterer", "outlier_detector"}
"""Tasks whose predictions are numbers, whatever the model was trained on."""


def check_prediction(probe: Probe) -> str:
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
    return f"{shorten(row)} -> {shorten(predictions[0])}"


def _require_plausible(probe: Probe, prediction: object) -> None:
    classes = probe.model.signature.classes
    if _is_missing(prediction):
        _refuse_missing(probe, prediction)
    elif classes is not None and not isinstance(prediction, list):
        if not any(_is_same(prediction, label) for label in classes):
            raise CheckFailedError(
                f"{shorten(prediction)} is none of the classes {shorten(classes)}"
            )
    elif probe.model.task in _NUMERIC:
        for value in _leaves(prediction):
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                kind = probe.model.task.replace("_", " ")
                raise CheckFailedError(f"a {kind} predicts a number, not {shorten(value)}")


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


def check_named_rows(probe: Probe) -> str:
    """The same row by name, its names in reverse order, gives the same prediction."""
    probe.require_row()
    by_name = dict(reversed(probe.example_record().items()))
    named = predictions_of(probe.predict({"instances": [by_name]}))
    listed = predictions_of(probe.predict({"instances": [probe.example_row()]}))
    if named != listed:
        raise CheckFailedError(f"by name {shorten(named)}, by position {shorten(listed)}")
    return f"{len(by_name)} names in reverse order, same prediction"


def probabilities_applies(probe: Probe) -> bool:
    signature = probe.model.signature
    return signature.probabilities and signature.classes is not None


def check_probabilities(probe: Probe) -> str:
    """A classifier with probabilities gives one for each class, and they add up to 1."""
    probe.require_row()
    document = {"instances": [probe.example_row()]}
    answer = probe.predict(document, "?probabilities=true")
    predictions_of(answer)
    rows = answer.body.get("probabilities")
    classes = probe.model.signature.classes or ()
    if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict):
        raise CheckFailedError(f"no row of probabilities in {shorten(answer.body)}")
    if len(rows[0]) != len(classes):
        raise CheckFailedError(f"{len(rows[0])} probabilities for {len(classes)} classes")
    total = sum(rows[0].values())
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise CheckFailedError(f"the probabilities add up to {total}")
    return f"{len(classes)} classes, {shorten(rows[0])}"


PROBLEM = "application/problem+json"
IGNORED = "Modelpack-Ignored-Inputs"


def check_bad_input(probe: Probe) -> str:
    """Bad input is answered with a 4xx status and a reason, and the service keeps running."""
    seen = []
    for what, expected, answer in _cases(probe):
        if answer.status != expected:
            raise CheckFailedError(
                f"{what}: status {answer.status} instead of {expected}: {shorten(answer.body)}"
            )
        if answer.content_type != PROBLEM:
            raise CheckFailedError(f"{what}: {answer.content_type or 'no type'}, not {PROBLEM}")
        seen.append(f"{what} {answer.status}")
    if not probe.unknown_row:
        seen.append(f"an extra input {_extra_input(probe)}")
        predictions_of(probe.predict({"instances": [probe.example_row()]}))
    return ", ".join(seen)


def _extra_input(probe: Probe) -> int:
    """The status of a row with an input more: it is ignored and named, or refused where that is
    set and by older images.
    """
    record = {**probe.example_record(), "no such input": 0}
    answer = probe.predict({"instances": [record]})
    if answer.status != 422 and "no such input" not in answer.headers.get(IGNORED, ""):
        raise CheckFailedError(f"an extra input: status {answer.status}, and no header {IGNORED}")
    if answer.status != 422:
        predictions_of(answer)
    return answer.status


def _cases(probe: Probe) -> Iterator[tuple[str, int, Answer]]:
    """What is wrong, the status it must get, and the answer it got."""
    yield "malformed JSON", 400, probe.post_raw("/predict", b'{"instances": [', "application/json")
    yield "no rows", 422, probe.predict({"instances": []})
    if not probe.unknown_row:
        yield from _bad_rows(probe)
    yield "a wrong method", 405, probe.get("/predict")
    yield "an unknown route", 404, probe.get("/no-such-route")


def _bad_rows(probe: Probe) -> Iterator[tuple[str, int, Answer]]:
    """The same for rows with one fault each."""
    row = probe.example_row()
    yield "a value too many", 422, probe.predict({"instances": [[*row, 0]]})
    required = probe.required_input()
    if required:
        lacking = {k: v for k, v in probe.example_record().items() if k != required}
        yield "a missing input", 422, probe.predict({"instances": [lacking]})
    numeric = probe.first_input("number", "integer")
    if numeric:
        bad = _with(row, numeric[0], "a word")
        yield "a word for a number", 422, probe.predict({"instances": [bad]})
    text = probe.first_input("string")
    if text:
        bad = _with(row, text[0], {})
        yield "an object for a word", 422, probe.predict({"instances": [bad]})


def _with(row: Sequence[object], position: int, value: object) -> list[object]:
    return [*row[:position], value, *row[position + 1 :]]
