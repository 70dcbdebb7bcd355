"""A TCP proxy on loopback that breaks connections."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def break_connections(host: str, after: int, times: int, *, answers: bool = False) -> Iterator[str]:
    """Gives the host of a proxy for `host`, which breaks a connection after that many bytes of
    what is sent, or of the answers, and does so only for the first `times` that have so many.
    """
    address, _, port = host.partition(":")
    left = [times]

    def forward(source: socket.socket, target: socket.socket, counted: bool) -> None:
        count = 0
        with suppress(OSError):
            while data := source.recv(2**16):
                count += len(data)
                if counted and count > after and left[0]:
                    left[0] -= 1
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((address, int(port))) as upstream:
                back = (upstream, self.request, answers)
                thread = threading.Thread(target=forward, args=back)
                thread.start()
                forward(self.request, upstream, not answers)
                thread.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = False  # they are waited for

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
