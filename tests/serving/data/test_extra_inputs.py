"""Inputs that a model does not have are ignored and named; MODELPACK_EXTRA_INPUTS=refuse."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import serving_models
from batch_runs import Run
from fast_path_requests import flask_response, handle_jobs, make_job, split_response
from serving_models import render_bundle
from typed_frames import ARROW, CSV, JSON, LENGTH, LINES, PARQUET, V1, V2, to_arrow, to_parquet

from modelpack.serving import app as serving_app
from modelpack.serving.batch import command
from modelpack.serving.batch.predict import BatchOptions
from modelpack.serving.data import extra_inputs, tables
from modelpack.serving.data.rows import Decoder, DictDecoder
from modelpack.serving.errors import StartupError
from modelpack.serving.manifest import Field
from modelpack.serving.observability import metrics
from modelpack.serving.problems import Problem
from modelpack.serving.protocols import PROTOCOLS
from modelpack.serving.protocols.v2 import datatypes
from modelpack.serving.server import fast_path
from modelpack.serving.service import Service

GOOD = pd.DataFrame(
    {"age": [20.0, 41.5], "city": ["Rome", "Oslo"], "visits": [1, 2], "member": [True, False]}
)
MORE = GOOD.assign(**{"id": ["a", "b"], "größe": [1.5, 2.5]})[
    ["id", "visits", "age", "größe", "member", "city"]
]
NAMED = '"id", "gr%C3%B6%C3%9Fe"'
FLOWERS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    makes = {"iris": serving_models.iris, "mixed": serving_models.mixed}
    return {
        name: render_bundle(make(), tmp_path_factory.mktemp(name)).directory
        for name, make in makes.items()
    }


def create_app(folder: Path) -> Any:
    app = serving_app.empty_app()
    service = Service.load(folder)
    for dialect in PROTOCOLS:
        app.register_blueprint(dialect.routes(service))
    return app


@pytest.fixture(scope="module")
def mixed(folders: dict[str, Path]) -> Any:
    return create_app(folders["mixed"])


@pytest.fixture(scope="module")
def iris(folders: dict[str, Path]) -> Any:
    return create_app(folders["iris"])


@pytest.fixture(scope="module")
def strict(folders: dict[str, Path]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(extra_inputs.VARIABLE, "refuse")
        return create_app(folders["mixed"])


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(table.to_json(orient="records"))


def tensors(table: pd.DataFrame) -> list[dict[str, Any]]:
    kinds = {"i": "INT64", "f": "FP64", "b": "BOOL"}
    return [
        {
            "name": name,
            "datatype": kinds.get(column.dtype.kind, "BYTES"),
            "shape": [len(table)],
            "data": column.tolist(),
        }
        for name, column in table.items()
    ]


def binary(table: pd.DataFrame) -> bytes:
    inputs, parts = tensors(table), []
    for tensor in inputs:
        array = np.array(tensor.pop("data"), object)
        dtype = datatypes.DTYPES.get(tensor["datatype"], array.dtype)
        parts.append(datatypes.to_binary(tensor["datatype"], array.astype(dtype)))
        tensor["parameters"] = {"binary_data_size": len(parts[-1])}
    document = json.dumps({"inputs": inputs}).encode()
    return b"".join([len(document).to_bytes(4, "big"), document, *parts])


FORMS: dict[str, tuple[str, str, Any]] = {
    "objects": ("/predict", JSON, lambda t: json.dumps(records(t)).encode()),
    "lines": ("/predict", LINES, lambda t: t.to_json(orient="records", lines=True).encode()),
    "csv": ("/predict", CSV, lambda t: t.to_csv(index=False).encode()),
    "arrow": ("/predict", ARROW, to_arrow),
    "parquet": ("/predict", PARQUET, to_parquet),
    "split": (
        "/invocations",
        JSON,
        lambda t: json.dumps({"dataframe_split": json.loads(t.to_json(orient="split"))}).encode(),
    ),
    "records": (
        "/invocations",
        JSON,
        lambda t: json.dumps({"dataframe_records": records(t)}).encode(),
    ),
    "inputs": (
        "/invocations",
        JSON,
        lambda t: json.dumps({"inputs": t.to_dict(orient="list")}).encode(),
    ),
    "invocations csv": ("/invocations", CSV, lambda t: t.to_csv(index=False).encode()),
    "v1 instances": (V1, JSON, lambda t: json.dumps({"instances": records(t)}).encode()),
    "v1 inputs": (V1, JSON, lambda t: json.dumps({"inputs": t.to_dict(orient="list")}).encode()),
    "v2": (V2, JSON, lambda t: json.dumps({"inputs": tensors(t)}).encode()),
    "v2 binary": (V2, "application/octet-stream", binary),
}


def predict(app: Any, form: str, table: pd.DataFrame) -> Any:
    path, type_, write = FORMS[form]
    body, headers = write(table), {}
    if form == "v2 binary":
        headers, body = {LENGTH: str(int.from_bytes(body[:4], "big"))}, body[4:]
    return app.test_client().post(path, data=body, content_type=type_, headers=headers)


@pytest.mark.parametrize("form", FORMS)
def test_extra_inputs_are_ignored_and_named(mixed: Any, form: str) -> None:
    plain, more = predict(mixed, form, GOOD), predict(mixed, form, MORE)
    assert (plain.status_code, more.status_code) == (200, 200), more.text
    assert more.data == plain.data
    assert extra_inputs.HEADER not in plain.headers
    assert sorted(more.headers[extra_inputs.HEADER].split(", ")) == sorted(NAMED.split(", "))


@pytest.mark.parametrize("form", FORMS)
def test_extra_inputs_are_refused_if_configured(strict: Any, form: str) -> None:
    assert predict(strict, form, GOOD).status_code == 200
    answer = predict(strict, form, MORE)
    assert answer.status_code == 422
    names = ", ".join(f'"{name}"' for name in GOOD)
    text = f"expected the name of one of the {len(GOOD.columns)} inputs ({names}), got an unknown"
    assert text in answer.json["detail"]


def test_names_for_a_model_without_them_are_explained(tmp_path: Path, folders: Any) -> None:
    """Its file may not list its inputs, or list their number only."""
    advice = "; modelpack package --example adds the names of the columns of a table"
    trained = serving_models.iris()
    signature = replace(trained.signature, inputs=())
    unlisted = render_bundle(replace(trained, signature=signature), tmp_path).directory
    texts = {
        unlisted: "a list of values, because the model file does not list its inputs",
        folders["iris"]: '"x0" to "x3", or a list of 4 values',
    }
    for folder, text in texts.items():
        client = create_app(folder).test_client()
        answer = client.post("/predict", json={"instances": [{"sepal": 1, "petal": 2}]})
        assert answer.status_code == 422
        first = answer.json["errors"][0]
        assert (first["column"], first["expected"]) == ("petal", text + advice)
        assert (
            answer.json["detail"].partition(". This is")[0].rstrip(".")
            == f'Row 0, column "petal": expected {text}{advice}, got an unknown one'
        )


def test_some_names_of_a_wide_model_are_in_the_error() -> None:
    fields = [Field(f"reading {index} {'x' * 99}", "number") for index in range(2000)]
    decoder = Decoder(fields, "array", 10)
    with pytest.raises(Problem) as caught:
        decoder.explain([{f"other {index}": 1 for index in range(30)}])
    expected = caught.value.errors[0]["expected"]
    assert expected.startswith('the name of one of the 2000 inputs ("reading 0 xx')
    assert expected.endswith(", ...)")
    assert len(expected) < 500


@pytest.mark.parametrize("form", FORMS)
def test_missing_input_is_named_despite_extra_ones(mixed: Any, form: str) -> None:
    answer = predict(mixed, form, MORE.drop(columns="visits"))
    assert answer.status_code == 422
    assert answer.json["errors"][0]["column"] == "visits"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["Age", " a.g_e"])
def test_a_misspelled_input_is_no_extra_one(mixed: Any, form: str, name: str) -> None:
    """The age may be missing, so without an error it would be predicted as unknown."""
    answer = predict(mixed, form, MORE.rename(columns={"age": name}))
    assert answer.status_code == 422
    assert answer.json["errors"][0]["column"] == name
    both = predict(mixed, form, MORE.assign(**{name: 1.5}))
    assert (both.status_code, both.data) == (200, predict(mixed, form, MORE).data)


@pytest.mark.parametrize("form", FORMS)
def test_rows_without_any_name_of_an_input_are_refused(mixed: Any, form: str) -> None:
    answer = predict(mixed, form, MORE[["id", "größe"]])
    assert answer.status_code == 422
    assert answer.json["errors"][0]["column"] in ("id", None)  # of CSV, no line of names is seen


def test_the_index_that_pandas_writes_is_ignored(mixed: Any, iris: Any) -> None:
    for app, table in ((mixed, GOOD), (iris, pd.DataFrame(FLOWERS, columns=list("abcd")))):
        answers = [
            app.test_client().post("/predict", data=table.to_csv(index=index), content_type=CSV)
            for index in (False, True)
        ]
        assert answers[0].data == answers[1].data
        assert answers[1].headers[extra_inputs.HEADER] == '""'
    indexed = GOOD.set_index(pd.Index(["a", "b"], name="key"))
    for type_, body in ((ARROW, to_arrow(indexed)), (PARQUET, to_parquet(indexed))):
        answer = mixed.test_client().post("/predict", data=body, content_type=type_)
        assert (answer.status_code, answer.headers[extra_inputs.HEADER]) == (200, '"key"')


def test_ignored_columns_may_hold_anything(mixed: Any) -> None:
    table = GOOD.assign(tags=[["a"], []], when=pd.to_timedelta([1, 2], "s"), raw=[b"\xff", b""])
    answer = predict(mixed, "arrow", table)
    assert (answer.status_code, answer.headers[extra_inputs.HEADER]) == (
        200,
        '"tags", "when", "raw"',
    )
    rows = [{**row, "x": value} for row, value in zip(records(GOOD), ({}, [[1]]), strict=True)]
    answer = mixed.test_client().post("/predict", json=rows)
    assert (answer.status_code, answer.headers[extra_inputs.HEADER]) == (200, '"x"')
    extra = {"name": "more", "datatype": "FP32", "shape": [1, 2, 3], "data": [0.5] * 6}
    answer = mixed.test_client().post(V2, json={"inputs": [extra, *tensors(GOOD)]})
    assert (answer.status_code, answer.headers[extra_inputs.HEADER]) == (200, '"more"')


def test_rows_of_another_width_are_refused(mixed: Any, iris: Any) -> None:
    for app, row in ((mixed, [20, "Rome", 1, True, "a"]), (iris, [1, 2, 3, 4, 5])):
        client = app.test_client()
        for answer in (
            client.post("/predict", json=[row]),
            client.post("/invocations", json={"instances": [row]}),
            client.post("/predict", data=b"1,2,3,4,5\n", content_type=CSV),
        ):
            assert answer.status_code == 422


def test_names_of_an_unnamed_model_are_inputs_or_ignored(iris: Any) -> None:
    table = pd.DataFrame(FLOWERS, columns=["x0", "x1", "x2", "x3"]).assign(id=[1, 2])
    answer = iris.test_client().post("/predict", json=records(table))
    assert (answer.status_code, answer.headers[extra_inputs.HEADER]) == (200, '"id"')
    assert iris.test_client().post("/predict", json=[{"a": 1}]).status_code == 422


def test_generated_names_are_reported_as_extra(iris: Any) -> None:
    table = pd.DataFrame(FLOWERS, columns=list("abcd"))
    answer = iris.test_client().post("/predict", json=records(table))
    assert (answer.status_code, answer.headers[extra_inputs.HEADER]) == (200, '"a", "b", "c", "d"')
    table.columns = list("3210")
    turned = iris.test_client().post("/predict", json=records(table[list("0213")]))
    plain = iris.test_client().post("/predict", json=FLOWERS[:, ::-1].tolist())
    assert (turned.data, extra_inputs.HEADER in turned.headers) == (plain.data, False)


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["a", "b c"], '"a", "b c"'),
        (["a\r\nSet-Cookie: x=1"], '"a%0D%0ASet-Cookie: x=1"'),
        (['q"\\%'], '"q%22%5C%25"'),
        (["\x00\x7f\ud800"], '"%00%7F?"'),
        ([""], '""'),
        (["n" * 100], '"' + "n" * 57 + '..."'),
        ([str(n) for n in range(23)], ", ".join(f'"{n}"' for n in range(20)) + ";more=3"),
    ],
)
def test_hostile_names_stay_within_a_short_header(names: list[str], value: str) -> None:
    assert extra_inputs.header(names) == value


def test_a_header_is_bounded() -> None:
    value = extra_inputs.header(["🦜" * 60] * 500)
    assert len(value) < extra_inputs.MAX_HEADER_CHARACTERS + 20
    assert value.endswith(";more=499")
    noted: dict[str, None] = {}
    extra_inputs.add(noted, map(str, range(5000)))
    assert len(noted) == extra_inputs.MAX_NAMES


@pytest.mark.parametrize("form", ["objects", "csv", "v2", "v1 inputs", "records"])
@pytest.mark.parametrize("table", [GOOD, MORE, MORE.head(1)], ids=["plain", "more", "one"])
def test_the_fast_path_gives_what_flask_gives(mixed: Any, form: str, table: pd.DataFrame) -> None:
    path, type_, write = FORMS[form]
    job = make_job(fast_path.FastPath.for_app(mixed), write(table), path, **{"Content-Type": type_})
    assert job is not None
    (fast,) = handle_jobs(fast_path.FastPath.for_app(mixed), job)
    assert split_response(fast) == split_response(flask_response(mixed, job.request, job.body))
    assert (extra_inputs.HEADER.encode() in fast) == (table is not GOOD)


def ignored_so_far() -> float:
    value = metrics.IGNORED.labels("/predict")._value.get()
    return float(value)


def test_extra_inputs_are_counted_and_logged_without_their_names(
    mixed: Any, caplog: pytest.LogCaptureFixture
) -> None:
    body, before = json.dumps(records(MORE)).encode(), ignored_so_far()
    with caplog.at_level(logging.INFO, "modelpack.access"):
        mixed.test_client().post("/predict", data=body, content_type=JSON)
        mixed.test_client().post("/predict", json=records(GOOD))
        job = make_job(fast_path.FastPath.for_app(mixed), body)
        assert job is not None
        handle_jobs(fast_path.FastPath.for_app(mixed), job)
    facts = [record.facts for record in caplog.records if record.name == "modelpack.access"]
    assert [each.get("ignored_inputs") for each in facts] == [2, None, 2]
    assert "größe" not in str(facts)
    assert ignored_so_far() - before == 4


def test_the_variable_is_ignore_or_refuse() -> None:
    assert extra_inputs.are_ignored({})
    assert extra_inputs.are_ignored({extra_inputs.VARIABLE: ""})
    assert not extra_inputs.are_ignored({extra_inputs.VARIABLE: "refuse"})
    with pytest.raises(StartupError, match="neither ignore nor refuse"):
        extra_inputs.are_ignored({extra_inputs.VARIABLE: "no"})


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "arrow", "parquet"])
def test_batch_names_them_once(folders: dict[str, Path], kind: str) -> None:
    forms = {"json": "objects", "jsonl": "lines"}
    write = FORMS[forms.get(kind, kind)][2]
    service = command.load_service(folders["mixed"], 2)
    table = pd.concat([MORE] * 3)
    runs = [Run(service, write(t), "csv", BatchOptions()) for t in (table, table[list(GOOD)])]
    assert runs[0].text == runs[1].text
    notes = [facts["detail"] for event, facts in runs[0].events if event == "note"]
    assert notes == ["ignored, as the model has no such inputs: 'id', 'größe'"]
    assert [event for event, _ in runs[1].events if event == "note"] == []


def test_batch_keeps_columns_that_the_model_does_not_get(folders: dict[str, Path]) -> None:
    service = command.load_service(folders["mixed"], 2)
    run = Run(service, MORE.to_csv(index=False).encode(), None, BatchOptions(keep=["id"]))
    assert run.text.splitlines()[0] == "id,prediction"
    assert [facts["detail"] for event, facts in run.events if event == "note"] == [
        "ignored, as the model has no such inputs: 'größe'"
    ]
    everything = Run(service, MORE.to_csv(index=False).encode(), None, BatchOptions(keep=None))
    assert everything.text.splitlines()[0] == ",".join([*MORE, "prediction"])


def test_batch_refuses_where_that_is_set(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(extra_inputs.VARIABLE, "refuse")
    service = command.load_service(folders["mixed"], 2)
    for keep, ended in ((["id", "größe"], False), ([], True)):
        run = Run(service, MORE.to_csv(index=False).encode(), None, BatchOptions(keep=keep))
        assert (run.ended is not None) == ended


def test_extra_names_are_reported_if_the_rows_fail(folders: dict[str, Path]) -> None:
    service = command.load_service(folders["mixed"], 2)
    run = Run(service, b"vists,member,city\n1,true,a\n", None, BatchOptions())
    assert run.ended is not None
    assert run.ended.detail.startswith('Column "age": expected this column, got nothing.')
    assert run.events[0][1]["detail"].endswith("'vists'")


def test_extra_keys_of_dicts_are_removed() -> None:
    decoder = DictDecoder([Field("a", "number", nullable=True), Field("b", "string", True)], 10)
    for decode in (decoder.decode, decoder.explain):
        noted: dict[str, None] = {}
        (rows,) = decode([{"a": 1, "c": [1]}, {"b": "x"}], noted)  # type: ignore[operator]
        assert rows.tolist() == [{"a": 1.0}, {"b": "x"}]
        assert list(noted) == ["c"]
    with pytest.raises(Problem, match='column "c": expected the name of one of the 2 inputs'):
        decoder.explain([{"c": 1}], {})
    noted = {}
    (rows,) = tables.rows_from_columns(decoder, ["c", "a"], [[1, 2], [3, 4]], noted)
    assert (rows.tolist(), list(noted)) == ([{"a": 3.0}, {"a": 4.0}], ["c"])


def test_both_ways_of_decoding_name_the_same() -> None:
    decoder = Decoder([Field("a", "number"), Field("b", "string", True)], "frame", 10)
    rows: list[Any] = [{"z": 1, "a": 1, "b": "x"}, {"a": 2, "y": {}}, [3, None]]
    for some in (rows[:1], rows[:2], rows):
        exact: dict[str, None] = {}
        decoder.explain(some, exact)
        fast: dict[str, None] = {}
        if len(some) < 3:
            decoder.decode(some, fast)
            assert list(fast) == list(exact)
    assert list(exact) == ["z", "y"]
