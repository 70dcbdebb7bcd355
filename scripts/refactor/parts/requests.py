"""Request bytes that are sent to a service: all protocols, media types and kinds of mistakes."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
JSON = "application/json"
LINES = "application/jsonlines"
CSV = "text/csv"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
TYPES = (JSON, LINES, CSV, NPY, ARROW, PARQUET)

INFER = "/v2/models/model/infer"
V1 = "/v1/models/model:predict"
GETS = (
    *("/", "/healthz", "/readyz", "/ping", "/health", "/version", "/signature", "/openapi.json"),
    *("/v1/models", "/v1/models/model", "/v1/models/other", "/v1/models/model/versions/1"),
    *("/v2", "/v2/", "/v2/health/live", "/v2/health/ready", "/v2/models", "/v2/models/model"),
    *("/v2/models/model/ready", "/v2/models/model/versions/1", "/v2/models/model/versions/2"),
    *("/v2/models/model/versions/1/ready", "/v2/models/other", "/v2/models/other/ready"),
    *("/predict", "/invocations", INFER, V1, "/v2/repository/index", "/nothing", "/static/x"),
    *("//predict", "/predict/", "/%70redict", "/../predict", "/signature?x=1", "/favicon.ico"),
)
METHODS = ("HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "FROB")


@dataclass(frozen=True)
class Case:
    """The parts are sent one after the other over one connection."""

    name: str
    parts: tuple[bytes, ...]


@dataclass(frozen=True)
class Model:
    """`rows` are as the sample's request has them. `table` has the values of each input."""

    rows: list[Any]
    names: list[str]
    table: dict[str, list[Any]]
    numeric: bool

    @classmethod
    def of(cls, signature: dict[str, Any], rows: list[Any]) -> Model:
        names = [field["name"] for field in signature["inputs"]]
        types = {field["type"] for field in signature["inputs"]}
        values = [_values(row, names) for row in rows]
        table = {name: [row[i] for row in values] for i, name in enumerate(names)}
        return cls(rows, names, table, types <= {"number", "integer"})

    @property
    def lists(self) -> list[list[Any]]:
        return [list(row) for row in zip(*self.table.values(), strict=True)]

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [dict(zip(self.names, row, strict=True)) for row in self.lists]


def _values(row: Any, names: list[str]) -> list[Any]:
    if isinstance(row, dict):
        return [row.get(name) for name in names]
    return list(row) if isinstance(row, list) else [row]


def cases(model: Model) -> list[Case]:
    """Return all cases of a model. Of a model with one input, some would be there twice."""
    groups = (_gets, _json, _values_in_protocols, _media, _invocations, _v1, _v2, _v2_binary)
    found = [case for group in (*groups, _http, _connections) for case in group(model)]
    return list(dict.fromkeys(found))


def head(method: str, path: str, *fields: str, close: bool = True) -> bytes:
    more = [*fields, "Connection: close"] if close else fields
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *more, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(path: str, body: Any, type_: str | None = JSON, *fields: str, close: bool = True) -> bytes:
    """Return a request with `body`, which is written as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    typed = [f"Content-Type: {type_}"] if type_ is not None else []
    return head("POST", path, *typed, f"Content-Length: {len(data)}", *fields, close=close) + data


def _gets(_: Model) -> Iterator[Case]:
    for path in GETS:
        yield Case(f"GET {path}", (head("GET", path),))
    for method in METHODS:
        for path in ("/", "/healthz", "/signature", "/predict", V1, INFER, "/nothing"):
            yield Case(f"{method} {path}", (head(method, path),))
    # Not HEAD: the length of the metrics depends on their values.
    for method in METHODS[1:]:
        yield Case(f"{method} /metrics", (head(method, "/metrics"),))
    for accept in ("text/html", "application/json", "text/plain", "image/png", "*/*;q=0"):
        for path in ("/", "/signature", "/openapi.json", "/healthz", "/nothing"):
            yield Case(f"GET {path} as {accept}", (head("GET", path, f"Accept: {accept}"),))
    for encoding in ("gzip", "br", "identity;q=0"):
        field = f"Accept-Encoding: {encoding}"
        yield Case(f"GET /signature encoded {encoding}", (head("GET", "/signature", field),))
    yield Case("index", (post("/v2/repository/index", {}),))
    yield Case("index ready", (post("/v2/repository/index", {"ready": True}),))
    yield Case("load", (post("/v2/repository/models/model/load", {}),))


def _json(model: Model) -> Iterator[Case]:
    rows, good = model.rows, {"instances": model.rows}
    for name, body in {
        "rows": good,
        "one row": {"instances": rows[:1]},
        "lists": {"instances": model.lists},
        "objects": {"instances": model.objects},
        "names reversed": {"instances": [dict(reversed(row.items())) for row in model.objects]},
        "bare list": rows,
        "bare row": model.objects[0],
        "many rows": {"instances": rows * 40},
        "no rows": {"instances": []},
        "null": {"instances": None},
        "a row alone": {"instances": rows[0]},
        "nested": {"instances": [rows]},
        "mixed": {"instances": [model.lists[0], model.objects[-1]]},
        "other member": {**good, "parameters": {}},
        "unknown": {"rows": rows},
        "number": 1,
        "empty object": {},
        "extra input": {"instances": [{**row, "zzz": 1} for row in model.objects]},
        "extra inputs": {
            "instances": [{**row, **{f"é{i}": i for i in range(25)}} for row in model.objects]
        },
        "missing input": {"instances": [dict([*row.items()][1:]) for row in model.objects]},
        "other case": {"instances": [{k.upper(): v for k, v in model.objects[0].items()}]},
        "too long": {"instances": [[*row, 1] for row in model.lists]},
        "too short": {"instances": [row[:-1] for row in model.lists]},
        "no input": {"instances": [{"zzz": 1}]},
        "empty row": {"instances": [{}]},
        "empty list": {"instances": [[]]},
    }.items():
        yield Case(f"predict {name}", (post("/predict", body),))
    text = json.dumps(good).encode()
    for name, data in {
        "empty": b"",
        "spaces": b"  ",
        "cut": text[:-2],
        "trailing": text + b" x",
        "twice": text + text,
        "BOM": b"\xef\xbb\xbf" + text,
        "UTF-16": text.decode().encode("utf-16"),
        "not UTF-8": text.replace(b"instances", b"inst\xff"),
        "NUL": text + b"\0",
        "deep": b'{"instances": ' + b"[" * 40 + b"]" * 40 + b"}",
        "very deep": b"[" * 5000,
        "double member": b'{"instances": [], ' + text[1:],
        "huge exponent": b'{"instances": [[1e999]]}',
        "long number": b'{"instances": [[' + b"1" * 400 + b"]]}",
        "surrogate": b'{"instances": ["\\ud800"]}',
        "single quotes": b"{'instances': []}",
        "indented": json.dumps(good, indent=2).encode(),
    }.items():
        yield Case(f"predict bytes {name}", (post("/predict", data),))
    for query in ("true", "false", "1", "", "maybe", "true&probabilities=false"):
        path = f"/predict?probabilities={query}"
        yield Case(f"predict probabilities {query}", (post(path, good),))
    yield Case("predict other parameter", (post("/predict?x=1", good),))


def _values_in_protocols(model: Model) -> Iterator[Case]:
    """Put odd values in the place of the first and the last input, in each protocol."""
    values = {
        "word": '"many"', "empty text": '""', "null": "null", "NaN": "NaN", "Infinity": "Infinity",
        "true": "true", "list": "[1]", "object": '{"a": 1}', "integer": "3", "float": "3.5",
        "digits": '"3"', "large": "1e300", "2**63": "9223372036854775808", "minus zero": "-0.0",
        "date": '"2024-05-01"', "tiny": "5e-324",
    }  # fmt: skip
    for name, value in values.items():
        for index in (0, len(model.names) - 1):
            where = repr(model.names[index])
            for protocol, path, body in _protocols(model, index):
                text = json.dumps(body).replace('"@"', value)
                yield Case(f"{protocol} {where} {name}", (post(path, text.encode()),))


def _protocols(model: Model, index: int) -> Iterator[tuple[str, str, Any]]:
    """Yield requests of one good row and one whose value at `index` is "@"."""
    rows = [list(model.lists[0]), list(model.lists[0])]
    rows[1][index] = "@"
    objects = [dict(zip(model.names, row, strict=True)) for row in rows]
    table = {name: [row[i] for row in rows] for i, name in enumerate(model.names)}
    tensors = [
        {"name": name, "shape": [2], "datatype": _datatype(model, name), "data": values}
        for name, values in table.items()
    ]
    yield "predict", "/predict", {"instances": objects}
    yield "invocations", "/invocations", {"dataframe_split": {"columns": model.names, "data": rows}}
    yield "V1", V1, {"instances": rows}
    yield "V2", INFER, {"inputs": tensors}


def _datatype(model: Model, name: str) -> str:
    return "BYTES" if any(isinstance(value, str) for value in model.table[name]) else "FP64"


def _encoded(model: Model) -> dict[str, bytes]:
    """Return the rows in each media type; some types cannot hold the rows of some models."""
    lines = "".join(f"{json.dumps(row)}\n" for row in model.rows)
    matrix = np.array(model.lists, float) if model.numeric else np.array([["a"]])
    table = pa.table(model.table)
    stream, file = io.BytesIO(), io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    pq.write_table(table, file)
    return {
        JSON: json.dumps({"instances": model.rows}).encode(),
        LINES: lines.encode(),
        CSV: _csv([model.names, *model.lists]),
        NPY: _npy(matrix),
        ARROW: stream.getvalue(),
        PARQUET: file.getvalue(),
    }


def _csv(rows: list[list[Any]]) -> bytes:
    def cell(value: Any) -> str:
        return "" if value is None else '"' + str(value).replace('"', '""') + '"'

    return "".join(",".join(map(cell, row)) + "\r\n" for row in rows).encode()


def _media(model: Model) -> Iterator[Case]:
    encoded = _encoded(model)
    for type_, body in encoded.items():
        for path in ("/predict", "/predict?probabilities=true", "/invocations"):
            for accept in (type_, CSV, JSON):
                case = post(path, body, type_, f"Accept: {accept}")
                yield Case(f"{type_} {path} as {accept}", (case,))
        yield Case(f"{type_} cut", (post("/predict", body[: len(body) // 2], type_),))
        yield Case(f"{type_} empty", (post("/predict", b"", type_),))
        yield Case(f"{type_} noise", (post("/predict", b"\x93\xff\0" + body[::-1], type_),))
        yield Case(f"{type_} V1", (post(V1, body, type_),))
        yield Case(f"{type_} V2", (post(INFER, body, type_),))
    for accept in (*TYPES, "*/*", "application/*", "text/html", f"{CSV};q=0.5, {NPY}", "nonsense"):
        case = post("/predict", {"instances": model.rows}, JSON, f"Accept: {accept}")
        yield Case(f"answer as {accept}", (case,))
    lines, table = encoded[LINES], encoded[CSV]
    plain = _csv(model.lists)
    for name, type_, body in (
        ("charset", f"{JSON}; charset=utf-8", encoded[JSON]),
        ("other charset", f"{JSON}; charset=latin-1", encoded[JSON]),
        ("upper case", "Application/JSON", encoded[JSON]),
        ("none", None, encoded[JSON]),
        ("empty", "", encoded[JSON]),
        ("plain text", "text/plain", encoded[JSON]),
        ("form", "application/x-www-form-urlencoded", encoded[JSON]),
        ("form data", "multipart/form-data; boundary=x", b"--x--\r\n"),
        ("pandas split", f"{JSON}; format=pandas-split", encoded[JSON]),
        ("ndjson", "application/x-ndjson", lines),
        ("blank lines", LINES, b"\n" + lines + b"\n\n"),
        ("bad line", LINES, lines + b"{\n"),
        ("header present", f"{CSV}; header=present", table),
        ("header absent", f"{CSV}; header=absent", plain),
        ("header wrong", f"{CSV}; header=maybe", table),
        ("header unsaid", CSV, plain),
        ("header alone", f"{CSV}; header=present", _csv([model.names])),
        ("quote open", CSV, table + b'"'),
        ("ragged", CSV, table + b"1,2,3,4,5,6,7,8,9,10,11,12\r\n"),
        ("words", CSV, _csv([model.names, ["many"] * len(model.names)])),
        ("extra column", CSV, _csv([[*model.names, "zzz"], *([*row, 1] for row in model.lists)])),
        ("npy of objects", NPY, _npy(np.array([{"a": 1}], dtype=object))),
        ("npy of integers", NPY, _npy(np.ones((2, len(model.names)), "i4"))),
        ("npy of half floats", NPY, _npy(np.ones((2, len(model.names)), "f2"))),
        ("npy in Fortran order", NPY, _npy(np.asfortranarray(np.ones((2, len(model.names)))))),
        ("npy of a vector", NPY, _npy(np.ones(3))),
        ("npy of a cube", NPY, _npy(np.ones((1, 1, 1)))),
        ("npy of NaN", NPY, _npy(np.full((1, len(model.names)), np.nan))),
        ("parquet alias", "application/x-parquet", encoded[PARQUET]),
    ):
        for path in ("/predict", "/invocations"):
            yield Case(f"{path} {name}", (post(path, body, type_),))


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def _invocations(model: Model) -> Iterator[Case]:
    split = {"columns": model.names, "data": model.lists}
    for name, body in {
        "split": {"dataframe_split": split},
        "split with index": {"dataframe_split": {**split, "index": [*range(len(model.lists))]}},
        "split without columns": {"dataframe_split": {"data": model.lists}},
        "split of nothing": {"dataframe_split": {}},
        "records": {"dataframe_records": model.objects},
        "records of lists": {"dataframe_records": model.lists},
        "instances": {"instances": model.rows},
        "inputs rows": {"inputs": model.lists},
        "inputs columns": {"inputs": model.table},
        "inputs one": {"inputs": model.objects[0]},
        "bare": model.rows,
        "two": {"inputs": [], "instances": []},
        "none": {"params": {}},
        "ragged columns": {"inputs": {**model.table, model.names[0]: []}},
        "unknown": {"dataframe": []},
        **{
            f"params {json.dumps(params)}": {"instances": model.rows, "params": params}
            for params in (
                *({"probabilities": True}, {"probabilities": "yes"}, {"zzz": 1}, [], None),
                *({"predict_method": method} for method in _METHODS),
            )
        },
    }.items():
        yield Case(f"invocations {name}", (post("/invocations", body),))


_METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "fit", 1)


def _v1(model: Model) -> Iterator[Case]:
    for name, body in {
        "rows": {"instances": model.rows},
        "objects": {"instances": model.objects},
        "inputs": {"inputs": model.lists},
        "columns": {"inputs": model.table},
        "tables": {"instances": [{k: v[:1] for k, v in model.table.items()}]},
        "both": {"instances": model.rows, "inputs": model.lists},
        "signature": {"instances": model.rows, "signature_name": "serving_default"},
        "none": {},
        "empty": {"instances": []},
        "list": model.rows,
    }.items():
        yield Case(f"V1 {name}", (post(V1, body),))
    good = {"instances": model.rows}
    for path in (
        *("/v1/models/model/versions/1:predict", "/v1/models/model/versions/9:predict"),
        *("/v1/models/other:predict", "/v1/models/model:explain", "/v1/models/model:nothing"),
        *("/v1/models/model%3Apredict", f"{V1}?probabilities=true"),
    ):
        yield Case(f"V1 {path}", (post(path, good),))


def _tensors(model: Model) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "shape": [len(values)],
            "datatype": _datatype(model, name),
            "data": values,
        }
        for name, values in model.table.items()
    ]


def _matrix(model: Model) -> dict[str, Any]:
    """Return one tensor of all inputs."""
    kind = "FP64" if model.numeric else "BYTES"
    shape = [len(model.rows), len(model.names)]
    return {"name": "rows", "shape": shape, "datatype": kind, "data": model.lists}


def _v2(model: Model) -> Iterator[Case]:
    tensors, matrix = _tensors(model), _matrix(model)
    first, others = tensors[0], tensors[1:]
    count = len(model.rows)
    flat = [value for row in model.lists for value in row]
    bodies: dict[str, Any] = {
        "by name": {"inputs": tensors},
        "by name reversed": {"inputs": tensors[::-1]},
        "columns of one": {"inputs": [{**t, "shape": [count, 1]} for t in tensors]},
        "matrix": {"inputs": [matrix]},
        "matrix flat": {"inputs": [{**matrix, "data": flat}]},
        "id": {"id": "42", "inputs": tensors},
        "long id": {"id": "x" * 300, "inputs": tensors},
        "number id": {"id": 42, "inputs": tensors},
        "other names": {"inputs": [{**t, "name": f"t{i}"} for i, t in enumerate(tensors)]},
        "extra tensor": {"inputs": [*tensors, {**first, "name": "zzz"}]},
        "same tensor twice": {"inputs": [*tensors, first]},
        "missing tensor": {"inputs": others},
        "no tensor": {"inputs": []},
        "no inputs": {"outputs": []},
        "object": {"inputs": {"a": 1}},
        "parameters": {"inputs": tensors, "parameters": {"binary_data_output": False}},
        "pandas": {"inputs": tensors, "parameters": {"content_type": "pd"}},
        "other content type": {"inputs": tensors, "parameters": {"content_type": "base64"}},
        "sequence": {"inputs": tensors, "parameters": {"sequence_id": 1}},
        "shared memory": {
            "inputs": [{**first, "parameters": {"shared_memory_region": "x"}}, *others]
        },
        "large shape": {"inputs": [{**first, "shape": [1 << 62]}, *others]},
        "negative shape": {"inputs": [{**first, "shape": [-1]}, *others]},
        "other shape": {"inputs": [{**first, "shape": [count + 1]}, *others]},
        "deep shape": {"inputs": [{**first, "shape": [1] * 40}, *others]},
        "word shape": {"inputs": [{**first, "shape": ["1"]}, *others]},
        "no shape": {"inputs": [{k: v for k, v in first.items() if k != "shape"}, *others]},
        "no data": {"inputs": [{k: v for k, v in first.items() if k != "data"}, *others]},
        "no name": {"inputs": [{k: v for k, v in first.items() if k != "name"}, *others]},
        "nested data": {"inputs": [{**first, "data": [[v] for v in first["data"]]}, *others]},
        "too deep data": {"inputs": [{**first, "data": [[[[1]]]]}, *others]},
    }
    for kind in (
        *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
        *("FP16", "FP32", "FP64", "BYTES", "BF16", "fp32", "", None),
    ):
        bodies[f"datatype {kind}"] = {"inputs": [{**t, "datatype": kind} for t in tensors]}
        ones = [{**t, "datatype": kind, "data": [1] * count} for t in tensors]
        bodies[f"ones of {kind}"] = {"inputs": ones}
    for output in (
        *("predict", "predict_proba", "predict_log_proba", "decision_function", "transform"),
        *("output-0", "nothing", 1),
    ):
        bodies[f"output {output}"] = {"inputs": tensors, "outputs": [{"name": output}]}
    for parameters in ({"classification": 2}, {"classification": 0}, {"binary_data": False}):
        asked = [{"name": "predict_proba", "parameters": parameters}]
        bodies[f"output with {parameters}"] = {"inputs": tensors, "outputs": asked}
    bodies["two outputs"] = {
        "inputs": tensors,
        "outputs": [{"name": "predict_proba"}, {"name": "predict"}],
    }
    bodies["output twice"] = {"inputs": tensors, "outputs": [{"name": "predict"}] * 2}
    for name, body in bodies.items():
        yield Case(f"V2 {name}", (post(INFER, body),))
    for path in ("/v2/models/model/versions/1/infer", "/v2/models/model/versions/7/infer"):
        yield Case(f"V2 {path}", (post(path, {"inputs": tensors}),))
    yield Case("V2 other model", (post("/v2/models/other/infer", {"inputs": tensors}),))
    yield Case("V2 generate", (post("/v2/models/model/generate", {"text_input": "x"}),))


def _v2_binary(model: Model) -> Iterator[Case]:
    tensors, data = [], b""
    for tensor in _tensors(model):
        raw = _raw(tensor["datatype"], tensor.pop("data"))
        tensors.append({**tensor, "parameters": {"binary_data_size": len(raw)}})
        data += raw
    good = {"inputs": tensors}
    out = [{"name": "predict", "parameters": {"binary_data": True}}]
    all_binary = {**good, "parameters": {"binary_data_output": True}}
    yield Case("binary in", (_binary(good, data),))
    yield Case("binary in and out", (_binary(all_binary, data),))
    yield Case("binary one output", (_binary({**good, "outputs": out}, data),))
    yield Case("binary out", (post(INFER, {"inputs": _tensors(model), "outputs": out}),))
    probabilities = [{"name": "predict_proba", "parameters": {"binary_data": True}}]
    yield Case("binary probabilities", (_binary({**good, "outputs": probabilities}, data),))
    yield Case("binary cut", (_binary(good, data[:-1]),))
    yield Case("binary too long", (_binary(good, data + b"\0"),))
    wrong = [{**tensors[0], "parameters": {"binary_data_size": 3}}, *tensors[1:]]
    yield Case("binary wrong size", (_binary({"inputs": wrong}, data),))
    negative = [{**tensors[0], "parameters": {"binary_data_size": -1}}, *tensors[1:]]
    yield Case("binary negative size", (_binary({"inputs": negative}, data),))
    for length in ("0", "-1", "x", "999999", "5"):
        field = f"Inference-Header-Content-Length: {length}"
        request = post(INFER, json.dumps(good).encode() + data, "application/octet-stream", field)
        yield Case(f"binary header length {length}", (request,))
    zero = "Inference-Header-Content-Length: 0"
    rows = _raw("FP64", [value for row in model.lists for value in row]) if model.numeric else data
    yield Case("raw binary", (post(INFER, rows, "application/octet-stream", zero),))
    yield Case("raw binary empty", (post(INFER, b"", "application/octet-stream", zero),))
    nan = _raw("FP64", [None] * len(model.rows))
    lost = [
        {**t, "datatype": "FP64", "parameters": {"binary_data_size": len(nan)}} for t in tensors
    ]
    yield Case("binary NaN", (_binary({"inputs": lost}, nan * len(lost)),))


def _raw(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        texts = [str(value if value is not None else "").encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.array([np.nan if value is None else value for value in values], "<f8").tobytes()


def _binary(document: Any, data: bytes) -> bytes:
    top = json.dumps(document).encode()
    field = f"Inference-Header-Content-Length: {len(top)}"
    return post(INFER, top + data, "application/octet-stream", field)


def _http(model: Model) -> Iterator[Case]:
    """Yield requests whose framing, headers or encodings are odd."""
    body = json.dumps({"instances": model.rows}).encode()
    typed = f"Content-Type: {JSON}"
    for name, encoding, data in (
        ("gzip", "gzip", gzip.compress(body, mtime=0)),
        ("deflate", "deflate", zlib.compress(body)),
        ("identity", "identity", body),
        ("br", "br", body),
        ("not gzip", "gzip", body),
        ("gzip cut", "gzip", gzip.compress(body, mtime=0)[:-9]),
        ("gzip twice", "gzip, gzip", gzip.compress(gzip.compress(body, mtime=0), mtime=0)),
        ("gzip bomb", "gzip", gzip.compress(bytes(1 << 25), mtime=0)),
    ):
        yield Case(
            f"encoding {name}", (post("/predict", data, JSON, f"Content-Encoding: {encoding}"),)
        )
    chunked = head("POST", "/predict", typed, "Transfer-Encoding: chunked")
    size = b"%x" % len(body)
    for name, chunks in {
        "whole": size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "split": b"5\r\n" + body[:5] + b"\r\n%x\r\n" % len(body[5:]) + body[5:] + b"\r\n0\r\n\r\n",
        "extension": size + b";a=b\r\n" + body + b"\r\n0\r\n\r\n",
        "trailer": size + b"\r\n" + body + b"\r\n0\r\nX-A: b\r\n\r\n",
        "bad size": b"zz\r\n" + body + b"\r\n0\r\n\r\n",
        "negative": b"-5\r\n" + body + b"\r\n0\r\n\r\n",
        "huge": b"fffffffffffffffff\r\n" + body,
        "wrong end": size + b"\r\n" + body + b"xx0\r\n\r\n",
        "unfinished": size + b"\r\n" + body,
    }.items():
        yield Case(f"chunked {name}", (chunked + chunks,))
    for name, field in {
        "request id": "X-Request-Id: my-id_1",
        "bad request id": "X-Request-Id: a b",
        "trace": f"traceparent: 00-{TRACE_ID}-00f067aa0ba902b7-01",
        "bad trace": f"traceparent: 00-{TRACE_ID}-00f067aa0ba902b7",
        "expect": "Expect: 100-continue",
        "other expectation": "Expect: 200-ok",
        "long header": f"X-Long: {'x' * 9000}",
        "control character": "X-Bad: a\x01b",
        "no colon": "X-Bad",
        "space in name": "X Bad: 1",
        "folded": "X-Folded: a\r\n b",
        "second host": "Host: other",
        "second length": "Content-Length: 3",
        "both lengths": "Transfer-Encoding: chunked",
        "other transfer encoding": "Transfer-Encoding: gzip",
        "upgrade": "Upgrade: h2c",
        "origin": "Origin: http://example.org",
        "authorization": "Authorization: Bearer abc",
        "range": "Range: bytes=0-1",
        "if-none-match": "If-None-Match: *",
        "cookie": "Cookie: a=b",
        "non-ASCII": "X-Bad: \xe9",
    }.items():
        yield Case(f"header {name}", (post("/predict", body, JSON, field),))
    many = [f"X-{i}: {i}" for i in range(120)]
    yield Case("many headers", (post("/predict", body, JSON, *many),))
    yield Case("long line", (head("GET", "/" + "x" * 5000),))
    for name, raw in {
        "HTTP/1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
        "HTTP/1.0 post": b"POST /predict HTTP/1.0\r\n%s\r\nContent-Length: %d\r\n\r\n%s"
        % (typed.encode(), len(body), body),
        "HTTP/0.9": b"GET /healthz\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/3.1": b"GET /healthz HTTP/3.1\r\nHost: a\r\n\r\n",
        "no host": b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
        "line feeds": b"GET /healthz HTTP/1.1\nHost: a\nConnection: close\n\n",
        "noise": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n",
        "lower case": b"get /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "absolute": b"GET http://a/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "star": b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "fragment": b"GET /healthz#a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "bad escape": b"GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "non-UTF-8 path": b"GET /%ff\xff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "spaces": b"GET  /healthz  HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "connect": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    }.items():
        yield Case(f"line {name}", (raw,))
    for length in ("-1", "x", "+5", "99999999999", "20000000", " 5", "1_0", "5, 5"):
        raw = head("POST", "/predict", typed, f"Content-Length: {length}") + b"12345"
        yield Case(f"length {length}", (raw,))
    yield Case("no length", (head("POST", "/predict", typed) + body,))
    yield Case("body of a GET", (head("GET", "/healthz", "Content-Length: 5") + b"12345",))


def _connections(model: Model) -> Iterator[Case]:
    """Yield several requests over one connection, and requests that come in parts or not at all."""
    good = {"instances": model.rows}
    kept, last = post("/predict", good, close=False), post("/predict", good)
    health, bad = head("GET", "/healthz", close=False), post("/predict", b"{", close=False)
    infer = post(INFER, {"inputs": _tensors(model)}, close=False)
    yield Case("kept alive", (kept, kept, last))
    yield Case("pipelined", (kept + kept + last,))
    yield Case("pipelined mixed", (health + kept + bad + infer + last,))
    yield Case("pipelined HEAD", (head("HEAD", "/healthz", close=False) + last,))
    yield Case("pipelined malformed", (kept + b"nonsense\r\n\r\n" + last,))
    yield Case("pipelined refused", (kept + head("GET", "/nothing", close=False) + last,))
    yield Case("pipelined after close", (last + kept,))
    yield Case("idle", (kept,))
    yield Case("in parts", (last[:20], last[20:90], last[90:]))
    yield Case("head cut", (last[:30],))
    yield Case("body cut", (last[:-3],))
    yield Case("nothing", (b"\r\n",))
    old = b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    yield Case("HTTP/1.0 kept alive", (old + old,))
