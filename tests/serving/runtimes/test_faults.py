"""Models that do not return one prediction per row."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
import serving_models
from batch_runs import ForkedImage
from faulty_model import GOOD, RETURNS
from flask_clients import client_for_bundle, post
from serving_models import render_bundle

from modelpack.serving.batch.predict import FAILED
from modelpack.serving.service import Service

MESSAGES = {
    10: "0 answers for 1 row",
    11: "2 answers for 1 row",
    12: "None, which is not an array, a list or a frame",
    13: "a value of type str, which is not an array, a list or a frame",
    14: "a value of type dict, which is not an array, a list or a frame",
    15: "a value of type float, which is not an array, a list or a frame",
    16: "a value of type list of answers that differ in shape",
    17: "a value of type tuple, which is not an array, a list or a frame",
    18: "2 answers for 1 row",
}
V2 = {"inputs": [{"name": "x0", "datatype": "FP64", "shape": [1], "data": [0.0]}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    bundle = render_bundle(serving_models.faulty(), tmp_path_factory.mktemp("faulty"), "pickle")
    return bundle.directory


@pytest.fixture(scope="module")
def faulty(folder):
    return client_for_bundle(folder)


def refused(answer) -> str:
    assert answer.status_code == 500, answer.data
    detail = answer.json["detail"] if "detail" in answer.json else answer.json["error"]
    assert detail.endswith(" The model is at fault.")
    return detail


def v2(value: float) -> dict:
    (tensor,) = V2["inputs"]
    return {"inputs": [{**tensor, "data": [value]}]}


def test_a_good_answer_passes(faulty):
    assert post(faulty, [[GOOD], [GOOD]]).json == {"predictions": ["yes", "yes"]}
    answer = post(faulty, [[GOOD]], "/predict?probabilities=true")
    assert answer.json["probabilities"] == [{"no": 0.25, "yes": 0.75}]


def test_probabilities_as_lists_of_rows_are_rows_however_many_they_are(faulty):
    answer = post(faulty, [[GOOD]] * 2, "/predict?probabilities=true")
    assert answer.json["probabilities"] == [{"no": 0.25, "yes": 0.75}] * 2


def test_every_fault_is_covered():
    assert MESSAGES.keys() == RETURNS.keys()


@pytest.mark.parametrize("value", MESSAGES)
def test_wrong_number_of_answers_is_a_500(faulty, caplog, value):
    caplog.set_level(logging.ERROR, "modelpack.serving")
    expected = f"The model's predict returned {MESSAGES[value]}. The model is at fault."
    answer = post(faulty, [[value]])
    assert refused(answer) == expected
    (record,) = [each for each in caplog.records if "returned" in each.message]
    assert record.message == f"the model's predict returned {MESSAGES[value]}"
    assert record.facts == {"id": answer.json["request_id"]}
    for path, document in (
        ("/v1/models/model:predict", {"instances": [[value]]}),
        ("/v2/models/model/infer", v2(value)),
        ("/invocations", {"inputs": [[value]]}),
    ):
        assert expected in post(faulty, document, path).text
        assert post(faulty, document, path).status_code == 500


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (20, "3 probability columns for 2 classes"),
        (21, "probabilities of 1 dimension in place of 2"),
        (22, "2 answers for 1 row"),
        (23, "None, which is not an array, a list or a frame"),
    ],
)
def test_wrong_probabilities_are_a_500(faulty, value, problem):
    answer = post(faulty, [[value]], "/predict?probabilities=true")
    assert (
        refused(answer) == f"The model's predict_proba returned {problem}. The model is at fault."
    )


@pytest.mark.parametrize("value", [10, 11, 12])
def test_batch_ends_with_an_error_and_writes_no_answer(folder, value):
    with ForkedImage(folder, "predict") as process:
        out, stderr = process.communicate(b"[%d]\n" % value)
    assert (process.returncode, out) == (FAILED, b"")
    assert MESSAGES[value] in stderr.decode()


def test_a_model_whose_example_gets_two_answers_is_not_ready(tmp_path):
    trained = serving_models.faulty()
    inputs = tuple(replace(field, example=11) for field in trained.signature.inputs)
    trained = replace(trained, signature=replace(trained.signature, inputs=inputs))
    bundle = render_bundle(trained, tmp_path, "pickle")
    assert not Service.load(bundle.directory).ready
    client = client_for_bundle(bundle.directory)
    assert client.get("/openapi.json").status_code == 200
    assert client.get("/v2/models/model").status_code == 200
    assert json.loads(client.get("/readyz").data)["status"] == 503
