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

from modelpack.smoke.probe import CheckFailedError, Probe, Response, parse_predictions, shorten
from modelpack.types import Answers, Field, ModelSpec, Reference, Scalar

Rows = Sequence[Sequence[Scalar]]


def _always(anything: object) -> bool:  # noqa: ARG001 - the signature of other predicates
    return True


@dataclass(frozen=True)
class Route:
    """A way to send rows.

    Attributes:
        query: Returns the answers of the service to rows in signature order.
        single_row: Each request has one row.
        supports: Returns whether a model can be queried this way.
        can_encode: Returns whether these rows can be sent this way.
    """

    name: str
    query: Callable[[Probe, Rows], Answers]
    single_row: bool = False
    supports: Callable[[ModelSpec], bool] = _always
    can_encode: Callable[[Rows], bool] = _always

    def expected(self, reference: Reference) -> Answers | None:
        """Return the answers to compare with; None if they are not known."""
        return reference.alone if self.single_row else reference.answers

    def request(self, probe: Probe, reference: Reference) -> Answers:
        """Return the answers of the service."""
        return self.query(probe, reference.rows)


def input_names(probe: Probe) -> list[str]:
    """Return the names of the inputs in signature order."""
    return [field.name for field in probe.model.signature.inputs]


def model_path(probe: Probe) -> str:
    """Return `/models/NAME` with the name that the service reports."""
    response = probe.get("/v1/models")
    names = response.body.get("models") if isinstance(response.body, dict) else None
    if not (isinstance(names, list) and names):
        raise CheckFailedError(f"no list of models in {shorten(response.body)}")
    return f"/models/{quote(str(names[0]), safe='')}"


def is_numeric(fields: Sequence[Field]) -> bool:
    """Return whether rows contain only numbers and can be sent as one matrix."""
    return bool(fields) and all(field.type in {"number", "integer"} for field in fields)


def are_floats(rows: Rows) -> bool:
    """Return whether all values are exact as 64-bit floats."""
    return all(value is None or float(value) == value for row in rows for value in row)


def has_known_types(model: ModelSpec) -> bool:
    """Return whether the type of each input is known, as text does not distinguish "1" and 1."""
    return bool(model.signature.inputs) and all(f.type != "any" for f in model.signature.inputs)


def has_no_empty_text(rows: Rows) -> bool:
    """Return whether a text table can contain the rows: an empty cell is a missing value."""
    return not any(value == "" for row in rows for value in row)


def to_csv(rows: Rows, names: Sequence[str] | None = None) -> bytes:
    """Return the rows as CSV, with a header if `names` are given."""
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
    """Send each row in a separate request, as an object."""
    parts = [_predict_request(probe, _record(probe, row)) for row in rows]
    predictions = tuple(value for part in parts for value in part.predictions or ())
    if any(part.probabilities is None for part in parts):
        return Answers(predictions)
    return Answers(predictions, tuple(row for part in parts for row in part.probabilities or ()))


def _predict_csv(probe: Probe, rows: Rows) -> Answers:
    """Send the columns in reverse order."""
    names = input_names(probe)
    body = to_csv([row[::-1] for row in rows], names[::-1])
    return parse_answers(probe, post_rows(probe, body, "text/csv; header=present"))


def _npy(probe: Probe, rows: Rows) -> Answers:
    """Send version 1 of the NPY format, written without NumPy, which may not be installed."""
    shape = (len(rows), len(rows[0]))
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode()
    values = [math.nan if value is None else float(value) for row in rows for value in row]
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    body += struct.pack(f"<{len(values)}d", *values)
    return parse_answers(probe, post_rows(probe, body, "application/x-npy"))


PREDICT_ROUTES = (
    Route("POST /predict, lists", _predict_lists),
    Route("POST /predict, rows by name", _by_name),
    Route("POST /predict, one row", _one_by_one, single_row=True),
    Route(
        "POST /predict, csv", _predict_csv, supports=has_known_types, can_encode=has_no_empty_text
    ),
    Route(
        "POST /predict, npy",
        _npy,
        supports=lambda model: is_numeric(model.signature.inputs),
        can_encode=are_floats,
    ),
)


def parse_answers(probe: Probe, response: Response) -> Answers:
    """Return the predictions, and the probabilities if the model has any.

    Raises:
        CheckFailedError: The response does not contain them.
    """
    predictions = tuple(parse_predictions(response))
    if not probe.model.signature.probabilities:
        return Answers(predictions)
    rows = response.body.get("probabilities")
    if not isinstance(rows, list):
        raise CheckFailedError(f"no list of probabilities in {shorten(response.body)}")
    return Answers(predictions, tuple(map(_values, rows)))


def _predict_request(probe: Probe, document: Any) -> Answers:
    return parse_answers(probe, post_rows(probe, json.dumps(document).encode(), "application/json"))


def post_rows(probe: Probe, body: bytes, content_type: str, path: str = "/predict") -> Response:
    """Post rows and request probabilities if the model has any."""
    query = "?probabilities=true" if probe.model.signature.probabilities else ""
    return probe.post_raw(path + query, body, content_type)


def _record(probe: Probe, row: Sequence[Scalar]) -> dict[str, Scalar]:
    """Return a row by name, with names in reverse order."""
    names = input_names(probe)
    return dict(reversed(list(zip(names, row, strict=True))))


def _values(row: Any) -> Any:
    """Return {label: probability}, or a list of these for several outputs, as lists of numbers."""
    if isinstance(row, dict):
        return list(row.values())
    return [_values(each) if isinstance(each, dict) else each for each in row]


PATH = "/invocations"


def _split(probe: Probe, rows: Rows) -> Answers:
    """Send the columns in reverse order."""
    data = [list(row)[::-1] for row in rows]
    return _invocation_request(
        probe, {"dataframe_split": {"columns": input_names(probe)[::-1], "data": data}}
    )


def _records(probe: Probe, rows: Rows) -> Answers:
    records = [dict(zip(input_names(probe), row, strict=True)) for row in rows]
    return _invocation_request(probe, {"dataframe_records": records})


def _inputs(probe: Probe, rows: Rows) -> Answers:
    """Send columns by name."""
    columns = map(list, zip(*rows, strict=True))
    return _invocation_request(
        probe, {"inputs": dict(zip(input_names(probe), columns, strict=True))}
    )


def _invocation_csv(probe: Probe, rows: Rows) -> Answers:
    return parse_answers(probe, post_rows(probe, to_csv(rows), "text/csv; header=absent", PATH))


def _has_inputs(model: ModelSpec) -> bool:
    return bool(model.signature.inputs)


INVOCATION_ROUTES = (
    Route("POST /invocations, dataframe_split", _split, supports=_has_inputs),
    Route("POST /invocations, dataframe_records", _records, supports=_has_inputs),
    Route("POST /invocations, inputs", _inputs, supports=_has_inputs),
    Route(
        "POST /invocations, csv",
        _invocation_csv,
        supports=has_known_types,
        can_encode=has_no_empty_text,
    ),
)


def _invocation_request(probe: Probe, document: dict[str, Any]) -> Answers:
    if probe.model.signature.probabilities:
        document["params"] = {"probabilities": True}
    response = probe.post_raw(PATH, json.dumps(document).encode(), "application/json")
    return parse_answers(probe, response)


def _v1_lists(probe: Probe, rows: Rows) -> Answers:
    response = probe.post(f"/v1{model_path(probe)}:predict", {"instances": list(rows)})
    return Answers(tuple(parse_predictions(response)))


V1_ROUTES = (Route("POST /v1/models/M:predict, lists", _v1_lists),)
