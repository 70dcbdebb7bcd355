"""Empty lines before a request (RFC 9112, section 2.2), in whatever segments TCP brings them."""

from __future__ import annotations

import time

import pytest
import raw

LINES = (b"\r\n", b"\n", b"\r\n\r\n", b"\r\n\n\r\n", b"\r\n" * 20)


@pytest.mark.parametrize("lines", LINES, ids=repr)
@pytest.mark.parametrize(
    "data", [raw.post(), raw.get("/"), raw.chunked()], ids=["post", "get", "te"]
)
def test_empty_lines_before_a_request_are_ignored(iris, lines, data):
    with raw.Client(iris.port) as client:
        for _ in range(2):
            client.send(lines + data)
            assert client.answer("GET").status == 200


@pytest.mark.parametrize("lines", LINES, ids=repr)
def test_empty_lines_are_ignored_in_segments_of_any_size(iris, lines):
    whole = lines + raw.post()
    cuts = [[lines, raw.post()], [whole[:1], whole[1:]], [whole[:3], whole[3:]]]
    cuts.append([whole[i : i + 1] for i in range(len(lines) + 3)] + [whole[len(lines) + 3 :]])
    for pieces in cuts:
        with raw.Client(iris.port) as client:
            for piece in pieces:
                client.send(piece)
                time.sleep(0.005)
            assert client.answer().status == 200


def test_empty_line_after_a_request_is_not_a_request(iris):
    """The connection stays silent until its idle time is over, and is closed without a 408."""
    for stray in (b"\r\n", b"\n", b"\r"):
        started = time.monotonic()
        with raw.Client(iris.port) as client:
            client.send(raw.post() + stray)
            assert client.answer().status == 200
            assert client.rest() == b""
        assert 1.5 < time.monotonic() - started < 4


def test_empty_lines_do_not_keep_a_connection(iris):
    started = time.monotonic()
    with raw.Client(iris.port, timeout=0.2) as client:
        while time.monotonic() < started + 6:
            try:
                client.send(b"\r\n")
                if client.rest() == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert time.monotonic() - started < 4


def test_a_bare_cr_before_a_request_stays_an_error(iris):
    for start in (b"\rPOST", b"\r\r\n", b" \r\n"):
        assert raw.request(iris.port, start + raw.post()).status == 400


@pytest.mark.parametrize("stray", [b"\r\n", b"\r", b"\n"], ids=repr)
def test_a_stray_empty_line_does_not_delay_the_end(sleeping, stray):
    server = sleeping()
    with raw.Client(server.port) as kept, raw.Client(server.port) as fresh:
        kept.send(raw.post(b"[[0]]"))
        assert kept.answer().status == 200
        kept.send(stray)
        fresh.send(stray)
        time.sleep(0.2)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 4  # idle connections are closed after 5 s
        assert (kept.rest(), fresh.rest()) == (b"", b"")
