"""Rows in the body of a request: /predict, /invocations and the V1 protocol."""

from __future__ import annotations

import csv
import io
import json
import math
import struct
from collections.abc import Sequence
from typing import Any

from modelpack.smoke.probe import Probe, parse_predictions
from modelpack.smoke.routes.route import (
    Route,
    Rows,
    are_floats,
    has_known_types,
    has_no_empty_text,
    input_names,
    is_numeric,
    model_path,
    parse_answers,
    post_rows,
)
from modelpack.types import Answers, ModelSpec, Scalar


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


def _predict_json_lines(probe: Probe, rows: Rows) -> Answers:
    """Send text unescaped, in the charset that the Content-Type names."""
    body = "".join(json.dumps(list(row), ensure_ascii=False) + "\n" for row in rows).encode()
    return parse_answers(probe, post_rows(probe, body, "application/jsonlines; charset=utf-8"))


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
    Route("POST /predict, json lines", _predict_json_lines),
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


def _predict_request(probe: Probe, document: Any) -> Answers:
    return parse_answers(probe, post_rows(probe, json.dumps(document).encode(), "application/json"))


def _record(probe: Probe, row: Sequence[Scalar]) -> dict[str, Scalar]:
    """Return a row by name, with names in reverse order."""
    names = input_names(probe)
    return dict(reversed(list(zip(names, row, strict=True))))


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
