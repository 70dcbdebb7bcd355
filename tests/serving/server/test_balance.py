"""Workers have equally many connections."""

from __future__ import annotations

import http.client
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import pytest
import serving_models
from gunicorn_server import serve
from serving_models import render_bundle
from waiting import wait_until

from modelpack.serving import balance
from modelpack.serving.balance import ConnectionCounts, Share

CLIENTS = 20


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    bundle = render_bundle(serving_models.iris(), tmp_path_factory.mktemp("iris"))
    with serve(bundle.directory) as server:
        yield server


class Clients:
    """Connections that are kept alive, and group again when the service closes them."""

    def __init__(self, server) -> None:
        self.server = server
        self.connections = [
            http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(CLIENTS)
        ]
        for connection in self.connections:
            connection.connect()

    def request(self) -> set[int]:
        """Send a request by each connection, and return the statuses."""
        statuses = set()
        for connection in self.connections:
            connection.request("GET", "/v2/health/ready")
            response = connection.getresponse()
            response.read()
            statuses.add(response.status)
        return statuses

    def per_worker(self) -> list[int]:
        sockets = [_sockets(pid) for pid in self.server.workers()]
        return [len(each - set.intersection(*sockets)) for each in sockets]

    def are_spread(self) -> bool:
        """Return whether one more request by each has left them spread evenly."""
        assert self.request() == {200}
        few, many = sorted(self.per_worker())
        return many - few <= 2


def _sockets(pid: int) -> set[str]:
    """Return the sockets of a process. The listener is also one of the other worker."""
    links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return {link for link in links if link.startswith("socket:")}


@contextmanager
def clients(server):
    group = Clients(server)
    try:
        yield group
    finally:
        for connection in group.connections:
            connection.close()


def test_connections_are_spread_evenly(iris):
    with clients(iris) as group:
        assert wait_until(group.are_spread)


def test_a_new_worker_gets_its_share_of_old_connections(iris):
    first, _ = iris.workers()
    with clients(iris) as group:
        assert wait_until(group.are_spread)
        os.kill(first, signal.SIGKILL)
        assert wait_until(lambda: first not in iris.workers())
        group.connections = [each for each in group.connections if _is_open(each)]
        assert len(group.connections) < CLIENTS
        assert wait_until(group.are_spread)


def _is_open(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/v2/health/ready")
        connection.getresponse().read()
    except (ConnectionError, http.client.HTTPException):
        return False
    return True


def test_a_worker_that_hangs_does_not_hold_up_connections(iris):
    stopped, _ = iris.workers()
    os.kill(stopped, signal.SIGSTOP)
    try:
        with clients(iris) as group:
            assert group.request() == {200}
    finally:
        os.kill(stopped, signal.SIGCONT)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(balance.time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def shares():
    counts = ConnectionCounts()
    return [Share(str(slot), counts) for slot in range(3)]


def publish(shares, *counts: int) -> None:
    for share, count in zip(shares, counts, strict=True):
        share.publish(count)
    for _ in range(2):  # the first sees no worker that ticks later
        for share, count in zip(shares, counts, strict=True):
            share.tick(count)


def surplus(share: Share, count: int) -> int:
    """Close connections one after the other, as long as there are too many."""
    closed = 0
    while share.take_surplus(count - closed):
        closed += 1
        share.publish(count - closed)
    return closed


def test_who_has_more_leads(shares):
    publish(shares, 3, 2, 4)
    assert [share.lead(n) for share, n in zip(shares, (3, 2, 4), strict=True)] == [1, -1, 2]
    publish(shares, 20, 12, 19)
    assert [share.lead(n) for share, n in zip(shares, (20, 12, 19), strict=True)] == [0, -11, 0]
    assert shares[0].lead(20, is_full=True) == 8


def test_a_surplus_is_half_of_the_difference(shares):
    publish(shares, 9, 2, 8)
    assert [surplus(*pair) for pair in zip(shares, (9, 2, 8), strict=True)] == [3, 0, 3]
    publish(shares, 3, 2, 2)
    assert [surplus(*pair) for pair in zip(shares, (3, 2, 2), strict=True)] == [0, 0, 0]


def test_a_surplus_that_has_ended_is_none(shares):
    publish(shares, 100, 1, 1)
    assert not shares[0].take_surplus(2)
    assert not shares[0].take_surplus(100)


def test_silent_and_leaving_workers_are_left_out(shares, clock):
    publish(shares, 5, 1, 0)
    shares[2].leave()
    assert shares[0].lead(4) == 3
    assert shares[1].lead(1) == -4
    clock.now += 1.0
    shares[0].tick(5)
    assert shares[0].lead(5) is None
    assert surplus(shares[0], 5) == 0


def test_a_worker_without_a_slot_takes_no_part():
    counts = ConnectionCounts()
    others = [Share("0", counts), Share(None, counts), Share("64", counts)]
    publish(others, 0, 9, 9)
    assert [share.lead(9) for share in others[1:]] == [None, None]
    assert [surplus(share, 9) for share in others[1:]] == [0, 0]
