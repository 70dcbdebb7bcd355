"""/predict, /invocations and V1."""

from __future__ import annotations

import csv
import io
import json
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from modelpack.smoke.probe import Answer, CheckFailedError, Probe, predictions_of, shorten
from modelpack.types import Answers, Field, ModelSpec, Reference, Scalar

Rows = Sequence[Sequence[Scalar]]


def _always(anything: object) -> bool:  # noqa: ARG001 - as other routes look at it
    return True


@dataclass(frozen=True)
class Route:
    """`ask` gives the answers to rows, each in the order of the signature. `alone`: it takes one
    row a request. `takes`: whether a model can be asked so; `holds`: whether these rows can be
    written so.
    """

    name: str
    ask: Callable[[Probe, Rows], Answers]
    single_row: bool = False
    takes: Callable[[ModelSpec], bool] = _always
    holds: Callable[[Rows], bool] = _always

    def known(self, reference: Reference) -> Answers | None:
        """The answers to compare with, None where they are not known."""
        return reference.alone if self.single_row else reference.answers

    def request(self, probe: Probe, reference: Reference) -> Answers:
        """The answers of the service."""
        return self.ask(probe, reference.rows)


def names_of(probe: Probe) -> list[str]:
    """Of the inputs, in the order of the signature."""
    return [field.name for field in probe.model.signature.inputs]


def path_of_model(probe: Probe) -> str:
    """`/models/NAME`, the name being the one that the service goes by."""
    answer = probe.get("/v1/models")
    names = answer.body.get("models") if isinstance(answer.body, dict) else None
    if not (isinstance(names, list) and names):
        raise CheckFailedError(f"no list of models in {shorten(answer.body)}")
    return f"/models/{quote(str(names[0]), safe='')}"


def numeric(fields: Sequence[Field]) -> bool:
    """Whether rows are numbers and nothing else, so that they can be sent as one matrix."""
    return bool(fields) and all(field.type in {"number", "integer"} for field in fields)


def exact(rows: Rows) -> bool:
    """Whether 64-bit floats hold the numbers."""
    return all(value is None or float(value) == value for row in rows for value in row)


def written_alike(model: ModelSpec) -> bool:
    """Whether a text table says what its cells are: there, only the signature tells "1" from 1."""
    return bool(model.signature.inputs) and all(f.type != "any" for f in model.signature.inputs)


def without_empty_texts(rows: Rows) -> bool:
    """Whether a text table holds the rows: what is empty there is missing."""
    return not any(value == "" for row in rows for value in row)


def csv_of(rows: Rows, names: Sequence[str] | None = None) -> bytes:
    """A text table, under a line of names if there are some."""
    file = io.StringIO()
    writer = csv.writer(file)
    if names:
        writer.writerow(names)
    writer.writerows(map(_cell, row) for row in rows)
    return file.getvalue().encode()


def _cell(value: Scalar) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else value


def _predict_lists(probe: Probe, rows: Rows) -> Answers:
    return _predict_request(probe, {"instances": list(rows)})


def _by_name(probe: Probe, rows: Rows) -> Answers:
    return _predict_request(probe, {"instances": [_record(probe, row) for row in rows]})


def _one_by_one(probe: Probe, rows: Rows) -> Answers:
    """A row in a request of its own, as a bare object."""
    asked = [_predict_request(probe, _record(probe, row)) for row in rows]
    predictions = tuple(value for answers in asked for value in answers.predictions or ())
    if any(answers.probabilities is None for answers in asked):
        return Answers(predictions)
    return Answers(predictions, tuple(row for a in asked for row in a.probabilities or ()))


def _predict_csv(probe: Probe, rows: Rows) -> Answers:
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


PREDICT_ROUTES = (
    Route("POST /predict, lists", _predict_lists),
    Route("POST /predict, rows by name", _by_name),
    Route("POST /predict, one row", _one_by_one, single_row=True),
    Route("POST /predict, csv", _predict_csv, takes=written_alike, holds=without_empty_texts),
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
        raise CheckFailedError(f"no list of probabilities in {shorten(answer.body)}")
    return Answers(predictions, tuple(map(_values, rows)))


def _predict_request(probe: Probe, document: Any) -> Answers:
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


PATH = "/invocations"


def _split(probe: Probe, rows: Rows) -> Answers:
    """The columns in reverse order."""
    data = [list(row)[::-1] for row in rows]
    return _invocation_request(
        probe, {"dataframe_split": {"columns": names_of(probe)[::-1], "data": data}}
    )


def _records(probe: Probe, rows: Rows) -> Answers:
    records = [dict(zip(names_of(probe), row, strict=True)) for row in rows]
    return _invocation_request(probe, {"dataframe_records": records})


def _inputs(probe: Probe, rows: Rows) -> Answers:
    """Columns by name."""
    columns = map(list, zip(*rows, strict=True))
    return _invocation_request(probe, {"inputs": dict(zip(names_of(probe), columns, strict=True))})


def _invocation_csv(probe: Probe, rows: Rows) -> Answers:
    return answers_of(probe, posted(probe, csv_of(rows), "text/csv; header=absent", PATH))


def _known(model: ModelSpec) -> bool:
    return bool(model.signature.inputs)


INVOCATION_ROUTES = (
    Route("POST /invocations, dataframe_split", _split, takes=_known),
    Route("POST /invocations, dataframe_records", _records, takes=_known),
    Route("POST /invocations, inputs", _inputs, takes=_known),
    Route(
        "POST /invocations, csv", _invocation_csv, takes=written_alike, holds=without_empty_texts
    ),
)


def _invocation_request(probe: Probe, document: dict[str, Any]) -> Answers:
    if probe.model.signature.probabilities:
        document["params"] = {"probabilities": True}
    answer = probe.post_raw(PATH, json.dumps(document).encode(), "application/json")
    return answers_of(probe, answer)


def _v1_lists(probe: Probe, rows: Rows) -> Answers:
    answer = probe.post(f"/v1{path_of_model(probe)}:predict", {"instances": list(rows)})
    return Answers(tuple(predictions_of(answer)))


V1_ROUTES = (Route("POST /v1/models/M:predict, lists", _v1_lists),)
