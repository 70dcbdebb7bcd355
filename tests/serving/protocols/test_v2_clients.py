"""NVIDIA's tritonclient and curl against a bundle under gunicorn.

By V1 and V2 they get the predictions of the model itself, to the last bit.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

import numpy as np
import pytest
import serving_models
import tritonclient.http as triton
from gunicorn_server import serve
from serving_models import Trained, build_spec, people, render_bundle
from tritonclient.utils import InferenceServerException

from modelpack.smoke.probe import Probe
from modelpack.smoke.routes import predict, v2

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0], [0.1 + 0.2, 1 / 3, 1e-9, 7.0]])


@dataclass
class Served:
    """A model, the address of its service, and a client of it."""

    trained: Trained
    spec: object
    address: str
    client: triton.InferenceServerClient
    log: object


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    yield from served(serving_models.iris(), tmp_path_factory.mktemp("iris"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    names = {"MODELPACK_MODEL_NAME": "house prices", "MODELPACK_MODEL_VERSION": "7"}
    yield from served(serving_models.mixed(), tmp_path_factory.mktemp("mixed"), **names)


def served(trained: Trained, folder, **environ: str):
    bundle = render_bundle(trained, folder)
    with serve(bundle.directory, preload=True, **environ) as server:
        address = f"127.0.0.1:{server.port}"
        client = triton.InferenceServerClient(address)
        yield Served(trained, build_spec(folder / "saved", trained), address, client, server)
        client.close()


def tensor(name: str, values: np.ndarray, datatype: str, binary: bool = True):
    triton_input = triton.InferInput(name, list(values.shape), datatype)
    triton_input.set_data_from_numpy(values, binary_data=binary)
    return triton_input


def requested_outputs(*names: str, binary: bool = True):
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


def test_metadata_of_server_and_model_is_read(iris):
    assert iris.client.is_server_live()
    assert iris.client.is_server_ready()
    assert iris.client.is_model_ready("model")
    assert iris.client.is_model_ready("model", "1")
    assert not iris.client.is_model_ready("model", "2")
    assert not iris.client.is_model_ready("another")
    assert "binary_tensor_data" in iris.client.get_server_metadata()["extensions"]
    (indexed,) = iris.client.get_model_repository_index()
    assert indexed == {"name": "model", "version": "1", "state": "READY", "reason": ""}
    assert iris.client.get_model_metadata("model") == {
        "name": "model",
        "versions": ["1"],
        "platform": "scikit-learn_joblib",
        "inputs": [{"name": "input-0", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [
            {"name": "predict", "datatype": "BYTES", "shape": [-1]},
            {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]},
            {"name": "predict_log_proba", "datatype": "FP64", "shape": [-1, 3]},
            {"name": "decision_function", "datatype": "FP64", "shape": [-1, 3]},
        ],
    }


@pytest.mark.parametrize("into", [True, False], ids=["binary in", "json in"])
@pytest.mark.parametrize("out", [True, False], ids=["binary out", "json out"])
def test_every_output_is_the_models_own_bit_for_bit(iris, into, out):
    names = ("predict", "predict_proba", "predict_log_proba", "decision_function")
    tensors = [tensor("input-0", ROWS, "FP64", into)]
    result = iris.client.infer(
        "model", tensors, outputs=requested_outputs(*names, binary=out), request_id="42"
    )
    assert result.get_response()["id"] == "42"
    labels = result.as_numpy("predict").tolist()
    expected = iris.trained.model.predict(ROWS).tolist()
    assert [label.decode() if out else label for label in labels] == expected
    for name in names[1:]:
        expected = getattr(iris.trained.model, name)(ROWS)
        np.testing.assert_array_equal(result.as_numpy(name), expected, strict=True)


def test_without_outputs_the_prediction_comes_as_binary(iris):
    result = iris.client.infer("model", [tensor("any name", ROWS, "FP64")], model_version="1")
    (output,) = result.get_response()["outputs"]
    assert (output["name"], output["shape"]) == ("predict", [3])
    assert output["parameters"]["binary_data_size"] > 0
    expected = [label.encode() for label in iris.trained.model.predict(ROWS)]
    assert result.as_numpy("predict").tolist() == expected


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_requests_may_be_compressed(iris, algorithm, binary):
    tensors = [tensor("x", ROWS, "FP64", binary)]
    plain, packed = (
        iris.client.infer(
            "model",
            tensors,
            outputs=requested_outputs("predict_proba"),
            request_compression_algorithm=each,
        ).as_numpy("predict_proba")
        for each in (None, algorithm)
    )
    np.testing.assert_array_equal(packed, plain)


@pytest.mark.parametrize(
    ("datatype", "dtype"),
    [("FP16", np.float16), ("FP32", np.float32), ("FP64", np.float64), ("UINT8", np.uint8),
     ("INT8", np.int8), ("UINT16", np.uint16), ("INT16", np.int16), ("UINT32", np.uint32),
     ("INT32", np.int32), ("UINT64", np.uint64), ("INT64", np.int64)],
)  # fmt: skip
@pytest.mark.parametrize("binary", [True, False])
def test_numbers_of_every_datatype(iris, datatype, dtype, binary):
    rows = ROWS.astype(dtype)
    result = iris.client.infer(
        "model", [tensor("x", rows, datatype, binary)], outputs=requested_outputs("predict_proba")
    )
    expected = iris.trained.model.predict_proba(rows.astype(np.float64))
    np.testing.assert_array_equal(result.as_numpy("predict_proba"), expected)


@pytest.mark.parametrize("binary", [True, False])
def test_a_tensor_an_input_in_any_order(mixed, binary):
    frame = people().dropna()
    tensors = [
        tensor("member", frame[["member"]].to_numpy(bool), "BOOL", binary),
        tensor("visits", frame["visits"].to_numpy(np.int32), "INT32", binary),
        tensor("city", frame[["city"]].to_numpy(object), "BYTES", binary),
        tensor("age", frame["age"].to_numpy(np.float64), "FP64", binary),
    ]
    outputs = requested_outputs("predict_proba", "predict", binary=binary)
    result = mixed.client.infer("house prices", tensors, "7", outputs)
    np.testing.assert_array_equal(
        result.as_numpy("predict_proba"), mixed.trained.model.predict_proba(frame)
    )
    np.testing.assert_array_equal(result.as_numpy("predict"), mixed.trained.model.predict(frame))
    assert result.as_numpy("predict").dtype == np.int64


def test_nan_means_missing_where_the_model_takes_it(mixed):
    frame = people()[:3]
    tensors = [
        tensor("age", frame["age"].to_numpy(np.float32), "FP32"),
        tensor("visits", frame["visits"].to_numpy(np.int64), "INT64"),
        tensor("member", frame["member"].to_numpy(bool), "BOOL"),
        tensor("city", np.array(["Rome", "Oslo", "Kiel"], object), "BYTES"),
    ]
    frame = frame.assign(city=["Rome", "Oslo", "Kiel"])
    result = mixed.client.infer("house prices", tensors, outputs=requested_outputs("predict_proba"))
    np.testing.assert_array_equal(
        result.as_numpy("predict_proba"), mixed.trained.model.predict_proba(frame)
    )


def test_classification_extension_of_triton_works(iris):
    outputs = [triton.InferRequestedOutput("predict_proba", class_count=1)]
    result = iris.client.infer("model", [tensor("x", ROWS, "FP64")], outputs=outputs)
    parts = [text.decode().split(":") for (text,) in result.as_numpy("predict_proba")]
    expected = iris.trained.model.predict_proba(ROWS)
    assert [float(value) for value, _, _ in parts] == expected.max(axis=1).tolist()
    assert [label for _, _, label in parts] == iris.trained.model.predict(ROWS).tolist()


def refusal(served: Served, *arguments, model: str = "model", **more) -> InferenceServerException:
    with pytest.raises(InferenceServerException) as caught:
        served.client.infer(model, list(arguments), **more)
    return caught.value


def test_client_raises_the_error_message(iris):
    good = tensor("x", ROWS, "FP64")
    unknown = refusal(iris, good, model="another")
    assert (unknown.status(), unknown.message()) == (
        "404",
        'Unknown model. This service has "model".',
    )
    assert (
        'Unknown version. This service has "1"' in refusal(iris, good, model_version="2").message()
    )
    outputs = refusal(iris, good, outputs=requested_outputs("label"))
    assert "Expected one of the outputs predict, predict_proba" in outputs.message()
    narrow = refusal(iris, tensor("x", ROWS[:, :3].copy(), "FP64"))
    assert narrow.status() == "422"
    assert narrow.message() == 'Column "x": expected the shape [n, 4], got [3, 3].'
    words = refusal(iris, tensor("x", ROWS.astype(str).astype(object), "BYTES"))
    assert 'Row 0, column "x0": expected a finite number, got the string' in words.message()
    holes = refusal(iris, tensor("x", np.full((1, 4), np.nan), "FP64"))
    assert 'Row 0, column "x0": expected a finite number, got NaN.' in holes.message()


@pytest.mark.parametrize("name", ["iris", "mixed"])
def test_the_routes_of_the_parity_check_agree_with_the_model(name, request):
    served = request.getfixturevalue(name)
    rows = ROWS.tolist()
    expected = served.trained.model
    if name == "mixed":
        frame = people().astype(object)
        rows = frame.where(frame.notna(), None).to_numpy().tolist()
        answers = (expected.predict(people()), expected.predict_proba(people()))
    else:
        answers = (expected.predict(rows), expected.predict_proba(rows))
    probe = Probe(AtAddress(f"http://{served.address}"), served.spec)
    routes = [route for route in (*predict.V1_ROUTES, *v2.ROUTES) if route.supports(served.spec)]
    assert len(routes) == (4 if name == "iris" else 2)
    for route in routes:
        got = route.query(probe, rows)
        assert list(got.predictions) == answers[0].tolist()
        assert got.probabilities is None or list(got.probabilities) == answers[1].tolist()
    probe.close()


@dataclass
class AtAddress:
    url: str


def curl(served: Served, path: str, *arguments: str) -> tuple[int, dict]:
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--write-out", "%{http_code}"]
    done = subprocess.run(
        [*command, *arguments, f"http://{served.address}{path}"],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    return int(done.stdout[-3:]), json.loads(done.stdout[:-3])


JSON = ("--header", "Content-Type: application/json", "--data")


def test_curl_by_v1(iris):
    assert curl(iris, "/v1/models") == (200, {"models": ["model"]})
    assert curl(iris, "/v1/models/model") == (200, {"name": "model", "ready": True})
    status, answer = curl(
        iris, "/v1/models/model:predict", *JSON, '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
    )
    assert (status, answer) == (200, {"predictions": ["setosa"]})


def test_curl_by_v2(mixed):
    path = "/v2/models/house%20prices/infer"
    document = (
        '{"inputs": [{"name": "visits", "shape": [1], "datatype": "INT64", "data": [3]},'
        ' {"name": "member", "shape": [1], "datatype": "BOOL", "data": [true]}]}'
    )
    status, answer = curl(mixed, path, *JSON, document)
    assert status == 200
    assert answer["model_name"] == "house prices"
    assert answer["outputs"][0]["datatype"] == "INT64"
