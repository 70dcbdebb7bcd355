"""The dialect of MLflow and SageMaker: three of its forms, and CSV without names."""

from __future__ import annotations

import json
from typing import Any

from modelpack.smoke.probe import Probe
from modelpack.smoke.routes.predict import answers_of, posted
from modelpack.smoke.routes.route import (
    Route,
    Rows,
    csv_of,
    names_of,
    without_empty_texts,
    written_alike,
)
from modelpack.types import Answers, ModelSpec

PATH = "/invocations"


def _split(probe: Probe, rows: Rows) -> Answers:
    """The columns in reverse order."""
    data = [list(row)[::-1] for row in rows]
    return _asked(probe, {"dataframe_split": {"columns": names_of(probe)[::-1], "data": data}})


def _records(probe: Probe, rows: Rows) -> Answers:
    records = [dict(zip(names_of(probe), row, strict=True)) for row in rows]
    return _asked(probe, {"dataframe_records": records})


def _inputs(probe: Probe, rows: Rows) -> Answers:
    """Columns by name."""
    columns = map(list, zip(*rows, strict=True))
    return _asked(probe, {"inputs": dict(zip(names_of(probe), columns, strict=True))})


def _csv(probe: Probe, rows: Rows) -> Answers:
    return answers_of(probe, posted(probe, csv_of(rows), "text/csv; header=absent", PATH))


def _known(model: ModelSpec) -> bool:
    return bool(model.signature.inputs)


ROUTES = (
    Route("POST /invocations, dataframe_split", _split, takes=_known),
    Route("POST /invocations, dataframe_records", _records, takes=_known),
    Route("POST /invocations, inputs", _inputs, takes=_known),
    Route("POST /invocations, csv", _csv, takes=written_alike, holds=without_empty_texts),
)


def _asked(probe: Probe, document: dict[str, Any]) -> Answers:
    if probe.model.signature.probabilities:
        document["params"] = {"probabilities": True}
    answer = probe.post_raw(PATH, json.dumps(document).encode(), "application/json")
    return answers_of(probe, answer)
