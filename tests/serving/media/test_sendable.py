"""Answers that a media type cannot represent, and request forms of other servers."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import serving_models
from flask.testing import FlaskClient
from pyarrow import parquet
from serving_models import Trained, render_bundle
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

from modelpack.serving import app as serving_app
from modelpack.serving.data import results
from modelpack.serving.protocols import PROTOCOLS
from modelpack.serving.service import Service
from modelpack.types import Field, Signature

ARROW, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
TYPES = [
    "application/json",
    "application/jsonlines",
    "text/csv",
    "application/x-npy",
    ARROW,
    PARQUET,
]
V2 = "/v2/models/model/infer"

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")


def create_client(trained: Trained, folder: Path) -> FlaskClient:
    app = serving_app.empty_app()
    service = Service.load(render_bundle(trained, folder).directory)
    for dialect in PROTOCOLS:
        app.register_blueprint(dialect.routes(service))
    return app.test_client()


def predictions(answer: Any) -> list[Any]:
    """The predictions of an answer of any type, None for what is missing."""
    assert answer.status_code == 200, answer.text
    type_, body = answer.mimetype, answer.data
    if type_ == "application/json":
        return answer.json["predictions"]
    if type_ == "application/jsonlines":
        return [json.loads(line)["prediction"] for line in body.splitlines()]
    if type_ == "text/csv":
        cells = [row["prediction"] for row in csv.DictReader(io.StringIO(body.decode()))]
        return [None if cell == "" else cell for cell in cells]
    if type_ == "application/x-npy":
        values = np.load(io.BytesIO(body)).tolist()
    elif type_ == ARROW:
        values = pa.ipc.open_stream(body).read_all()["prediction"].to_pylist()
    else:
        values = parquet.read_table(io.BytesIO(body))["prediction"].to_pylist()
    return [None if isinstance(value, float) and math.isnan(value) else value for value in values]


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A model whose answer to large numbers is infinite."""
    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    model.coef_ = np.array([1e300])
    signature = Signature((Field("x", "number", example=1.0),), (Field("y", "number"),))
    trained = Trained(model, signature, "regressor")
    return create_client(trained, tmp_path_factory.mktemp("endless"))


@pytest.mark.parametrize("type_", TYPES)
def test_infinity_is_missing_in_every_media_type(endless: FlaskClient, type_: str) -> None:
    rows = [[1e300], [0.0], [-1e300]]
    found = predictions(endless.post("/predict", json=rows, headers={"Accept": type_}))
    assert [found[0], found[2]] == [None, None]
    assert found[1] is not None


@pytest.mark.parametrize("binary", [False, True])
def test_infinity_is_missing_in_tensors(endless: FlaskClient, binary: bool) -> None:
    tensor = {"name": "x", "datatype": "FP64", "shape": [2, 1], "data": [1e300, -1e300]}
    document = {"inputs": [tensor], "parameters": {"binary_data_output": binary}}
    answer = endless.post(V2, json=document)
    if binary:
        size = int(answer.headers["Inference-Header-Content-Length"])
        assert np.isnan(np.frombuffer(answer.data[size:])).all()
    else:
        assert answer.json["outputs"][0]["data"] == [None, None]


@pytest.mark.parametrize("value", ["Infinity", "-Infinity", "1e400"])
def test_infinity_is_refused_in_every_media_type(endless: FlaskClient, value: str) -> None:
    number = float(value)
    file = io.BytesIO()
    np.save(file, np.array([[number]]))
    table, sink = pa.table({"x": [number]}), io.BytesIO()
    parquet.write_table(table, sink)
    with pa.ipc.new_stream(stream := io.BytesIO(), table.schema) as writer:
        writer.write_table(table)
    bodies = [f"[[{value}]]", f"[{value}]\n", f"x\n{number}\n", file, stream, sink]
    for type_, body in zip(TYPES, bodies, strict=True):
        data = body.getvalue() if isinstance(body, io.BytesIO) else body
        answer = endless.post("/predict", data=data, content_type=type_)
        assert answer.status_code == 422, type_
        assert answer.json["errors"][0]["got"] == "infinity"


@pytest.mark.parametrize("digits", ["100000000000000000000", "-9223372036854775809", "9" * 300])
def test_large_integers_are_the_same_numbers_in_json_and_csv(
    endless: FlaskClient, digits: str
) -> None:
    answers = [
        endless.post("/predict", data=f"[[{digits}]]", content_type="application/json"),
        endless.post("/predict", data=f"x\n{digits}\n", content_type="text/csv"),
        endless.post("/predict", json=[[float(digits)]]),
    ]
    assert {answer.data for answer in answers} == {answers[0].data}
    assert answers[0].status_code == 200


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """A model with a label that holds half of a surrogate pair."""
    model = DecisionTreeClassifier().fit([[0.0], [1.0]], ["a\ud800", "b"])
    signature = Signature(
        (Field("x", "number", example=1.0),),
        (Field("label", "string"),),
        ("a\ufffd", "b"),
        probabilities=True,
    )
    return create_client(Trained(model, signature), tmp_path_factory.mktemp("torn"))


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("query", ["", "?probabilities=true"])
def test_half_of_a_pair_is_replaced_in_every_media_type(
    torn: FlaskClient, type_: str, query: str
) -> None:
    answer = torn.post(f"/predict{query}", json=[[0], [1]], headers={"Accept": type_})
    assert answer.status_code == 200, answer.text
    if not query:
        assert predictions(answer) == ["a\ufffd", "b"]


@pytest.mark.parametrize("binary", [False, True])
def test_half_of_a_pair_is_replaced_in_tensors(torn: FlaskClient, binary: bool) -> None:
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, 1], "data": [0]}
    document = {"inputs": [tensor], "parameters": {"binary_data_output": binary}}
    answer = torn.post(V2, json=document)
    assert answer.status_code == 200
    assert "a\ufffd" in (
        answer.data.decode("utf-8") if binary else answer.json["outputs"][0]["data"]
    )


def test_representable_values_are_not_changed() -> None:
    numbers = np.array([1.0, np.nan])
    assert results.replace_infinity(numbers) is numbers
    values = [1.0, None, "a"]
    assert results.replace_infinity(values) is values
    assert results.replace_all_surrogates({"a": ["b", 1, None]}) == {"a": ["b", 1, None]}


def test_a_method_that_the_model_does_not_support_is_not_offered(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(20, 3))
    model = LinearDiscriminantAnalysis(solver="lsqr").fit(data, [0, 1] * 10)
    inputs = tuple(Field(f"x{n}", "number", example=0.5) for n in range(3))
    signature = Signature(inputs, (Field("label", "integer"),), (0, 1), probabilities=True)
    client = create_client(Trained(model, signature), tmp_path)
    methods = [each["name"] for each in client.get("/v2/models/model").json["outputs"]]
    assert "transform" not in methods
    assert "predict_proba" in methods
    request_body = {"instances": [[0, 0, 0]], "params": {"predict_method": "transform"}}
    assert client.post("/invocations", json=request_body).status_code == 422
    tensor = {"name": "x", "datatype": "FP64", "shape": [1, 3], "data": [0, 0, 0]}
    v2_request = {"inputs": [tensor], "outputs": [{"name": "transform"}]}
    assert client.post(V2, json=v2_request).status_code == 400


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return create_client(serving_models.iris(), tmp_path_factory.mktemp("iris"))


def test_records_of_a_frame_without_names(iris: FlaskClient) -> None:
    record = {"3": 0.2, "0": 5.1, "1": 3.5, "2": 1.4}
    answer = iris.post("/invocations", json={"dataframe_records": [record, record]})
    assert answer.json == {"predictions": ["setosa", "setosa"]}
    for wrong in ({"0": 1}, {**record, "4": 1}, {"1": 1, "2": 2, "3": 3, "4": 4}):
        answer = iris.post("/invocations", json={"dataframe_records": [record, wrong]})
        assert answer.status_code == 422


@pytest.mark.parametrize(("path", "status"), [("model/versions/1", 200), ("model/versions/2", 404)])
def test_the_path_of_tensorflow_serving(iris: FlaskClient, path: str, status: int) -> None:
    document = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
    answer = iris.post(f"/v1/models/{path}:predict", json=document)
    assert answer.status_code == status
    if status == 200:
        assert answer.json == {"predictions": ["setosa"]}
