"""Requests and checks that are added to those of schemathesis, which loads this file.

MODELPACK_SIGNATURE is the signature of the model in JSON. The model itself is not imported, because
its libraries take more CPU time than the requests.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import schemathesis
from request_bodies import damaged, example_bodies
from schemathesis import GenerationMode

from modelpack.types import Signature, from_json

REFUSED = "values? that the model takes"
BEYOND_64_BITS = r"-?\d{19,}(\.\.\.)?"
SIZES = re.compile(
    "equal length|same number of values for every|same names in every|contains no rows"
)
INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|(sklearn|numpy|werkzeug|flask)[._]", re.I
)
JSON = "application/json"

UNKNOWN = '{"inputs": [], "outputs": []}'

SIGNATURE = from_json(Signature, json.loads(os.environ.get("MODELPACK_SIGNATURE", UNKNOWN)))
NAMES = {field.name for field in SIGNATURE.inputs}
FORMS = {"inputs", "instances", "dataframe_records", "dataframe_split"}
BODIES = example_bodies(SIGNATURE)
TURNS = itertools.cycle([JSON, "*/*", *BODIES, "text/html", "application/openmetrics-text"])

for type_, body in BODIES.items():
    schemathesis.openapi.media_type(type_, damaged([body]))


@schemathesis.serializer(*BODIES)
def as_it_is(ctx, value):
    return value.encode() if isinstance(value, str) else value


@schemathesis.deserializer("application/x-npy")
def npy(ctx, response):
    return np.load(io.BytesIO(response.content), allow_pickle=False).tolist()


@schemathesis.deserializer("application/vnd.apache.arrow.stream")
def arrow(ctx, response):
    return pa.ipc.open_stream(response.content).read_all().to_pylist()


@schemathesis.deserializer("application/vnd.apache.parquet")
def parquet(ctx, response):
    return pq.read_table(io.BytesIO(response.content)).to_pylist()


@schemathesis.hook
def filter_path_parameters(ctx, path_parameters):
    """Not those that schemathesis would make another path of."""
    return not any(set("#?") & set(str(value)) for value in (path_parameters or {}).values())


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Request responses of one type after the other; JSON if no other type fits."""
    case.headers["Accept"] = f"{next(TURNS)}, {JSON};q=0.5"


@schemathesis.check
def rows_of_the_schema_are_taken(ctx, response, case):
    """Check that rows of the schema are accepted, as far as JSON Schema can describe valid rows.

    It cannot describe a number that the model refuses, an integer literal of more than 64 bits,
    sizes that must agree, or other types.
    """
    known = "RowByName" in case.operation.schema.raw_schema["components"]["schemas"]
    sizes = case.operation.path.endswith("/infer") or not known
    if case.meta.generation.mode != GenerationMode.POSITIVE or sizes:
        return
    if response.status_code not in (400, 413, 415, 422) or case.media_type not in (None, JSON):
        return
    if SIZES.search(response.json()["detail"]) or by_position(case.body):
        return
    for error in response.json().get("errors", [{"expected": "", "got": ""}]):
        refused = re.search(REFUSED, error["expected"])
        assert refused or re.fullmatch(BEYOND_64_BITS, error["got"]), response.text


def by_position(body) -> bool:
    """Return whether columns or rows have other names than the inputs, and so go by position."""
    members = body if isinstance(body, dict) and FORMS.intersection(body) else {"instances": body}
    parts = [members.get(key) for key in ("inputs", "instances", "dataframe_records")]
    rows = [row for part in parts for row in (part if isinstance(part, list) else [part])]
    return any(isinstance(row, dict) and row and not NAMES.intersection(row) for row in rows)


@schemathesis.check
def error_contains_no_internals(ctx, response, case):
    if response.status_code >= 400:
        assert not INSIDE.search(response.text), response.text
        if response.content:
            assert response.json()["request_id"] == response.headers["x-request-id"][0]
