"""Requests that two servers in a row could understand differently, and others that are malformed:
each file of requests/ is sent as it is, and its folder is the status that has to come.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import raw

FILES = sorted((Path(__file__).parent / "requests").glob("*/*.http"))
OPEN_BEFORE = {"200", "404", "405", "415"}
"""The request has been understood, so that the connection can be used again."""
SIGNS = (b"Traceback", b'File "', b"gunicorn.", b"werkzeug", b"site-packages", b"/tmp", b"/home")


def test_the_corpus_is_large_enough():
    assert len(FILES) >= 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_request_is_answered_once_and_with_its_status(iris, path):
    request = path.read_bytes()
    before = len(iris.log_path.read_bytes())
    with raw.Client(iris.port) as client:
        client.send(request)
        answer = client.answer("HEAD" if request.startswith(b"HEAD") else "GET")
        assert answer.status == int(path.parent.name), answer.body
        if path.parent.name in OPEN_BEFORE:
            client.send(b"GET /unknown HTTP/1.1\r\nHost: model\r\nConnection: close\r\n\r\n")
        assert client.rest().count(b"HTTP/1.") <= (path.parent.name in OPEN_BEFORE)
    if answer.status >= 400:
        assert answer.problem["status"] == answer.status
        assert answer.headers["x-request-id"] == answer.problem["request_id"]
    assert not [sign for sign in SIGNS if sign in answer.body]
    assert len(log_lines(iris, before, answer)) <= 1


def log_lines(iris, before: int, answer: raw.Response) -> list[dict]:
    """Return the log lines of a response, without those of other requests."""
    text = iris.log_path.read_bytes()[before:].decode()
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if line.get("id") == answer.headers["x-request-id"]]


HOSTILE = ("\r\nGET /x", "\x1b[31mred\x1b[0m", "\u202ereversed", '"},{"level":"error', "\x00")


UNDERSTOOD = {"encoded": HOSTILE, "target": HOSTILE[3:4], "method": ()}
"""Place -> what may be written there. The two in the middle may be in the value of a header."""


@pytest.mark.parametrize("text", HOSTILE, ids=["crlf", "ansi", "bidi", "json", "nul"])
@pytest.mark.parametrize("location", ["target", "encoded", "header", "id", "traceparent", "method"])
def test_client_text_adds_no_line_to_the_log(iris, text, location):
    hostile = text.encode()
    encoded = "".join(f"%{byte:02x}" for byte in hostile).encode()
    target = {"target": b"/a" + hostile, "encoded": b"/a" + encoded}.get(location, b"/unknown")
    name = {"id": b"X-Request-Id", "traceparent": b"traceparent"}.get(location, b"X-Name")
    method = b"GET" + hostile if location == "method" else b"GET"
    value = b"a" + hostile if location in {"header", "id", "traceparent"} else b"a"
    head = b"%b %b HTTP/1.1\r\nHost: model\r\n%b: %b\r\n\r\n" % (method, target, name, value)
    before = len(iris.log_path.read_bytes())
    answer = raw.request(iris.port, head)
    assert answer.status == (404 if text in UNDERSTOOD.get(location, HOSTILE[2:4]) else 400)
    time.sleep(0.05)
    added = iris.log_path.read_bytes()[before:]
    for written in (hostile, b"\x1b", b"\xe2\x80\xae", b"red", b"reversed"):
        assert written not in added
    lines = [json.loads(line) for line in added.decode().splitlines()]
    assert len([line for line in lines if line["logger"] == "modelpack.access"]) == 1


def test_pipelined_requests_are_answered_in_order(iris, figure):
    expected = [200, 404, 200, 405, 422, 200]
    bad = b"[[1, 2, 3]]"
    parts = [raw.post(), raw.get("/no"), raw.get("/healthz"), raw.get("/predict"), raw.post(bad)]
    with raw.Client(iris.port) as client:
        client.send(b"".join([*parts, raw.chunked()]) * 20)
        assert [client.answer("GET").status for _ in range(120)] == expected * 20
    figure("120 requests sent at once on one connection, answered in order")


def test_a_byte_at_a_time_is_the_same_request(iris):
    with raw.Client(iris.port) as client:
        for byte in raw.chunked(size=5) + raw.post():
            client.send(bytes([byte]))
        assert [client.answer().status for _ in range(2)] == [200, 200]


def test_a_client_that_waits_for_100_continue_gets_it(iris):
    with raw.Client(iris.port) as client:
        client.send(raw.HEAD + b"Expect: 100-continue\r\nContent-Length: 22\r\n\r\n")
        assert client.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(raw.ROW)
        assert client.answer().status == 200


def test_a_head_request_has_no_body_even_if_it_is_refused(iris):
    with raw.Client(iris.port) as client:
        client.send(b"HEAD /healthz HTTP/1.1\r\nHost: model\r\n\r\n")
        assert client.answer("HEAD").status == 200
        client.send(b"HEAD /healthz HTTP/1.1\r\nHost: model\r\nContent-Length: 9999999999\r\n\r\n")
        head, _, body = client.rest().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413")
        assert body == b""


@pytest.mark.parametrize(
    ("line", "value", "status"),
    [(4096, 100, 200), (4097, 100, 414), (100, 8192, 200), (100, 8193, 431)],
)
def test_lines_and_headers_of_the_limit_are_read(iris, line, value, status):
    target = b"/healthz?" + b"a" * (line - len(b"GET /healthz? HTTP/1.1"))
    header = b"A: " + b"b" * (value - len(b"A: \r\n"))
    request = b"GET %b HTTP/1.1\r\nHost: model\r\n%b\r\n\r\n" % (target, header)
    assert raw.request(iris.port, request).status == status


@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 431)])
def test_as_many_headers_as_the_limit_are_read(iris, count, status):
    headers = b"".join(b"A%d: b\r\n" % number for number in range(count - 1))
    assert raw.request(iris.port, raw.get("/healthz")[:-2] + headers + b"\r\n").status == status


@pytest.mark.parametrize("data", [raw.post(), raw.chunked(), raw.get("/v2/models/model")])
def test_absolute_targets_are_answered_as_paths_are(iris, data):
    method, path, rest = data.split(b" ", 2)
    with raw.Client(iris.port) as client:
        client.send(data)
        expected = client.answer()
        for scheme in (b"http", b"https", b"HTTP"):
            client.send(b"%b %b://other:80%b %b" % (method, scheme, path, rest))
            answer = client.answer()
            assert (answer.status, answer.body) == (expected.status, expected.body)


def test_options_names_the_methods(iris):
    for target, allow in (
        (b"*", {"GET", "HEAD", "OPTIONS", "POST"}),
        (b"/predict", {"OPTIONS", "POST"}),
        (b"/v2", {"GET", "HEAD", "OPTIONS"}),
        (b"http://model/healthz", {"GET", "HEAD", "OPTIONS"}),
    ):
        answer = raw.request(iris.port, b"OPTIONS %b HTTP/1.1\r\nHost: model\r\n\r\n" % target)
        assert (answer.status, set(answer.headers["allow"].split(", "))) == (200, allow)


@pytest.mark.parametrize(
    "path",
    ["/", "/v2", "/v2/", "/v2/models/model", "/v1/models", "/signature", "/metrics", "/ping"],
)
def test_head_is_get_without_the_body(iris, path):
    got = raw.request(iris.port, raw.get(path))
    answer = raw.request(iris.port, raw.get(path).replace(b"GET", b"HEAD"))
    assert (answer.status, answer.body) == (got.status, b"") == (200, b"")
    assert answer.headers["content-type"] == got.headers["content-type"]
