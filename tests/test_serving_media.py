"""Rows and answers in each media type, as the friendly dialect speaks them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import serving_models
from flask.testing import FlaskClient
from pyarrow import parquet
from serving_models import bundle_of

from modelpack.serving import application, media
from modelpack.serving.dialects import predict
from modelpack.serving.service import Service

SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0]
NAMES = ["x0", "x1", "x2", "x3"]
JSON, LINES, CSV, NPY, ARROW, PARQUET = (medium.TYPES[0] for medium in media.MEDIA)


def npy_of(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def arrow_of(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, **options) as stream:
        stream.write_table(table)
    return sink.getvalue()


def parquet_of(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def table_of(rows: list[list[Any]], names: list[str] = NAMES) -> pa.Table:
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FlaskClient]:
    """The clients of models by name."""
    made = {}
    for make in (
        serving_models.iris,
        serving_models.mixed,
        serving_models.texts,
        serving_models.scaler,
        serving_models.coded,
        serving_models.named,
        serving_models.forest,
    ):
        bundle = bundle_of(make(), tmp_path_factory.mktemp(make.__name__))
        app = application.create()
        app.register_blueprint(predict.routes(Service.open(bundle.directory)))
        made[make.__name__] = app.test_client()
    return made


@pytest.fixture
def iris(clients: dict[str, FlaskClient]) -> FlaskClient:
    return clients["iris"]


def post(client: FlaskClient, body: bytes | str, type_: str, query: str = "", **headers: str):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/predict" + query, data=body, content_type=type_, headers=names)


def typed(row: dict[str, str]) -> dict[str, Any]:
    return {name: v if name == "prediction" else float(v) for name, v in row.items()}


def read(answer: Any) -> pd.DataFrame:
    """An answer by the library that its readers would use."""
    assert answer.status_code == 200, answer.data
    how = {
        CSV: lambda: pd.DataFrame(map(typed, csv.DictReader(io.StringIO(answer.text)))),
        ARROW: lambda: pa.ipc.open_stream(answer.data).read_pandas(),
        PARQUET: lambda: parquet.read_table(io.BytesIO(answer.data)).to_pandas(),
        LINES: lambda: pd.DataFrame(map(json.loads, answer.data.splitlines())),
        NPY: lambda: pd.DataFrame(np.load(io.BytesIO(answer.data), allow_pickle=False)),
    }
    return how[answer.mimetype]()


BODIES = {
    JSON: json.dumps({"instances": [SETOSA, VIRGINICA]}).encode(),
    LINES: b"\n".join([json.dumps(SETOSA).encode(), json.dumps(VIRGINICA).encode()]),
    CSV: b"x3,x2,x1,x0\n0.2,1.4,3.5,5.1\r\n2.0,5.5,3,6.5\n\n",
    NPY: npy_of([SETOSA, VIRGINICA]),
    ARROW: arrow_of(table_of([SETOSA, VIRGINICA])),
    PARQUET: parquet_of(table_of([SETOSA, VIRGINICA])),
}


@pytest.mark.parametrize("type_", [type_ for medium in media.MEDIA for type_ in medium.TYPES])
def test_rows_in_every_type(iris: FlaskClient, type_: str) -> None:
    body = next(BODIES[medium.TYPES[0]] for medium in media.MEDIA if type_ in medium.TYPES)
    assert post(iris, body, type_).json == {"predictions": ["setosa", "virginica"]}


@pytest.mark.parametrize("type_", [LINES, CSV, NPY, ARROW, PARQUET])
def test_answers_in_every_type_are_those_of_json_to_the_last_bit(
    iris: FlaskClient, type_: str
) -> None:
    known = post(iris, BODIES[JSON], JSON, "?probabilities=true").json
    answer = read(post(iris, BODIES[JSON], JSON, "?probabilities=true", Accept=type_))
    assert answer["prediction"].tolist() == known["predictions"]
    if type_ == LINES:
        assert answer["probabilities"].tolist() == known["probabilities"]
        return
    for label in ("setosa", "versicolor", "virginica"):
        values = [row[label] for row in known["probabilities"]]
        assert answer[f"probability_{label}"].tolist() == values
    plain = read(post(iris, BODIES[JSON], JSON, Accept=type_))
    assert plain.iloc[:, 0].tolist() == known["predictions"]
