"""Load from many concurrent clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import raw


@dataclass
class Load:
    """Results of many requests.

    Attributes:
        answers: The statuses, with the seconds that each took.
        lost: Requests whose connection broke before a response.
        refused: Failed connections, whose requests no server has received.
    """

    answers: list[tuple[int, float]] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    refused: int = 0

    def count(self, status: int) -> int:
        return sum(1 for got, _ in self.answers if got == status)

    def seconds(self, status: int) -> list[float]:
        return sorted(seconds for got, seconds in self.answers if got == status)


def run_concurrently(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def send_one(port: int, data: bytes, load: Load) -> None:
    started = time.monotonic()
    try:
        client = raw.Client(port)
    except OSError:
        load.refused += 1
        return
    with client:
        try:
            client.send(data)
            load.answers.append((client.answer().status, time.monotonic() - started))
        except OSError as error:
            load.lost.append(repr(error))


def open_loop(port: int, data: bytes, rate: float, seconds: float) -> Load:
    """Send requests at a fixed rate, without waiting for the responses."""
    load = Load()
    started = time.monotonic()

    def arrive(number: int) -> None:
        time.sleep(max(0, started + number / rate - time.monotonic()))
        send_one(port, data, load)

    run_concurrently(int(rate * seconds), arrive)
    return load


def closed_loop(port: int, data: bytes, clients: int, until: Callable[[], bool]) -> Load:
    """Let clients send the next request as soon as a response arrives, and return the results.

    They keep their connections as long as the service does. Each client ends when it cannot
    connect, or `until` returns True.
    """
    load = Load()

    def send_on_one_connection(_: int) -> None:
        while not until() and not load.refused:
            repeat_request(port, data, load, until)

    run_concurrently(clients, send_on_one_connection)
    return load


def repeat_request(port: int, data: bytes, load: Load, until: Callable[[], bool]) -> None:
    try:
        client = raw.Client(port)
    except OSError:
        load.refused += 1
        return
    with client:
        while not until():
            started = time.monotonic()
            try:
                client.send(data)
                answer = client.answer()
            except OSError as error:
                load.lost.append(repr(error))
                return
            load.answers.append((answer.status, time.monotonic() - started))
            if answer.headers["connection"] == "close":
                return
