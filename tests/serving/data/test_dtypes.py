"""Rows of a DataFrame with every dtype, as pandas itself writes them, in every form of request."""

from __future__ import annotations

import datetime
import io
import json
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask import Request
from serving_models import Trained, render_bundle
from sklearn.dummy import DummyClassifier
from typed_frames import ARROW, CSV, JSON, LENGTH, LINES, PARQUET, V1, V2, to_arrow, to_parquet
from werkzeug.test import EnvironBuilder

from modelpack.serving import app as serving_app
from modelpack.serving import inference, manifest
from modelpack.serving.batch.files import FORMATS
from modelpack.serving.data import dates, tables
from modelpack.serving.data.rows import Decoder
from modelpack.serving.problems import Problem
from modelpack.serving.protocols import invocations, predict, v1
from modelpack.serving.protocols.v2 import datatypes, routes
from modelpack.serving.service import Service
from modelpack.types import Field, Signature


def frame() -> pd.DataFrame:
    moments = pd.to_datetime(
        pd.Series(["2024-01-31 06:30:15.250", "1969-07-20", None]), format="ISO8601"
    )
    return pd.DataFrame(
        {
            "int64": [1, -(2**40), 3],
            "uint8": np.array([0, 255, 7], np.uint8),
            "float64": [0.5, -1.25, 1e20],
            "float32": np.array([0.5, np.nan, 3], np.float32),
            "bool": [True, False, True],
            "bool as number": [True, False, True],
            "bool as integer": [False, True, True],
            "zero and one": [1, 0, 1],
            "str": ["a", 'ü, "b"', "true"],
            "string": pd.array(["1", "2.0", None], "string"),
            "Int64": pd.array([1, None, 3], "Int64"),
            "Float64": pd.array([1.5, None, 3], "Float64"),
            "boolean": pd.array([True, None, False], "boolean"),
            "texts": pd.Categorical(["low", "high", "low"], categories=["low", "high", "no"]),
            "numbers": pd.Categorical(["1", "03", "1"], categories=["1", "03"]),
            "codes": pd.Categorical([3, 7, 3], categories=[7, 3, 11]),
            "gaps": pd.Categorical([3, None, 7], categories=[7, 3]),
            "halves": pd.Categorical([0.5, 1.5, 0.5]),
            "flags": pd.Categorical([True, False, True]),
            "any codes": pd.Categorical([3, 7, 3]),
            "any texts": pd.Categorical(["3", "x", "true"]),
            "any flags": pd.Categorical([True, False, True]),
            "moment": moments.astype("datetime64[ns]"),
            "microseconds": moments.astype("datetime64[us]"),
            "utc": moments.dt.tz_localize("UTC"),
            "berlin": moments.dt.tz_localize("Europe/Berlin"),
            "date": [datetime.date(2024, 2, 29), None, datetime.date(1900, 1, 1)],
            "decimal": [Decimal("1.50"), Decimal("-0.125"), None],
        }
    )


TYPES = {
    "integer": ("int64", "uint8", "bool as integer", "Int64", "codes", "gaps"),
    "number": ("float64", "float32", "bool as number", "Float64", "halves", "decimal"),
    "boolean": ("bool", "zero and one", "boolean", "flags"),
    "datetime": ("moment", "microseconds", "utc", "berlin", "date"),
    "any": ("any codes", "any texts", "any flags"),
}


def input_fields(table: pd.DataFrame) -> tuple[Field, ...]:
    known = {name: type_ for type_, names in TYPES.items() for name in names}
    return tuple(
        Field(
            str(name),
            known.get(str(name), "string"),
            nullable=bool(column.isna().any()),
            categories=tuple(column.cat.categories.tolist())
            if isinstance(column.dtype, pd.CategoricalDtype)
            else None,
            dtype=str(column.dtype),
        )
        for name, column in table.items()
    )


def expected(table: pd.DataFrame) -> list[list[Any]]:
    """The values of each column, None for what is missing, dates as nanoseconds in UTC."""
    found = []
    for field, (_, column) in zip(input_fields(table), table.items(), strict=True):
        values = column.astype(object)
        if field.type == "datetime":
            stamps = [None if pd.isna(v) else pd.Timestamp(v) for v in values]
            found.append([None if v is None else v.as_unit("ns").value for v in stamps])
        else:
            kinds = {"number": float, "integer": int, "boolean": bool}
            convert = kinds.get(field.type, lambda value: value)
            found.append([None if pd.isna(v) else convert(v) for v in values])
    return found


def decoded(rows: Any, fields: tuple[Field, ...]) -> list[list[Any]]:
    """The same of rows as the model gets them, whose arrays must be of the type of the input."""
    found = []
    columns = rows.T if isinstance(rows, np.ndarray) else rows
    for field, column in zip(fields, columns, strict=True):
        if field.type == "datetime":
            assert column.dtype == np.dtype("datetime64[ns]"), field
            missing, values = np.isnat(column), column.astype(np.int64)
        else:
            assert field.nullable or field.type in ("any", "string") or column.dtype.kind in "ifb"
            missing, values = pd.isna(column), column
        found.append([None if m else v for m, v in zip(missing, values.tolist(), strict=True)])
    return found


def typed(values: list[list[Any]]) -> list[list[Any]]:
    """With the type of each value, as 1, 1.0 and True are equal; integers may come with NaN."""
    return [[(isinstance(v, bool), isinstance(v, str), v) for v in column] for column in values]


def served(table: pd.DataFrame, folder: Path) -> tuple[Any, Service]:
    model = DummyClassifier().fit(table, [0] * len(table))
    outputs = (Field("label", "integer"),)
    signature = Signature(input_fields(table), outputs, (0,), layout="frame", named=True)
    service = Service.load(render_bundle(Trained(model, signature), folder).directory)
    app = serving_app.empty_app()
    for dialect in (predict, invocations, v1, routes):
        app.register_blueprint(dialect.routes(service))
    return app, service


@pytest.fixture(scope="module")
def app_and_service(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Service]:
    return served(frame(), tmp_path_factory.mktemp("dtypes"))


@pytest.fixture
def app(app_and_service: tuple[Any, Service]) -> Any:
    return app_and_service[0]


@pytest.fixture
def service(app_and_service: tuple[Any, Service]) -> Service:
    return app_and_service[1]


def parse_rows(app: Any, path: str, body: bytes, type_: str, **headers: str) -> Any:
    """Return the rows of a request, by the parser of both Flask's routes and the fast path."""
    environ = EnvironBuilder(path, method="POST", content_type=type_, headers=headers)
    parse = app.extensions[inference.EXTENSION][path].parse
    return parse(Request(environ.get_environ()))(body).rows


def to_json(table: pd.DataFrame, orient: str, **options: Any) -> Any:
    options = {"date_format": "iso", "double_precision": 15, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numbers for dates are still the default of pandas
        return json.loads(table.to_json(orient=orient, **options))


def to_columns(table: pd.DataFrame, **options: Any) -> dict[str, list[Any]]:
    split = to_json(table, "split", **options)
    return dict(zip(split["columns"], map(list, zip(*split["data"], strict=True)), strict=True))


DATATYPES = {"integer": "INT64", "number": "FP64", "boolean": "BOOL"}


def tensor_datatype(field: Field) -> str:
    if field.name in ("bool as number", "bool as integer"):
        return "BOOL"
    kinds = {"any codes": "INT32", "any flags": "BOOL", "zero and one": "UINT8"}
    return kinds.get(field.name, DATATYPES.get(field.type, "BYTES"))


def to_tensors(table: pd.DataFrame) -> list[dict[str, Any]]:
    data, shape = to_columns(table), [len(table), 1]
    return [
        {"name": f.name, "datatype": tensor_datatype(f), "shape": shape, "data": data[f.name]}
        for f in input_fields(table)
    ]


def to_binary(table: pd.DataFrame) -> tuple[bytes, dict[str, str]]:
    """The same as binary data, which have no null but NaN; and the header that goes with it."""
    tensors, parts = to_tensors(table), []
    for tensor in tensors:
        data = tensor["data"]
        if None in data and tensor["datatype"] == "BYTES":
            continue  # for which there is no null
        if None in data:
            tensor["datatype"] = "FP64"
            data = [np.nan if v is None else v for v in data]
        dtype = datatypes.DTYPES.get(tensor["datatype"], np.dtype(object))
        parts.append(datatypes.to_binary(tensor["datatype"], np.array(data, dtype)))
        tensor["parameters"] = {"binary_data_size": len(parts[-1])}
        del tensor["data"]
    document = dumped({"inputs": tensors})
    return document + b"".join(parts), {LENGTH: str(len(document))}


def with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Decimals as floats, for protocols that have types for numbers."""
    return table.assign(decimal=table["decimal"].astype(float))


def dumped(document: Any) -> bytes:
    return json.dumps(document).encode()


FORMS: dict[str, tuple[str, str, Callable[[pd.DataFrame], bytes]]] = {
    "records": ("/predict", JSON, lambda t: dumped(to_json(t, "records"))),
    "records with dates as numbers": (
        "/predict",
        JSON,
        lambda t: dumped(to_json(t, "records", date_format="epoch")),
    ),
    "lists": ("/predict", JSON, lambda t: dumped({"instances": to_json(t, "values")})),
    "lines": (
        "/predict",
        LINES,
        lambda t: t.to_json(
            orient="records", lines=True, date_format="iso", double_precision=15
        ).encode(),
    ),
    "csv": ("/predict", CSV, lambda t: t.to_csv(index=False).encode()),
    "arrow": ("/predict", ARROW, to_arrow),
    "parquet": ("/predict", PARQUET, to_parquet),
    "mlflow split": (
        "/invocations",
        JSON,
        lambda t: dumped({"dataframe_split": to_json(t, "split")}),
    ),
    "mlflow records": (
        "/invocations",
        JSON,
        lambda t: dumped({"dataframe_records": to_json(t, "records")}),
    ),
    "mlflow inputs": ("/invocations", JSON, lambda t: dumped({"inputs": to_columns(t)})),
    "mlflow csv": ("/invocations", CSV, lambda t: t.to_csv(index=False).encode()),
    "v1 instances": (V1, JSON, lambda t: dumped({"instances": to_json(t, "records")})),
    "v1 inputs": (V1, JSON, lambda t: dumped({"inputs": to_columns(t)})),
    "v2": (V2, JSON, lambda t: dumped({"inputs": to_tensors(with_numbers(t))})),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_dtype_arrives_value_for_value(app: Any, form: str) -> None:
    path, type_, write = FORMS[form]
    rows = parse_rows(app, path, write(frame()), type_)
    assert typed(decoded(rows, input_fields(frame()))) == typed(expected(frame()))


@pytest.mark.parametrize("form", FORMS)
def test_single_row_equals_the_same_row_in_a_batch(app: Any, form: str) -> None:
    path, type_, write = FORMS[form]
    for index in range(len(frame())):
        rows = parse_rows(app, path, write(frame().iloc[[index]]), type_)
        single_row = [[column[index]] for column in expected(frame())]
        assert typed(decoded(rows, input_fields(frame()))) == typed(single_row)


def test_binary_tensors_arrive_value_for_value(app: Any) -> None:
    body, headers = to_binary(with_numbers(frame()))
    rows = parse_rows(app, V2, body, "application/octet-stream", **headers)
    assert typed(decoded(rows, input_fields(frame()))) == typed(expected(frame()))


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "arrow", "parquet"])
def test_files_of_a_batch_arrive_value_for_value(service: Service, kind: str) -> None:
    writers = {"json": "records", "jsonl": "lines"}
    write = FORMS[writers.get(kind, kind)][2]
    stream = io.BufferedReader(io.BytesIO(write(frame())))  # type: ignore[type-var]
    (chunk,) = FORMATS[kind].read(stream, 10, service, None)
    rows = chunk.decode(service, ())
    assert typed(decoded(rows, input_fields(frame()))) == typed(expected(frame()))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", ">f8"])
def test_a_matrix_of_zeros_and_ones_is_right_for_numbers_and_booleans(
    tmp_path: Path, dtype: str
) -> None:
    table = pd.DataFrame({"n": [1.0, 0.0], "i": [0, 1], "b": [True, False]})
    fields = (Field("n", "number"), Field("i", "integer"), Field("b", "boolean"))
    for layout in ("frame", "array"):
        decoder = Decoder([manifest_field(f) for f in fields], layout, 10)
        rows = tables.rows_from_matrix(decoder, table.to_numpy(float).astype(dtype))
        assert typed(decoded(rows, fields)) == [
            [(False, False, 1.0), (False, False, 0.0)],
            [(False, False, 0), (False, False, 1)],
            [(True, False, True), (True, False, False)],
        ]


def manifest_field(field: Field) -> manifest.Field:
    return manifest.Field(field.name, field.type, field.nullable, None, field.categories)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-02-29", "2024-02-29"),
        ("2024-02-29T23:59", "2024-02-29T23:59"),
        ("2024-02-29 23:59:58.5", "2024-02-29T23:59:58.5"),
        ("2024-02-29T23:59:58,123456789", "2024-02-29T23:59:58.123456789"),
        ("2024-02-29T23:59:58Z", "2024-02-29T23:59:58"),
        ("2024-02-29T23:59:58+05:30", "2024-02-29T18:29:58"),
        ("2024-02-29T23:59:58-0800", "2024-03-01T07:59:58"),
        ("2024-02-29T23:59:58+02", "2024-02-29T21:59:58"),
        ("1677-09-21T00:12:43.145224193", "1677-09-21T00:12:43.145224193"),
        (0, "1970-01-01"),
        (-1, "1969-12-31T23:59:59.999"),
        (1.5e12, "2017-07-14T02:40:00"),
    ],
)
def test_dates_are_read_as_iso_8601_has_them(text: Any, moment: str) -> None:
    assert dates.nanoseconds(text) == np.datetime64(moment, "ns").astype(np.int64)


@pytest.mark.parametrize(
    "text",
    ["2023-02-29", "2024-13-01", "24-01-01", "2024-1-1", "2024-01-01T24:00", "2024-01-01T10:60",
     "2024-01-01T10", "2024-01-01T10:00:00+24:00", " 2024-01-01", "2024-01-01\n", "now", "NaT",
     "1677-09-21T00:12:43.145224192", "2262-04-11T23:47:16.854775808", "0000-01-01", "",
     "٢٠٢٤-01-01", 10**13, 1e300, float("inf"), 0.5, True],
)  # fmt: skip
def test_invalid_date_is_refused(text: Any) -> None:
    assert dates.nanoseconds(text) is None


@pytest.mark.parametrize("form", ["records", "csv", "arrow", "parquet"])
def test_a_date_that_does_not_fit_is_named(app: Any, form: str) -> None:
    path, type_, write = FORMS[form]
    late = frame().astype({"moment": "datetime64[s]"})
    late.loc[1, "moment"] = pd.Timestamp(3000, 1, 1)
    with pytest.raises(Problem, match='Row 1, column "moment": expected a date and time of ISO'):
        parse_rows(app, path, write(late), type_)
