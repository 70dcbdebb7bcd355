"""Requests made up by hypothesis: right ones get what the estimator itself says, wrong ones are
told which value is wrong, and whatever comes, no answer is a 5xx or tells of the inside.

MODELPACK_FUZZ_EXAMPLES asks for more than the few examples that fit every run.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from urllib.parse import unquote_to_bytes

import jsonschema_rs
import numpy as np
import pandas as pd
import pytest
from flask_clients import client_for
from fuzzed_models import MODELS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from request_bodies import damaged, example_bodies, example_documents
from schemathesis_checks import INSIDE, SIZES

from modelpack.types import Field

fuzzed = settings(
    max_examples=int(os.environ.get("MODELPACK_FUZZ_EXAMPLES", "40")),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

FUZZED = ("iris", "mixed", "texts", "forest", "coded", "several", "hostile", "dicts")
PATHS = ("/predict", "/invocations", "/v1/models/model:predict")
ROWS = ("iris", "mixed", "texts", "forest", "coded", "several")


@pytest.fixture(scope="module")
def trained():
    return {name: MODELS[name]() for name in FUZZED}


@pytest.fixture(scope="module")
def clients(trained, tmp_path_factory):
    return {
        name: client_for(each, tmp_path_factory.mktemp(name), "pickle")
        for name, each in trained.items()
    }


# --- rows that are right -------------------------------------------------------------------------

VALUES = {
    "number": st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6),
    "integer": st.integers(-(10**6), 10**6) | st.integers(-1000, 1000).map(float),
    "string": st.text(max_size=8),
    "boolean": st.booleans(),
}


def value_of(field: Field):
    if field.categories:
        return st.sampled_from(field.categories)
    values = VALUES[field.type]
    return values | st.none() if field.nullable else values


def rows_of(trained):
    inputs = trained.signature.inputs
    row = st.tuples(*map(value_of, inputs)).map(list)
    return st.lists(row, min_size=1, max_size=4)


@st.composite
def written(draw, trained, rows):
    """Each row as a list or by name in any order, without some of what is missing."""
    names = [field.name for field in trained.signature.inputs]
    return [draw(_written(names, row)) for row in rows]


def _written(names, row):
    pairs = list(zip(names, row, strict=True))
    kept = st.permutations(pairs).flatmap(_some_nulls_left_out)
    forms = [st.just(row), kept.map(dict)]
    return st.one_of([*forms, st.just(row[0])] if len(row) == 1 else forms)


def _some_nulls_left_out(pairs):
    return st.booleans().map(lambda out: [p for p in pairs if not (out and p[1] is None)])


def asked_directly(trained, rows):
    """The estimator's own predictions."""
    inputs, layout = trained.signature.inputs, trained.signature.layout
    if layout == "text":
        return trained.model.predict([row[0] for row in rows]).tolist()
    kinds = {field.type for field in inputs}
    if layout == "array":
        table = np.array(rows, np.float64 if kinds <= {"number", "integer"} else object)
        return getattr(trained.model, trained.method)(table).tolist()
    dtypes = {"number": float, "integer": int, "boolean": bool, "string": object}
    columns = {
        field.name: pd.Series(
            [np.nan if value is None else value for value in values], dtype=dtypes[field.type]
        )
        for field, values in zip(inputs, zip(*rows, strict=True), strict=True)
    }
    return trained.model.predict(pd.DataFrame(columns)).tolist()


@pytest.mark.parametrize("name", ROWS)
@fuzzed
@given(data=st.data())
def test_valid_rows_get_the_predictions_of_the_estimator(clients, trained, name, data):
    rows = data.draw(rows_of(trained[name]))
    instances = data.draw(written(trained[name], rows))
    expected = asked_directly(trained[name], rows)
    for path in PATHS:
        answer = clients[name].post(path, json={"instances": instances})
        assert answer.status_code == 200, answer.data
        assert answer.json == {"predictions": expected}


# --- one value that is wrong ---------------------------------------------------------------------

WRONG = {
    "number": st.sampled_from(["1", [], {}, "", "NaN"]),
    "integer": st.sampled_from(["1", [], {}, 0.5, 2**63, 1e300]),
    "string": st.sampled_from([1, 0.5, True, [], {}]),
    "boolean": st.sampled_from([2, 0.5, "true", [], {}]),
    "any": st.sampled_from([[], {}, [1], 2**64]),
}


def wrong_value_of(field: Field):
    values = WRONG[field.type]
    return values if field.nullable else values | st.none()


@pytest.mark.parametrize("name", ROWS)
@fuzzed
@given(data=st.data())
def test_one_wrong_value_is_named(clients, trained, name, data):
    inputs = trained[name].signature.inputs
    rows = data.draw(rows_of(trained[name]))
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, len(inputs) - 1))
    rows[row][column] = wrong = data.draw(wrong_value_of(inputs[column]))
    names = [field.name for field in inputs]
    by_name = [dict(zip(names, each, strict=True)) for each in rows]
    paths = PATHS[:2] if isinstance(wrong, list) else PATHS  # V1 takes tables of lists, too
    for path, instances in itertools.product(paths, (rows, by_name)):
        answer = clients[name].post(path, json={"instances": instances})
        assert answer.status_code == 422, answer.data
        places = [(error["row"], error["column"]) for error in answer.json["errors"]]
        assert places == [(row, names[column])]


# --- any JSON ------------------------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(-1e15, 1e15)
    | st.text(max_size=5)
)


def documents(trained):
    """Rows that are right, or nearly so, in any form; and any other JSON."""
    names = [field.name for field in trained.signature.inputs]
    row = st.tuples(*map(nearly, trained.signature.inputs)).map(list)
    named = row.map(lambda values: dict(zip(names, values, strict=True)))
    columns = st.fixed_dictionaries(
        {
            field.name: st.lists(nearly(field) | nearly(field).map(lambda v: [v]), max_size=2)
            for field in trained.signature.inputs
        }
    )
    listed = [st.lists(each, min_size=1, max_size=3) for each in (row, named, columns)]
    split = st.fixed_dictionaries({"columns": st.just(names), "data": listed[0]})
    rows = st.one_of(*listed, columns, named)
    forms = [
        st.fixed_dictionaries({"instances": rows}, optional={"params": st.just({})}),
        st.fixed_dictionaries({"inputs": rows}, optional={"signature_name": st.none()}),
        st.fixed_dictionaries({"dataframe_records": rows}),
        st.fixed_dictionaries({"dataframe_split": split}),
    ]
    return st.one_of(rows, *forms, anything([*names, "instances", "inputs", "unknown"]))


def nearly(field: Field):
    return st.integers(0, 19).flatmap(lambda number: value_of(field) if number else SCALARS)


def anything(names: list[str]):
    return st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(names), inner, max_size=4)
        ),
        max_leaves=8,
    )


def body_validator(client, path: str) -> jsonschema_rs.Validator:
    document = client.get("/openapi.json").json
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    components = {"components": document["components"]}
    return jsonschema_rs.Draft202012Validator({**body["schema"], **components})


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v1/models/{name}:predict"])
@pytest.mark.parametrize("name", FUZZED)
def test_json_is_accepted_exactly_as_documented(clients, trained, name, path):
    schema = body_validator(clients[name], path)
    url = path.replace("{name}", "model")

    @fuzzed
    @given(document=documents(trained[name]))
    def check(document):
        body = json.dumps(document)
        answer = clients[name].post(url, data=body, content_type="application/json")
        right = schema.is_valid(document) and not SIZES.search(answer.text)
        assert answer.status_code == (200 if right else 422), answer.data
        if answer.status_code != 200:
            check_problem(answer)

    check()


# --- any request ---------------------------------------------------------------------------------


def check_problem(answer) -> None:
    assert answer.status_code < 500, answer.data
    if answer.status_code < 400:
        return
    assert answer.mimetype == "application/problem+json"
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert answer.json["status"] == answer.status_code
    assert answer.json["detail"]
    assert not INSIDE.search(answer.text), answer.text


TYPES = st.sampled_from(
    [
        "",
        "application/json",
        "application/json; charset=utf-16",
        "text/csv",
        "text/csv; charset=nonsense",
        "application/x-npy",
        "application/jsonlines",
        "application/x-ndjson",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.parquet",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "*/*",
        "text/plain",
        ";",
        "application/json; =",
    ]
)


HEADER_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Accept": TYPES | HEADER_TEXT,
        "X-Request-Id": HEADER_TEXT,
        "Traceparent": HEADER_TEXT,
        "Content-Encoding": st.sampled_from(["gzip", "identity", "br", "x"]),
        "Inference-Header-Content-Length": st.sampled_from(["0", "5", "-1", "99999", "x", "٣"]),
        "If-None-Match": HEADER_TEXT,
        "If-Modified-Since": HEADER_TEXT,
        "Range": st.sampled_from(["bytes=0-1", "bytes=9-1", "x"]),
        "Authorization": HEADER_TEXT,
        "Cookie": HEADER_TEXT,
        "Accept-Encoding": HEADER_TEXT,
        "Expect": st.just("100-continue"),
        "X-Amzn-SageMaker-Custom-Attributes": HEADER_TEXT,
    },
)
QUERIES = st.sampled_from(["", "probabilities=true", "probabilities=", "%00", "a=%ff&a"])
METHODS = st.sampled_from(["GET", "POST", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "X"])
TAILS = st.sampled_from(["", "", "", "", "/", "//", "/..", "%00", "%2e%2e", "\\", ":predict"])


def urls(client):
    paths = sorted({re.sub("[<>]", "", r.rule) for r in client.application.url_map.iter_rules()})
    return st.builds(_url, st.sampled_from(paths), TAILS, QUERIES)


def _url(path: str, tail: str, query: str) -> dict[str, str]:
    """As a server hands it over; the test client would mend it."""
    whole = unquote_to_bytes(path + tail).decode("latin-1")
    return {"PATH_INFO": whole, "QUERY_STRING": query}


@pytest.mark.parametrize("name", FUZZED)
def test_no_response_is_a_5xx_or_contains_internals(clients, trained, name):
    client, signature = clients[name], trained[name].signature
    bodies = [*example_bodies(signature).values(), *example_documents(signature)]

    @fuzzed
    @given(METHODS, urls(client), TYPES, HEADERS, damaged(bodies))
    def check(method, url, type_, headers, body):
        answer = client.open(
            method=method,
            data=body,
            content_type=type_,
            headers=headers,
            environ_overrides=url,
        )
        assert answer.headers["X-Request-Id"]
        if method != "HEAD":
            check_problem(answer)

    check()
