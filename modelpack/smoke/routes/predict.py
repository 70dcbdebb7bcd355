"""The friendly dialect: rows as lists, by name, and each in a request of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelpack.smoke.probe import CheckFailedError, Probe, brief, predictions_of
from modelpack.smoke.routes.route import Route, Rows
from modelpack.spec import Answers, Scalar


def _lists(probe: Probe, rows: Rows) -> Answers:
    return _asked(probe, {"instances": list(rows)})


def _by_name(probe: Probe, rows: Rows) -> Answers:
    return _asked(probe, {"instances": [_record(probe, row) for row in rows]})


def _one_by_one(probe: Probe, rows: Rows) -> Answers:
    """A row in a request of its own, as a bare object."""
    asked = [_asked(probe, _record(probe, row)) for row in rows]
    predictions = tuple(value for answers in asked for value in answers.predictions or ())
    if any(answers.probabilities is None for answers in asked):
        return Answers(predictions)
    return Answers(predictions, tuple(row for a in asked for row in a.probabilities or ()))


ROUTES = (
    Route("POST /predict, lists", _lists),
    Route("POST /predict, rows by name", _by_name),
    Route("POST /predict, one row", _one_by_one, alone=True),
)


def _asked(probe: Probe, document: Any) -> Answers:
    wanted = probe.model.signature.probabilities
    answer = probe.predict(document, "?probabilities=true" if wanted else "")
    predictions = predictions_of(answer)
    if not wanted:
        return Answers(tuple(predictions))
    rows = answer.body.get("probabilities")
    if not isinstance(rows, list):
        raise CheckFailedError(f"no list of probabilities in {brief(answer.body)}")
    return Answers(tuple(predictions), tuple(map(_values, rows)))


def _record(probe: Probe, row: Sequence[Scalar]) -> dict[str, Scalar]:
    """By name, the names in reverse order."""
    names = [field.name for field in probe.model.signature.inputs]
    return dict(reversed(list(zip(names, row, strict=True))))


def _values(row: Any) -> Any:
    """{label: probability} as the list of probabilities; of several outputs a list of such."""
    if isinstance(row, dict):
        return list(row.values())
    return [_values(each) if isinstance(each, dict) else each for each in row]
