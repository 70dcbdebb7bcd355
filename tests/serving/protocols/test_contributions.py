"""POST /contributions."""

from __future__ import annotations

import json

import playground_models
import pytest
import serving_models
from flask_clients import client_for, post
from jsonschema import Draft202012Validator

ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    return client_for(serving_models.iris(), tmp_path_factory.mktemp("iris"))


@pytest.fixture(scope="module")
def bayes(tmp_path_factory):
    return client_for(playground_models.probable(), tmp_path_factory.mktemp("bayes"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return client_for(serving_models.texts(), tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    return client_for(playground_models.letters(), tmp_path_factory.mktemp("letters"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return client_for(playground_models.pair(), tmp_path_factory.mktemp("pair"))


def test_response_has_the_contribution_of_each_input(iris):
    model = serving_models.iris().model
    scaled = (ROW - model[0].mean_) / model[0].scale_
    found = post(iris, {"instances": [ROW]}, "/contributions").json
    assert (found["method"], found["output"], found["class"]) == ("coefficients", "score", "setosa")
    assert [each["name"] for each in found["inputs"]] == ["x0", "x1", "x2", "x3"]
    values = [each["contribution"] for each in found["inputs"]]
    assert values == pytest.approx((model[1].coef_[0] * scaled).tolist(), rel=1e-9)
    references = [each["reference"] for each in found["inputs"]]
    assert references == pytest.approx(model[0].mean_.tolist(), rel=1e-9)
    total = model.decision_function([ROW])[0, 0]
    assert found["base"] + sum(values) == pytest.approx(total, rel=1e-9)
    assert found["total"] == pytest.approx(total, rel=1e-9)


def test_model_without_contributions_has_a_reason(bayes):
    response = post(bayes, {"instances": [ROW]}, "/contributions")
    reason = "The model is not a linear model, tree, forest or boosting."
    assert (response.status_code, response.json) == (200, {"method": None, "reason": reason})


def test_words_of_a_text_have_contributions(texts):
    model = serving_models.texts().model
    found = post(texts, {"instances": [["good bore"]]}, "/contributions").json
    assert (found["method"], found["output"]) == ("coefficients", "log_odds")
    assert {each["word"] for each in found["words"]} == {"good", "bore"}
    assert found["other_words"] == {"number": 0, "contribution": 0}
    total = model.decision_function(["good bore"])[0] * (1 if found["class"] else -1)
    assert found["total"] == pytest.approx(total, rel=1e-9)
    (text,) = found["inputs"]
    assert text["contribution"] == pytest.approx(found["total"] - found["base"], rel=1e-9)


def test_words_that_are_left_out_have_a_reason(letters):
    found = post(letters, {"instances": [["good bore"]]}, "/contributions").json
    assert (found["method"], found["output"], found["base"]) == ("left_out", "probability", None)
    assert found["inputs"] == []
    assert found["other_words"] == {"number": 0, "contribution": None}
    assert "characters" in found["reason"]


@pytest.mark.parametrize("text", [None, 1, ["a"], "\ud800"])
def test_texts_that_no_model_takes_are_rejected(texts, text):
    body = json.dumps({"instances": [[text]]})
    for path in ("/predict", "/contributions"):
        response = texts.post(path, data=body, content_type="application/json")
        assert response.status_code in (400, 422), path


def test_output_of_several_is_chosen(pair):
    model = playground_models.pair().model
    row = [0.1, 0.2, 0.3]
    predictions = model.predict([row])[0]
    for query, number in (("", predictions.argmax()), ("?target=0", 0), ("?target=1", 1)):
        found = post(pair, {"instances": [row]}, f"/contributions{query}").json
        assert (found["target"], found["output"]) == (number, "prediction")
        assert found["total"] == pytest.approx(predictions[number], rel=1e-9)
    found = post(pair, {"instances": [row]}, "/contributions?target=2").json
    assert found == {"method": None, "reason": "The model has 2 outputs."}


@pytest.mark.parametrize("target", ["-1", "x", "", "1.0", "\u0661", "9" * 20])
def test_malformed_number_of_an_output_is_rejected(pair, iris, target):
    for client, row in ((pair, [1, 2, 3]), (iris, ROW)):
        response = post(client, {"instances": [row]}, f"/contributions?target={target}")
        assert (response.status_code, response.mimetype) == (400, "application/problem+json")
        assert "number of an output" in response.json["detail"]


def test_responses_are_documented(iris, bayes, texts, letters, pair):
    rows = {iris: ROW, bayes: ROW, texts: ["good"], letters: ["good"], pair: [1, 2, 3]}
    for client, row in rows.items():
        document = client.get("/openapi.json").json
        operation = document["paths"]["/contributions"]["post"]
        content = operation["responses"]["200"]["content"]["application/json"]
        validator = Draft202012Validator(
            {**content["schema"], "components": document["components"]}
        )
        validator.validate(post(client, {"instances": [row]}, "/contributions").json)
        assert not validator.is_valid({"method": "other"})


@pytest.mark.parametrize(
    "document",
    [{}, [], ROW, [ROW], {"instances": []}, {"instances": [ROW, ROW]}, {"instances": 1},
     {"instances": [ROW], "more": 1}],
)  # fmt: skip
def test_other_documents_than_one_row_are_rejected(iris, document):
    response = post(iris, document, "/contributions")
    assert (response.status_code, response.mimetype) == (422, "application/problem+json")
    assert "one row" in response.json["detail"]


def test_invalid_rows_have_the_errors_of_a_prediction(iris, tmp_path):
    for row in (ROW[:3], ["x", *ROW[1:]]):
        errors = [post(iris, {"instances": [row]}, f"/{p}").json["errors"]
                  for p in ("contributions", "predict")]  # fmt: skip
        assert errors[0] == errors[1]
    strict = client_for(serving_models.strict(), tmp_path)
    response = post(strict, {"instances": [["z", 1]]}, "/contributions")
    assert (response.status_code, response.json["errors"][0]["column"]) == (422, "x0")


def test_request_is_not_counted_as_a_prediction(iris):
    def counted() -> list[str]:
        lines = iris.get("/metrics").text.splitlines()
        return [line for line in lines if line.startswith(("modelpack_predict", "modelpack_input"))]

    post(iris, {"instances": [ROW]})
    before = counted()
    post(iris, {"instances": [ROW]}, "/contributions")
    assert counted() == before
