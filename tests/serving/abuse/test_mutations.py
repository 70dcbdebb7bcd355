"""Bytes that hypothesis makes of valid requests: whatever comes, there is an answer below 500 or a
closed connection, in time, and no traceback in the log.
"""

from __future__ import annotations

import select
import time

import raw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import wait_until

SEEDS = (
    raw.post(),
    raw.chunked(size=7),
    raw.get("/healthz"),
    raw.post(
        b'{"instances": [{"x0": 5.1, "x1": 3.5, "x2": 1.4, "x3": 0.2}]}', b"X-Request-Id: a\r\n"
    ),
    raw.post(b"[[1, null, NaN, 1e400]]", b"Expect: 100-continue\r\n"),
    b"POST /predict?probabilities=true HTTP/1.0\r\nContent-Length: 22\r\n\r\n" + raw.ROW,
)
WORDS = (
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b";", b",", b"%", b"+"),
    *(b"chunked", b"Transfer-Encoding: ", b"Content-Length: ", b"Connection: close\r\n"),
    *(b"Host: ", b"HTTP/1.1", b"HTTP/2", b"//", b"..", b"\xff", b"0\r\n\r\n", b"ffffffff"),
    *(b'"', b"{", b"}", b"null", b"\\u0000", b"\\ud800", b"-0", b"NaN", b"1e999", b"[" * 50),
)


@st.composite
def mutated(draw) -> bytes:
    """One valid request, or two, changed in up to six places."""
    data = bytearray(draw(st.sampled_from(SEEDS)) + draw(st.sampled_from((b"", *SEEDS))))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from((0, 0, 1, 2, 8, 40)))
        piece = draw(st.one_of(st.binary(max_size=6), st.sampled_from(WORDS)))
        data[start : start + length] = piece
    return bytes(data)


def statuses(wire: bytes) -> list[int]:
    """Return the statuses of the responses in `wire`, whose bodies contain no status line."""
    parts = wire.split(b"HTTP/1.")[1:]
    return [int(part[2:5]) for part in parts]


def converse(port: int, data: bytes) -> bytes:
    """Send data; return what arrives until the service closes the connection or a timeout."""
    with raw.Client(port, timeout=10) as client:
        client.send(data)
        client.send(b"\r\n\r\nGET / HTTP/1.1\r\nHost: model\r\nConnection: close\r\n\r\n")
        select.select([client.sock], [], [], 0.3)
        client.sock.shutdown(1)
        return client.rest()


@settings(
    max_examples=600,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=mutated())
def test_any_bytes_are_answered_below_500_or_not_at_all(iris, data):
    started = time.monotonic()
    got = statuses(converse(iris.port, data))
    assert all(status < 500 for status in got), (data, got)
    assert time.monotonic() - started < 6, data


def test_no_bytes_leave_a_traceback(iris):
    """Each line of the log is a JSON object. None reports a failure, also of the test above."""
    before = len(iris.lines)
    response_count = 0
    for number, word in enumerate(WORDS):
        seed = SEEDS[number % len(SEEDS)]
        position = 11 * number % len(seed)
        response_count += len(
            statuses(converse(iris.port, seed[:position] + word + seed[position:]))
        )
    assert response_count > len(WORDS)
    assert raw.request(iris.port, raw.post(headers=b"X-Request-Id: last-one\r\n")).status == 200
    assert wait_until(lambda: any(line.get("id") == "last-one" for line in iris.lines))
    assert len(iris.lines) - before > response_count
    assert [line for line in iris.lines if line["level"] in {"error", "critical"}] == []
