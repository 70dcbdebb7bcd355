"""KServe's V1 protocol: what it takes and refuses, and KServe's own model and requests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import serving_models
from flask_clients import client_for
from gunicorn_server import serve
from serving_models import BASE, ENVIRONMENT

from modelpack.bundle.render import render
from modelpack.inspection import inspect
from modelpack.serving import settings
from modelpack.serving.errors import StartupError

SVC = Path(__file__).parents[3] / "tests" / "data" / "kserve" / "kserve-svc-joblib-1.3.2"
ROW = [5.1, 3.5, 1.4, 0.2]
NAMED = dict(zip(["x3", "x2", "x1", "x0"], reversed(ROW), strict=True))
ONES = {name: [1] for name in NAMED}


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    return client_for(serving_models.iris(), tmp_path_factory.mktemp("iris"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return client_for(serving_models.mixed(), tmp_path_factory.mktemp("mixed"))


def predict(client, document, name: str = "model"):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    path = f"/v1/models/{name}:predict"
    return client.post(path, data=body, content_type="application/json")


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [ROW, ROW]},
        {"instances": [ROW, NAMED]},
        {"instances": [NAMED, ROW], "signature_name": "serving_default"},
        {"inputs": [ROW, ROW]},
        {"inputs": {name: [value, value] for name, value in NAMED.items()}},
        {"inputs": {name: [[value], [value]] for name, value in NAMED.items()}},
        {"instances": [{name: [value, value] for name, value in NAMED.items()}]},
        {"instances": [{name: [value] for name, value in NAMED.items()}] * 2},
    ],
)
def test_rows_and_columns(iris, document):
    answer = predict(iris, document)
    assert (answer.status_code, answer.json) == (200, {"predictions": ["setosa", "setosa"]})


def test_columns_of_several_types_with_something_missing(mixed):
    columns = {"age": [None, 30], "visits": [1, 2], "member": [True, False], "city": ["Rome", None]}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert predict(mixed, {"inputs": columns}).json == predict(mixed, {"instances": rows}).json
    exactly = b'{"inputs": {"visits": [1], "member": [true], "age": [NaN], "city": [null]}}'
    assert predict(mixed, exactly).status_code == 200


@pytest.mark.parametrize(
    ("document", "status", "message"),
    [
        (b"{", 400, "The body is not JSON"),
        ([ROW], 422, 'Expected {"instances": [...]}'),
        ({}, 422, 'Expected {"instances": [...]}'),
        ({"instances": [ROW], "inputs": [ROW]}, 422, 'Expected {"instances": [...]}'),
        ({"instances": {"x0": [1]}}, 422, 'Expected {"instances": [...]}'),
        ({"instances": [ROW], "parameters": {}}, 422, 'Got the member the string "parameters"'),
        ({"instances": [ROW], "signature_name": "x"}, 422, "serving_default"),
        ({"instances": []}, 422, "contains no rows"),
        ({"inputs": {}}, 422, "contains no rows"),
        ({"inputs": {"x0": []}}, 422, "contains no rows"),
        ({"inputs": {"x0": 1}}, 422, 'Column "x0": expected a list of values, got 1'),
        ({"inputs": {"x0": [1], "x1": [1, 2]}}, 422, "the same number of values for every input"),
        ({"inputs": {"x0": [1], "y": [1]}}, 422, 'Column "x1": expected this column'),
        ({"inputs": {"x0": [1]}}, 422, "expected this column, got nothing"),
        ({"instances": [{"x0": [1]}, {"x1": [1]}]}, 422, "the same names in every instance"),
        (
            {"instances": [{"x0": [1, 2], "x1": [1]}, {"x0": [1], "x1": [1, 2]}]},
            422,
            "the same number",
        ),
        ({"inputs": {**ONES, "x0": ["a"]}}, 422, 'Row 0, column "x0"'),
        ({"inputs": {**ONES, "x0": [[1, 2]]}}, 422, "got a list"),
        ({"instances": [[5.1, "wide", 1.4, 0.2]]}, 422, 'Row 0, column "x1": expected a finite'),
    ],
)
def test_mismatched_values_are_reported(iris, document, status, message):
    answer = predict(iris, document)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert message in answer.json["error"]


def test_unknown_model_is_an_error_with_the_served_name(iris):
    for answer in (predict(iris, {}, "iris"), iris.get("/v1/models/iris")):
        assert answer.status_code == 404
        assert answer.json["error"] == 'Unknown model. This service has "model".'
    explained = iris.post("/v1/models/model:explain", json={"instances": [ROW]})
    assert (explained.status_code, explained.json["error"][:28]) == (
        404, "The model has no explainer. ")  # fmt: skip


def test_model_name_outside_of_a_url_prevents_the_start():
    assert (settings.name({}), settings.version({"MODELPACK_MODEL_VERSION": ""})) == ("model", "1")
    assert settings.name({"MODELPACK_MODEL_NAME": "Häuser 2"}) == "Häuser 2"
    for name in ("a/b", "a:b", "..", "a\nb", "\udcff", "x" * 257):
        with pytest.raises(StartupError, match="MODELPACK_MODEL_NAME is"):
            settings.name({"MODELPACK_MODEL_NAME": name})


# --- KServe's own ---------------------------------------------------------------------------------

TENSOR = {"name": "input-0", "shape": [2, 4], "datatype": "FP32",
          "data": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}  # fmt: skip


@pytest.fixture(scope="module")
def kserve(tmp_path_factory):
    """KServe's example of an SVC, under gunicorn, by the name of its tests."""
    folder = tmp_path_factory.mktemp("svc")
    bundle = render(inspect(SVC / "model.joblib"), ENVIRONMENT, BASE, folder / "bundle")
    with serve(bundle.directory, preload=True, MODELPACK_MODEL_NAME="sklearn-iris") as server:
        yield server


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_requests_of_kserves_tests(kserve):
    """iris_input.json, iris_input_v2.json and iris_input_v2_binary.json of
    https://github.com/kserve/kserve/tree/master/test/e2e/data, and what they must be answered.
    """
    path = "/v1/models/sklearn-iris:predict"
    response, answer = kserve.request("POST", path, {"instances": TENSOR["data"]})
    assert (response.status, answer) == (200, {"predictions": [1, 1]})
    path = "/v2/models/sklearn-iris/infer"
    response, answer = kserve.request("POST", path, {"inputs": [TENSOR]})
    assert response.status == 200
    assert answer["model_name"] == "sklearn-iris"
    assert answer["outputs"][0]["data"] == [1, 1]
    assert answer["outputs"][0]["datatype"] == "INT64"
    named = {"inputs": [TENSOR], "outputs": [{"name": "output-0"}], "id": "d3b15cad"}
    _, answer = kserve.request("POST", path, named)
    assert answer["id"] == "d3b15cad"
    assert answer["outputs"] == [
        {"name": "output-0", "datatype": "INT64", "shape": [2], "data": [1, 1]}
    ]


def test_its_metadata_and_readiness(kserve):
    assert kserve.request("GET", "/v1/models")[1] == {"models": ["sklearn-iris"]}
    ready = {"name": "sklearn-iris", "ready": True}
    assert kserve.request("GET", "/v1/models/sklearn-iris")[1] == ready
    assert kserve.request("GET", "/v2/models/sklearn-iris/ready")[1] == ready
    assert kserve.request("GET", "/v2/models")[1] == {"models": ["sklearn-iris"]}
    assert kserve.request("GET", "/v2/health/live")[1] == {"live": True}
    assert kserve.request("GET", "/v2/health/ready")[1] == {"ready": True}
