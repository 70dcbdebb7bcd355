"""The dialect of MLflow and SageMaker, over Flask's test client."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serving_models
from flask.testing import FlaskClient
from gunicorn_server import serve
from serving_models import Trained, people, render_bundle
from sklearn.linear_model import LinearRegression

from modelpack.serving import app as serving_app
from modelpack.serving.protocols import invocations
from modelpack.serving.service import Service
from modelpack.types import Field, Signature

SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0]
NAMES = ["x0", "x1", "x2", "x3"]
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in (SETOSA, VIRGINICA)]
SPLIT = {"columns": NAMES[::-1], "index": [7, 8], "data": [SETOSA[::-1], VIRGINICA[::-1]]}


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FlaskClient]:
    clients_by_name = {}
    for make in (serving_models.iris, serving_models.mixed, serving_models.named):
        bundle = render_bundle(make(), tmp_path_factory.mktemp(make.__name__))
        app = serving_app.empty_app()
        app.register_blueprint(invocations.routes(Service.load(bundle.directory)))
        clients_by_name[make.__name__] = app.test_client()
    return clients_by_name


@pytest.fixture
def iris(clients: dict[str, FlaskClient]) -> FlaskClient:
    return clients["iris"]


def post(
    client: FlaskClient,
    document: Any,
    type_: str = "application/json",
    query: str = "",
    **more: Any,
) -> Any:
    body = document if isinstance(document, bytes | str) else json.dumps(document)
    return client.post("/invocations" + query, data=body, content_type=type_, **more)


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_split": {"data": [SETOSA, VIRGINICA]}},
        {"dataframe_split": {"columns": [0, 1, 2, 3], "data": [SETOSA, VIRGINICA]}},
        {"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": [SETOSA, VIRGINICA]}},
        {"dataframe_records": RECORDS},
        {"instances": [SETOSA, VIRGINICA]},
        {"instances": RECORDS},
        {"inputs": [SETOSA, VIRGINICA]},
        {"inputs": {name: [row[name] for row in RECORDS] for name in NAMES[::-1]}},
        {"inputs": {name: [[row[name]] for row in RECORDS] for name in NAMES}},
        [SETOSA, VIRGINICA],
        {"inputs": RECORDS, "params": {}},
        {"inputs": RECORDS, "params": None},
    ],
)
def test_every_form(iris: FlaskClient, document: Any) -> None:
    answer = post(iris, document)
    assert (answer.status_code, answer.json) == (200, {"predictions": ["setosa", "virginica"]})


def test_inputs_by_name_may_be_more_than_the_rows_of_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELPACK_MAX_ROWS", "2")
    width = 20
    names = [f"x{index}" for index in range(width)]
    signature = Signature(tuple(Field(name, "number", example=0.0) for name in names), ())
    model = LinearRegression().fit(np.eye(width), range(width))
    bundle = render_bundle(Trained(model, signature, "regressor"), tmp_path)
    app = serving_app.empty_app()
    app.register_blueprint(invocations.routes(Service.load(bundle.directory)))
    columns = {name: [float(name == "x3")] for name in names}
    assert post(app.test_client(), {"inputs": columns}).json == {"predictions": [pytest.approx(3)]}
    more = columns | {f"y{index}": [0.0] for index in range(width)}
    assert post(app.test_client(), {"inputs": more}).status_code == 413


def test_one_row_of_inputs_by_name(iris: FlaskClient) -> None:
    assert post(iris, {"inputs": RECORDS[0]}).json == {"predictions": ["setosa"]}


def test_nan_as_pandas_writes_it_is_missing(clients: dict[str, FlaskClient]) -> None:
    frame = people()
    document = {"dataframe_split": frame.to_dict(orient="split")}
    assert "NaN" in json.dumps(document)
    expected = serving_models.mixed().model.predict(frame).tolist()
    assert post(clients["mixed"], document).json == {"predictions": expected}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "Expected an object with exactly one of dataframe_split, dataframe_records"),
        ({"instances": [SETOSA], "inputs": [SETOSA]}, "Expected an object with exactly one of"),
        ({"instances": [SETOSA], "signature_name": "x"}, "Expected an object with exactly one"),
        ({"columns": NAMES, "data": [SETOSA]}, "Expected an object with exactly one of"),
        ("text", "Expected an object with exactly one of"),
        ({"inputs": 5}, "Expected a list of rows, or columns by name"),
        ({"inputs": {"x0": [1], "x1": [1, 2]}}, "Expected columns of equal length"),
        ({"inputs": {"x0": [1], "x1": 1}}, "Expected columns of equal length"),
        ({"inputs": {"x0": [1]}}, 'Column "x1": expected this column, got nothing.'),
        ({"instances": 5}, 'Expected a list of rows as "instances".'),
        ({"dataframe_records": [SETOSA]}, 'Expected a list of objects as "dataframe_records".'),
        ({"dataframe_split": []}, 'Expected "columns", "data"'),
        ({"dataframe_split": {"columns": NAMES, "data": 5}}, "Expected a list of lists"),
        ({"dataframe_split": {"columns": [[1]], "data": [[5]]}}, "Expected a list of names"),
        ({"dataframe_split": {**SPLIT, "more": 1}}, 'Expected "columns"'),
        ({"dataframe_split": {**SPLIT, "data": [SETOSA, [1]]}}, "Row 1: expected 4 values, got 1."),
        (
            {"dataframe_split": {**SPLIT, "data": [SETOSA, [1, "a", 2, 3]]}},
            'Row 1, column "x2": expected a finite number, got the string "a".',
        ),
        ({"dataframe_split": {**SPLIT, "data": []}}, "The request contains no rows"),
    ],
)  # fmt: skip
def test_other_forms_are_refused(iris: FlaskClient, document: Any, message: str) -> None:
    answer = post(iris, json.dumps(document))
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    assert answer.json["detail"].startswith(message)


def test_names_of_training_are_required(clients: dict[str, FlaskClient]) -> None:
    answer = post(clients["named"], {"dataframe_split": {"columns": NAMES, "data": [SETOSA]}})
    assert answer.json["detail"].startswith(
        'Column "x0": expected the name of one of the 4 inputs ("sepal length"'
    )
    assert post(clients["named"], {"inputs": [SETOSA]}).json == {"predictions": [0]}


def test_params(iris: FlaskClient) -> None:
    model = serving_models.iris().model
    expected = model.predict_proba([SETOSA, VIRGINICA])
    command = {"dataframe_split": SPLIT, "params": {"predict_method": "predict_proba"}}
    assert post(iris, command).json == {"predictions": expected.tolist()}
    labelled = [dict(zip(model.classes_, row, strict=True)) for row in expected.tolist()]
    both = {"predictions": ["setosa", "virginica"], "probabilities": labelled}
    assert post(iris, {"inputs": RECORDS, "params": {"probabilities": True}}).json == both
    assert post(iris, {"inputs": RECORDS}, query="?probabilities=true").json == both


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "Expected an object as params, got a list."),
        ({"temperature": 1}, "Expected predict_method and probabilities in params, got the string"),
        ({"predict_method": "__init__"}, 'Expected one of "predict", "predict_proba"'),
        ({"predict_method": ["predict"]}, 'Expected one of "predict"'),
        ({"probabilities": "true"}, "Expected one of true, false as probabilities, got the string"),
    ],
)
def test_invalid_params_are_refused(iris: FlaskClient, params: Any, message: str) -> None:
    answer = post(iris, {"inputs": RECORDS, "params": params})
    assert answer.status_code == 422
    assert answer.json["detail"].startswith(message)


def test_content_types_of_mlflow_1_are_refused_with_a_hint(iris: FlaskClient) -> None:
    answer = post(iris, SPLIT, "application/json; format=pandas-split")
    assert answer.status_code == 415
    assert "MLflow since 2.0" in answer.json["detail"]
    assert post(iris, {"inputs": RECORDS}, "application/json; charset=utf-8").status_code == 200


def test_csv_of_mlflow_has_names_and_that_of_sagemaker_has_none(iris: FlaskClient) -> None:
    for body in ("x1,x0,x2,x3\n3.5,5.1,1.4,0.2\n", "5.1,3.5,1.4,0.2\n"):
        assert post(iris, body, "text/csv").json == {"predictions": ["setosa"]}


def test_sagemaker_gets_a_line_a_row(iris: FlaskClient) -> None:
    body = "5.1,3.5,1.4,0.2\n6.5,3.0,5.5,2.0\n"
    answer = post(iris, body, "text/csv", headers={"Accept": "text/csv"})
    assert (answer.mimetype, answer.text) == ("text/csv", "setosa\nvirginica\n")
    probable = post(
        iris, body, "text/csv", "?probabilities=true", headers={"Accept": "text/csv"}
    ).text.splitlines()
    expected = serving_models.iris().model.predict_proba([SETOSA, VIRGINICA])
    assert [[float(v) for v in line.split(",")[1:]] for line in probable] == expected.tolist()
    lines = post(iris, body, "text/csv", headers={"Accept": "application/jsonlines"}).text
    assert lines == '{"prediction":"setosa"}\n{"prediction":"virginica"}\n'


def test_ping_health_and_version(iris: FlaskClient) -> None:
    assert [iris.get(path).status_code for path in ("/ping", "/health")] == [200, 200]
    assert iris.get("/version").text.count(".") == 2


def test_ping_is_503_while_the_model_does_not_answer(
    clients: dict[str, FlaskClient], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service.load(render_bundle(serving_models.iris(), tmp_path).directory)
    service.ready = False
    app = serving_app.empty_app()
    app.register_blueprint(invocations.routes(service))
    assert app.test_client().get("/ping").status_code == 503


def test_predictions_of_other_methods_are_bit_for_bit_the_estimators(
    clients: dict[str, FlaskClient],
) -> None:
    rows = np.random.default_rng(0).normal(4, 2, (50, 4)).tolist()
    model = serving_models.iris().model
    for method in ("predict_log_proba", "decision_function"):
        command = {"inputs": rows, "params": {"predict_method": method}}
        expected = getattr(model, method)(rows).tolist()
        assert post(clients["iris"], command).json == {"predictions": expected}


def test_requests_of_sagemaker_and_curl_are_answered(tmp_path: Path) -> None:
    bundle = render_bundle(serving_models.iris(), tmp_path)
    with serve(bundle.directory, preload=True, WEB_CONCURRENCY="1") as server:

        def curl(path: str, *options: str, body: str = "") -> str:
            url = f"http://127.0.0.1:{server.port}{path}"
            command = ["curl", "--silent", "--fail", "--noproxy", "*", *options, url]
            return subprocess.run(
                command, input=body, capture_output=True, text=True, check=True, timeout=20
            ).stdout

        rows = "5.1,3.5,1.4,0.2\n6.5,3.0,5.5,2.0\n"
        csv, accepted = ("-H", "Content-Type: text/csv"), ("-H", "Accept: text/csv")
        assert json.loads(curl("/ping")) == {"status": "ready"}
        output = curl("/invocations", *csv, *accepted, "--data-binary", "@-", body=rows)
        assert output == "setosa\nvirginica\n"
        output = curl("/predict", *csv, "--data-binary", "@-", body=rows)  # Accept: */*
        assert json.loads(output) == {"predictions": ["setosa", "virginica"]}
        output = curl("/predict", *csv, *accepted, "-H", "Transfer-Encoding: chunked", "-d", "@-",
                    body=rows.split("\n", maxsplit=1)[0])  # fmt: skip
        assert output == "prediction\nsetosa\n"
