"""Faults that fuzzing has found in what was already tested by hand."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import serving_models
from flask_clients import client_for
from fuzzed_models import unknown


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    return client_for(serving_models.iris(), tmp_path_factory.mktemp("iris"), "pickle")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return client_for(serving_models.mixed(), tmp_path_factory.mktemp("mixed"), "pickle")


NO_CHARACTER = "A text of the array contains an invalid character."
ROW = [5.1, 3.5, 1.4, 0.2]


def test_rows_of_no_values_are_refused_where_their_width_is_not_known(tmp_path):
    answer = client_for(unknown(), tmp_path, "pickle").post("/predict", json=[[]])
    assert (answer.status_code, answer.json["errors"][0]["row"]) == (422, 0)


def test_no_name_of_a_model_has_a_colon(iris):
    answer = iris.get("/v1/models/model:predict")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


def test_json_is_no_binary_data(iris):
    body = json.dumps({"inputs": []}).ljust(32)
    headers = {"Inference-Header-Content-Length": "0", "Content-Type": "application/json"}
    answer = iris.post("/v2/models/model/infer", data=body, headers=headers)
    assert answer.status_code == 400


def test_maximum_number_of_rows_fits_into_the_largest_mlflow_form(iris):
    split = {"columns": [f"x{i}" for i in range(4)], "index": [0], "data": [ROW] * 10_000}
    document = {"dataframe_split": split, "params": {}}
    assert iris.post("/invocations", json=document).status_code == 200


@pytest.mark.parametrize("value", [-(2**63) - 1, 2**63])
def test_an_integer_beyond_64_bits_is_refused_in_columns_too(mixed, value):
    columns = {"age": [1], "city": ["Rome"], "member": [True], "visits": [[value]]}
    answer = mixed.post("/v1/models/model:predict", json={"inputs": columns})
    assert (answer.status_code, answer.json["errors"][0]["column"]) == (422, "visits")


def test_missing_body_is_not_an_empty_text(tmp_path):
    client = client_for(serving_models.texts(), tmp_path, "pickle")
    headers = {"Inference-Header-Content-Length": "0"}
    assert client.post("/v2/models/model/infer", headers=headers).status_code == 422


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("point", [0x1D000000, 0x110000, 0xD800, 0xDFFF])
def test_text_with_invalid_characters_is_refused(mixed, point, order):
    file = io.BytesIO()
    np.save(file, np.array([["3", "Rome", "3", "True"]], f"{order}U4"))
    body = bytearray(file.getvalue())
    body[-4:] = np.array(point, f"{order}u4").tobytes()
    answer = mixed.post("/predict", data=bytes(body), content_type="application/x-npy")
    assert (answer.status_code, answer.json["detail"]) == (400, NO_CHARACTER)


@pytest.mark.parametrize("value", [2**63, 2**64, -(2**64), 1e300])
@pytest.mark.parametrize("path", ["/predict", "/v1/models/model:predict"])
def test_numbers_beyond_64_bits_are_no_integer_categories(tmp_path, path, value):
    client = client_for(serving_models.coded(), tmp_path)
    answer = client.post(path, json={"instances": [["a", value]]})
    assert (answer.status_code, answer.json["errors"][0]["column"]) == (422, "x1")
    for valid in (2**62, -(2**63), 1.0, 0.5):
        assert client.post(path, json={"instances": [["a", valid]]}).status_code == 200
