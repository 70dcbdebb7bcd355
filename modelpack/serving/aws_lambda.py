"""AWS Lambda without another program: events of its runtime API become requests to the service.

Lambda starts the image as it starts any other, and sets AWS_LAMBDA_RUNTIME_API. The service runs as
a child, and this process fetches one event after the other. If the image contains the Lambda Web
Adapter, that does the same, and the service runs alone.

Sources: "Using the Lambda runtime API for custom runtimes", and the formats of events of function
URLs, of API Gateway and of load balancers in AWS's documentation.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Mapping, NamedTuple, NoReturn, Sequence, Tuple
from urllib.parse import quote, urlencode

from . import settings

RUNTIME_API = "AWS_LAMBDA_RUNTIME_API"
ADAPTER = Path("/opt/extensions/lambda-adapter")
VERSION = "/2018-06-01/runtime"
PREDICT = "/predict"
NOT_FORWARDED = {"connection", "content-length", "host", "transfer-encoding", "x-forwarded-proto"}
NOT_RETURNED = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
SAFE_IN_PATH = "/%:@!$&'()*+,;=~"
POLL_SECONDS = 0.02
SPARE_SECONDS = 0.2
"""Between the last moment for a response, and the end of the function's time."""

Headers = Sequence[Tuple[str, str]]


class Request(NamedTuple):
    """A request to the service. `is_direct`: the event itself is the body of POST /predict."""

    method: str
    target: str
    headers: Headers
    body: bytes
    is_direct: bool = False


class Response(NamedTuple):
    """A response of the service."""

    status: int
    headers: Headers
    body: bytes


def is_used(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process runs on Lambda, and no adapter does this work."""
    return bool(environ.get(RUNTIME_API)) and not ADAPTER.exists()


# --- events --------------------------------------------------------------------------------------


def parse_event(data: bytes) -> Request:
    """Return the request of an event: of a function URL, API Gateway, a load balancer, or a caller.

    Raises:
        ValueError: The event is malformed.
    """
    event = json.loads(data)
    context = event.get("requestContext") if isinstance(event, dict) else None
    if not isinstance(context, dict):
        return Request("POST", PREDICT, (("Content-Type", "application/json"),), data, True)
    try:
        parse = _parse_http if "http" in context else _parse_rest
        method, path, query, headers = parse(event, context)
        body = event.get("body") or ""
        is_base64 = event.get("isBase64Encoded")
        content = base64.b64decode(body, validate=True) if is_base64 else body.encode()
        target = quote(path, safe=SAFE_IN_PATH) + (f"?{query}" if query else "")
        kept = [(name, value) for name, value in headers if name.lower() not in NOT_FORWARDED]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"the event lacks {error}") from error
    return Request(method, target, kept, content)


def _parse_http(
    event: Mapping[str, Any], context: Mapping[str, Any]
) -> tuple[str, str, str, Headers]:
    """Read format 2.0: of function URLs, and of HTTP APIs of API Gateway."""
    path, stage = event["rawPath"], f"/{context.get('stage')}"
    if path == stage or path.startswith(f"{stage}/"):
        path = path[len(stage) :] or "/"
    headers = list(event["headers"].items())
    if event.get("cookies"):
        headers.append(("cookie", "; ".join(event["cookies"])))
    return context["http"]["method"], path, event.get("rawQueryString") or "", headers


def _parse_rest(
    event: Mapping[str, Any], context: Mapping[str, Any]
) -> tuple[str, str, str, Headers]:
    """Read format 1.0: of REST APIs of API Gateway, and of load balancers."""
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters") or {}
    pairs = [(name, value) for name, values in query.items() for value in _to_list(values)]
    if "elb" in context:  # a load balancer does not decode them
        text = "&".join(f"{name}={value}" for name, value in pairs)
    else:
        text = urlencode(pairs)
    headers = event.get("multiValueHeaders") or event.get("headers") or {}
    flat = [(name, value) for name, values in headers.items() for value in _to_list(values)]
    return event["httpMethod"], event["path"], text, flat


def _to_list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def to_event(response: Response, data: bytes) -> bytes:
    """Return the response to an event of HTTP. `data`: that event."""
    document: dict[str, Any] = {"statusCode": response.status}
    kept = [(name, value) for name, value in response.headers if name.lower() not in NOT_RETURNED]
    if b'"multiValueHeaders"' in data:
        document["multiValueHeaders"] = {name: [value] for name, value in kept}
    document["headers"] = dict(kept)
    try:
        text = response.body.decode()
        document.update(body=text, isBase64Encoded=False)
    except UnicodeDecodeError:
        document.update(body=base64.b64encode(response.body).decode(), isBase64Encoded=True)
    return json.dumps(document).encode()


# --- the runtime ---------------------------------------------------------------------------------


class Runtime:
    """Fetches events, and sends responses."""

    def __init__(self, address: str, port: int) -> None:
        """Create a runtime.

        Args:
            address: That of the runtime API.
            port: That of the service.
        """
        self._api = http.client.HTTPConnection(address)  # without a time-out, see `next`
        self._port = port
        self._service = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port)

    def is_ready(self) -> bool:
        """Return whether the service is ready."""
        try:
            status = self._send(Request("GET", "/readyz", (), b""), 5.0).status
        except (OSError, http.client.HTTPException):
            return False
        return status == 200

    def next(self) -> tuple[str, float, bytes]:
        """Wait for an event. Return its id, the seconds for its response, and its bytes.

        The process may be frozen meanwhile, for any time.
        """
        self._api.request("GET", f"{VERSION}/invocation/next")
        response = self._api.getresponse()
        data = response.read()
        if response.status != 200:
            raise OSError(f"the runtime API returned {response.status}")
        deadline = int(response.headers["Lambda-Runtime-Deadline-Ms"]) / 1000
        return response.headers["Lambda-Runtime-Aws-Request-Id"], deadline - time.time(), data

    def handle(self, event_id: str, seconds: float, data: bytes) -> None:
        """Send the response to an event, or its error.

        Raises:
            OSError: The service or the runtime API does not respond.
        """
        try:
            request = parse_event(data)
            response = self._query(request, event_id, seconds)
        except (ValueError, http.client.InvalidURL) as error:
            self._fail(event_id, 400, f"The event is malformed: {error}.")
            return
        if not request.is_direct:
            answer = to_event(response, data)
        elif response.status == 200:
            answer = response.body
        else:
            self._fail(event_id, response.status, _detail(response.body))
            return
        status = self._post(f"invocation/{event_id}/response", answer)
        if status == 413:
            self._fail(event_id, 413, "The response has more bytes than Lambda accepts.")

    def _query(self, request: Request, event_id: str, seconds: float) -> Response:
        names = {name.lower() for name, _ in request.headers}
        if "x-request-id" not in names:
            request = request._replace(headers=[*request.headers, ("X-Request-Id", event_id)])
        try:
            return self._send(request, max(SPARE_SECONDS, seconds - SPARE_SECONDS))
        except socket.timeout:
            body = json.dumps({"title": "Gateway Timeout", "status": 504}).encode()
            return Response(504, [("Content-Type", "application/problem+json")], body)

    def _send(self, request: Request, seconds: float) -> Response:
        """Send a request over the open connection, or over a new one if it was closed."""
        try:
            return self._exchange(request, seconds)
        except (socket.timeout, ValueError, http.client.InvalidURL):
            self._reconnect()
            raise
        except (OSError, http.client.HTTPException):
            self._reconnect()
            return self._exchange(request, seconds)

    def _reconnect(self) -> None:
        self._service.close()
        self._service = self._connect()

    def _exchange(self, request: Request, seconds: float) -> Response:
        self._service.timeout = seconds
        if self._service.sock is not None:
            self._service.sock.settimeout(seconds)
        self._service.putrequest(request.method, request.target, skip_accept_encoding=True)
        for name, value in request.headers:
            self._service.putheader(name, value)
        self._service.putheader("Content-Length", str(len(request.body)))
        self._service.endheaders(request.body)
        response = self._service.getresponse()
        return Response(response.status, response.getheaders(), response.read())

    def _fail(self, event_id: str, status: int, message: str) -> None:
        self._post(f"invocation/{event_id}/error", _error(status, message), f"HTTP.{status}")

    def fail_to_start(self, message: str) -> None:
        """Report that the service does not start."""
        self._post("init/error", _error(500, message), "Service.NotStarted")

    def _post(self, path: str, body: bytes, kind: str = "") -> int:
        headers = {"Content-Type": "application/json"}
        if kind:
            headers["Lambda-Runtime-Function-Error-Type"] = kind
        self._api.request("POST", f"{VERSION}/{path}", body, headers)
        response = self._api.getresponse()
        response.read()
        return response.status


def _error(status: int, message: str) -> bytes:
    return json.dumps({"errorType": f"HTTP.{status}", "errorMessage": message}).encode()


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return "The service did not answer."


def run(serve: Sequence[str], environ: Mapping[str, str] = os.environ) -> NoReturn:
    """Start the service, and handle events until Lambda ends this process.

    Args:
        serve: The command of the service.
        environ: The variables of Lambda.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    service = subprocess.Popen(serve)
    runtime = Runtime(environ[RUNTIME_API], settings.port(environ))
    try:
        while not runtime.is_ready():
            status = service.poll()
            if status is not None:
                runtime.fail_to_start(f"The service ended with status {status}.")
                sys.exit(status or 1)
            time.sleep(POLL_SECONDS)
        while True:
            runtime.handle(*runtime.next())
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"Lambda or the service does not respond: {error}")
    finally:
        service.terminate()
        service.wait()
