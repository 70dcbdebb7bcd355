"""A client that sends and receives raw bytes, and so may break the rules of HTTP."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass

ROW = b"[[5.1, 3.5, 1.4, 0.2]]"
HEAD = b"POST /predict HTTP/1.1\r\nHost: model\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict:
        assert self.headers["content-type"] == "application/problem+json"
        return json.loads(self.body)


def post(body: bytes = ROW, headers: bytes = b"") -> bytes:
    return HEAD + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes = ROW, size: int = 1 << 16) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    wire = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + wire + b"0\r\n\r\n"


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: model\r\n\r\n".encode()


class Client:
    """One connection. A `small` one receives little at a time."""

    def __init__(self, port: int, timeout: float = 20, *, small: bool = False) -> None:
        self.sock = socket.socket()
        self.sock.settimeout(timeout)
        if small:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise
        self.file = self.sock.makefile("rb")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, method: str = "POST") -> Response:
        """The next response; ConnectionResetError if the connection ends without one."""
        line = self._line().split()
        status = int(line[1])
        headers = {}
        while header := self._line():
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        size = 0 if method == "HEAD" or status == 304 else int(headers["content-length"])
        body = self.file.read(size)
        assert len(body) == size
        return Response(status, headers, body)

    def _line(self) -> str:
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError(line)
        return line[:-2].decode("latin-1")

    def rest(self) -> bytes:
        """All that comes until the service closes the connection."""
        pieces = []
        try:
            while piece := self.file.read1(1 << 16):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        return b"".join(pieces)


def request(port: int, data: bytes, timeout: float = 20) -> Response:
    with Client(port, timeout) as client:
        client.send(data)
        return client.answer("HEAD" if data.startswith(b"HEAD") else "POST")


def time_requests(port: int, data: bytes, count: int) -> list[float]:
    """Return the seconds that each of `count` requests takes, each on a new connection."""
    seconds = []
    for _ in range(count):
        started = time.monotonic()
        assert request(port, data).status == 200
        seconds.append(time.monotonic() - started)
    return sorted(seconds)
