"""The service under the contracts of hosting platforms, queried as their front ends query it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import serving_models
import yaml
from flask_clients import client_for_bundle
from gunicorn_server import Server, serve, worker_pids
from serving_models import render_bundle
from sleeping_model import Sleeping

from modelpack.serving import memory, platforms, problems, settings
from modelpack.serving.errors import StartupError
from modelpack.serving.settings import Limits
from modelpack.types import Field, Signature

ROW, LABEL = [5.1, 3.5, 1.4, 0.2], "setosa"
MIB = 2**20
TOKEN = "c8f1d0b7a9e24635c8f1d0b7a9e24635"
DEPLOYED = "/v1/endpoints/4711/deployedModels/42"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return render_bundle(serving_models.iris(), tmp_path_factory.mktemp("iris")).directory


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


@contextmanager
def on_all_addresses(bundle: Path, variable: str, **environ: str):
    """Run the service as its image does, on the port that a platform sets."""
    port = free_port()
    environ = {"PORT": "1", variable: str(port), **environ}
    with serve(Path(bundle), preload=True, GUNICORN_CMD_ARGS="", **environ) as server:
        assert server.port == port
        yield server


def query(server: Server, method: str, path: str, body=None, host="127.0.0.1", **headers):
    connection = http.client.HTTPConnection(host, server.port, timeout=20)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def vertex(server: Server, path: str, document, **headers: str):
    headers = {"Content-Type": "application/json", **headers}
    response, content = query(server, "POST", path, json.dumps(document), **headers)
    return response.status, json.loads(content)


@pytest.mark.parametrize("own_paths", [False, True])
def test_vertex_requests_its_port_and_its_routes(bundle, own_paths):
    predict, health = ("/predict", "/healthz") if own_paths else (f"{DEPLOYED}:predict", DEPLOYED)
    environ = {"AIP_PREDICT_ROUTE": predict, "AIP_HEALTH_ROUTE": health}
    with on_all_addresses(bundle, "AIP_HTTP_PORT", MODELPACK_TOKEN=TOKEN, **environ) as server:
        assert query(server, "GET", health)[0].status == 200  # probes have no token
        headers = {"Authorization": f"Bearer {TOKEN}"}
        rows = {"instances": [ROW, ROW]}
        for parameters in ({}, None, {"predict_method": "predict"}):
            document = {**rows, "parameters": parameters}
            answered = vertex(server, predict, document, **headers)
            assert answered == (200, {"predictions": [LABEL, LABEL]})
        methods = {**rows, "parameters": {"predict_method": "predict_proba"}}
        status, answer = vertex(server, predict, methods, **headers)
        assert (status, len(answer["predictions"][0])) == (200, 3)
        named = {"instances": [dict(zip(("x0", "x1", "x2", "x3"), ROW, strict=True))]}
        assert vertex(server, predict, named, **headers) == (200, {"predictions": [LABEL]})
        for wrong in ({**rows, "parameters": {"x": 1}}, {**rows, "more": 1}, {"inputs": [ROW]}):
            assert vertex(server, predict, wrong, **headers)[0] == 422
        assert vertex(server, predict, rows)[0] == 401
        raw = {"Content-Type": "text/csv; header=absent", "Accept": "text/csv", **headers}
        csv = query(server, "POST", predict, "5.1,3.5,1.4,0.2\n", **raw)[1]  # rawPredict
        assert csv == b"setosa\n"
        paths = json.loads(query(server, "GET", "/openapi.json", **headers)[1])["paths"]
        assert "parameters" in json.dumps(paths[predict]["post"]["requestBody"])
        assert "every request goes through Flask" not in server.log_path.read_text()


@pytest.mark.parametrize("path", ["predict", "//predict", "/a<b>", "/a b", "/" + "a" * 2000])
def test_a_route_of_vertex_that_is_no_path_is_a_startup_error(path):
    assert platforms.vertex_route({"AIP_PREDICT_ROUTE": ""}, "AIP_PREDICT_ROUTE") is None
    with pytest.raises(StartupError, match="AIP_PREDICT_ROUTE is"):
        platforms.vertex_route({"AIP_PREDICT_ROUTE": path}, "AIP_PREDICT_ROUTE")


def test_sagemaker_transforms_payloads_by_size_and_returns_custom_attributes(bundle):
    """One payload of batch transform is larger than the limits of other clients."""
    variables = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "20",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
    }
    line = b"5.1,3.5,1.4,0.2\n"
    payload = line * (17 * MIB // len(line))
    assert len(payload) > Limits.body_bytes
    csv = {"Content-Type": "text/csv", "Accept": "text/csv"}
    attributes = "X-Amzn-SageMaker-Custom-Attributes"
    with on_all_addresses(bundle, "SAGEMAKER_BIND_TO_PORT", **variables) as server:
        assert query(server, "GET", "/ping")[0].status == 200
        response, content = query(server, "GET", "/execution-parameters")
        expected = {"MaxConcurrentTransforms": 5, "BatchStrategy": "MULTI_RECORD"}
        assert json.loads(content) == {**expected, "MaxPayloadInMB": 20}
        response, content = query(server, "POST", "/invocations", payload, **csv)
        assert (response.status, content.count(b"setosa\n")) == (200, payload.count(b"\n"))
        for value, returned in (
            ("trace-7", "trace-7"),
            ("a=1\tb=2", None),
            ("a=1; b=2", "a=1; b=2"),
            ("x" * 1025, None),
        ):
            response, _ = query(server, "POST", "/invocations", line, **csv, **{attributes: value})
            assert (response.status, response.getheader(attributes)) == (200, returned)
        bad = {**csv, attributes: "trace-8"}
        assert query(server, "POST", "/invocations", "1,2\n", **bad)[0].status == 422
        time.sleep(0.1)
        ids = {line.get("id"): line["status"] for line in server.lines if "status" in line}
        assert (ids["trace-7"], ids["trace-8"]) == (200, 422)


def test_limits_of_a_batch_transform():
    batch = {"SAGEMAKER_BATCH": "true"}
    assert platforms.limits({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "20"}) == Limits()
    limits = platforms.limits({**batch, "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"})
    assert (limits.body_bytes, limits.rows) == (Limits.body_bytes, 6 * MIB)
    assert limits.predict_seconds == 600
    single = platforms.limits({**batch, "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD"})
    assert single.rows == Limits.rows
    many = {**batch, "SAGEMAKER_MAX_PAYLOAD_IN_MB": "90", "MODELPACK_MAX_ROWS": "7"}
    many["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = "500"
    limits = platforms.limits(many)
    assert (limits.rows, limits.queue, limits.connections) == (7, 500, 516)
    assert memory.fitted(limits, many, 0).body_bytes == 90 * MIB
    with pytest.raises(StartupError, match="SAGEMAKER_MAX_PAYLOAD_IN_MB is 'x'"):
        platforms.limits({**batch, "SAGEMAKER_MAX_PAYLOAD_IN_MB": "x"})


def test_an_endpoint_answers_before_sagemaker_gives_up():
    """A request waits in the queue, then for the prediction; SageMaker waits for 60 s."""
    assert 2 * Limits().predict_seconds <= 60


def test_azure_requests_the_routes_of_its_environment(bundle):
    """The routes are those of the example in the documentation."""
    page = (Path(__file__).parents[2] / "docs" / "deploy" / "azure.md").read_text()
    (text,) = re.findall("```yaml\n(.*?)```", page, re.S)
    document = yaml.safe_load(text)
    routes = document["environment"]["inference_config"]
    assert {route["port"] for route in routes.values()} == {8080}
    (body,) = re.findall(r"`(\{\"instances\": .*?\})`", page)
    assert list(json.loads(body)) == ["instances"]
    with on_all_addresses(bundle, "PORT") as server:
        for probe in ("liveness_route", "readiness_route"):
            headers = {"User-Agent": "kube-probe/1.30"}
            assert query(server, "GET", routes[probe]["path"], **headers)[0].status == 200
        # The front end passes the key of the endpoint, and ids of its own.
        headers = {
            "Authorization": "Bearer KEY-OF-THE-ENDPOINT",
            "Content-Type": "application/json",
            "azureml-model-deployment": document["name"],
            "x-ms-client-request-id": "5f9c2b1e",
            "x-ms-request-id": "0d5d6f7e-7a0e-4d8b-9a39-0b8a2f8e4a11",
            "x-request-id": "0d5d6f7e-7a0e-4d8b-9a39-0b8a2f8e4a11",
        }
        path = routes["scoring_route"]["path"]
        rows = json.dumps({"instances": [ROW, ROW]})
        response, content = query(server, "POST", path, rows, **headers)
        assert (response.status, json.loads(content)) == (200, {"predictions": [LABEL, LABEL]})
        assert response.getheader("X-Request-Id") == headers["x-request-id"]
        assert query(server, "POST", path, "{}", **headers)[0].status == 422
        tensors = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 4], "data": ROW}]}
        infer = "/v2/models/model/infer"
        response, content = query(server, "POST", infer, json.dumps(tensors), **headers)
        assert json.loads(content)["outputs"][0]["data"] == [LABEL]


def test_cloud_run_stops_the_service_before_it_is_killed(tmp_path):
    inputs = (Field("x0", "number", example=0.0),)
    trained = serving_models.Trained(Sleeping(), Signature(inputs, ()), "regressor")
    bundle = render_bundle(trained, tmp_path, "pickle").directory
    with (
        serve(Path(bundle), preload=True, K_SERVICE="churn") as server,
        ThreadPoolExecutor() as pool,
    ):
        pending = pool.submit(server.request, "POST", "/predict", [[20.0]])
        time.sleep(0.5)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 9.5
        assert pending.result()[0].status == 503
    assert platforms.drain_seconds({}) == 30


def test_lambda_thaws_the_service_after_a_freeze(bundle):
    """The adapter checks /readyz, keeps its connection, and finds the same worker afterwards."""
    environ = {"AWS_LAMBDA_FUNCTION_NAME": "churn", "MODELPACK_PREDICT_SECONDS": "1"}
    with on_all_addresses(bundle, "PORT", **environ, WEB_CONCURRENCY="1") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

        def status(method: str, path: str, body: str | None = None) -> int:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            assert connection.sock is not None, "the service closed the connection"
            return response.status

        assert 200 <= status("GET", "/readyz") < 400
        (worker,) = worker_pids(server)
        frozen = (server.process.pid, worker)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(6)  # longer than time-outs of workers and of idle connections
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        assert status("POST", "/predict", json.dumps([ROW])) == 200
        time.sleep(1.5)
        assert status("POST", "/predict", json.dumps([ROW])) == 200
        assert worker_pids(server) == [worker]
        connection.close()
    assert platforms.limits({"AWS_LAMBDA_FUNCTION_NAME": "x"}).idle_seconds == 86_400
    assert platforms.worker_count({"AWS_LAMBDA_FUNCTION_NAME": "x"}) == 1
    assert platforms.worker_count({"AWS_LAMBDA_FUNCTION_NAME": "x", "WEB_CONCURRENCY": "3"}) == 3


def test_clients_of_both_internet_protocols_are_served(bundle):
    assert settings.bind({"PORT": "80"}) == "[::]:80"
    with on_all_addresses(bundle, "PORT") as server:
        for host in ("127.0.0.1", "::1"):
            response, _ = query(server, "GET", "/readyz", host=host)
            assert response.status == 200


def test_without_ipv6_the_service_listens_on_ipv4(monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(settings.socket, "socket", refuse)
    assert settings.bind({"PORT": "80"}) == "0.0.0.0:80"


def test_addresses_of_ipv4_clients_stay_addresses_of_ipv4(tmp_path):
    bundle = Path(render_bundle(serving_models.iris(), tmp_path).directory)
    with (bundle / "app.py").open("a") as code:
        code.write("\nfrom flask import request\n\n\n@app.get('/who')\ndef who():\n")
        code.write("    return [request.remote_addr, request.scheme]\n")
    with on_all_addresses(bundle, "PORT") as server:
        proxied = {"X-Forwarded-Proto": "https"}
        assert json.loads(query(server, "GET", "/who", **proxied)[1]) == ["127.0.0.1", "https"]
        assert json.loads(query(server, "GET", "/who", host="::1")[1]) == ["::1", "http"]


def test_spaces_may_frame_the_page_if_a_variable_allows_it(bundle, monkeypatch):
    html = {"Accept": "text/html"}
    page = client_for_bundle(bundle).get("/", headers=html)
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"
    ancestors = "https://huggingface.co https://*.example.com:8443"
    monkeypatch.setenv(problems.FRAME_ANCESTORS, ancestors)
    client = client_for_bundle(bundle)
    for response in (client.get("/", headers=html), client.post("/predict", json=[ROW])):
        policy = response.headers["Content-Security-Policy"]
        assert re.search("frame-ancestors ([^;]*)", policy)[1] == ancestors
        assert "default-src 'none'" in policy
        assert "X-Frame-Options" not in response.headers
    for wrong in ("*", "https:", "https://a.com;script-src *", "'unsafe-inline'", "a.com\r\nX: 1"):
        monkeypatch.setenv(problems.FRAME_ANCESTORS, wrong)
        with pytest.raises(StartupError, match="not an origin"):
            problems.security_headers()
