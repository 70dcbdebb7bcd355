"""Bodies that are too large, have a wrong length, or grow when they are decoded."""

from __future__ import annotations

import contextlib
import gzip
import json
import time

import pytest
import raw
from gunicorn_server import BODY_BYTES, peak_bytes, resident_bytes, worker_pids


@pytest.mark.parametrize("wire", [raw.post, raw.chunked], ids=["length", "chunked"])
@pytest.mark.parametrize(("more", "status"), [(-1, 200), (0, 200), (1, 413)])
def test_a_body_of_the_limit_is_read_and_one_byte_more_is_not(iris, wire, more, status):
    assert raw.request(iris.port, wire(raw.ROW.ljust(BODY_BYTES + more))).status == status


def test_too_large_body_is_refused_before_it_is_sent(iris):
    answer = raw.request(iris.port, raw.HEAD + b"Content-Length: %d\r\n\r\n" % (BODY_BYTES + 1))
    assert answer.status == 413
    assert answer.problem["detail"] == f"The body is larger than {BODY_BYTES} bytes."
    answer = raw.request(
        iris.port, raw.HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % (BODY_BYTES + 1)
    )
    assert answer.status == 413


def test_incomplete_body_is_a_400(iris):
    with raw.Client(iris.port) as client:
        client.send(raw.HEAD + b"Content-Length: 100\r\n\r\n" + raw.ROW)
        client.sock.shutdown(1)
        assert client.answer().status == 400


def test_body_beyond_its_length_is_a_malformed_request(iris):
    with raw.Client(iris.port) as client:
        client.send(raw.HEAD + b"Content-Length: 22\r\n\r\n" + raw.ROW + b"smuggled\r\n\r\n")
        assert [client.answer().status, client.answer().status] == [200, 400]
        assert client.rest() == b""


def test_floods_are_ended_and_take_no_memory(iris, figure):
    """Five clients each send 60 MB and more, in chunks large and small and with a length."""
    before = {pid: resident_bytes(pid) for pid in worker_pids(iris)}
    large = b"10000\r\n" + b" " * 65536 + b"\r\n"
    small = b"1\r\n \r\n" * 10_000
    flood(iris, b"Transfer-Encoding: chunked\r\n\r\n", large)
    flood(iris, b"Content-Length: 99999999\r\n\r\n", b" " * 100_000)
    started = time.monotonic()
    sent = flood(iris, b"Transfer-Encoding: chunked\r\n\r\n", small)
    seconds = time.monotonic() - started
    grown = max(peak_bytes(pid) - before[pid] for pid in before)
    figure(f"chunks of a byte: 413 after {sent} bytes, {seconds:.1f} s; memory + {grown >> 10} KiB")
    assert grown <= 2 * BODY_BYTES + (8 << 20)


def flood(server, framing: bytes, piece: bytes) -> int:
    """The bytes that a client could send until it looked at its answer, a 413."""
    sent = 0
    with raw.Client(server.port) as client:
        client.send(raw.HEAD + framing)
        client.sock.settimeout(0.001)
        while sent < 60_000_000:
            with contextlib.suppress(TimeoutError):
                if client.sock.recv(1, 2):  # MSG_PEEK
                    break
            client.sock.settimeout(20)
            client.send(piece)
            sent += len(piece)
            client.sock.settimeout(0.001)
        client.sock.settimeout(20)
        assert client.answer().status == 413
    return sent


def test_bodies_of_many_clients_together_are_bounded(start, iris_bundle, figure):
    """Large ones are refused when too many are kept; small ones are answered all the same."""
    limits = {"MODELPACK_MAX_BODY_BYTES": "4000000", "MODELPACK_MAX_HELD_BYTES": "8000000"}
    server = start(iris_bundle, **limits)
    with contextlib.ExitStack() as stack:
        (pid,) = worker_pids(server)
        before = resident_bytes(pid)
        clients = [stack.enter_context(raw.Client(server.port)) for _ in range(20)]
        for client in clients:
            client.send(raw.HEAD + b"Content-Length: 4000000\r\n\r\n")
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(b" " * 3_900_000)
        assert raw.request(server.port, raw.post()).status == 200
        grown = peak_bytes(pid) - before
    figure(f"20 clients sent 3.9 MB each and no end: memory + {grown >> 20} MiB, 8 MB allowed")
    assert grown < 40 << 20


def test_a_compressed_body_that_grows_is_refused(iris, figure):
    bomb = gzip.compress(b" " * 100_000_000)
    started = time.monotonic()
    answer = raw.request(iris.port, raw.post(bomb, b"Content-Encoding: gzip\r\n"))
    assert answer.status == 413
    figure(f"100 MB in {len(bomb)} bytes: 413 in {1000 * (time.monotonic() - started):.1f} ms")


KEYS = json.dumps({f"k{number}": 0 for number in range(70_000)}).encode()
BOMBS = {
    "100,000 brackets": (b"[" * 100_000, {400}),
    "100,000 brackets closed": (b"[" * 100_000 + b"]" * 100_000, {400}),
    "100,000 objects": (b'{"a":' * 100_000, {400}),
    "a key of 900 kB": (b'{"' + b"a" * 900_000 + b'": 1}', {422}),
    "a string of 900 kB": (b'[["' + b"a" * 900_000 + b'", 1, 2, 3]]', {422}),
    "a number of 900 kB": (b"[[" + b"1" * 900_000 + b", 1, 2, 3]]", {422}),
    "70,000 keys": (KEYS, {422}),
    "300,000 empty rows": (b"[" + b"[]," * 300_000 + b"[]]", {413, 422}),
    "10,001 rows": (b"[" + b",".join([b"[1,1,1,1]"] * 10_001) + b"]", {413, 422}),
    "400,000 commas": (b"[[" + b"1," * 400_000 + b"1]]", {422}),
    "no UTF-8": (b'[["\xff\xfe", 1, 2, 3]]', {400}),
    "half a surrogate": (b'[["\\ud800", 1, 2, 3]]', {400, 422}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_json_that_grows_is_refused_in_time(iris, figure, name):
    body, statuses = BOMBS[name]
    started = time.monotonic()
    answer = raw.request(iris.port, raw.post(body))
    seconds = time.monotonic() - started
    assert answer.status in statuses
    assert len(answer.body) < 20_000
    figure(f"{answer.status} in {1000 * seconds:.0f} ms")
    assert seconds < 3


def test_a_million_keys(start, iris_bundle, figure):
    """Within the default limit of 16 MiB."""
    body = json.dumps({f"k{number}": 0 for number in range(1_000_000)}).encode()
    server = start(iris_bundle)
    started = time.monotonic()
    answer = raw.request(server.port, raw.post(body))
    seconds = time.monotonic() - started
    assert answer.status == 422
    assert raw.request(server.port, raw.post()).status == 200
    figure(f"{len(body) >> 20} MiB of keys: 422 in {seconds:.1f} s")
