"""The service on AWS Lambda: an emulator of the runtime API sends events, and reads responses."""

from __future__ import annotations

import base64
import json
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import serving_models
from batch_runs import environ
from gunicorn_server import KERNEL
from serving_models import render_bundle
from sleeping_model import Sleeping

from modelpack.serving import aws_lambda
from modelpack.types import Field, Signature

ROW, LABEL = [5.1, 3.5, 1.4, 0.2], "setosa"
MAX_BYTES = 6 * 2**20
FUNCTION_URL = {
    "version": "2.0",
    "routeKey": "$default",
    "rawPath": "/predict",
    "rawQueryString": "probabilities=true",
    "cookies": ["a=1", "b=2"],
    "headers": {
        "content-type": "application/json",
        "content-length": "999",
        "host": "abc.lambda-url.eu-west-1.on.aws",
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-proto": "https",
        "x-request-id": "by-the-client",
    },
    "requestContext": {"stage": "$default", "http": {"method": "POST", "path": "/predict"}},
    "body": json.dumps({"instances": [ROW]}),
    "isBase64Encoded": False,
}
REST = {
    "resource": "/{proxy+}",
    "path": "/predict",
    "httpMethod": "POST",
    "headers": {"Content-Type": "text/csv; header=absent"},
    "multiValueHeaders": {"Content-Type": ["text/csv; header=absent"], "Accept": ["text/csv"]},
    "queryStringParameters": None,
    "requestContext": {"stage": "prod"},
    "body": base64.b64encode(b"5.1,3.5,1.4,0.2\n").decode(),
    "isBase64Encoded": True,
}
BALANCER = {
    "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:x"}},
    "httpMethod": "GET",
    "path": "/v2/models/model",
    "queryStringParameters": {"a%20b": "%2F"},
    "headers": {"accept": "application/json"},
    "body": "",
    "isBase64Encoded": False,
}


class Emulator:
    """Lambda's side of the runtime API: each event waits until the function fetches it."""

    def __init__(self) -> None:
        self.events: queue.Queue = queue.Queue()
        self.answers: queue.Queue = queue.Queue()
        self.seconds = 30.0
        self.max_bytes = MAX_BYTES
        emulator = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                assert self.path == "/2018-06-01/runtime/invocation/next"
                number, data = emulator.events.get()
                deadline = int(1000 * (time.time() + emulator.seconds))
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", number)
                self.send_header("Lambda-Runtime-Deadline-Ms", str(deadline))
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_large = self.path.endswith("/response") and len(body) > emulator.max_bytes
                self.send_response(413 if is_large else 202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                if not is_large:
                    path = self.path.partition("/runtime/")[2]
                    kind = self.headers["Lambda-Runtime-Function-Error-Type"]
                    emulator.answers.put((path, kind, json.loads(body)))

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def invoke(self, event: object) -> tuple[str, str | None, dict]:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        self.events.put(("8476a536", data))
        return self.answers.get(timeout=60)

    def request(self, event: dict, **changes: object) -> dict:
        """Return the response to an event of HTTP."""
        path, kind, answer = self.invoke({**event, **changes})
        assert (path, kind) == ("invocation/8476a536/response", None), answer
        return answer


@contextmanager
def function(bundle: Path, **more: str):
    """Run a function: the entry point of the image, with the variables of Lambda."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
    emulator = Emulator()
    variables = {"AWS_LAMBDA_RUNTIME_API": emulator.address, "AWS_LAMBDA_FUNCTION_NAME": "churn"}
    command = [sys.executable, "-S", "-m", "modelpack.serving", "serve"]
    env = environ(PORT=port, **KERNEL, **variables, **more)
    log = bundle.parent / "lambda.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=bundle, env=env, stderr=stream, stdout=stream)
    try:
        yield emulator, process
    finally:
        process.send_signal(signal.SIGTERM)
        emulator.server.shutdown()
        emulator.server.server_close()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        sys.stdout.write(log.read_text())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return render_bundle(serving_models.iris(), tmp_path_factory.mktemp("iris")).directory


@pytest.fixture(scope="module")
def iris(bundle):
    with function(bundle) as (emulator, _):
        yield emulator


def test_function_url_gets_the_response_of_the_service(iris):
    answer = iris.request(FUNCTION_URL)
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    document = json.loads(answer["body"])
    assert document["predictions"] == [LABEL]
    expected = serving_models.iris().model.predict_proba([ROW])[0].tolist()
    assert list(document["probabilities"][0].values()) == expected, "bit for bit"
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"] == "by-the-client"
    assert not {"content-length", "connection"} & set(headers)
    rejected = iris.request(FUNCTION_URL, body="{}")
    assert rejected["statusCode"] == 422
    page = {"method": "GET", "path": "/prod/healthz"}
    staged = {"requestContext": {"stage": "prod", "http": page}, "rawPath": "/prod/healthz"}
    assert iris.request(FUNCTION_URL, body=None, **staged)["statusCode"] == 200


def test_rest_apis_and_load_balancers_are_served(iris):
    answer = iris.request(REST)
    assert (answer["statusCode"], answer["body"]) == (200, f"prediction\n{LABEL}\n")
    assert answer["multiValueHeaders"]["Content-Type"] == ["text/csv; charset=utf-8"]
    answer = iris.request(BALANCER)
    assert json.loads(answer["body"])["name"] == "model"
    assert "multiValueHeaders" not in answer
    request = aws_lambda.parse_event(json.dumps(BALANCER).encode())
    assert request.target == "/v2/models/model?a%20b=%2F"
    spaces = {**REST, "path": "/a b", "multiValueQueryStringParameters": {"q": ["a b", "/"]}}
    assert aws_lambda.parse_event(json.dumps(spaces).encode()).target == "/a%20b?q=a+b&q=%2F"


def test_binary_bodies_are_base64(iris):
    headers = {"content-type": "application/json", "accept": "application/x-npy"}
    numbers = {"rawPath": "/predict", "rawQueryString": "", "headers": headers}
    answer = iris.request(FUNCTION_URL, **numbers)
    assert answer["isBase64Encoded"] is True, answer
    assert base64.b64decode(answer["body"]).startswith(b"\x93NUMPY")


def test_a_direct_invocation_is_a_prediction(iris):
    path, kind, answer = iris.invoke({"instances": [ROW, ROW]})
    assert (path, kind) == ("invocation/8476a536/response", None)
    assert answer == {"predictions": [LABEL, LABEL]}
    path, kind, answer = iris.invoke({"instances": [ROW[:3]]})
    assert (path, kind) == ("invocation/8476a536/error", "HTTP.422")
    assert answer["errorType"] == "HTTP.422"
    assert "column" in answer["errorMessage"] or "values" in answer["errorMessage"]


@pytest.mark.parametrize(
    "event",
    [
        b"{",
        {**FUNCTION_URL, "rawPath": None},
        {**FUNCTION_URL, "headers": {"x": "a\r\nb: c"}},
        {**FUNCTION_URL, "body": "!", "isBase64Encoded": True},
        {"requestContext": {}},
        {"requestContext": {"http": 1}},
    ],
)
def test_malformed_events_are_errors_and_the_next_is_served(iris, event):
    path, kind, answer = iris.invoke(event)
    assert (path, kind) == ("invocation/8476a536/error", "HTTP.400")
    assert answer["errorMessage"].startswith("The event is malformed: ")
    assert iris.request(FUNCTION_URL)["statusCode"] == 200


def test_too_large_responses_are_errors(iris):
    iris.max_bytes = 1000
    body = json.dumps({"instances": [ROW] * 100})
    path, kind, _ = iris.invoke({**FUNCTION_URL, "body": body})
    iris.max_bytes = MAX_BYTES
    assert (path, kind) == ("invocation/8476a536/error", "HTTP.413")


def test_a_response_comes_before_the_function_ends(tmp_path):
    inputs = (Field("x0", "number", example=0.0),)
    trained = serving_models.Trained(Sleeping(), Signature(inputs, ()), "regressor")
    bundle = Path(render_bundle(trained, tmp_path, "pickle").directory)
    with function(bundle) as (emulator, process):
        emulator.seconds = 1.0
        answer = emulator.request(FUNCTION_URL, body=json.dumps([[4.0]]), rawQueryString="")
        assert answer["statusCode"] == 504
        emulator.seconds = 30.0
        health = {"stage": "$default", "http": {"method": "GET"}}
        answer = emulator.request(FUNCTION_URL, rawPath="/healthz", requestContext=health, body="")
        assert answer["statusCode"] == 200
        assert process.poll() is None


def test_a_service_that_does_not_start_is_reported(bundle):
    with function(bundle, MODELPACK_MAX_ROWS="x") as (emulator, process):
        path, kind, answer = emulator.answers.get(timeout=60)
        assert (path, kind) == ("init/error", "Service.NotStarted")
        assert "The service ended with status" in answer["errorMessage"]
        assert process.wait(40) != 0


def test_the_web_adapter_takes_precedence(monkeypatch, tmp_path):
    variables = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}
    monkeypatch.setattr(aws_lambda, "ADAPTER", tmp_path / "lambda-adapter")
    assert aws_lambda.is_used(variables)
    assert not aws_lambda.is_used({})
    (tmp_path / "lambda-adapter").touch()
    assert not aws_lambda.is_used(variables)
