"""Errors before a route sees the request have the same format as those of routes."""

from __future__ import annotations

import time

import pytest
import raw

ID = b"X-Request-Id: mine-1\r\n"
BIG = b"Content-Length: 999999999\r\n\r\n"
LONG = b"X-A: " + b"a" * 9000 + b"\r\n\r\n"


def head(path: bytes, rest: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: model\r\n%b%b" % (path, ID, rest)


REFUSED = {
    "413": (BIG, 413),
    "431": (LONG, 431),
    "400": (b"Content-Length: x\r\n\r\n", 400),
    "408-body": (b"Content-Length: 3\r\n\r\n1", 408),
    "408-head": (b"X-A: 1\r\n", 408),
    "417": (b"Expect: x\r\n\r\n", 417),
}


@pytest.mark.parametrize(("rest", "status"), REFUSED.values(), ids=REFUSED)
def test_error_has_the_request_id_and_the_form_of_its_protocol(iris, rest, status):
    with raw.Client(iris.port) as client, raw.Client(iris.port) as other:
        client.send(head(b"/v2/models/model/infer", rest))
        other.send(head(b"/predict", rest))
        answer, plain = client.answer(), other.answer()
    assert (answer.status, plain.status) == (status, status)
    assert answer.problem["error"] == answer.problem["detail"] == plain.problem["detail"]
    assert "error" not in plain.problem
    for each in (answer, plain):
        assert each.headers["x-request-id"] == each.problem["request_id"] == "mine-1"
    time.sleep(0.1)
    lines = [line for line in iris.lines if line.get("id") == "mine-1"]
    assert status in {line["status"] for line in lines}


@pytest.mark.parametrize("path", [b"/v1/models/model:predict", b"http://x/v1/models"])
def test_error_has_the_form_of_v1(iris, path):
    answer = raw.request(iris.port, head(path, BIG))
    assert answer.problem["error"] == answer.problem["detail"]


def test_full_queue_is_reported_in_the_form_of_the_protocol(sleeping):
    server = sleeping(MODELPACK_MAX_QUEUE="1")
    tensor = b'{"inputs":[{"name":"seconds","datatype":"FP64","shape":[1],"data":[0]}]}'
    data = raw.post(tensor, ID).replace(b"/predict", b"/v2/models/model/infer")
    with raw.Client(server.port) as first, raw.Client(server.port) as second:
        first.send(raw.post(b"[[1]]"))
        time.sleep(0.2)
        second.send(raw.post(b"[[0]]"))
        time.sleep(0.1)
        answer = raw.request(server.port, data)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.problem["error"] == answer.problem["detail"]
        assert answer.problem["request_id"] == "mine-1"
        assert first.answer().status == second.answer().status == 200


@pytest.mark.parametrize("sent", [b"a b", b"x" * 65, b"<b>", b""], ids=repr)
def test_invalid_request_id_is_replaced(iris, sent):
    answer = raw.request(iris.port, head(b"/predict", BIG).replace(b"mine-1", sent))
    assert len(answer.problem["request_id"]) == 32
