"""Clients that close their half of the connection after the request, as `nc -N` and others do."""

from __future__ import annotations

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import raw
from gunicorn_server import worker_pids

STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
TIMES = 30
OLD = raw.post().replace(b"HTTP/1.1", b"HTTP/1.0")
REQUESTS = {
    "get": raw.get("/"),
    "get-1.0": raw.get("/").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "health": raw.get("/healthz"),
    "post": raw.post(),
    "post-1.0": OLD,
    "post-1.0-kept": OLD.replace(b"Content-Type", b"Connection: keep-alive\r\nContent-Type"),
    "close": raw.post(headers=b"Connection: close\r\n"),
    "flask": raw.post(headers=b"Expect: 100-continue\r\n"),
    "chunked": raw.chunked(),
    "head": raw.get("/").replace(b"GET", b"HEAD"),
}
MODELS = {"plan": {}, "estimator": {"MODELPACK_PLANS": "0"}}


def half_closed(port: int, data: bytes) -> bytes:
    with raw.Client(port) as client:
        client.send(data)
        client.sock.shutdown(socket.SHUT_WR)
        return client.rest()


def statuses(answer: bytes) -> list[bytes]:
    return [status for status in STATUS.findall(answer) if status != b"100"]


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.parametrize("environ", MODELS.values(), ids=MODELS)
def test_every_request_is_answered(iris_bundle, start, environ):
    server = start(iris_bundle, WEB_CONCURRENCY="2", **environ)
    for name, data in REQUESTS.items():
        answers = [statuses(half_closed(server.port, data)) for _ in range(TIMES)]
        assert (name, answers) == (name, [[b"200"]] * TIMES)


def test_every_request_is_answered_by_a_slow_model_under_load(sleeping):
    server = sleeping()
    with ThreadPoolExecutor(TIMES) as pool:
        futures = [
            pool.submit(half_closed, server.port, raw.post(b"[[0.02]]")) for _ in range(TIMES)
        ]
    assert [statuses(each.result()) for each in futures] == [[b"200"]] * TIMES


def test_pipelined_requests_are_all_answered(iris):
    data = (raw.post() + raw.get("/") + raw.get("/no") + raw.chunked()) * 10
    assert statuses(half_closed(iris.port, data)) == [b"200", b"200", b"404", b"200"] * 10


def test_response_that_is_read_late_is_complete(iris):
    rows = b"[" + b",".join([b"[5.1,3.5,1.4,0.2]"] * 10_000) + b"]"
    with raw.Client(iris.port, small=True) as client:
        client.send(raw.post(rows))
        client.sock.shutdown(socket.SHUT_WR)
        time.sleep(0.3)
        answer = client.answer()
        assert answer.status == 200
        assert answer.body.count(b"setosa") == 10_000
        assert client.rest() == b""


def test_incomplete_requests_are_not_answered_with_200(iris):
    assert statuses(half_closed(iris.port, raw.post()[:-1])) == [b"400"]
    assert half_closed(iris.port, raw.get("/")[:-1]) == b""
    assert half_closed(iris.port, b"") == b""


def test_disconnected_clients_leave_nothing(sleeping):
    """Those that close, those that reset, and those that leave an answer unread."""
    server = sleeping(MODELPACK_MAX_QUEUE="64")
    (worker,) = worker_pids(server)
    before = descriptors(worker)
    for linger in (None, b"\1\0\0\0\0\0\0\0"):
        for data in (raw.post(b"[[0.01]]"), raw.post(b"[[0.01]]") * 3, raw.post(b"[[0.01]]")[:-3]):
            for _ in range(10):
                with raw.Client(server.port) as client:
                    client.send(data)
                    if linger:
                        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    deadline = time.monotonic() + 10
    while descriptors(worker) > before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert descriptors(worker) == before
    assert raw.request(server.port, raw.post(b"[[0]]")).status == 200
    assert worker_pids(server) == [worker]


def test_a_client_that_resets_while_it_waits_is_not_computed_for(sleeping):
    server = sleeping()
    with raw.Client(server.port) as first:
        first.send(raw.post(b"[[1]]"))
        time.sleep(0.1)
        for _ in range(4):
            with raw.Client(server.port) as client:
                client.send(raw.post(b"[[1]]"))
                time.sleep(0.05)
                linger = b"\1\0\0\0\0\0\0\0"
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        assert first.answer().status == 200
    started = time.monotonic()
    assert raw.request(server.port, raw.post(b"[[0]]")).status == 200
    assert time.monotonic() - started < 0.5
