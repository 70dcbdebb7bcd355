"""The document at /openapi.json: valid, complete, true."""

from __future__ import annotations

import json
import re

import fuzzed_models
import jsonschema_rs
import pytest
from flask_clients import client_for, client_for_bundle
from fuzzed_models import MODELS
from schemathesis.specs.openapi import definitions
from serving_models import NATIVE_MODELS, render_bundle, render_native_bundle

from modelpack.serving import app as serving_app
from modelpack.serving.openapi.document import METHODS, openapi_path
from modelpack.serving.protocols import PROTOCOLS
from modelpack.serving.service import Service

TOKEN = "3f786850e387550fdab836ed7e6dc881de23001b0e1a4e7f"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    return {
        name: client_for(make(), tmp_path_factory.mktemp(name), "pickle")
        for name, make in MODELS.items()
    }


@pytest.fixture(params=MODELS)
def client(clients, request):
    return clients[request.param]


def get_document(client) -> dict:
    return client.get("/openapi.json").json


def test_the_summary_names_task_and_framework(client):
    summary = get_document(client)["info"]["summary"]
    assert re.fullmatch(
        r"(A (classifier|regressor|model|\w+er)|An outlier detector) of .+\.", summary
    )
    assert "unknown" not in summary


def operations(document: dict):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def request_path(path: str) -> str:
    return path.replace("{name}", "model").replace("{version}", "1")


def validator(document: dict, schema: dict) -> jsonschema_rs.Validator:
    """Return a validator of a schema in the document."""
    components = {"components": document["components"]}
    return jsonschema_rs.Draft202012Validator({**schema, **components})


def row_validator(document: dict) -> jsonschema_rs.Validator:
    return validator(document, {"$ref": "#/components/schemas/Row"})


def schemas_in(part):
    if isinstance(part, dict):
        if "schema" in part:
            yield part["schema"]
        for value in part.values():
            yield from schemas_in(value)


def test_document_is_openapi_3_1(client):
    document = get_document(client)
    assert document["openapi"].startswith("3.1.")
    definitions.OPENAPI_31_VALIDATOR.validate(document)
    for schema in [*schemas_in(document), *document["components"]["schemas"].values()]:
        jsonschema_rs.meta.validate({"$schema": DRAFT, **schema})


def test_document_has_exactly_the_routes(client):
    rules = client.application.url_map.iter_rules()
    routed = {
        (openapi_path(rule.rule), method.lower())
        for rule in rules
        for method in rule.methods & METHODS
    }
    assert {(path, method) for path, method, _ in operations(get_document(client))} == routed


def test_head_goes_with_get_and_options_names_what_is_allowed(clients):
    for path, method, operation in operations(get_document(clients["iris"])):
        options = clients["iris"].options(request_path(path))
        assert options.status_code == 200
        assert method.upper() in options.headers["Allow"]
        if method == "get":
            head, get = (
                clients["iris"].head(request_path(path)),
                clients["iris"].get(request_path(path)),
            )
            assert (head.status_code, head.data) == (get.status_code, b"") == (200, b"")
            assert head.mimetype == get.mimetype in operation["responses"]["200"]["content"]


def test_operation_names_are_unique_and_described(client):
    found = [operation for _, _, operation in operations(get_document(client))]
    assert len({operation["operationId"] for operation in found}) == len(found)
    assert all(operation["summary"] and operation["tags"] for operation in found)


def test_every_error_is_a_problem_with_a_request_id(client):
    document = get_document(client)
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            whole = resolved(document, response)
            assert "X-Request-Id" in whole["headers"]
            if status >= "400":
                assert list(whole["content"]) == ["application/problem+json"]


def resolved(document: dict, part: dict) -> dict:
    keys = part["$ref"][2:].split("/") if "$ref" in part else []
    found = document if keys else part
    for key in keys:
        found = found[key]
    return found


def examples(document: dict):
    for path, method, operation in operations(document):
        for type_, body in operation.get("requestBody", {}).get("content", {}).items():
            for example in body.get("examples", {}).values():
                yield path, method, operation, type_, body["schema"], example["value"]


def test_every_example_is_of_its_schema_and_answered_as_documented(client):
    check_examples(client)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost", "onnx"])
def test_examples_of_other_libraries_are_answered_as_documented(tmp_path, name):
    path, instances, _ = NATIVE_MODELS[name]
    client = client_for_bundle(render_native_bundle(path, tmp_path))
    document = check_examples(client)
    definitions.OPENAPI_31_VALIDATOR.validate(document)
    content = document["paths"]["/predict"]["post"]["responses"]["200"]["content"]
    answer = client.post("/predict", json=instances).json
    validator(document, content["application/json"]["schema"]).validate(answer)


def check_examples(client) -> dict:
    document = get_document(client)
    for path, method, operation, type_, schema, value in examples(document):
        body = json.dumps(value) if type_ == "application/json" else value
        validator(document, schema).validate(value)
        answer = client.open(request_path(path), method=method, data=body, content_type=type_)
        assert answer.status_code == 200, answer.data
        content = operation["responses"]["200"]["content"][answer.mimetype]
        validator(document, content["schema"]).validate(answer.json)
        for example in content.get("examples", {}).values():
            validator(document, content["schema"]).validate(example["value"])
    return document


def test_a_known_example_is_an_example_of_the_document(clients):
    for name, client in clients.items():
        assert bool(list(examples(get_document(client)))) == (name != "unknown")


def test_body_is_created_once_and_has_an_etag(clients):
    first = clients["iris"].get("/openapi.json")
    again = clients["iris"].get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert "X-Request-Id" in again.headers


def test_token_is_documented_if_required(tmp_path, monkeypatch):
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setenv("MODELPACK_TOKEN_FILE", str(tmp_path / "token"))
    client = client_for(MODELS["iris"](), tmp_path, "pickle")
    (tmp_path / "token").unlink()  # it is read once
    assert client.get("/openapi.json").status_code == 401
    headers = {"Authorization": f"Bearer {TOKEN}"}
    document = client.get("/openapi.json", headers=headers).json
    definitions.OPENAPI_31_VALIDATOR.validate(document)
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, method, operation in operations(document):
        status = client.open(request_path(path), method=method).status_code
        assert ("security" in operation) == ("401" in operation["responses"]) == (status == 401)


def test_no_security_scheme_without_a_token(client):
    document = get_document(client)
    assert "securitySchemes" not in document["components"]
    assert not any("401" in operation["responses"] for _, _, operation in operations(document))


def test_creating_the_document_counts_no_prediction(tmp_path):
    client = client_for(MODELS["iris"](), tmp_path, "pickle")
    client.post("/predict", json=[[1, 2, 3, 4]])
    before = calls(client)
    get_document(client)
    assert calls(client) == before != []


def calls(client) -> list[str]:
    """Return the lines of the metrics that count calls of the model."""
    lines = client.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith("modelpack_batch_rows_count")]


def test_names_types_and_what_may_be_missing(clients):
    row = get_document(clients["mixed"])["components"]["schemas"]["RowByName"]
    assert list(row["properties"]) == ["age", "city", "visits", "member"]
    types = [field["type"] for field in row["properties"].values()]
    assert types == [
        ["number", "boolean", "null"],
        ["string", "null"],
        ["integer", "boolean"],
        ["boolean", "integer"],
    ]
    assert row["required"] == ["visits", "member"]
    assert row["additionalProperties"] is True


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        (
            "iris",
            [[1, 2, 3, 4.5], {"a": 1, "b": 2, "c": 3, "d": 4.5}],
            [[1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, None], {"x0": 1}, 3],
        ),
        ("mixed", [{"visits": 1.0, "member": True}], [{"visits": 1.5, "member": True}]),
        ("texts", ["good", ["good"], {"text": "good"}, {"a": "good"}], [3, ["a", "b"], {"a": 3}]),
        ("unknown", [[1, 2, 3]], [[], [[1]], {"y": 1}]),
        ("dicts", [{}, {"city": "Bergen"}, [None, "Oslo"]], [{"town": "Oslo"}]),
        ("wide", [[0.5] * fuzzed_models.WIDE], [[0.5] * (fuzzed_models.WIDE - 1), {"a": 1}]),
        ("hostile", [dict.fromkeys(fuzzed_models.HOSTILE, 1)], [{"__proto__": 1}]),
    ],
)
def test_row_schema_accepts_exactly_what_the_service_accepts(clients, name, valid, invalid):
    schema = row_validator(get_document(clients[name]))
    for row in [*valid, *invalid]:
        answer = clients[name].post("/predict", json={"instances": [row]})
        assert schema.is_valid(row) == (row in valid)
        assert answer.status_code == (200 if row in valid else 422), answer.data


def test_categories_are_an_enumeration_if_the_model_refuses_others(clients):
    open_, closed = (
        get_document(clients[name])["components"]["schemas"]["RowByName"]["properties"]["x0"]
        for name in ("coded", "strict")
    )
    assert (open_["examples"], "enum" in open_) == (["a", "b"], False)
    assert closed["enum"] == ["a", "b"]


def test_classes_are_an_enumeration_of_the_predictions(clients):
    schemas = get_document(clients["iris"])["components"]["schemas"]
    assert schemas["Prediction"]["enum"] == ["setosa", "versicolor", "virginica"]
    assert list(schemas["Probabilities"]["properties"]) == schemas["Prediction"]["enum"]


def test_schema_has_the_shape_of_the_predictions(clients):
    scaled = get_document(clients["scaler"])["components"]["schemas"]["Prediction"]
    assert (scaled["minItems"], scaled["maxItems"]) == (2, 2)
    several = get_document(clients["several"])["components"]["schemas"]
    assert several["Prediction"]["items"] == {"type": "integer"}
    assert len(several["Probabilities"]["prefixItems"]) == 2


def test_an_input_named_instances_is_no_bare_row(clients):
    document = get_document(clients["hostile"])
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    row = dict.fromkeys(fuzzed_models.HOSTILE, 1)
    assert not validator(document, body["schema"]).is_valid(row)
    assert validator(document, body["schema"]).is_valid([row])


def test_many_inputs_make_no_large_document(clients):
    size = len(clients["wide"].get("/openapi.json").data)
    assert size < 200 * fuzzed_models.WIDE


def test_a_model_that_fails_on_its_example_has_a_document_without_examples(tmp_path):
    service = Service.load(render_bundle(MODELS["iris"](), tmp_path, "pickle").directory)
    service.ready = False
    app = serving_app.empty_app()
    for dialect in PROTOCOLS:
        app.register_blueprint(dialect.routes(service))
    document = get_document(app.test_client())
    definitions.OPENAPI_31_VALIDATOR.validate(document)
    assert not list(examples(document))
