"""A steady load, of which every request is counted: asyncio clients with persistent connections."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from urllib.request import Request, urlopen

TIMEOUT_SECONDS = 30.0


@dataclass
class Seen:
    """What the clients saw.

    Attributes:
        answers: (status, version that answered) -> count. An error has its name as its status.
        bodies: Bodies of the responses with status 200 -> count.
        milliseconds: From the time at which a request was due, so that a wait counts.
        reopened: Requests that were sent again, because the server had closed an idle connection
            before it read them. HTTP clients do this themselves.
    """

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    bodies: Counter[bytes] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    reopened: int = 0

    @property
    def requests(self) -> int:
        return sum(self.answers.values())

    @property
    def failed(self) -> dict[str, int]:
        return {status: count for (status, _), count in self.answers.items() if status != "200"}

    def percentile(self, part: float) -> float:
        ordered = sorted(self.milliseconds) or [0.0]
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class SteadyLoad:
    """Clients in a thread that send requests at a rate, until the context ends or a count is met.

    Attributes:
        seen: The results so far.
    """

    def __init__(
        self, port: int, body: bytes, rate: float, clients: int = 8, count: int | None = None
    ) -> None:
        self.seen = Seen()
        self._port, self._interval = port, clients / rate
        self._clients, self._left = clients, count
        self._connections: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._request = (
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def __enter__(self) -> SteadyLoad:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._left is None or kind:
            self._ends.set()
        self._thread.join()

    async def _run(self) -> None:
        clients = (self._client(number) for number in range(self._clients))
        await asyncio.gather(*clients)

    def _goes_on(self) -> bool:
        if self._left is not None:
            self._left -= 1
            return self._left >= 0 and not self._ends.is_set()
        return not self._ends.is_set()

    async def _client(self, number: int) -> None:
        due = time.monotonic() + self._interval * number / self._clients
        while self._goes_on():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                status, version, body = await asyncio.wait_for(
                    self._request_answer(number), TIMEOUT_SECONDS
                )
                if status == "200":
                    self.seen.bodies[body] += 1
            except (OSError, EOFError, asyncio.TimeoutError, ValueError) as error:
                status, version = type(error).__name__, ""
                self._close(number)
            self.seen.answers[status, version] += 1
            self.seen.milliseconds.append((time.monotonic() - due) * 1000)
            # After a pause, requests are not sent all at once.
            due = max(due + self._interval, time.monotonic() - self._interval)
        self._close(number)

    async def _request_answer(self, number: int) -> tuple[str, str, bytes]:
        """Send a request, on a new connection if the server has closed the idle one."""
        if number in self._connections:
            try:
                return await self._send(number)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                if getattr(error, "partial", b""):
                    raise
                self.seen.reopened += 1
                self._close(number)
        self._connections[number] = await asyncio.open_connection("127.0.0.1", self._port)
        return await self._send(number)

    def _close(self, number: int) -> None:
        if number in self._connections:
            self._connections.pop(number)[1].close()

    async def _send(self, number: int) -> tuple[str, str, bytes]:
        reader, writer = self._connections[number]
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self._close(number)
        return lines[0].split()[1], headers.get("x-modelpack-version", ""), body


def example(port: int) -> bytes:
    """Return the example of a request to `/predict`, of the OpenAPI document of the service."""
    with urlopen(f"http://127.0.0.1:{port}/openapi.json") as response:
        document = json.load(response)
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    found = content.get("example") or next(iter(content["examples"].values()))["value"]
    return json.dumps(found).encode()


def get(port: int, path: str) -> bytes:
    with urlopen(Request(f"http://127.0.0.1:{port}{path}")) as response:
        body: bytes = response.read()
        return body
