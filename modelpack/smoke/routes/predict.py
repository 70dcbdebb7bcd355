"""The friendly dialect: rows as lists, by name, each in a request of its own, as CSV and as npy."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from typing import Any

from modelpack.smoke.probe import Answer, CheckFailedError, Probe, brief, predictions_of
from modelpack.smoke.routes.route import (
    Route,
    Rows,
    csv_of,
    exact,
    names_of,
    numeric,
    without_empty_texts,
    written_alike,
)
from modelpack.types import Answers, Scalar


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


def _csv(probe: Probe, rows: Rows) -> Answers:
    """The columns in reverse order."""
    names = names_of(probe)
    body = csv_of([row[::-1] for row in rows], names[::-1])
    return answers_of(probe, posted(probe, body, "text/csv; header=present"))


def _npy(probe: Probe, rows: Rows) -> Answers:
    """Version 1 of NumPy's format, by hand: numpy may not be installed here."""
    shape = (len(rows), len(rows[0]))
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
    values = [math.nan if value is None else float(value) for row in rows for value in row]
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    body += struct.pack(f"<{len(values)}d", *values)
    return answers_of(probe, posted(probe, body, "application/x-npy"))


ROUTES = (
    Route("POST /predict, lists", _lists),
    Route("POST /predict, rows by name", _by_name),
    Route("POST /predict, one row", _one_by_one, alone=True),
    Route("POST /predict, csv", _csv, takes=written_alike, holds=without_empty_texts),
    Route(
        "POST /predict, npy",
        _npy,
        takes=lambda model: numeric(model.signature.inputs),
        holds=exact,
    ),
)


def answers_of(probe: Probe, answer: Answer) -> Answers:
    """The predictions, and the probabilities where the model has some.

    Raises:
        CheckFailedError: they are not in the answer.
    """
    predictions = tuple(predictions_of(answer))
    if not probe.model.signature.probabilities:
        return Answers(predictions)
    rows = answer.body.get("probabilities")
    if not isinstance(rows, list):
        raise CheckFailedError(f"no list of probabilities in {brief(answer.body)}")
    return Answers(predictions, tuple(map(_values, rows)))


def _asked(probe: Probe, document: Any) -> Answers:
    return answers_of(probe, posted(probe, json.dumps(document).encode(), "application/json"))


def posted(probe: Probe, body: bytes, content_type: str, path: str = "/predict") -> Answer:
    """Also asks for probabilities, where the model has some."""
    query = "?probabilities=true" if probe.model.signature.probabilities else ""
    return probe.post_raw(path + query, body, content_type)


def _record(probe: Probe, row: Sequence[Scalar]) -> dict[str, Scalar]:
    """By name, the names in reverse order."""
    names = names_of(probe)
    return dict(reversed(list(zip(names, row, strict=True))))


def _values(row: Any) -> Any:
    """{label: probability} as the list of probabilities; of several outputs a list of such."""
    if isinstance(row, dict):
        return list(row.values())
    return [_values(each) if isinstance(each, dict) else each for each in row]
