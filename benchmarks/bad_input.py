"""Responses of servers to bad input: the status, and what the largest body costs them.

    python -m benchmarks.bad_input [--json | --markdown] [SERVER...]

Each serves the same iris model on this machine, one after the other, as in its documentation. The
first run creates their environments, 4 GB. The table contains the status; for the body of 50 MB
also the seconds, and the peak memory of all processes of the server in MB.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

import modelpack
from benchmarks.peers import PEERS, Peer, running, trained
from benchmarks.peers.table import instances
from modelpack.engines.local.engine import LocalRunner
from modelpack.engines.local.processes import memory_bytes

GOOD = [5.1, 3.5, 1.4, 0.2]
LARGE = 50_000_000  # bytes
PATIENCE = 15.0  # seconds; the others have no limit of their own that is shorter

ROWS: dict[str, Any] = {
    "3 features": [GOOD[:3]],
    "a string": [[*GOOD[:3], "setosa"]],
    "NaN": [[*GOOD[:3], float("nan")]],
    "no rows": [],
}
OURS = Peer("modelpack", (), (), "/predict", instances)


@dataclass(frozen=True)
class Answer:
    """`status` None: none within `seconds`. `memory`: maximum MB during the request."""

    status: int | None
    seconds: float
    memory: float

    def __str__(self) -> str:
        return "none" if self.status is None else str(self.status)

    def at_length(self) -> str:
        if self.status is None:
            return f"none in {PATIENCE:.0f} s ({self.memory:,.0f} MB)"
        return f"{self} ({self.seconds:.1f} s, {self.memory:,.0f} MB)"


def bodies(peer: Peer) -> Iterator[tuple[str, bytes]]:
    yield "malformed JSON", json.dumps(peer.document([GOOD])).encode()[:-2]
    for name, rows in ROWS.items():
        yield name, json.dumps(peer.document(rows)).encode()
    row = json.dumps(peer.document([GOOD])).encode()
    one = len(json.dumps(peer.document([GOOD, GOOD])).encode()) - len(row)
    yield "50 MB", json.dumps(peer.document([GOOD] * (LARGE // one))).encode()


def send(url: str, pid: int, body: bytes) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    with watched(pid) as most:
        started = time.monotonic()
        try:
            status = _status(connection, parts.path, body)
        finally:
            connection.close()
        seconds = time.monotonic() - started
    return Answer(status, seconds, most[0] / 1e6)


def _status(connection: http.client.HTTPConnection, path: str, body: bytes) -> int | None:
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
    except TimeoutError:
        return None
    except OSError:
        pass  # it has heard enough: its answer is there to be read
    try:
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None


@contextmanager
def watched(server: int) -> Iterator[list[int]]:
    """The most memory, in bytes, that the processes of a group have together in the meantime."""
    most, over = [memory_bytes(server)], threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            most[0] = max(most[0], memory_bytes(server))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


@contextmanager
def serving(peer: Peer, model: Path, scratch: Path) -> Iterator[tuple[str, int]]:
    if peer is not OURS:
        with running(peer, model, GOOD) as server:
            yield server.url, server.pid
        return
    bundle = scratch / "bundle"
    if not bundle.exists():
        modelpack.package(model, engine="process", output=bundle, smoke=False)
    with LocalRunner().run(str(bundle)) as service:
        while not reachable(service.url):
            time.sleep(0.1)
        yield f"{service.url}{peer.path}", service.pid


def reachable(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def measured(peer: Peer, model: Path, scratch: Path) -> dict[str, Answer]:
    answers = {}
    for name, body in bodies(peer):
        with serving(peer, model, scratch) as (url, pid):  # anew: the last may still have effect
            answers[name] = send(url, pid, body)
    return answers


def cells(row: dict[str, Answer]) -> list[str]:
    *short, last = row.values()
    return [*map(str, short), last.at_length()]


def markdown(responses: dict[str, dict[str, Answer]]) -> str:
    names = ("server", *next(iter(responses.values())))
    rows = (names, ("---",) * len(names), *((name, *cells(row)) for name, row in responses.items()))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("servers", nargs="*", metavar="SERVER")
    options = parser.parse_args()
    servers = {OURS.name: OURS, **PEERS}
    with tempfile.TemporaryDirectory() as folder:
        model = trained("iris", Path(folder))
        found = {
            name: measured(servers[name], model, Path(folder) / name)
            for name in options.servers or servers
        }
    if options.json:
        plain = {name: {case: vars(a) for case, a in row.items()} for name, row in found.items()}
        print(json.dumps(plain, indent=2))
        return
    if options.markdown:
        print(markdown(found))
        return
    table = Table("server", *next(iter(found.values())))
    for name, row in found.items():
        table.add_row(name, *cells(row))
    Console(width=int(os.environ.get("COLUMNS", "110"))).print(table)


if __name__ == "__main__":
    main()
