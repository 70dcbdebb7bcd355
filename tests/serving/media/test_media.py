"""Rows and answers in each media type, as the friendly dialect speaks them."""

from __future__ import annotations

import csv
import io
import json
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import serving_models
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from serving_models import people, render_bundle

from modelpack.serving import app as serving_app
from modelpack.serving import manifest, media
from modelpack.serving import settings as serving_settings
from modelpack.serving.data import tables
from modelpack.serving.data.rows import DictDecoder
from modelpack.serving.manifest import Field
from modelpack.serving.media import arrow_tables
from modelpack.serving.protocols import predict
from modelpack.serving.service import Service

SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0]
NAMES = ["x0", "x1", "x2", "x3"]
JSON, LINES, CSV, NPY, ARROW, PARQUET = (medium.TYPES[0] for medium in media.MEDIA)


def npy_bytes(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def arrow_bytes(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, **options) as stream:
        stream.write_table(table)
    return sink.getvalue()


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def build_table(rows: list[list[Any]], names: list[str] = NAMES) -> pa.Table:
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FlaskClient]:
    """The clients of models by name."""
    clients_by_name = {}
    for make in (
        serving_models.iris,
        serving_models.mixed,
        serving_models.texts,
        serving_models.scaler,
        serving_models.coded,
        serving_models.named,
        serving_models.forest,
    ):
        bundle = render_bundle(make(), tmp_path_factory.mktemp(make.__name__))
        app = serving_app.empty_app()
        app.register_blueprint(predict.routes(Service.load(bundle.directory)))
        clients_by_name[make.__name__] = app.test_client()
    return clients_by_name


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
    NPY: npy_bytes([SETOSA, VIRGINICA]),
    ARROW: arrow_bytes(build_table([SETOSA, VIRGINICA])),
    PARQUET: parquet_bytes(build_table([SETOSA, VIRGINICA])),
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


# --- csv -----------------------------------------------------------------------------------------


def predictions(answer: Any) -> Any:
    assert answer.status_code == 200, answer.data
    return answer.json["predictions"]


def validation_error(answer: Any) -> tuple[Any, ...]:
    assert answer.status_code == 422, answer.data
    error = answer.json["errors"][0]
    return error["row"], error["column"], error["expected"], error["got"]


def test_cells_have_the_types_of_the_signature(clients: dict[str, FlaskClient]) -> None:
    frame = people()
    body = frame.to_csv(index=False)
    trained = serving_models.mixed()
    answer = post(clients["mixed"], body, CSV, "?probabilities=true").json
    assert answer["predictions"] == trained.model.predict(frame).tolist()
    expected = trained.model.predict_proba(frame).tolist()
    assert [list(row.values()) for row in answer["probabilities"]] == expected


def test_csv_that_excel_and_r_write(clients: dict[str, FlaskClient]) -> None:
    body = '\ufeff"member","visits","city","age"\r\nTRUE,1,"Rome",\r\nFALSE,2,,31.5\r\n'
    rows = [[None, "Rome", 1, True], [31.5, None, 2, False]]
    responses = [post(clients["mixed"], body, CSV), post(clients["mixed"], json.dumps(rows), JSON)]
    assert predictions(responses[0]) == predictions(responses[1])


@pytest.mark.parametrize(
    ("line", "column", "got"),
    [
        ("1,Rome,2,yes", "member", 'the string "yes"'),
        ("1,Rome,2,2", "member", "2.0"),
        ("1_0,Rome,2,true", "age", 'the string "1_0"'),
        ("\uff11,Rome,2,true", "age", 'the string "\uff11"'),
        ("inf,Rome,2,true", "age", "infinity"),
        ("1,Rome,2.5,true", "visits", "2.5"),
        ("1,Rome,99999999999999999999999,true", "visits", "1e+23"),
        ("1,Rome,,true", "visits", "null"),
    ],
)
def test_a_cell_that_does_not_fit_is_named(
    clients: dict[str, FlaskClient], line: str, column: str, got: str
) -> None:
    body = "age,city,visits,member\n1,Rome,2,true\n" + line
    assert validation_error(post(clients["mixed"], body, CSV))[:2] == (1, column)
    assert validation_error(post(clients["mixed"], body, CSV))[3] == got


@pytest.mark.parametrize(
    ("body", "type_", "expected"),
    [
        ("5.1,3.5,1.4,0.2\n", CSV, ["setosa"]),
        ("x3,x2,x1,x0\n0.2,1.4,3.5,5.1\n", CSV, ["setosa"]),
        ("sepal,sepal 2,petal,petal 2\n5.1,3.5,1.4,0.2\n", CSV, ["setosa"]),  # of no names
        ("0,1,2,3\n5.1,3.5,1.4,0.2\n", CSV + "; header=present", ["setosa"]),
        ("0,1,2,3\n5.1,3.5,1.4,0.2\n", CSV + "; header=absent", ["virginica", "setosa"]),
    ],
)
def test_first_line_with_names_is_detected(
    iris: FlaskClient, body: str, type_: str, expected: list[str]
) -> None:
    assert predictions(post(iris, body, type_)) == expected


def test_ambiguous_first_line_is_an_error_with_a_hint(clients: dict[str, FlaskClient]) -> None:
    for name, body in (("iris", "0,1,2,3\n5,3,1,0\n"), ("texts", "review\ngood fun\n")):
        answer = post(clients[name], body, CSV)
        assert answer.status_code == 422
        assert "header=present, or header=absent" in answer.json["detail"]
    media_type = CSV + "; header=absent"
    assert len(predictions(post(clients["texts"], "review\ngood fun\n", media_type))) == 2
    assert predictions(post(clients["texts"], 'text\n"good\nfun"\n', CSV)) == [True]
    assert post(clients["texts"], "good", CSV + "; header=maybe").status_code == 400


def test_a_number_that_does_not_fit_makes_no_header_of_its_line(iris: FlaskClient) -> None:
    assert validation_error(post(iris, "5.1,abc,1.4,0.2\n1,2,3,4\n", CSV))[:2] == (0, "x1")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"x0,x1,x2,x3\n1,2,3\n", "Row 0: expected 4 values, got 3."),
        (b"x0,x1,x2,x3\n1,2,3,4,5\n", "Row 0: expected 4 values, got 5."),
        (b"1,2,3,4\n1,2,3,4,\n", "Row 1: expected 4 values, got 5."),
        (b"x0,x1,x2\n1,2,3\n", 'Column "x3": expected this column, got nothing.'),
        (b"x0,x1,x2,oops\n1,2,3,4\n", 'Column "x3": expected this column, got nothing.'),
        (b"x0,x1,x2,x0\n1,2,3,4\n", 'Column "x0": expected each column once'),
        (b"1,2,3\n", "The rows: expected 4 columns, got 3."),
        (b"", "The request contains no rows"),
        (b"\n\r\n", "The request contains no rows"),
        (b"x0,x1,x2,x3\n", "The request contains no rows"),
    ],
)
def test_tables_that_are_not_of_the_signature(iris: FlaskClient, body: bytes, message: str) -> None:
    answer = post(iris, body, CSV)
    assert answer.status_code == 422
    assert answer.json["detail"].startswith(message)


@pytest.mark.parametrize(
    ("body", "type_", "status"),
    [
        (b'x0,x1,x2,x3\n"1,2,3,4\n', CSV, 400),
        (b'x0,x1,x2,x3\n"1"1,2,3,4\n', CSV, 400),
        (b"x0,x1,x2,x3\n\xff,2,3,4\n", CSV, 400),
        (b"x0,x1,x2,x3\n\x00,2,3,4\n", CSV, 422),
        (b"x0,x1,x2,x3\n1,2,3,4\n", CSV + "; charset=utf-16", 415),
        (b"x0,x1,x2,x3\n" + b"1,2,3,4\n" * 10_001, CSV, 413),
        (b"1,2,3,4\n" * 10_001 + b'"', CSV, 413),  # the rest is not parsed
    ],
)
def test_invalid_csv_is_refused(iris: FlaskClient, body: bytes, type_: str, status: int) -> None:
    answer = post(iris, body, type_)
    assert (answer.status_code, answer.mimetype) in {
        (status, "application/problem+json"),
        (400 if b"\x00" in body else status, "application/problem+json"),  # before Python 3.11
    }


@pytest.mark.parametrize(("separator", "named"), [(";", "semicolons"), ("\t", "tabs")])
def test_names_between_other_separators_are_an_error_with_the_cause(
    clients: dict[str, FlaskClient], separator: str, named: str
) -> None:
    body = 'age;"city";visits;member\n1,5;Rome;2;true\n'.replace(";", separator)
    for type_ in (CSV, CSV + "; header=present"):
        answer = post(clients["mixed"], body, type_)
        assert answer.status_code == 422
        assert f"separated by {named}. Send CSV with commas" in answer.json["detail"]


def test_csv_response_has_no_header_on_request(iris: FlaskClient) -> None:
    answer = post(iris, BODIES[JSON], JSON, Accept="text/csv; header=absent")
    assert (answer.text, answer.headers["Content-Type"]) == (
        "setosa\nvirginica\n",
        "text/csv; charset=utf-8",
    )


def test_several_outputs_are_numbered(clients: dict[str, FlaskClient]) -> None:
    answer = post(clients["scaler"], "[[2, 20], [0, 10]]", JSON, Accept=CSV)
    assert answer.text == "prediction_0,prediction_1\n1.0,0.0\n-1.0,-1.0\n"
    answer = post(clients["scaler"], "[[2, 20], [0, 10]]", JSON, Accept=NPY)
    assert read(answer).to_numpy().tolist() == [[1.0, 0.0], [-1.0, -1.0]]


def test_categories_are_distinguished_from_numbers_by_the_signature(
    clients: dict[str, FlaskClient],
) -> None:
    assert predictions(post(clients["coded"], "x0,x1\nb,1\na,2\n", CSV)) == ["B", "A"]


# --- npy -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", "<i8", ">i2", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_matrices_of_any_numbers(iris: FlaskClient, dtype: str, order: Any) -> None:
    matrix = np.array([[5, 3, 1, 0], [6, 3, 5, 2]], dtype, order=order)
    assert predictions(post(iris, npy_bytes(matrix), NPY)) == ["setosa", "virginica"]


class Doubling:
    """Writes into its rows."""

    def predict(self, rows: Any) -> Any:
        rows *= 2
        return np.asarray(rows)


@pytest.mark.parametrize("layout", ["array", "frame"])
def test_a_model_that_writes_into_its_rows_gets_its_own(layout: str, tmp_path: Path) -> None:
    bundle = render_bundle(serving_models.scaler(), tmp_path)
    facts = replace(manifest.read(bundle.directory), layout=layout, method="predict")
    service = Service(facts, Doubling(), serving_settings.Limits())
    body = npy_bytes([[1.0, 2.0], [3.0, 4.0]])
    rows = media.npy.read(service, body)
    assert not rows.flags.writeable
    assert service.runner.call("predict", rows).tolist() == [[2.0, 4.0], [6.0, 8.0]]
    assert body == npy_bytes([[1.0, 2.0], [3.0, 4.0]])


def test_a_vector_is_of_one_input(clients: dict[str, FlaskClient], iris: FlaskClient) -> None:
    texts = np.array(["good fun", "sad"])
    assert predictions(post(clients["texts"], npy_bytes(texts), NPY)) == [True, False]
    assert post(iris, npy_bytes(np.arange(4.0)), NPY).status_code == 422
    assert validation_error(post(iris, npy_bytes([SETOSA, [1, np.nan, 2, 3]]), NPY))[:2] == (
        1,
        "x1",
    )


def npy_header(text: bytes, body: bytes = b"", version: int = 1) -> bytes:
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00" + bytes(20),
        npy_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999, 4)}", bytes(32)),
        npy_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}"),
        npy_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000, 0)}"),
        npy_header(b"{'descr': '<U0', 'fortran_order': False, 'shape': (100000000000, 4)}"),
        npy_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 4)}", bytes(32)),
        npy_header(b"{'descr': '<f8', 'fortran_order': False}", bytes(32)),
        npy_header(b"{'descr': '|O', 'fortran_order': False, 'shape': (1, 4)}", bytes(32)),
        npy_header(b"{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1, 4)}", bytes(32)),
        npy_header(b"{'descr': '<f16', 'fortran_order': False, 'shape': (1, 4)}", bytes(64)),
        npy_header(b"{'descr': '<f3', 'fortran_order': False, 'shape': (1, 4)}", bytes(12)),
        npy_header(b"{'descr': '<c8', 'fortran_order': False, 'shape': (1, 4)}", bytes(32)),
        npy_header(b"{'descr': __import__('os'), 'fortran_order': 0, 'shape': ()}", bytes(32)),
        npy_header(b"(" * 60_000),
        npy_header(b"{" * 9000 + b"}" * 900, version=2),
        npy_header(b"{'descr': " + b"-" * 9000 + b"1, 'shape': (1,)}", version=2),
        npy_header(b"{'descr': " + b"not " * 2000 + b"1, 'shape': (1,)}", version=2),
        npy_header(b"{'descr': '<f8', 'descr': '<f8', 'shape': (1, 4)}", bytes(32)),
        npy_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': '<f8'}", bytes(32)),
        npy_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (" + b"9" * 5000 + b", )}"),
        npy_header(b"{'descr': '<f8' 'fortran_order': False, 'shape': (1, 4)}", bytes(32)),
        npy_header(b"{'descr': '<f8',, 'fortran_order': False, 'shape': (1, 4)}", bytes(32)),
        npy_header(b"", version=3) + b"\xff" * 100,
    ],
    ids=lambda body: body[:60].decode("ascii", "replace"),
)  # fmt: skip
def test_hostile_npy_is_400(iris: FlaskClient, body: bytes) -> None:
    assert post(iris, body, NPY).status_code == 400


@pytest.mark.parametrize("blank", [b"", b" ", b"\n \t"])
def test_blanks_in_a_header_of_npy(iris: FlaskClient, blank: bytes) -> None:
    parts = [b"{", b"'descr'", b":", b"'<f8'", b",", b"'fortran_order'", b":", b"False", b",",
             b"'shape'", b":", b"(1, 4)", b",", b"}", b""]  # fmt: skip
    body = npy_header(blank.join(parts), np.array([SETOSA]).tobytes())
    assert predictions(post(iris, body, NPY)) == ["setosa"]


# --- json lines ----------------------------------------------------------------------------------


def test_lines_by_name_and_of_one_value(clients: dict[str, FlaskClient]) -> None:
    row = json.dumps(dict(zip(NAMES[::-1], SETOSA[::-1], strict=True)))
    assert predictions(post(clients["iris"], f"\n{row}\r\n\n{row}", LINES)) == ["setosa"] * 2
    assert predictions(post(clients["texts"], '"good\u2028 fun"\n"sad"\n', LINES)) == [True, False]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("[1, 2, 3, 4]\n[1, 2\n", 400, "Row 1: The body is not JSON"),
        ('[1, 2, 3, 4]\n[1, 2, "a", 4]\n', 422, 'Row 1, column "x2"'),
        ("[1, 2, 3, 4], [1, 2, 3, 4]\n", 400, "Row 0: The body is not JSON"),
        ("[1, NaN, 3, 4]\n", 422, 'Row 0, column "x1": expected a finite number, got NaN'),
        ("\n\n", 422, "The request contains no rows"),
        ("[1, 2, 3, 4]\n" * 10_001, 413, ""),
        ("1\n" * 20_001, 413, ""),
        ("[" * 100_000, 400, "The JSON is nested"),
        ('"\n' + "[" * 100_000, 400, ""),
    ],
)
def test_invalid_lines_are_refused(iris: FlaskClient, body: str, status: int, message: str) -> None:
    answer = post(iris, body, LINES)
    assert answer.status_code == status
    assert answer.json["detail"].startswith(message)


# --- negotiation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "type_"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", CSV),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("application/json;q=0.1, text/csv", CSV),
        ("text/csv;q=0.5, application/x-npy;q=0.6, */*;q=0.1", NPY),
        ("application/json;q=0, */*", LINES),
        ("application/x-ndjson", LINES),
        ("TEXT/CSV", CSV),
        ("application/x-parquet", PARQUET),
    ],
)
def test_client_gets_its_preferred_media_type(iris: FlaskClient, accept: str, type_: str) -> None:
    assert post(iris, BODIES[JSON], JSON, Accept=accept).mimetype == type_


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*", "nonsense"])
def test_unknown_response_type_is_406_before_the_rows_are_parsed(
    iris: FlaskClient, accept: str
) -> None:
    answer = post(iris, "nonsense", JSON, Accept=accept)
    assert answer.status_code == 406
    assert "application/json, application/jsonlines, text/csv" in answer.json["detail"]


def test_other_types_are_415_with_a_list_of_supported_ones(iris: FlaskClient) -> None:
    for type_ in ("application/x-www-form-urlencoded", "text/html", "image/png"):
        answer = post(iris, BODIES[JSON], type_)
        assert answer.status_code == 415
        assert answer.headers["Accept-Post"].split(", ") == [JSON, LINES, CSV, NPY, ARROW, PARQUET]
    assert post(iris, BODIES[JSON], "application/vnd.shop+json").status_code == 200
    assert post(iris, BODIES[JSON], "").status_code == 200


def test_without_pyarrow_its_types_are_415_and_406(
    iris: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_tables, "is_usable", lambda: False)
    answer = post(iris, BODIES[ARROW], ARROW)
    assert answer.status_code == 415
    assert answer.json["detail"].startswith("This type needs pyarrow, which is not in this image.")
    assert "parquet" not in answer.headers["Accept-Post"]
    assert post(iris, BODIES[JSON], JSON, Accept=PARQUET).status_code == 406


@pytest.mark.parametrize(
    ("version", "usable"), [("14.0.0", False), ("14.0.1", True), ("9.0", False), ("22.0.0", True)]
)
def test_a_pyarrow_that_runs_code_of_files_is_not_used(
    monkeypatch: pytest.MonkeyPatch, version: str, usable: bool
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    assert arrow_tables.is_usable.__wrapped__() is usable


# --- all of them ---------------------------------------------------------------------------------

CITIES = st.none() | st.text(min_size=1, max_size=8).filter(lambda text: "\x00" not in text)
PEOPLE = st.lists(
    st.tuples(
        st.none() | st.floats(-1e9, 1e9),
        CITIES,
        st.integers(-(2**53), 2**53),
        st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=PEOPLE)
def test_the_same_rows_get_the_same_answers(
    clients: dict[str, FlaskClient], rows: list[tuple[Any, ...]]
) -> None:
    names = ["age", "city", "visits", "member"]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    table = pa.Table.from_pylist(
        records,
        pa.schema(zip(names, [pa.float64(), pa.string(), pa.int64(), pa.bool_()], strict=True)),
    )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows(["" if v is None else v for v in row] for row in rows)
    bodies = {
        LINES: "\n".join(map(json.dumps, records)).encode(),
        CSV: text.getvalue().encode(),
        ARROW: arrow_bytes(table),
        PARQUET: parquet_bytes(table),
    }
    query = "?probabilities=true"
    known = post(clients["mixed"], json.dumps(records), JSON, query)
    for type_, body in bodies.items():
        assert post(clients["mixed"], body, type_, query).data == known.data, type_


@pytest.mark.parametrize("write", [parquet_bytes, arrow_bytes])
@pytest.mark.parametrize("column", ["age", "city"])
@pytest.mark.parametrize(
    "values",
    [
        pd.period_range("2024-01", periods=2, freq="M"),
        pd.interval_range(0, 2),
        [b"a", b"b"],
        [{"a": 1}, {"a": 2}],
        [[1], [2]],
    ],
    ids=["periods", "intervals", "bytes", "records", "lists"],
)
def test_a_column_that_is_no_input_is_a_422(clients, write, column, values):
    rows = serving_models.people().head(2)
    types = {parquet_bytes: PARQUET, arrow_bytes: ARROW}
    body = write(pa.Table.from_pandas(rows.assign(**{column: values}), preserve_index=False))
    answer = post(clients["mixed"], body, types[write])
    assert answer.status_code == 422
    detail = answer.json["detail"]
    assert f'"{column}"' in detail or "contains lists or records" in detail


@pytest.mark.parametrize(
    ("body", "type_", "status"),
    [
        ("," * 4_000_000, CSV, 422),
        ("x0," + ",".join(map(str, range(500_000))) + ",x0\n1", CSV, 422),
        ("x0,x1,x2,x3\n" + "," * 4_000_000, CSV, 422),
        ("\n" * 4_000_000, CSV, 422),
        ('"' * 4_000_000, CSV, 422),
        ("[" * 4_000_000, LINES, 400),
        ("1\n" * 2_000_000, LINES, 413),
        ("[" + "1," * 2_000_000 + "1]", LINES, 422),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_large_body_that_is_wrong_is_refused_in_the_time_of_its_size(
    iris: FlaskClient, body: str, type_: str, status: int
) -> None:
    started = time.process_time()
    assert post(iris, body, type_).status_code == status
    assert time.process_time() - started < 2


def test_a_table_for_thousands_of_inputs_takes_no_more_than_it_holds() -> None:
    fields = [Field(f"w{index}", "number", nullable=True) for index in range(20_000)]
    decoder = DictDecoder(fields, 10_000)
    tracemalloc.start()
    (dicts,) = tables.rows_from_columns(decoder, ["w7"], [np.arange(10_000.0)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert dicts[3] == {"w7": 3.0}
    assert peak < 10_000_000


def test_every_file_of_a_media_type_is_in_the_table() -> None:
    helpers = {"__init__", "arrow_tables", "negotiation"}
    files = {path.stem for path in Path(media.__path__[0]).glob("*.py")} - helpers
    assert {medium.__name__.rpartition(".")[2] for medium in media.MEDIA} == files
    types = [type_ for medium in media.MEDIA for type_ in medium.TYPES]
    assert len(types) == len(set(types))
