"""JSON Lines (https://jsonlines.org): one row in each line, as a list, an object or a value."""

from __future__ import annotations

import io
from itertools import islice
from typing import Any, Mapping

from ..data import json_body, results
from ..data.columns import Rows
from ..data.extra_inputs import Extras
from ..problems import Problem
from ..service import Parse, Service
from ..settings import Limits

TYPES = ("application/jsonlines", "application/x-ndjson", "application/jsonl")
NEEDS = None


def read(
    service: Service,
    body: bytes,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
    ignored: Extras = None,
) -> Rows:
    """Decode a row from each line that is not empty.

    Raises:
        Problem: 400, a line is not JSON. See also `Service.decode_rows`.
    """
    json_body.check_nesting(body, service.limits)
    lines = list(islice(filter(bytes.strip, io.BytesIO(body)), service.limits.rows + 1))
    return service.decode_json(lambda parse: _parse_lines(lines, parse, service.limits), ignored)


def write(
    prediction: results.Prediction,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
) -> bytes:
    """Return a line {"prediction": ...} for each row, with "probabilities" if any."""
    lines = [{"prediction": value} for value in prediction.predictions.tolist()]
    for line, probabilities in zip(lines, prediction.probabilities or ()):
        line["probabilities"] = probabilities
    return b"".join(results.dump(line) + b"\n" for line in lines)


def _parse_lines(lines: list[bytes], parse: Parse, limits: Limits) -> list[Any]:
    rows = []
    for number, line in enumerate(lines):
        try:
            rows.append(parse(line, limits))
        except Problem as problem:
            raise Problem(problem.status, f"Row {number}: {problem.detail}") from problem
    return rows
