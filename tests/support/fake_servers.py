"""Servers on this machine that respond as a test says, honest or not."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass
class Response:
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(document: object, status: int = 200) -> Response:
    return Response(json.dumps(document).encode(), status)


def redirect(target: str) -> Response:
    return Response(b"", 302, {"Location": target})


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


Answer = Response | Callable[[Any], None]
"""A response, or a function that writes to the handler."""


@dataclass
class FakeServer:
    """Responds to (path, or path and query "path") with the answers in order; the last repeats."""

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def __setitem__(self, path: str, answers: Answer | list[Answer]) -> None:
        self.answers[path] = answers if isinstance(answers, list) else [answers]

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        for key in (f"{request.path}?{request.query.get('path')}", request.path):
            if key in self.answers:
                listed = self.answers[key]
                return listed.pop(0) if len(listed) > 1 else listed[0]
        return as_json({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"}, 404)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _respond(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): text for name, text in self.headers.items()}
        query = dict(parse_qsl(parts.query))
        answer = self.server.fake.answer(Request(self.command, parts.path, query, headers, body))
        try:
            if callable(answer):
                answer(self)
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, text in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(answer.body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = _respond

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    fake: FakeServer

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def run_fake_server(certificate: Path | None = None) -> Iterator[FakeServer]:
    """Run a server until the context ends, with TLS if a certificate with its key is given."""
    server = _Server(("127.0.0.1", 0), _Handler)
    scheme = "http"
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    server.fake = FakeServer(f"{scheme}://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def serve_model(
    fake: FakeServer, folder: Path, name: str = "churn", version: str = "3", alias: str = "best"
) -> None:
    """Answer as a registry with one model, whose artifacts are those of a folder."""
    described = {"name": name, "version": version, "run_id": "0123456789abcdef", "source": "x"}
    fake[f"{API}/registered-models/alias"] = as_json({"model_version": described})
    fake[f"{API}/model-versions/get"] = as_json({"model_version": described})
    fake[f"{API}/registered-models/get-latest-versions"] = as_json(
        {"model_versions": [{**described, "version": "1"}, described]}
    )
    fake[f"{API}/registered-models/get"] = as_json(
        {
            "registered_model": {
                "name": name,
                "aliases": [{"alias": alias, "version": version}],
                "latest_versions": [described],
            }
        }
    )
    uri = "mlflow-artifacts:/1/models/m-1/artifacts"
    fake[f"{API}/model-versions/get-download-uri"] = as_json({"artifact_uri": uri})
    serve_folder(fake, folder, "1/models/m-1/artifacts")


def serve_folder(fake: FakeServer, folder: Path, root: str) -> None:
    """Answer as the proxy of artifacts with a folder."""
    listed = []
    for path in sorted(folder.iterdir()):
        size = {} if path.is_dir() else {"file_size": str(path.stat().st_size)}
        listed.append({"path": path.name, "is_dir": path.is_dir(), **size})
        if path.is_dir():
            serve_folder(fake, path, f"{root}/{path.name}")
        else:
            fake[f"{PROXY}/{root}/{path.name}"] = Response(path.read_bytes())
    fake[f"{PROXY}?{root}"] = as_json({"files": listed})
