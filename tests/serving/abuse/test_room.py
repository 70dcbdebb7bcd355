"""Containers with little memory, and few open files."""

from __future__ import annotations

import resource
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import raw
from gunicorn_server import worker_pids

from modelpack.serving import memory
from modelpack.serving.settings import VARIABLES, Limits

MIB = 2**20


@pytest.fixture
def few_files():
    """64 descriptors for a service that starts afresh; this process keeps its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    popen = subprocess.Popen.__init__

    def start(self, *args, **options):
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))  # noqa: E731
        popen(self, *args, **{"preexec_fn": limit, **options})

    patch = pytest.MonkeyPatch()
    patch.setattr(subprocess.Popen, "__init__", start)
    yield patch.undo
    patch.undo()
    assert (soft, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)


def outcome(port: int, data: bytes) -> int:
    return raw.request(port, data, 30).status


@pytest.mark.parametrize("kind", ["iris", "sleeping"])
def test_no_request_is_broken_with_64_files(request, start, few_files, kind, figure):
    server = start(request.getfixturevalue(f"{kind}_bundle"), preload=False, WEB_CONCURRENCY="2")
    few_files()
    data = raw.post() if kind == "iris" else raw.post(b"[[0.01]]")
    with ThreadPoolExecutor(64) as pool:
        futures = [pool.submit(outcome, server.port, data) for _ in range(640)]
    statuses = [each.result() for each in futures]
    figure(f"64 clients, 64 files: {statuses.count(200)} of 640 answered, others 503")
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 320
    assert len(worker_pids(server)) == 2


def test_no_kept_connection_is_broken_with_64_files(iris_bundle, start, few_files):
    """Each client gets its turn: answers close connections while others wait."""
    server = start(iris_bundle, preload=False)
    few_files()

    def many(_: int) -> int:
        response_count = 0
        while response_count < 10:
            with raw.Client(server.port, 30) as client:
                kept = True
                while kept and response_count < 10:
                    client.send(raw.post())
                    answer = client.answer()
                    assert answer.status == 200
                    response_count += 1
                    kept = answer.headers["connection"] != "close"
        return response_count

    with ThreadPoolExecutor(64) as pool:
        assert sum(pool.map(many, range(64))) == 640


def test_silent_connections_do_not_block_others_with_64_files(iris_bundle, start, few_files):
    server = start(iris_bundle, preload=False)
    few_files()
    silent = [raw.Client(server.port) for _ in range(100)]
    try:
        started = time.monotonic()
        assert outcome(server.port, raw.post()) == 200
        assert time.monotonic() - started < 8
    finally:
        for client in silent:
            client.__exit__()


# --- bytes that clients keep in memory ----------------------------------------------------------


HELD = {"MODELPACK_MAX_HELD_BYTES": "300000"}
"""Enough for two of the requests or responses below, but not for three."""


def test_reset_connections_free_their_memory(iris_bundle, start):
    server = start(iris_bundle, **HELD)
    for _ in range(4):
        with raw.Client(server.port) as client:
            client.send(raw.HEAD + b"Content-Length: 200000\r\n\r\n" + b" " * 150_000)
            assert raw.request(server.port, raw.get("/healthz")).status == 200
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1" + bytes(7))
    assert outcome(server.port, raw.post(raw.ROW + b" " * 150_000)) == 200


def test_idle_connections_free_their_memory(iris_bundle, start):
    server = start(iris_bundle, **HELD)
    rows = b"[" + b",".join([raw.ROW[1:-1]] * 10_000) + b"]"
    with ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(raw.Client(server.port))
            client.send(raw.post(rows))
            answer = client.answer()
            assert (answer.status, len(answer.body) > 90_000) == (200, True)


# --- memory --------------------------------------------------------------------------------------


def test_the_memory_is_that_of_the_cgroup(tmp_path):
    physical = memory.allowed(tmp_path)
    assert physical > 100 * MIB
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.allowed(tmp_path) == physical
    (tmp_path / "memory.max").write_text(f"{256 * MIB}\n")
    assert memory.allowed(tmp_path) == 256 * MIB
    (tmp_path / "memory.max").unlink()
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert memory.allowed(tmp_path) == physical
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{512 * MIB}\n")
    assert memory.allowed(tmp_path) == 512 * MIB


def test_limits_follow_the_memory_and_variables_win():
    assert memory.fitted(Limits(), {}, memory.room(4096 * MIB, 60 * MIB, 2)) == Limits()
    small = memory.fitted(Limits(), {}, memory.room(256 * MIB, 60 * MIB, 2))
    assert 1 * MIB < small.body_bytes < 4 * MIB
    assert small.body_bytes < small.held_bytes < 32 * MIB
    assert 8 <= small.connections < 200
    assert 30 * small.body_bytes + small.held_bytes <= memory.room(256 * MIB, 60 * MIB, 2)
    tiny = memory.fitted(Limits(), {}, memory.room(64 * MIB, 60 * MIB, 4))
    assert (tiny.body_bytes, tiny.held_bytes, tiny.connections) == (256 * 1024, MIB, 8)
    for name in memory.SHARES:
        environ = {VARIABLES[name]: "77"}
        kept = memory.fitted(Limits(**{name: 77_000_000}), environ, 0)
        assert getattr(kept, name) == 77_000_000


def test_anonymous_memory_grows_with_allocations():
    before = memory.anonymous()
    kept = bytearray(b"x" * (50 * MIB))
    assert memory.anonymous() - before > 40 * MIB
    del kept
