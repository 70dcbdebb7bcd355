"""Killed workers and stopped services under load."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path

import load
import raw
from gunicorn_server import serve, worker_pids

BRIEF = raw.post(b"[[0.005]]")


def test_kill_9_of_a_worker_loses_only_its_own_requests(sleeping, figure):
    server = sleeping(WEB_CONCURRENCY="2")
    killed: list[int] = []
    stop = threading.Event()

    def kill() -> None:
        for _ in range(3):
            time.sleep(0.6)
            killed.append(worker_pids(server)[0])
            os.kill(killed[-1], signal.SIGKILL)
        time.sleep(1)
        stop.set()

    killer = threading.Thread(target=kill)
    killer.start()
    done = load.closed_loop(server.port, BRIEF, clients=8, until=stop.is_set)
    killer.join()
    assert len(worker_pids(server)) == 2
    assert not set(killed) & set(worker_pids(server))
    figure(f"3 kills beside 8 clients: {len(done.lost)} of {len(done.answers)} requests lost")
    assert {status for status, _ in done.answers} == {200}
    assert len(done.lost) <= 3 * 8
    assert done.refused == 0


def test_sigterm_under_load_loses_no_request(sleeping, figure):
    """Running, waiting and arriving requests are answered, on kept and on new connections."""
    server = sleeping(WEB_CONCURRENCY="2")
    loads: list[load.Load] = []

    def until() -> bool:
        return False

    def fresh(_: int) -> None:
        results = load.Load()
        loads.append(results)
        while not results.refused:
            load.send_one(server.port, BRIEF, results)

    def kept(_: int) -> None:
        loads.append(load.closed_loop(server.port, BRIEF, clients=8, until=until))

    asking = [threading.Thread(target=work, args=(0,)) for work in [fresh] * 8 + [kept]]
    for thread in asking:
        thread.start()
    time.sleep(1.5)
    started = time.monotonic()
    assert server.stop() == 0
    seconds = time.monotonic() - started
    for thread in asking:
        thread.join()
    statuses = [status for results in loads for status, _ in results.answers]
    lost = [reason for results in loads for reason in results.lost]
    figure(f"stopped in {seconds:.2f} s beside 16 clients: {len(lost)} of {len(statuses)} lost")
    assert lost == []
    assert set(statuses) == {200}


def test_accepted_requests_are_answered_after_sigterm(sleeping):
    """One request waits, one is still being sent, and one comes on a silent connection."""
    server = sleeping()
    with ExitStack() as stack:
        running, waiting, sending = (stack.enter_context(raw.Client(server.port)) for _ in range(3))
        running.send(raw.post(b"[[0.5]]"))
        time.sleep(0.1)
        waiting.send(raw.post(b"[[0.1]]"))
        sending.send(raw.post(b"[[0]]")[:-3])
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        sending.send(raw.post(b"[[0]]")[-3:])
        answers = [client.answer() for client in (running, waiting, sending)]
    assert [answer.status for answer in answers] == [200] * 3
    assert [answer.headers["connection"] for answer in answers][1:] == ["close"] * 2
    assert server.process.wait(10) == 0


def test_an_idle_service_stops_at_once(sleeping, figure):
    server = sleeping(WEB_CONCURRENCY="2")
    with ExitStack() as stack:
        kept = [stack.enter_context(raw.Client(server.port)) for _ in range(8)]
        for client in kept[:4]:
            client.send(raw.post(b"[[0]]"))
            assert client.answer().status == 200
        started = time.monotonic()
        assert server.stop() == 0
        seconds = time.monotonic() - started
        assert [client.rest() for client in kept] == [b""] * 8
    figure(f"stopped in {seconds:.2f} s with 8 connections open that said nothing")
    assert seconds < 4  # idle connections are closed after 5 s


def test_master_ends_with_its_last_worker(sleeping_bundle, tmp_path, figure):
    """gunicorn sleeps for 0.1 s after that. A busy machine may delay a single stop."""
    (tmp_path / "bundle").symlink_to(sleeping_bundle)
    delays = []
    while len(delays) < 5 and min(delays, default=1) > 0.08:
        with serve(tmp_path / "bundle", preload=True) as server:
            workers = server.workers()
            server.process.send_signal(signal.SIGTERM)
            while any(map(_is_running, workers)):
                time.sleep(0.001)
            ended = datetime.now(timezone.utc)
            assert server.process.wait(10) == 0
        (line,) = [each for each in server.lines if each["message"].startswith("Shutting down")]
        delays.append((datetime.fromisoformat(line["time"]) - ended).total_seconds())
    figure(f"the master stopped {min(delays):.3f} s after its last worker")
    assert min(delays) <= 0.08


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_service_stops_during_its_start(sleeping_bundle, tmp_path):
    """A worker that has just been forked has no handler for the signal yet."""
    (tmp_path / "bundle").symlink_to(sleeping_bundle)
    with serve(tmp_path / "bundle", WEB_CONCURRENCY="4") as server:
        assert server.stop() == 0


def test_requests_left_at_the_deadline_get_503(sleeping, figure):
    """gunicorn's master kills what is not done by its graceful timeout."""
    options = "--bind 127.0.0.1:0 --graceful-timeout 2"
    server = sleeping(GUNICORN_CMD_ARGS=options)
    with raw.Client(server.port) as running, raw.Client(server.port) as waiting:
        running.send(raw.post(b"[[60]]"))
        time.sleep(0.1)
        waiting.send(raw.post(b"[[0]]"))
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        assert [running.answer().status, waiting.answer().status] == [503, 503]
        assert server.process.wait(10) == 0
