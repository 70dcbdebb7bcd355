"""NVIDIA's tritonclient over gRPC, and messages of our own, against a bundle under gunicorn."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import click
import grpc
import joblib
import numpy as np
import onnx_models as onnx
import pytest
import serving_models
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc
from gunicorn_server import Server, serve
from serving_models import BASE, ENVIRONMENT, Trained, build_spec, people, render_bundle
from sleeping_model import Sleeping
from tritonclient.utils import InferenceServerException

from modelpack.bundle.render import render
from modelpack.cli.options import RPC, build_options
from modelpack.inspection import inspect
from modelpack.serving import settings
from modelpack.serving.errors import StartupError
from modelpack.serving.problems import Problem
from modelpack.serving.rpc import client, health
from modelpack.serving.rpc.messages import CLASSES
from modelpack.smoke.probe import CheckFailedError, Probe
from modelpack.smoke.routes.grpc import ROUTES
from modelpack.types import Field, Signature

ROWS = np.array([[5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0], [0.1 + 0.2, 1 / 3, 1e-9, 7.0]])
WITH_GRPC = replace(
    ENVIRONMENT,
    requirements={**ENVIRONMENT.requirements, "grpcio": "1.85.3"},
    origins={**ENVIRONMENT.origins, "grpcio": "user"},
)
OUTPUTS = ("predict", "predict_proba", "predict_log_proba", "decision_function")
TOKEN = "c8f1d0b7a9e24635c8f1d0b7a9e24635"
SERVICE, HEALTH = "inference.GRPCInferenceService", "grpc.health.v1.Health"
STATUS = health_pb2.HealthCheckResponse


class Served:
    """A model with the addresses of its service."""

    def __init__(self, trained: Trained | None, server, port: int) -> None:
        self.trained, self.server, self.port = trained, server, port
        self.address = f"127.0.0.1:{port}"
        self.client = triton.InferenceServerClient(self.address)
        self.channel = grpc.insecure_channel(self.address)

    def call(self, method: str, answer: str, request, service: str = SERVICE, **options):
        call = self.channel.unary_unary(f"/{service}/{method}")
        data = request if isinstance(request, bytes) else request.SerializeToString()
        return CLASSES[answer].FromString(call(data, timeout=20, **options))

    def infer(self, *tensors, outputs=(), **options):
        request = CLASSES["InferRequest"](model_name="model", inputs=tensors)
        for name in outputs:
            request.outputs.add(name=name)
        return self.call("ModelInfer", "InferResponse", request, **options)


def render_with_grpc(trained: Trained, folder: Path) -> Path:
    joblib.dump(trained.model, folder / "saved")
    spec = build_spec(folder / "saved", trained)
    return render(spec, WITH_GRPC, BASE, folder / "bundle").directory


@contextmanager
def served(trained: Trained, folder: Path, **environ: str):
    with served_bundle(render_with_grpc(trained, folder), trained, **environ) as running:
        yield running


@contextmanager
def served_bundle(bundle: Path, trained: Trained | None = None, **environ: str):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    variables = {"MODELPACK_GRPC_PORT": str(port), **environ}
    with serve(bundle, preload=True, **variables) as server:
        running = Served(trained, server, port)
        grpc.channel_ready_future(running.channel).result(timeout=20)
        yield running
        running.client.close()
        running.channel.close()


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    variables = {"MODELPACK_MAX_BODY_BYTES": "100000"}
    with served(serving_models.iris(), tmp_path_factory.mktemp("iris"), **variables) as running:
        yield running


def tensor(name: str, values: np.ndarray, datatype: str):
    triton_input = triton.InferInput(name, list(values.shape), datatype)
    triton_input.set_data_from_numpy(values)
    return triton_input


def typed(name: str, datatype: str, shape, **contents):
    contents = CLASSES["Contents"](**contents)
    return CLASSES["Tensor"](name=name, datatype=datatype, shape=shape, contents=contents)


def status_code(call, *arguments, **options) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    return caught.value.code()


def test_metadata_of_server_and_model_is_read(iris):
    assert iris.client.is_server_live()
    assert iris.client.is_server_ready()
    assert iris.client.is_model_ready("model", "1")
    with pytest.raises(InferenceServerException, match="Unknown version"):
        iris.client.is_model_ready("model", "2")
    assert "classification" in iris.client.get_server_metadata().extensions
    metadata = iris.client.get_model_metadata("model", as_json=True)
    assert (metadata["name"], metadata["versions"]) == ("model", ["1"])
    assert metadata["inputs"] == [{"name": "input-0", "datatype": "FP64", "shape": ["-1", "4"]}]
    assert [each["name"] for each in metadata["outputs"]] == list(OUTPUTS)


def test_every_output_is_the_models_own_bit_for_bit(iris):
    outputs = [triton.InferRequestedOutput(name) for name in OUTPUTS]
    result = iris.client.infer(
        "model", [tensor("x", ROWS, "FP64")], outputs=outputs, request_id="42"
    )
    assert result.get_response().id == "42"
    model = iris.trained.model
    labels = [label.decode() for label in result.as_numpy("predict")]
    assert labels == model.predict(ROWS).tolist()
    for name in OUTPUTS[1:]:
        expected = getattr(model, name)(ROWS)
        np.testing.assert_array_equal(result.as_numpy(name), expected, strict=True)
    contents = typed("x", "FP64", ROWS.shape, fp64_contents=ROWS.ravel())
    answer = iris.infer(contents, outputs=OUTPUTS[:2])
    assert [b.decode() for b in answer.outputs[0].contents.bytes_contents] == labels
    expected = model.predict_proba(ROWS).ravel().tolist()
    assert list(answer.outputs[1].contents.fp64_contents) == expected
    assert not answer.raw_output_contents


def test_columns_of_several_types_by_name(tmp_path):
    frame = people().iloc[[0, 1, 3]]
    with served(serving_models.mixed(), tmp_path, WEB_CONCURRENCY="1") as mixed:
        city = [(name or "").encode() for name in frame["city"]]
        tensors = [
            typed("city", "BYTES", [3], bytes_contents=city),
            typed("member", "BOOL", [3, 1], bool_contents=frame["member"]),
            typed("visits", "INT8", [3], int_contents=frame["visits"]),
            typed("age", "FP64", [3], fp64_contents=frame["age"]),
        ]
        answer = mixed.infer(*tensors, outputs=["predict", "predict_proba"])
        expected = mixed.trained.model.predict_proba(frame).ravel().tolist()
        assert list(answer.outputs[1].contents.fp64_contents) == expected
        predicted = mixed.trained.model.predict(frame).tolist()
        assert list(answer.outputs[0].contents.int64_contents) == predicted
        tensors[2] = typed("visits", "INT8", [3], int_contents=[1, 2, 300])
        with pytest.raises(grpc.RpcError, match="expected an integer from -128 to 127, got 300"):
            mixed.infer(*tensors)
        extra = typed("note", "BYTES", [3], bytes_contents=[b"a"] * 3)
        tensors[2] = typed("visits", "UINT16", [3], uint_contents=frame["visits"])
        call = mixed.channel.unary_unary(f"/{SERVICE}/ModelInfer")
        request = CLASSES["InferRequest"](model_name="model", inputs=[*tensors, extra])
        _, facts = call.with_call(request.SerializeToString(), timeout=20)
        assert dict(facts.trailing_metadata())["modelpack-ignored-inputs"] == '"note"'


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ([typed("x", "FP64", [1, 3], fp64_contents=[1, 2, 3])], r"the shape \[n, 4\]"),
        ([typed("x", "FP64", [1, 4], fp32_contents=[1, 2, 3, 4])], "expected fp64_contents"),
        ([typed("x", "FP64", [1, 4], fp64_contents=[1, 2, 3])], "Expected 32 bytes"),
        ([typed("x", "FP64", [2**62, 4], fp64_contents=[1])], "Expected"),
        ([typed("x", "FP64", [-1, 4], fp64_contents=[1])], "expected sizes"),
        ([typed("x", "FP16", [1, 4])], "raw_input_contents"),
        ([typed("x", "FP99", [1, 4])], "as datatype"),
        ([typed("x", "FP64", [1, 4], fp64_contents=[1, 2, 3, float("nan")])], "got NaN"),
        ([typed("x", "BYTES", [1, 4], bytes_contents=[b"\xff"] * 4)], "UTF-8"),
        ([], "no inputs"),
    ],
)
def test_tensors_that_do_not_fit_are_invalid_arguments(iris, tensors, message):
    with pytest.raises(grpc.RpcError, match=message) as caught:
        iris.infer(*tensors)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_malformed_and_oversized_messages_are_rejected(iris):
    answer = ("ModelInfer", "InferResponse")
    for malformed in (b"\xff\xff", b"\x0a\xff\x01", b"\x0a\x02\xff\xfe"):
        assert status_code(iris.call, *answer, malformed) is grpc.StatusCode.INVALID_ARGUMENT
    large = CLASSES["InferRequest"](model_name="model", raw_input_contents=[bytes(100_001)])
    bomb = {"compression": grpc.Compression.Gzip}
    for options in ({}, bomb):
        code = status_code(iris.call, *answer, large, **options)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    small = typed("x", "FP64", ROWS.shape, fp64_contents=ROWS.ravel())
    assert iris.infer(small, **bomb).outputs[0].shape == [3]
    other = CLASSES["InferRequest"](model_name="../healthz")
    assert status_code(iris.call, *answer, other) is grpc.StatusCode.NOT_FOUND
    unknown = ("ModelStatistics", "Empty", CLASSES["Empty"]())
    assert status_code(iris.call, *unknown) is grpc.StatusCode.UNIMPLEMENTED


def test_health_protocol(iris):
    check = ("Check", "HealthResponse")
    for service in ("", SERVICE):
        request = CLASSES["HealthRequest"](service=service)
        assert iris.call(*check, request, service=HEALTH).status == 1
    request = CLASSES["HealthRequest"](service="other")
    assert status_code(iris.call, *check, request, service=HEALTH) is grpc.StatusCode.NOT_FOUND


def test_health_is_watched_until_the_service_stops(tmp_path):
    """More clients watch than there are threads for calls, and calls are answered."""
    with served(serving_models.iris(), tmp_path, WEB_CONCURRENCY="1") as iris:
        stub = health_pb2_grpc.HealthStub(iris.channel)
        request = health_pb2.HealthCheckRequest
        watches = [stub.Watch(request(service=name)) for name in ("", SERVICE, HEALTH) * 10]
        assert {next(watch).status for watch in watches} == {STATUS.SERVING}
        unknown = stub.Watch(request(service="other"))
        assert next(unknown).status == STATUS.SERVICE_UNKNOWN
        watches.pop().cancel()
        assert stub.Check(request(), timeout=10).status == STATUS.SERVING
        assert iris.client.is_server_live()
        iris.server.process.send_signal(signal.SIGTERM)
        for watch in watches:
            assert [each.status for each in watch] == [STATUS.NOT_SERVING]
            assert watch.code() is grpc.StatusCode.OK
        assert not list(unknown)
        assert iris.server.process.wait(10) == 0


def test_each_change_of_the_health_is_sent_once(monkeypatch):
    replies = iter([200, 200, 503, None, 200])
    sent: list[int | None] = []

    def request(*_, seconds: float) -> SimpleNamespace:
        status = next(replies, 200)
        if status is None:
            raise Problem(503, "The service did not answer.")
        return SimpleNamespace(status=status)

    def send(data: bytes | None) -> None:
        sent.append(CLASSES["HealthResponse"].FromString(data).status if data else None)

    monkeypatch.setattr(health, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(health, "MAX_WATCHERS", 1)
    watchers = health.Watchers(SimpleNamespace(request=request), 1.0)
    ended: list = []
    context = SimpleNamespace(add_callback=lambda call: ended.append(call) or True)
    watchers.add(health.Watcher(send, known=True), context)
    with pytest.raises(Problem, match="More than 1 clients"):
        watchers.add(health.Watcher(send, known=True), context)
    deadline = time.monotonic() + 20
    while len(sent) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sent == [STATUS.SERVING, STATUS.NOT_SERVING, STATUS.SERVING]
    ended[0]()
    watchers.add(health.Watcher(send, known=False), context)
    watchers.close()
    assert sent[3:] == [STATUS.SERVICE_UNKNOWN, None]
    with pytest.raises(Problem, match="stopping"):
        watchers.add(health.Watcher(send, known=True), context)


def test_calls_are_logged_and_counted_like_requests(iris):
    call = iris.channel.unary_unary(f"/{SERVICE}/ModelInfer")
    contents = typed("x", "FP64", ROWS.shape, fp64_contents=ROWS.ravel())
    request = CLASSES["InferRequest"](model_name="model", inputs=[contents])
    _, facts = call.with_call(
        request.SerializeToString(), metadata=[("x-request-id", "over-grpc")], timeout=20
    )
    assert dict(facts.trailing_metadata())["x-request-id"] == "over-grpc"
    time.sleep(0.2)
    (line,) = [line for line in iris.server.lines if line.get("id") == "over-grpc"]
    assert (line["route"], line["status"], line["rows"]) == ("/v2/models/<name>/infer", 200, 3)
    metrics = iris.server.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b'modelpack_requests_total{method="POST",route="/v2/models/<name>/infer"' in metrics


def test_many_clients_of_both_protocols_get_their_own_answers(iris):
    rng = np.random.default_rng(0)
    rows = rng.uniform(0, 8, (80, 4))
    expected = [iris.trained.model.predict_proba([row])[0] for row in rows]

    def query(index: int) -> list[float]:
        row = rows[index].tolist()
        if index % 4 == 0:
            _, answer = iris.server.request("POST", "/predict?probabilities=true", [row])
            return list(answer["probabilities"][0].values())
        contents = typed("x", "FP64", [1, 4], fp64_contents=row)
        return list(
            iris.infer(contents, outputs=["predict_proba"]).outputs[0].contents.fp64_contents
        )

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(query, range(len(rows))))
    np.testing.assert_array_equal(answers, expected)


def test_the_client_of_the_smoke_test_returns_the_prediction_of_the_estimator(iris, tmp_path):
    def run_python(*arguments: str) -> bytes:
        command = [sys.executable, "-S", *arguments]
        environ = {**iris.server.environ, "GUNICORN_CMD_ARGS": ""}
        folder = iris.server.log_path.parent / "bundle"
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.run(command, cwd=folder, env=environ, check=False, **both).stdout

    url = f"http://127.0.0.1:{iris.server.port}"
    running = SimpleNamespace(url=url, engine="docker", run_python=run_python)
    joblib.dump(iris.trained.model, tmp_path / "saved")
    probe = Probe(running, build_spec(tmp_path / "saved", iris.trained))
    (route,) = ROUTES
    assert route.is_offered(probe)
    answers = route.query(probe, ROWS.tolist())
    assert list(answers.predictions) == iris.trained.model.predict(ROWS).tolist()
    assert list(answers.probabilities) == iris.trained.model.predict_proba(ROWS).tolist()
    with pytest.raises(CheckFailedError, match="INVALID_ARGUMENT: Row 0, column"):
        route.query(probe, [[1.0, 2.0, 3.0, None]])
    probe.close()


def test_tensors_of_several_dimensions_are_taken_and_returned(tmp_path):
    path = tmp_path / "model.onnx"
    shape = [None, 3, 2, 2]
    ends = [onnx.tensor(name, onnx.FLOAT, shape) for name in ("picture", "y")]
    node = onnx.node("Relu", ["picture"], ["y"])
    path.write_bytes(onnx.model([node], ends[:1], ends[1:]))
    values = np.arange(24.0).reshape(2, 3, 2, 2) - 8
    bundle = render(inspect(path), WITH_GRPC, BASE, tmp_path / "bundle").directory
    with served_bundle(bundle) as running:
        result = running.client.infer("model", [tensor("picture", values, "FP64")])
        np.testing.assert_array_equal(result.as_numpy("predict"), np.maximum(values, 0))
        sent = {"name": "x", "datatype": "FP64", "shape": [2, 12], "data": values.ravel().tolist()}
        document = {"inputs": [sent], "outputs": [{"name": "predict"}]}
        answer = client.infer(running.address, "model", document)["predict"]
        assert answer == np.maximum(values, 0).tolist()


def test_the_token_is_required_in_metadata(tmp_path):
    variables = {"MODELPACK_TOKEN": TOKEN, "WEB_CONCURRENCY": "1"}
    with served(serving_models.iris(), tmp_path, **variables) as iris:
        contents = typed("x", "FP64", ROWS.shape, fp64_contents=ROWS.ravel())
        for metadata in ([], [("authorization", "Bearer wrong")]):
            code = status_code(iris.infer, contents, metadata=metadata)
            assert code is grpc.StatusCode.UNAUTHENTICATED
        bearer = [("authorization", f"Bearer {TOKEN}")]
        assert iris.infer(contents, metadata=bearer).outputs[0].shape == [3]
        assert (
            status_code(iris.infer, contents, metadata=bearer * 2)
            is grpc.StatusCode.INVALID_ARGUMENT
        )
        empty = CLASSES["Empty"]()
        assert iris.call("ServerReady", "Ready", empty).ready
        assert status_code(iris.call, "ServerMetadata", "ServerMetadata", empty) is (
            grpc.StatusCode.UNAUTHENTICATED
        )


def test_calls_are_finished_after_sigterm_and_late_ones_rejected(tmp_path):
    inputs = (Field("x0", "number", example=0.0),)
    trained = Trained(Sleeping(), Signature(inputs, ()), "regressor")
    with served(trained, tmp_path, WEB_CONCURRENCY="1") as sleeping, ThreadPoolExecutor() as pool:
        contents = typed("x", "FP64", [1, 1], fp64_contents=[1.5])
        pending = pool.submit(sleeping.infer, contents)
        time.sleep(0.5)
        sleeping.server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        late = grpc.insecure_channel(
            sleeping.address, options=[("grpc.use_local_subchannel_pool", 1)]
        )
        call = late.unary_unary(f"/{SERVICE}/ServerLive")
        assert status_code(call, b"", timeout=5) is grpc.StatusCode.UNAVAILABLE
        assert pending.result().outputs[0].shape == [1]
        late.close()
        assert sleeping.server.process.wait(10) == 0


def test_a_port_needs_an_image_with_grpc(tmp_path):
    bundle = render_bundle(serving_models.iris(), tmp_path).directory
    assert not (Path(bundle) / "modelpack" / "serving" / "rpc").exists()
    assert "8081" not in (Path(bundle) / "Dockerfile").read_text()
    with_grpc = tmp_path / "with"
    with_grpc.mkdir()
    text = (render_with_grpc(serving_models.iris(), with_grpc) / "Dockerfile").read_text()
    assert "\nENV MODELPACK_GRPC_PORT=8081\nEXPOSE 8081\n" in text
    server = Server(bundle, MODELPACK_GRPC_PORT="8081")
    assert server.process.wait(30) == 1
    assert server.log_path.read_text().endswith("Package the model with --grpc.\n")
    for port in ("x", "70000", "8080"):
        with pytest.raises(StartupError, match="MODELPACK_GRPC_PORT"):
            settings.grpc_port({"MODELPACK_GRPC_PORT": port})
    assert settings.grpc_port({}) is None


def test_the_option_requires_grpcio_with_a_bound():
    """The bound makes the user the origin, and not a library such as TensorFlow."""
    with click.Context(click.Command("package")):
        options = build_options(grpc=True, requirements=("six",))
    assert options.requirements == ("six", *RPC)
    assert not ENVIRONMENT.grpc
    assert not replace(WITH_GRPC, origins={"grpcio": "resolver"}).grpc
    assert WITH_GRPC.grpc


def test_a_taken_port_is_reported(tmp_path):
    bundle = render_with_grpc(serving_models.iris(), tmp_path)
    with socket.create_server(("", 0)) as taken:
        port = str(taken.getsockname()[1])
        server = Server(bundle, MODELPACK_GRPC_PORT=port, MODELPACK_MAX_CRASHES="1")
        assert server.process.wait(30) == 1
    assert re.search(f"gRPC cannot listen on .*:{port}", server.log_path.read_text())
