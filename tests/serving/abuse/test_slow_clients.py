"""Clients that send nothing, send slowly, or do not read."""

from __future__ import annotations

import select
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import raw

NOISE = 0.1
"""Seconds that two busy cores add to any request now and then."""


@contextmanager
def dripping(port: int, head: bytes, drip: bytes, clients: int = 8) -> Iterator[None]:
    """Let clients send `head`, then `drip` every tenth of a second until a response; then again."""
    stop = threading.Event()

    def drip_on() -> None:
        while not stop.is_set():
            drip_until_response(port, head, drip, stop)

    threads = [threading.Thread(target=drip_on) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def drip_until_response(port: int, head: bytes, drip: bytes, stop: threading.Event) -> int:
    """The status that ends it, 0 if `stop` does."""
    with raw.Client(port) as client:
        client.send(head)
        while not stop.wait(0.1):
            client.send(drip)
            if select.select([client.sock], [], [], 0)[0]:
                return client.answer().status
    return 0


DRIPS = {
    "head": (b"POST /predict HTTP/1.1\r\nHost: model\r\n", b"X-Drip: 1\r\n"),
    "body": (raw.HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "chunks": (raw.HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


def percentile_99(port: int) -> float:
    """Return the 99th percentile of 100 requests in seconds, the median of three runs."""
    return statistics.median(raw.time_requests(port, raw.post(), 100)[98] for _ in range(3))


@pytest.mark.parametrize("part", DRIPS)
def test_slow_clients_do_not_delay_others(iris, figure, part):
    idle = percentile_99(iris.port)
    with dripping(iris.port, *DRIPS[part]):
        time.sleep(0.3)
        under_load = percentile_99(iris.port)
    figure(
        f"p99 {1000 * idle:.1f} ms alone, {1000 * under_load:.1f} ms with 8 that drip their {part}"
    )
    assert under_load <= max(2 * idle, NOISE)


@pytest.mark.parametrize("part", DRIPS)
def test_slow_sender_gets_408_at_the_deadline(iris, figure, part):
    started = time.monotonic()
    assert drip_until_response(iris.port, *DRIPS[part], threading.Event()) == 408
    seconds = time.monotonic() - started
    figure(f"408 after {seconds:.1f} s, the deadline is 2 s")
    assert 1.9 < seconds < 3.5


def test_silent_connections_are_closed_and_delay_no_request(iris, figure):
    with ExitStack() as stack:
        silent = [stack.enter_context(raw.Client(iris.port)) for _ in range(300)]
        seconds = raw.time_requests(iris.port, raw.post(), 50)
        figure(f"median {1000 * seconds[25]:.1f} ms beside 300 connections that say nothing")
        started = time.monotonic()
        assert [client.rest() for client in silent] == [b""] * 300
        assert time.monotonic() - started < 5


def test_a_connection_that_is_kept_open_is_closed_when_idle(iris, figure):
    with raw.Client(iris.port) as client:
        client.send(raw.post())
        assert client.answer().status == 200
        started = time.monotonic()
        assert client.rest() == b""
        seconds = time.monotonic() - started
    figure(f"closed after {seconds:.1f} s, the deadline is 2 s")
    assert 1.9 < seconds < 3.5


def test_client_that_does_not_read_is_disconnected(iris, figure):
    """With requests for answers that fill every buffer; the deadline for reading them is 1 s."""
    body = b"[" + b",".join([raw.ROW[1:-1]] * 9000) + b"]"
    request = raw.HEAD.replace(b"/predict", b"/predict?probabilities=true")
    request += b"Content-Length: %d\r\n\r\n" % len(body) + body
    with ExitStack() as stack:
        slow = [stack.enter_context(raw.Client(iris.port, small=True)) for _ in range(4)]
        for client in slow:
            client.send(request)
        seconds = raw.time_requests(iris.port, raw.post(), 50)
        time.sleep(3)
        got = [len(client.rest()) for client in slow]
    whole = 9000 * 100
    figure(f"cut off at {max(got)} of {whole} bytes; others waited {seconds[-1]:.2f} s at most")
    assert max(got) < whole
    assert seconds[25] < 1


def test_more_connections_than_the_limit(sleeping, figure):
    """Idle connections are closed first. If all have a request, the newest gets an error."""
    server = sleeping(MODELPACK_MAX_CONNECTIONS="10")
    with ExitStack() as stack:
        silent = [stack.enter_context(raw.Client(server.port)) for _ in range(30)]
        assert raw.request(server.port, raw.post(b"[[0]]")).status == 200
        busy = [stack.enter_context(raw.Client(server.port)) for _ in range(10)]
        for number, client in enumerate(busy):
            client.send(raw.post(b"[[0]]" if number else b"[[0.7]]"))
        time.sleep(0.2)
        refused = raw.request(server.port, raw.post(b"[[0]]"))
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert [client.answer().status for client in busy] == [200] * 10
        assert [client.rest() for client in silent] == [b""] * 30
    figure("of 30 silent connections none kept the 31st out, with 10 allowed")
