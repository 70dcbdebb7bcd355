"""POST /contributions."""

from __future__ import annotations

import pytest
import serving_models
from flask_clients import client_for, post
from jsonschema import Draft202012Validator
from playground_models import probable

ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    return client_for(serving_models.iris(), tmp_path_factory.mktemp("iris"))


@pytest.fixture(scope="module")
def bayes(tmp_path_factory):
    return client_for(probable(), tmp_path_factory.mktemp("bayes"))


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


def test_responses_are_documented(iris, bayes):
    for client in (iris, bayes):
        document = client.get("/openapi.json").json
        operation = document["paths"]["/contributions"]["post"]
        content = operation["responses"]["200"]["content"]["application/json"]
        validator = Draft202012Validator(
            {**content["schema"], "components": document["components"]}
        )
        validator.validate(post(client, {"instances": [ROW]}, "/contributions").json)
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
