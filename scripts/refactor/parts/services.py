"""A bundle's service as a local process of the checkout."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from checkout import Checkout

SECONDS = 120


@contextmanager
def serving(checkout: Checkout, bundle: str, log: Path, **variables: str) -> Iterator[int]:
    """Run `modelpack serve BUNDLE` until the block is left; the port that it listens on."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [checkout.command, "serve", bundle, "--port", str(port)],
            cwd=checkout.work,
            env=checkout.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            await_ready(port, process, log)
            yield port
        finally:
            stop(process)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def await_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for _ in range(SECONDS * 5):
        if process.poll() is not None:
            break
        try:
            if exchange(port, request).startswith(b"HTTP/1.1 200"):
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"the service is not ready:\n{log.read_text()[-2000:]}")


def exchange(port: int, *parts: bytes) -> bytes:
    """Send the parts over one connection, and return all that comes until the service ends it."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = []
        try:
            for part in parts:
                connection.sendall(part)
                if len(parts) > 1:
                    time.sleep(0.05)
            while chunk := connection.recv(1 << 16):
                received.append(chunk)
        except ConnectionError:
            # A refused request that was not read whole may end by a reset.
            pass
        return b"".join(received)


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
