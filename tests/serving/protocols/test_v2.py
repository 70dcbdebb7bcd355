"""The V2 protocol: shapes, sizes, datatypes and headers of valid and invalid requests."""

from __future__ import annotations

import json
import math
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import serving_models
from flask_clients import client_for
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from serving_models import Trained, build_spec
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import ClassifierChain
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from modelpack.serving.problems import Problem
from modelpack.serving.protocols.v2 import datatypes, outputs
from modelpack.smoke.probe import Response
from modelpack.smoke.routes import predict, v2
from modelpack.types import Field, Signature

HEADER = "Inference-Header-Content-Length"
ROW = [5.1, 3.5, 1.4, 0.2]
GOOD = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW}
BINARY = struct.pack("<4d", *ROW)


def several(model=None, species=3) -> Trained:
    """Two outputs: the species, and whether its petals are long."""
    data, target = load_iris(return_X_y=True)
    target = np.minimum(target, species - 1)
    inputs = tuple(Field(f"x{index}", "number", example=5.0) for index in range(4))
    fields = (Field("labels", "integer", shape=(2,)),)
    answers = np.column_stack([target, data[:, 2] > 4])
    model = (model or RandomForestClassifier(3, random_state=0)).fit(data, answers)
    return Trained(model, Signature(inputs, fields, probabilities=True))


def chain() -> Trained:
    return several(ClassifierChain(RandomForestClassifier(3, random_state=0)), 2)


def nameless() -> Trained:
    """Return a model whose file does not contain its inputs."""
    return Trained(serving_models.iris().model, Signature((), (), probabilities=True))


MODELS = {
    **{make.__name__: make for make in (serving_models.iris, serving_models.mixed,
       serving_models.texts, serving_models.scaler, serving_models.coded, several, chain)},
    "nameless": nameless,
}  # fmt: skip


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    clients_by_name = {}

    def client(name: str):
        if name not in clients_by_name:
            clients_by_name[name] = client_for(
                MODELS[name](), tmp_path_factory.mktemp(name), "pickle"
            )
        return clients_by_name[name]

    return client


@pytest.fixture
def iris(clients):
    return clients("iris")


def request_inference(client, *tensors, binary: bytes | None = None, header=None, **more):
    body = json.dumps({"inputs": list(tensors), **more}).encode()
    headers = {} if binary is None else {HEADER: str(len(body) if header is None else header)}
    return client.post("/v2/models/model/infer", data=body + (binary or b""), headers=headers)


def values(answer, name: str = "predict"):
    assert answer.status_code == 200, answer.json
    (output,) = (each for each in answer.json["outputs"] if each["name"] == name)
    return np.array(output["data"]).reshape(output["shape"]).tolist()


def claiming(size: object, **more) -> dict:
    tensor = {name: value for name, value in GOOD.items() if name != "data"}
    return {**tensor, "parameters": {"binary_data_size": size}, **more}


# --- what is taken -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tensor",
    [
        GOOD,
        {**GOOD, "data": [ROW]},
        {**GOOD, "name": "anything at all"},
        {**GOOD, "datatype": "FP32"},
        {**GOOD, "parameters": {"content_type": "np"}},
        {**GOOD, "shape": [1, 4], "datatype": "INT8", "data": [5, 3.0, 1, 0]},
    ],
)
def test_one_tensor_of_all_inputs(iris, tensor):
    assert values(request_inference(iris, tensor)) == ["setosa"]


@pytest.mark.parametrize("shape", [[2], [2, 1]])
@pytest.mark.parametrize("nested", [False, True])
def test_a_tensor_an_input(clients, shape, nested):
    columns = {"member": ("BOOL", [True, False]), "visits": ("UINT8", [3, 4]),
               "city": ("BYTES", ["Rome", None]), "age": ("FP16", [30, None])}  # fmt: skip
    tensors = [
        {"name": name, "datatype": kind, "shape": shape,
         "data": [[v] for v in data] if nested and len(shape) > 1 else data}
        for name, (kind, data) in columns.items()
    ]  # fmt: skip
    answer = request_inference(clients("mixed"), *tensors, outputs=[{"name": "predict_proba"}])
    rows = [[30, "Rome", 3, True], [None, None, 4, False]]
    response = clients("mixed").post("/predict?probabilities=1", json=rows).json["probabilities"]
    assert values(answer, "predict_proba") == [list(row.values()) for row in response]


def test_inputs_without_names_of_their_own_come_in_order(clients):
    tensors = [{"name": n, "shape": [1], "datatype": "FP64", "data": [v]}
               for n, v in zip("dcba", ROW, strict=True)]  # fmt: skip
    assert values(request_inference(clients("iris"), *tensors)) == ["setosa"]


def test_texts_in_json_and_binary(clients):
    tensor_head = {"name": "q", "shape": [2], "datatype": "BYTES"}
    response = request_inference(
        clients("texts"), {**tensor_head, "data": ["great fun", "bad böre"]}
    )
    assert values(response) == [True, False]
    packed = serialize_byte_tensor(np.array(["great fun", "bad böre"], object)).item()
    sized = {**tensor_head, "parameters": {"binary_data_size": len(packed)}}
    assert values(request_inference(clients("texts"), sized, binary=packed)) == [True, False]


def test_strings_and_numbers_of_a_model_that_takes_an_array(clients):
    tensors = [{"name": "x1", "shape": [1], "datatype": "INT64", "data": [2]},
               {"name": "x0", "shape": [1], "datatype": "BYTES", "data": ["b"]}]  # fmt: skip
    assert values(request_inference(clients("coded"), *tensors)) == ["B"]


def test_several_binary_tensors_follow_in_their_order(iris):
    tensors = [claiming(8, name=f"x{i}", shape=[1]) for i in (2, 0, 3, 1)]
    data = struct.pack("<4d", ROW[2], ROW[0], ROW[3], ROW[1])
    assert values(request_inference(iris, *tensors, binary=data)) == ["setosa"]


def test_binary_and_json_mixed(iris):
    tensors = [
        claiming(8, name="x0", shape=[1]),
        *({"name": f"x{i}", "shape": [1], "datatype": "FP64", "data": [ROW[i]]} for i in (1, 2, 3)),
    ]
    assert values(request_inference(iris, *tensors, binary=BINARY[:8])) == ["setosa"]


@pytest.mark.parametrize(
    ("model", "body", "labels"),
    [("iris", BINARY * 2, [b"setosa"] * 2), ("texts", b"great fun", [True])],
)
def test_binary_data_alone_are_the_only_input(clients, model, body, labels):
    answer = clients(model).post("/v2/models/model/infer", data=body, headers={HEADER: "0"})
    assert answer.status_code == 200
    size = int(answer.headers[HEADER])
    (output,) = json.loads(answer.data[:size])["outputs"]
    tail = answer.data[size:]
    assert len(tail) == output["parameters"]["binary_data_size"]
    if output["datatype"] == "BYTES":
        assert deserialize_bytes_tensor(tail).tolist() == labels
    else:
        assert np.frombuffer(tail, bool).tolist() == labels


def test_a_model_of_unknown_inputs_takes_a_matrix(clients):
    assert values(request_inference(clients("nameless"), GOOD)) == ["setosa"]
    (described,) = clients("nameless").get("/v2/models/model").json["inputs"]
    assert described["shape"] == [-1, -1]


# --- outputs -------------------------------------------------------------------------------------


def test_several_outputs_are_tensors_of_their_own(clients):
    client, trained = clients("several"), several()
    shapes = {each["name"]: each["shape"] for each in
            client.get("/v2/models/model").json["outputs"]}  # fmt: skip
    assert shapes["predict"] == [-1, 2]
    assert shapes["predict_proba_0"] == [-1, 3]
    assert shapes["predict_proba_1"] == [-1, 2]
    expected = [each.tolist() for each in trained.model.predict_proba([ROW])]
    answer = request_inference(
        client, GOOD, outputs=[{"name": "predict"}, {"name": "predict_proba"}]
    )
    assert values(answer) == trained.model.predict([ROW]).tolist()
    assert [values(answer, f"predict_proba_{i}") for i in (0, 1)] == expected
    one = request_inference(client, GOOD, outputs=[{"name": "predict_proba_1"}])
    assert [each["name"] for each in one.json["outputs"]] == ["predict_proba_1"]
    missing = request_inference(client, GOOD, outputs=[{"name": "predict_proba_2"}])
    assert missing.status_code == 400
    assert "predict_proba_1" in missing.json["error"]


def test_a_chain_gives_one_matrix(clients):
    answer = request_inference(clients("chain"), GOOD, outputs=[{"name": "predict_proba"}])
    assert values(answer, "predict_proba") == chain().model.predict_proba([ROW]).tolist()


def test_a_transformer_transforms(clients):
    answer = request_inference(clients("scaler"), {**GOOD, "shape": [2, 2], "data": [0, 10, 2, 30]})
    assert values(answer, "transform") == [[-1.0, -1.0], [1.0, 1.0]]


def test_the_largest_values_come_with_their_labels(clients):
    requested = [{"name": "predict_proba", "parameters": {"classification": 2}}]
    (row,) = serving_models.iris().model.predict_proba([ROW]).tolist()
    expected = [[f"{row[0]}:0:setosa", f"{row[1]}:1:versicolor"]]
    assert (
        values(request_inference(clients("iris"), GOOD, outputs=requested), "predict_proba")
        == expected
    )
    answer = request_inference(clients("several"), GOOD, outputs=requested)
    first, second = several().model.predict_proba([ROW])
    assert values(answer, "predict_proba_0")[0][0] == f"{first.max()}:0:0"
    assert values(answer, "predict_proba_1")[0][0] == f"{second.max()}:0:0"
    every = [{"name": "predict_proba", "parameters": {"classification": 99}}]
    (three,) = values(request_inference(clients("iris"), GOOD, outputs=every), "predict_proba")
    assert len(three) == 3
    scaled = [{"name": "transform", "parameters": {"classification": 1}}]
    rows = {**GOOD, "shape": [2, 2], "data": [0, 10, 2, 40]}
    answer = request_inference(clients("scaler"), rows, outputs=scaled)
    assert values(answer, "transform") == [["-1.0:0"], ["2.0:1"]]


def test_so_many_classifications_are_too_many():
    many = np.zeros((10_000, 11))
    with pytest.raises(Problem, match="More than 100000 classifications"):
        outputs.classify(many, 11, None)
    assert outputs.classify(many, 1, None).shape == (10_000, 1)


def test_an_output_overrides_the_request(iris):
    requested = [
        {"name": "predict"},
        {"name": "predict_proba", "parameters": {"binary_data": False}},
    ]
    answer = request_inference(
        iris, GOOD, outputs=requested, parameters={"binary_data_output": True}
    )
    size = int(answer.headers[HEADER])
    first, second = json.loads(answer.data[:size])["outputs"]
    assert first["parameters"]["binary_data_size"] == 10 == len(answer.data) - size
    assert len(second["data"]) == 3


@pytest.mark.parametrize(
    ("array", "datatype", "sent"),
    [
        (np.array([True, False]), "BOOL", [True, False]),
        (np.array([1, 2], np.int8), "INT64", [1, 2]),
        (np.array([1, 2], np.uint64), "INT64", [1, 2]),
        (np.array([2**64 - 1], np.uint64), "UINT64", [2**64 - 1]),
        (np.array([0.1], np.float32), "FP64", [float(np.float32(0.1))]),
        (np.array(["a", "b"]), "BYTES", ["a", "b"]),
        (np.array([True, np.False_], object), "BOOL", [True, False]),
        (np.array([1, np.int32(2)], object), "INT64", [1, 2]),
        (np.array([1.5, None], object), "FP64", [1.5, np.nan]),
        (np.array(["a", 1, None], object), "BYTES", ["a", "1", "null"]),
        (np.array([[1, 2]], object), "INT64", [[1, 2]]),
    ],
)
def test_outputs_have_a_datatype(array, datatype, sent):
    description, got = outputs.tensor(array)
    assert (description, got.shape) == (datatype, array.shape)
    np.testing.assert_array_equal(got, np.array(sent, got.dtype))


class AsProbe:
    """A client for the routes of the parity check, over Flask's test client."""

    def __init__(self, client, model) -> None:
        self.client, self.model = client, model

    def get(self, path: str) -> Response:
        return self._answer(self.client.get(path))

    def post(self, path: str, document) -> Response:
        return self._answer(self.client.post(path, json=document))

    def post_raw(self, path: str, body: bytes, content_type: str, headers=None) -> Response:
        arguments = {"data": body, "content_type": content_type, "headers": headers}
        return self._answer(self.client.post(path, **arguments))

    def _answer(self, got) -> Response:
        return Response(got.status_code, got.mimetype, got.json, 0.0, got.data, got.headers)


@pytest.mark.parametrize(
    ("name", "rows", "routes"),
    [
        ("several", [ROW, ROW], 4),
        ("chain", [ROW, ROW], 4),
        ("scaler", [[1, 2.5], [3, 4]], 4),
        ("texts", [["great fun"], ["bad"]], 2),
        ("coded", [["a", 1], ["b", 2]], 2),
    ],
)
def test_the_routes_of_the_parity_check_read_the_answers(clients, tmp_path, name, rows, routes):
    trained = MODELS[name]()
    (tmp_path / "saved").write_bytes(pickle.dumps(trained.model))
    spec = build_spec(tmp_path / "saved", trained)
    model_input = [row[0] for row in rows] if name == "texts" else np.array(rows, object)
    predictions = getattr(trained.model, trained.method)(model_input).tolist()
    usable = [
        r for r in (*predict.V1_ROUTES, *v2.ROUTES) if r.supports(spec) and r.can_encode(rows)
    ]
    assert len(usable) == routes
    for route in usable:
        got = route.query(AsProbe(clients(name), spec), rows)
        assert list(got.predictions) == predictions
        if got.probabilities is not None:
            known = clients(name).post("/predict?probabilities=1", json=rows).json["probabilities"]
            assert list(got.probabilities) == [in_lists(row) for row in known]


def in_lists(value):
    if isinstance(value, dict):
        return list(value.values())
    return [in_lists(each) for each in value]


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tensor", "status", "message"),
    [
        ({**GOOD, "shape": [2, 4]}, 400, "expected 8 values for the shape [2, 4], got 4"),
        ({**GOOD, "shape": [2**62, 2**62]}, 400, "values for the shape"),
        ({**GOOD, "shape": [-1, -4]}, 400, "expected sizes, got -1"),
        ({**GOOD, "shape": [1, 4.0]}, 400, "expected sizes, got 4.0"),
        ({**GOOD, "shape": [True, 4]}, 400, "expected sizes, got true"),
        ({**GOOD, "shape": "[1, 4]"}, 400, "expected a shape"),
        ({**GOOD, "shape": [1] * 9}, 400, "expected a shape"),
        ({**GOOD, "shape": [4]}, 422, "or [1, 4] for one row"),
        ({**GOOD, "shape": [4, 1]}, 422, "expected the shape [n, 4], got [4, 1]"),
        ({**GOOD, "shape": [2, 2]}, 422, "expected the shape [n, 4], got [2, 2]"),
        ({**GOOD, "shape": [1, 1, 4]}, 422, "expected the shape [n, 4]"),
        ({**GOOD, "shape": [], "data": [1]}, 422, "expected the shape [n, 4], got []"),
        ({**GOOD, "shape": [0, 4], "data": []}, 422, "contains no rows"),
        ({**GOOD, "shape": [0, 2**62], "data": []}, 422, "contains no rows"),
        ({**GOOD, "shape": [10001, 4], "data": [1] * 40004}, 413, "at most 10000 rows, got 10001"),
        ({**GOOD, "data": [[1, 2], [3, 4]]}, 400, "expected lists of 4 values"),
        ({**GOOD, "data": [1, [2], 3, 4]}, 422, 'column "x1": expected a finite number of FP64'),
        ({**GOOD, "data": {}}, 400, "expected data, a list, got an object"),
        ({**GOOD, "data": ["1", 2, 3, 4]}, 422, 'got the string "1"'),
        ({**GOOD, "data": [True, 2, 3, 4]}, 422, "got true"),
        ({**GOOD, "data": [None, 2, 3, 4]}, 422, "expected a finite number, got NaN"),
        ({**GOOD, "datatype": "FP32", "data": [1e39, 2, 3, 4]}, 422, "of FP32, got 1e+39"),
        ({**GOOD, "datatype": "INT8", "data": [128, 2, 3, 4]}, 422, "from -128 to 127, got 128"),
        ({**GOOD, "datatype": "INT8", "data": [1.5, 2, 3, 4]}, 422, "from -128 to 127, got 1.5"),
        ({**GOOD, "datatype": "UINT64", "data": [-1, 2, 3, 4]}, 422, "an integer from 0 to"),
        ({**GOOD, "datatype": "INT64", "data": [2**65, 2, 3, 4]}, 422, "an integer from -9"),
        ({**GOOD, "datatype": "BOOL", "data": [1, 0, 1, 0]}, 422, "expected true or false, got 1"),
        ({**GOOD, "datatype": "BF16"}, 400, "BF16 is not supported. Send the tensor as FP32."),
        ({**GOOD, "datatype": "FP128"}, 400, "UINT8, UINT16, UINT32, UINT64, INT8"),
        ({**GOOD, "datatype": []}, 400, "got a list"),
        ({**GOOD, "name": 3}, 400, "inputs[0]: expected a name, got 3"),
        ({**GOOD, "parameters": []}, 400, "expected an object"),
        ({**GOOD, "parameters": {"content_type": "base64"}}, 400, "expected one of pd, np, str"),
        ({**GOOD, "parameters": {"shared_memory_region": "r"}}, 400, "shared memory is not"),
        ({**GOOD, "parameters": {"binary_data_size": 4}}, 400, "expected data or binary_data_size"),
        (claiming(32), 400, "expected at most the remaining 0 bytes, got 32"),
        (claiming(-1), 400, "got -1"),
        (claiming(True), 400, "got true"),
        ({"name": "x", "shape": [1, 4], "datatype": "FP64"}, 400, "expected data, a list, got"),
        ("x", 400, "inputs[0]: expected an object"),
    ],
)
def test_wrong_tensor_is_reported(iris, tensor, status, message):
    answer = request_inference(iris, tensor)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert message in answer.json["error"]
    assert answer.json["error"] == answer.json["detail"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"id": 7}, "id: expected a string"),
        ({"id": "x" * 257}, "at most 256"),
        ({"parameters": {"binary_data_output": 1}}, "expected true or false, got 1"),
        ({"parameters": {"content_type": {}}}, "content_type of the request"),
        ({"outputs": {}}, "outputs: expected a list"),
        ({"outputs": ["predict"]}, "outputs[0]: expected an object with a name"),
        ({"outputs": [{"name": "predict"}] * 2}, "expected each name once"),
        ({"outputs": [{"name": "label"}]}, "Expected one of the outputs predict, predict_proba"),
        (
            {"outputs": [{"name": "predict_0"}]},
            "Expected one of the outputs predict, predict_proba",
        ),
        (
            {"outputs": [{"name": "predict", "parameters": {"classification": 2}}]},
            "a number for each cl",
        ),
        ({"outputs": [{"name": "predict", "parameters": {"classification": -2}}]}, "got -2"),
        (
            {"outputs": [{"name": "predict", "parameters": {"classification": "2"}}]},
            "a number, got",
        ),
        ({"outputs": [{"name": "predict", "parameters": {"binary_data": "yes"}}]}, "true or false"),
        ({"inputs": {}}, 'Expected {"inputs": [...]}'),
    ],
)
def test_wrong_request_is_reported(iris, more, message):
    answer = request_inference(iris, GOOD, **more)
    assert answer.status_code == 400
    assert message in answer.json["error"]


@pytest.mark.parametrize(
    ("tensors", "binary", "header", "message"),
    [
        ([claiming(32)], BINARY, "99999", "expected the size of the JSON in a body of"),
        ([claiming(32)], BINARY, "-1", "expected the size of the JSON"),
        ([claiming(32)], BINARY, "1e2", "expected the size of the JSON"),
        ([claiming(32)], BINARY, "٣", "expected the size of the JSON"),
        ([claiming(32)], BINARY, "20", "The body is not JSON"),
        ([claiming(32)], BINARY, "9" * 40, "expected the size of the JSON"),
        ([claiming(32)], BINARY + b"x", None, "1 bytes of binary data belong to no input"),
        ([claiming(32)], BINARY[:-1], None, "at most the remaining 31 bytes, got 32"),
        ([claiming(31)], BINARY[:-1], None, "Expected 32 bytes for 4 elements of FP64, got 31"),
        ([claiming(32, shape=[2**62, 4])], BINARY, None, "elements of FP64, got 32 bytes"),
        ([claiming(32, datatype="BYTES", shape=[9])], BINARY, None, "or more, got 32 bytes"),
        ([claiming(32, datatype="BYTES", shape=[1, 4])], b"\xff" * 32, None, "each a length"),
        ([claiming(32, datatype="BYTES", shape=[1, 4])], b"\0" * 32, None, "each a length"),
        ([claiming(17, datatype="BYTES", shape=[1, 4])], b"\0" * 17, None, "each a length"),
    ],
)  # fmt: skip
def test_wrong_size_is_reported(iris, tensors, binary, header, message):
    answer = request_inference(iris, *tensors, binary=binary, header=header)
    assert answer.status_code == 400
    assert message in answer.json["error"]


def test_invalid_bytes_are_reported_with_their_position(clients):
    booleans = claiming(4, datatype="BOOL")
    answer = request_inference(clients("iris"), booleans, binary=b"\0\1\2\3")
    assert answer.json["errors"][0] == {
        "row": 0, "column": "x2", "expected": "a byte of 0 or 1", "got": "2"}  # fmt: skip
    latin = struct.pack("<I", 4) + "böre".encode("latin-1")
    tensor = {"name": "q", "shape": [1], "datatype": "BYTES",
              "parameters": {"binary_data_size": len(latin)}}  # fmt: skip
    answer = request_inference(clients("texts"), tensor, binary=latin)
    assert (answer.status_code, answer.json["errors"][0]["expected"]) == (422, "text in UTF-8")


@pytest.mark.parametrize(("types", "datatype"), [
    (("integer", "integer"), "INT64"), (("integer", "number"), "FP64")])  # fmt: skip
def test_metadata_of_one_tensor_has_the_datatype_of_all_inputs(tmp_path, types, datatype):
    fields = tuple(Field(f"x{i}", kind, example=1) for i, kind in enumerate(types))
    model = LinearRegression().fit([[1, 2], [3, 5]], [1, 2])
    client = client_for(Trained(model, Signature(fields, ()), "regressor"), tmp_path, "pickle")
    (tensor,) = client.get("/v2/models/model").json["inputs"]
    assert tensor == {"name": "input-0", "datatype": datatype, "shape": [-1, 2]}
    for sent in ("INT64", "FP64"):
        values(
            request_inference(client, {**tensor, "datatype": sent, "shape": [1, 2], "data": [1, 2]})
        )
    raw = struct.pack("<2q" if datatype == "INT64" else "<2d", 1, 2)
    answer = client.post("/v2/models/model/infer", data=raw, headers={HEADER: "0"})
    assert struct.unpack("<d", answer.data[-8:]) == pytest.approx((1,))


def test_inputs_that_may_be_missing_may_be_left_out(clients):
    """Binary data cannot contain a missing text."""
    columns = {"visits": ("INT64", 2), "member": ("BOOL", True)}
    tensors = [{"name": name, "datatype": kind, "shape": [1], "data": [value]}
               for name, (kind, value) in columns.items()]  # fmt: skip
    answer = request_inference(clients("mixed"), *tensors)
    rows = {"instances": [{name: value for name, (_, value) in columns.items()}]}
    known = clients("mixed").post("/v1/models/model:predict", json=rows).json["predictions"]
    assert values(answer) == known


def test_columns_must_fit_together(clients):
    one, two = ({"name": n, "shape": [s], "datatype": "FP64", "data": [1] * s}
                for n, s in (("x0", 1), ("x1", 2)))  # fmt: skip
    answer = request_inference(clients("iris"), one, two)
    assert (answer.status_code, answer.json["error"]) == (
        422, "Expected the same number of rows in every tensor, got 1, 2.")  # fmt: skip
    answer = request_inference(clients("iris"), GOOD, GOOD)
    assert "one tensor for each input, got [1, 4]" in answer.json["error"]
    answer = request_inference(clients("iris"), one, one)
    assert "expected each column once, got it twice" in answer.json["error"]
    answer = request_inference(clients("mixed"), {**one, "name": "visits"}, {**one, "name": "pets"})
    assert answer.json["error"] == 'Column "member": expected this column, got nothing.'
    answer = request_inference(clients("mixed"), {**one, "name": "visit"}, {**one, "name": "pets"})
    assert answer.json["error"] == (
        'Column "visit": expected the name of one of the 4 inputs ("age", "city", "visits",'
        ' "member"), got an unknown one.'
    )
    assert (
        request_inference(clients("iris"))
        .json["error"]
        .startswith("The request contains no inputs")
    )


def test_binary_data_alone_must_be_whole_rows_of_one_input(clients):
    for name, message in (
        ("iris", "Expected rows of 32 bytes, got 33"),
        ("mixed", "one input tensor"),
        ("nameless", "one input tensor"),
    ):
        answer = clients(name).post(
            "/v2/models/model/infer", data=BINARY + b"x", headers={HEADER: "0"}
        )
        assert answer.status_code == 400
        assert message in answer.json["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404), ("GET", "/v2/models/model/infer", 405),
        ("POST", "/v2", 405), ("GET", "/v2/models/model/versions/01", 404),
        ("GET", "/v2/models/model/versions/2/ready", 404),
        ("POST", "/v2/models/model/versions/2/infer", 404),
        ("POST", "/v2/models/Model/infer", 404), ("POST", "/v2/repository/models/model/load", 404),
        ("GET", "/v1/nothing", 404), ("PUT", "/v1/models", 405),
    ],
)  # fmt: skip
def test_every_problem_has_an_error_for_the_clients(iris, method, path, status):
    answer = iris.open(path, method=method)
    assert answer.status_code == status
    assert answer.json["error"] == answer.json["detail"]


def test_other_routes_have_no_error_member(iris):
    assert "error" not in iris.get("/v3").json


def test_other_media_types_are_refused(iris):
    body = json.dumps({"inputs": [GOOD]})
    form = "application/x-www-form-urlencoded"
    kinds = {"application/json": 200, "application/octet-stream": 200, form: 415, "text/csv": 415}
    for kind, status in kinds.items():
        answer = iris.post("/v2/models/model/infer", data=body, content_type=kind)
        assert answer.status_code == status


def test_a_model_that_does_not_answer_is_not_ready(tmp_path):
    example = Field("x0", "number", example=13.0)
    trained = Trained(serving_models.stubborn().model, Signature((example,), ()), "regressor")
    client = client_for(trained, tmp_path, "pickle")
    for path in ("/v2/health/ready", "/v2/models/model/ready", "/v1/models/model"):
        assert client.get(path).status_code == 503
    assert client.get("/v2/health/live").json == {"live": True}
    (state,) = client.post("/v2/repository/index").json
    assert state["state"] == "UNAVAILABLE"
    assert client.post("/v2/repository/index", json={"ready": True}).json == []
    assert client.get("/v2/models/model").json["outputs"][0]["name"] == "predict"


# --- anything at all -----------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
JSON_VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4), max_leaves=8)
DATATYPES = st.sampled_from([*datatypes.DTYPES, "BYTES", "BF16", ""]) | JSON_VALUES
SIZES = st.integers(-1, 5) | st.sampled_from([2**31, 2**62, 2**64, 1.0, None])
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x0", "x1", "x2", "x3", "age", "city"]) | JSON_VALUES,
        "shape": st.lists(SIZES, max_size=3) | st.sampled_from([[1, 4], [1], [2, 1]]) | JSON_VALUES,
        "datatype": DATATYPES,
    },
    optional={
        "data": st.lists(SCALARS, max_size=5) | JSON_VALUES,
        "parameters": st.dictionaries(
            st.sampled_from(["binary_data_size", "content_type", "shared_memory_region"]),
            st.integers(0, 40) | st.sampled_from(["pd", "np"]) | JSON_VALUES,
            max_size=2,
        )
        | JSON_VALUES,
    },
)
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(TENSORS, max_size=4) | JSON_VALUES},
    optional={
        "id": st.text(max_size=3) | JSON_VALUES,
        "outputs": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from(["predict", "predict_proba", "x_1"])}),
            max_size=3,
        )
        | JSON_VALUES,
        "parameters": st.dictionaries(st.just("binary_data_output"), JSON_VALUES) | JSON_VALUES,
    },
)


@pytest.mark.parametrize("name", ["iris", "mixed", "nameless"])
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    document=REQUESTS,
    tail=st.binary(max_size=48),
    header=st.sampled_from([None, "right", "-1", "0x", " 1"]) | st.integers(0, 80).map(str),
)
@example(document={"inputs": [claiming(32)]}, tail=BINARY, header="right")
@example(document={"inputs": []}, tail=BINARY, header="0")
def test_no_request_is_a_server_error(clients, name, document, tail, header):
    body = json.dumps(document).encode()
    headers = {} if header is None else {HEADER: str(len(body)) if header == "right" else header}
    answer = clients(name).post("/v2/models/model/infer", data=body + tail, headers=headers)
    assert answer.status_code < 500
    if answer.status_code != 200:
        assert answer.json["error"]


def packed(datatype: str, count: int, data: bytes) -> bytes:
    """Return `count` elements of a datatype from these bits."""
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(data)) + data for _ in range(count))
    size = count * datatypes.DTYPES[datatype].itemsize
    return (data * size + bytes(size))[:size]


@pytest.mark.parametrize("name", ["iris", "mixed", "texts"])
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    kinds=st.lists(st.sampled_from([*datatypes.DTYPES, "BYTES"]), min_size=4, max_size=4),
    data=st.binary(max_size=9),
    form=st.tuples(st.integers(1, 3), st.booleans()),
)
@example(kinds=["FP32"] * 4, data=bytes.fromhex("010080ff"), form=(1, True))
@example(kinds=["FP16"] * 4, data=bytes.fromhex("007c"), form=(1, False))
def test_no_bits_are_a_server_error(clients, name, kinds, data, form):
    """`form`: the number of rows, and whether they are one tensor."""
    client, (rows, single) = clients(name), form
    names = [each["name"] for each in client.get("/signature").json["inputs"]]
    shapes = {"input-0": [rows, len(names)]} if single else dict.fromkeys(names, (rows, 1))
    parts = [
        packed(kind, math.prod(s), data) for kind, s in zip(kinds, shapes.values(), strict=False)
    ]
    tensors = [
        claiming(len(part), name=each, shape=shape, datatype=kind)
        for part, (each, shape), kind in zip(parts, shapes.items(), kinds, strict=False)
    ]
    answer = request_inference(client, *tensors, binary=b"".join(parts))
    assert answer.status_code in (200, 422), answer.json


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([*datatypes.DTYPES, "BYTES"]))
def test_binary_and_json_read_back_as_they_were(data, datatype):
    if datatype == "BYTES":
        drawn = data.draw(st.lists(st.text(max_size=9), max_size=9))
    elif datatype == "BOOL":
        drawn = data.draw(st.lists(st.booleans(), max_size=9))
    elif datatype.startswith("FP"):
        width = int(datatype[2:])
        drawn = data.draw(st.lists(st.floats(width=width, allow_nan=False, allow_infinity=False)))
    else:
        bounds = np.iinfo(datatypes.DTYPES[datatype])
        drawn = data.draw(st.lists(st.integers(int(bounds.min), int(bounds.max)), max_size=9))
    array = datatypes.from_json(datatype, drawn)
    assert array.tolist() == drawn
    binary = datatypes.to_binary(datatype, array)
    datatypes.check_size(datatype, len(binary), len(drawn))
    back = datatypes.from_binary(datatype, memoryview(binary), len(drawn))
    assert back.tolist() == drawn
    assert back.dtype == array.dtype


def test_the_document_has_a_line_a_route(iris):
    """It also has a line for each datatype, extension and output in the metadata."""
    text = (Path(__file__).parents[3] / "docs" / "service-v1-v2.md").read_text()
    documented = set()
    for method, path in re.findall(r"`(GET|POST) (/v[12][^ `]*)`", text):
        rule = path.replace("/M", "/<name>").replace("/V]", "/<version>]")
        rule = rule.replace("/V:", "/<version>:")
        documented |= {
            (method, re.sub(r"\[.*?\]|\]", "", rule)),
            (method, re.sub(r"[\[\]]", "", rule)),
        }
    served = {
        (method, rule.rule)
        for rule in iris.application.url_map.iter_rules()
        for method in rule.methods & {"GET", "POST"}
        if rule.rule.startswith(("/v1", "/v2"))
    }
    assert documented == served
    for name in [*datatypes.DTYPES, "BYTES", *iris.get("/v2").json["extensions"]]:
        assert re.search(rf"`{name}`|{name.replace('_', ' ')}", text), name
