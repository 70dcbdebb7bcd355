"""nginx with the rendered configuration, between clients and servers of this process."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from deployments import IMAGE, deployment
from nginx_images import find_nginx
from waiting import wait_until

from modelpack.deployment import Folder, Version, render
from modelpack.deployment.targets import PROXY_FILE, SHADOW_REQUESTS

pytestmark = pytest.mark.engine
SHADOW = Version("shadow", IMAGE, deployment().plan)
MOST_SECONDS = 2.0
"""Of a response on a busy machine; a client that waits for a shadow waits for ever."""


@dataclass(frozen=True)
class Received:
    """A request that a server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.goes_on.wait(30)
        server.received.append(Received(self.command, self.path, headers, body))
        answer = server.name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """A server that keeps requests, and does not respond while `goes_on` is not set."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name = name
        self.received: list[Received] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()


@dataclass(frozen=True)
class Proxy:
    """A running proxy with its servers."""

    port: int
    model: Server
    shadow: Server

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)


@pytest.fixture
def proxy(engine, tmp_path: Path) -> Iterator[Proxy]:
    """nginx with the network of this machine. Only addresses of its configuration are replaced."""
    model, shadow = Server("model"), Server("shadow")
    port, health = unused_ports(2)
    addresses = {
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "listen 127.0.0.1:8081;": f"listen 127.0.0.1:{health};",
        "http://$model:8080": f"http://127.0.0.1:{model.server_port}",
        "http://$shadow:8080": f"http://127.0.0.1:{shadow.server_port}",
    }
    text = render("compose", deployment(has_proxy=True, second=SHADOW))[PROXY_FILE]
    for old, new in addresses.items():
        assert old in text
        text = text.replace(old, new)
    Folder(tmp_path).write({PROXY_FILE: text}, {})
    mount = f"type=bind,source={tmp_path}/proxy,target=/etc/modelpack,readonly"
    name = f"modelpack-test-proxy-{os.getpid()}"
    command = ["docker", "run", "--rm", "--detach", "--name", name, "--network=host"]
    command += ["--read-only", "--tmpfs=/tmp", "--user=65532:65532", "--cap-drop=ALL"]
    command += ["--mount", mount, "--entrypoint=nginx", find_nginx()]
    command += ["-e", "stderr", "-c", "/etc/modelpack/nginx.conf"]
    subprocess.run(command, capture_output=True, text=True, check=True)
    try:
        assert wait_until(lambda: responds(health))
        yield Proxy(port, model, shadow)
    finally:
        subprocess.run(["docker", "kill", name], capture_output=True, check=True)
        for server in (model, shadow):
            server.goes_on.set()
            server.shutdown()
            server.server_close()


def unused_ports(count: int) -> list[int]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def responds(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def post(client: http.client.HTTPConnection, body: bytes = b"{}", path: str = "/predict") -> bytes:
    """Send a request on the client's one connection."""
    headers = {"Host": "models.example.org", "X-Forwarded-For": "192.0.2.7", "X-Request-Id": "r1"}
    client.request("POST", path, body, headers)
    return client.getresponse().read()


def test_shadow_gets_a_copy_of_each_request(proxy: Proxy) -> None:
    with closing(proxy.client()) as client:
        for number in range(20):
            assert post(client, b"%d" % number, f"/predict?n={number}&t=a%20b") == b"model"
        client.request("GET", "/signature")
        assert client.getresponse().read() == b"model"
    assert wait_until(lambda: len(proxy.shadow.received) == 21)
    sent = proxy.model.received
    copies = sorted(proxy.shadow.received, key=lambda request: sent.index(same(request, sent)))
    for original, copy in zip(sent, copies, strict=True):
        assert (copy.method, copy.path, copy.body) == (
            original.method, original.path, original.body
        )  # fmt: skip
        assert copy.headers == original.headers
    assert sent[0].headers["host"] == "models.example.org"
    assert sent[0].headers["x-forwarded-for"] == "192.0.2.7, 127.0.0.1"
    assert sent[0].headers["x-request-id"] == "r1"
    assert sent[-1].headers["x-forwarded-for"] == "127.0.0.1"


def same(copy: Received, requests: list[Received]) -> Received:
    return next(each for each in requests if (each.path, each.body) == (copy.path, copy.body))


def test_shadow_gets_large_bodies(proxy: Proxy) -> None:
    """From 128 KiB on, nginx keeps them in files."""
    bodies = [os.urandom(size) for size in (2**17 - 1, 2**17, 2**17 + 1, 300_000, 2**20)]
    with closing(proxy.client()) as client:
        for body in bodies:
            assert post(client, body) == b"model"
    assert wait_until(lambda: len(proxy.shadow.received) == len(bodies))
    assert {request.body for request in proxy.shadow.received} == set(bodies)
    with closing(proxy.client()) as client:
        client.request("POST", "/predict", b"x" * (2**20 + 1))
        assert client.getresponse().status == 413
    assert len(proxy.model.received) == len(bodies)


def test_client_never_waits_for_a_shadow_that_does_not_respond(proxy: Proxy) -> None:
    """Also on one connection, which nginx keeps until copies of earlier requests are sent."""
    proxy.shadow.goes_on.clear()
    count = 2 * SHADOW_REQUESTS
    with closing(proxy.client()) as client:
        post(client)
        connection = client.sock
        for body in (b"{}",) * count + (b"x" * 300_000,) * 3:
            started = time.monotonic()
            assert post(client, body) == b"model"
            assert time.monotonic() - started < MOST_SECONDS
        assert client.sock is connection
    proxy.shadow.goes_on.set()
    assert wait_until(lambda: len(proxy.shadow.received) == SHADOW_REQUESTS)
    with closing(proxy.client()) as client:
        post(client, path="/after")
    assert wait_until(lambda: proxy.shadow.received[-1].path == "/after")


def test_shadow_that_is_gone_delays_no_client(proxy: Proxy) -> None:
    proxy.shadow.shutdown()
    proxy.shadow.server_close()
    with closing(proxy.client()) as client:
        for _ in range(20):
            started = time.monotonic()
            assert post(client) == b"model"
            assert time.monotonic() - started < MOST_SECONDS
