"""Rows of models whose inputs have several dimensions: nested lists, tensors of V2, arrays."""

from __future__ import annotations

import io

import numpy as np
import onnx_models as onnx
import pytest
from flask_clients import client_for_bundle, post
from jsonschema import Draft202012Validator
from serving_models import BASE, ENVIRONMENT

from modelpack.bundle.render import render
from modelpack.inspection.inspector import inspect
from modelpack.parity import ReferenceSources, prepare
from modelpack.serving.data.tensors import Tensors
from modelpack.serving.manifest import Tensor

V1, V2, INVOCATIONS = "/v1/models/model:predict", "/v2/models/model/infer", "/invocations"
PICTURES = np.arange(24, dtype="float64").reshape(2, 3, 2, 2) - 8.0
TABLES, NUMBERS = np.arange(8.0).reshape(2, 2, 2), np.arange(6.0).reshape(2, 3) / 4


def axis(number):
    return onnx.field(5, onnx.field(1, "axis") + onnx.field(3, number) + onnx.field(20, 2))


ONE = onnx.model(
    [onnx.node("Relu", ["picture"], ["y"])],
    [onnx.tensor("picture", onnx.FLOAT, [None, 3, 2, 2])],
    [onnx.tensor("y", onnx.FLOAT, [None, 3, 2, 2])],
)
TWO = onnx.model(
    [onnx.node("Flatten", ["table"], ["flat"]), onnx.node("Concat", ["flat", "b"], ["y"], axis(1))],
    [onnx.tensor("table", onnx.FLOAT, [None, 2, 2]), onnx.tensor("b", onnx.FLOAT, [None, 3])],
    [onnx.tensor("y", onnx.FLOAT, [None, 7])],
)


def client(folder, data):
    path = folder / "model.onnx"
    path.write_bytes(data)
    spec, _ = prepare(inspect(path), ReferenceSources((path,)))
    return client_for_bundle(render(spec, ENVIRONMENT, BASE, folder / "bundle").directory)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """Return the client of a model that takes a tensor (n, 3, 2, 2), and returns one."""
    return client(tmp_path_factory.mktemp("one"), ONE)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Return the client of a model that takes the tensors (n, 2, 2) and (n, 3)."""
    return client(tmp_path_factory.mktemp("two"), TWO)


def tensor(name, array, shape=None):
    shape = list(array.shape if shape is None else shape)
    return {"name": name, "datatype": "FP64", "shape": shape, "data": array.ravel().tolist()}


def predictions(response):
    document = response.get_json()
    assert response.status_code == 200, document
    if "outputs" in document:
        (output,) = document["outputs"]
        return np.reshape(output["data"], output["shape"])
    return np.array(document["predictions"])


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


FORMS = {
    "nested lists": (V1, {"instances": PICTURES.tolist()}),
    "rows of one tensor": (V1, {"instances": [[each] for each in PICTURES.tolist()]}),
    "objects": (V1, {"instances": [{"picture": each} for each in PICTURES.tolist()]}),
    "a table of tensors": (V1, {"inputs": {"picture": PICTURES.tolist()}}),
    "flat lists": (V1, {"instances": PICTURES.reshape(2, -1).tolist()}),
    "predict": ("/predict", PICTURES.tolist()),
    "MLflow": (INVOCATIONS, {"inputs": PICTURES.tolist()}),
    "MLflow by name": (INVOCATIONS, {"inputs": {"picture": PICTURES.tolist()}}),
    "a tensor": (V2, {"inputs": [tensor("any", PICTURES)]}),
    "a matrix": (V2, {"inputs": [tensor("any", PICTURES, (2, 12))]}),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_only_tensor_is_taken_in_each_form(one, form):
    path, document = FORMS[form]
    assert (predictions(post(one, document, path)) == np.maximum(PICTURES, 0)).all()


def test_the_only_tensor_is_taken_as_an_array(one):
    for array in (PICTURES, PICTURES.reshape(2, -1)):
        response = one.post("/predict", data=npy(array), content_type="application/x-npy")
        assert (predictions(response) == np.maximum(PICTURES, 0)).all()
    binary = one.post(V2, data=PICTURES.tobytes(), content_type="application/octet-stream",
                      headers={"Inference-Header-Content-Length": "0"})  # fmt: skip
    start = int(binary.headers["Inference-Header-Content-Length"])
    values = np.frombuffer(binary.data, offset=start).reshape(PICTURES.shape)
    assert (values == np.maximum(PICTURES, 0)).all()


ROWS = [
    {"table": table.tolist(), "b": b.tolist()} for table, b in zip(TABLES, NUMBERS, strict=True)
]
SEVERAL = {
    "objects": (V1, {"instances": ROWS}),
    "lists of tensors": (V1, {"instances": [[row["table"], row["b"]] for row in ROWS]}),
    "a table of tensors": (V1, {"inputs": {"b": NUMBERS.tolist(), "table": TABLES.tolist()}}),
    "MLflow by name": (INVOCATIONS, {"inputs": {"table": TABLES.tolist(), "b": NUMBERS.tolist()}}),
    "tensors": (V2, {"inputs": [tensor("b", NUMBERS), tensor("table", TABLES)]}),
    "flat tensors": (V2, {"inputs": [tensor("b", NUMBERS), tensor("table", TABLES, (2, 4))]}),
    "flat lists": (V1, {"instances": np.hstack([TABLES.reshape(2, -1), NUMBERS]).tolist()}),
}


@pytest.mark.parametrize("form", SEVERAL)
def test_several_tensors_are_taken_in_each_form(two, form):
    path, document = SEVERAL[form]
    expected = np.hstack([TABLES.reshape(2, -1), NUMBERS])
    assert (predictions(post(two, document, path)) == expected).all()


WRONG = {
    "another shape": (V1, {"instances": np.zeros((1, 3, 2, 1)).tolist()}, "shape [3, 2, 2]"),
    "unequal lists": (V1, {"instances": [[[[1, 2], [3]], [[1, 2], [3, 4]], [[1, 2], [3, 4]]]]},
                      'Row 0, column "picture"'),
    "too deep": (V1, {"instances": np.zeros((1, 3, 2, 2, 1)).tolist()}, "got a list"),
    "texts": (V1, {"instances": np.full((1, 3, 2, 2), "x").tolist()}, "expected a finite number"),
    "a tensor": (V2, {"inputs": [tensor("x", np.zeros((1, 2, 2, 3)))]}, "the shape [n, 12]"),
    "no rows": (V2, {"inputs": [tensor("x", np.zeros((0, 3, 2, 2)))]}, "no rows"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_values_of_another_shape_are_rejected(one, what):
    path, document, message = WRONG[what]
    response = post(one, document, path)
    assert response.status_code == 422, response.get_json()
    assert message in response.get_json()["detail"]


def test_several_tensors_of_other_shapes_are_rejected(two):
    for inputs in (
        [tensor("b", NUMBERS), tensor("table", np.zeros((2, 3, 2)))],
        [tensor("b", NUMBERS), tensor("table", np.zeros((3, 2, 2)))],
        [{**tensor("b", NUMBERS), "datatype": "BYTES", "data": ["x"] * 6}, tensor("table", TABLES)],
    ):
        assert post(two, {"inputs": inputs}, V2).status_code == 422


def test_tensors_are_described(one, two):
    inputs = one.get("/v2/models/model").get_json()["inputs"]
    assert inputs == [{"name": "input-0", "datatype": "FP64", "shape": [-1, 3, 2, 2]}]
    assert [(each["name"], each["shape"]) for each in
            two.get("/v2/models/model").get_json()["inputs"]] == [
        ("table", [-1, 2, 2]), ("b", [-1, 3]),
    ]  # fmt: skip
    assert one.get("/signature").get_json()["tensors"] == [{"name": "picture", "shape": [3, 2, 2]}]
    for each in (one, two):
        paths = each.get("/openapi.json").get_json()["paths"]
        content = paths["/v2/models/{name}/infer"]["post"]["requestBody"]["content"]
        for example in content["application/json"]["examples"].values():
            assert post(each, example["value"], V2).status_code == 200


def test_example_has_nested_lists(one, two):
    for each in (one, two):
        example = each.get("/").get_json()["example"]
        assert len(predictions(post(each, example, V1))) == 1
    assert np.shape(one.get("/").get_json()["example"]["instances"]) == (1, 3, 2, 2)
    assert set(two.get("/").get_json()["example"]["instances"][0]) == {"table", "b"}


def test_openapi_document_has_each_form(one, two):
    for each, forms in ((one, FORMS), (two, SEVERAL)):
        document = each.get("/openapi.json").get_json()
        for path, body in forms.values():
            operation = document["paths"][path.replace("/model:", "/{name}:").replace(
                "/model/", "/{name}/")]["post"]  # fmt: skip
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            validator = Draft202012Validator({**schema, "components": document["components"]})
            assert validator.is_valid(body), body
            wrong = {"instances": np.zeros((1, 3, 2, 1)).tolist()}
            assert path != V1 or not validator.is_valid(wrong)


def test_many_lists_are_taken(one):
    rows = np.zeros((1500, 3, 2, 2)).tolist()  # of 10 lists each
    assert len(predictions(post(one, {"instances": rows}, V1))) == 1500


def test_an_unknown_size_is_that_of_the_inputs():
    tensors = Tensors([Tensor("x", (-1, 4))])
    assert tensors.flat_rows([[[1, 2, 3, 4]] * 3]) == [[1, 2, 3, 4] * 3]
    assert tensors.sizes(12) == {"x": (3, 4)}
    assert tensors.sizes(0) == {"x": (-1, 4)}


def test_other_models_have_no_tensors():
    rows = [[1, [2]], {"a": [1]}]
    assert Tensors([]).flat_rows(rows) is rows
    assert Tensors([]).lists == 1
