"""Predictions, probabilities, named rows, bad input."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from modelpack.smoke.probe import (
    CheckFailedError,
    CheckNotRunError,
    Probe,
    Response,
    parse_predictions,
    shorten,
)

_NUMERIC = {"regressor", "clusterer", "outlier_detector"}
"""Tasks whose predictions are always numbers."""


def check_prediction(probe: Probe) -> str:
    """One row gets one prediction, two rows get two, and the model can return each of them.

    A missing prediction fails the check only for a real row: a model may have none for values that
    were generated from its signature.
    """
    probe.require_row()
    row = probe.example_row()
    for rows in ([row], [row, row]):
        predictions = parse_predictions(probe.predict({"instances": rows}))
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
                f"{shorten(prediction)} is not one of the classes {shorten(classes)}"
            )
    elif probe.model.task in _NUMERIC:
        for value in _leaves(prediction):
            if isinstance(value, bool) or not isinstance(value, int | float | None):
                kind = probe.model.task.replace("_", " ")
                raise CheckFailedError(f"a {kind} predicts a number, not {shorten(value)}")


def _refuse_missing(probe: Probe, prediction: object) -> None:
    if probe.reference.made_up:
        raise CheckNotRunError(
            "the model has no prediction for the row generated from its signature"
        )
    raise CheckFailedError(f"the prediction is {prediction}")


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _is_same(prediction: object, label: object) -> bool:
    """Return whether a prediction is a label: 1 and 1.0 are the same, 1 and true are not."""
    return prediction == label and isinstance(prediction, bool) == isinstance(label, bool)


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


RANDOM = "the model predicts the same row differently each time"


def check_named_rows(probe: Probe) -> str:
    """The same row by name, with names in reverse order, gets the same prediction."""
    probe.require_row()
    by_name = dict(reversed(probe.example_record().items()))
    named = parse_predictions(probe.predict({"instances": [by_name]}))
    listed = parse_predictions(probe.predict({"instances": [probe.example_row()]}))
    if named != listed:
        again = parse_predictions(probe.predict({"instances": [probe.example_row()]}))
        if again != listed:
            raise CheckFailedError(f"{RANDOM}: {shorten(listed)}, then {shorten(again)}")
        raise CheckFailedError(f"by name {shorten(named)}, by position {shorten(listed)}")
    return f"{len(by_name)} names in reverse order, same prediction"


def probabilities_applies(probe: Probe) -> bool:
    signature = probe.model.signature
    return signature.probabilities and signature.classes is not None


def check_probabilities(probe: Probe) -> str:
    """The probabilities of a classifier are one for each class, and their sum is 1."""
    probe.require_row()
    document = {"instances": [probe.example_row()]}
    response = probe.predict(document, "?probabilities=true")
    parse_predictions(response)
    rows = response.body.get("probabilities")
    classes = probe.model.signature.classes or ()
    if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict):
        raise CheckFailedError(f"no row of probabilities in {shorten(response.body)}")
    if len(rows[0]) != len(classes):
        raise CheckFailedError(f"{len(rows[0])} probabilities for {len(classes)} classes")
    total = sum(rows[0].values())
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise CheckFailedError(f"the probabilities add up to {total}")
    return f"{len(classes)} classes, {shorten(rows[0])}"


PROBLEM = "application/problem+json"
IGNORED = "Modelpack-Ignored-Inputs"


def check_bad_input(probe: Probe) -> str:
    """Bad input gets a 4xx status and a reason, and the service keeps running."""
    seen = []
    for what, expected, response in _cases(probe):
        if response.status != expected:
            raise CheckFailedError(
                f"{what}: status {response.status} instead of {expected}: {shorten(response.body)}"
            )
        if response.content_type != PROBLEM:
            raise CheckFailedError(f"{what}: {response.content_type or 'no type'}, not {PROBLEM}")
        seen.append(f"{what} {response.status}")
    if not probe.unknown_row:
        seen.append(f"extra input {_extra_input(probe)}")
        parse_predictions(probe.predict({"instances": [probe.example_row()]}))
    return ", ".join(seen)


def _extra_input(probe: Probe) -> int:
    """Return the status for a row with an unknown input.

    The service ignores and names the input. Older images refuse it, and newer ones by a setting.
    """
    record = {**probe.example_record(), "no such input": 0}
    response = probe.predict({"instances": [record]})
    if response.status != 422 and "no such input" not in response.headers.get(IGNORED, ""):
        raise CheckFailedError(f"extra input: status {response.status}, and no header {IGNORED}")
    if response.status != 422:
        parse_predictions(response)
    return response.status


def _cases(probe: Probe) -> Iterator[tuple[str, int, Response]]:
    """Yield (fault, expected status, response) for bad requests."""
    yield "malformed JSON", 400, probe.post_raw("/predict", b'{"instances": [', "application/json")
    yield "no rows", 422, probe.predict({"instances": []})
    if not probe.unknown_row:
        yield from _bad_rows(probe)
    yield "wrong method", 405, probe.get("/predict")
    yield "unknown route", 404, probe.get("/no-such-route")


def _bad_rows(probe: Probe) -> Iterator[tuple[str, int, Response]]:
    """Yield the same for rows with one fault each."""
    row = probe.example_row()
    yield "one value too many", 422, probe.predict({"instances": [[*row, 0]]})
    required = probe.required_input()
    if required:
        lacking = {k: v for k, v in probe.example_record().items() if k != required}
        yield "missing input", 422, probe.predict({"instances": [lacking]})
    numeric = probe.first_input("number", "integer")
    if numeric:
        bad = _with(row, numeric[0], "a word")
        yield "text instead of a number", 422, probe.predict({"instances": [bad]})
    text = probe.first_input("string")
    if text:
        bad = _with(row, text[0], {})
        yield "object instead of text", 422, probe.predict({"instances": [bad]})


def _with(row: Sequence[object], position: int, value: object) -> list[object]:
    return [*row[:position], value, *row[position + 1 :]]
