"""A model spec made by hand, and a package index on the loopback with wheels made on the spot."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modelpack.environment import index_settings
from modelpack.types import IndexSettings, ModelFile, ModelSpec, Safety, Signature


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., ModelSpec]:
    """Create specs from a scikit-learn version (None: not recorded) and other requirements."""

    def make(version: str | None, python: str | None = None, **libraries: str) -> ModelSpec:
        return ModelSpec(
            file=ModelFile("model.joblib", "0" * 64, 1, "raw", 4, "pickle"),
            format="joblib",
            framework="scikit-learn",
            framework_version=version,
            python=python,
            task="classifier",
            estimator=None,
            steps=(),
            method="predict",
            requirements={"scikit-learn": f"=={version}" if version else "", **libraries},
            versions={},
            local_modules=(),
            signature=Signature((), ()),
            safety=Safety("pass"),
        )

    return make


@pytest.fixture
def real_index() -> IndexSettings:
    """The index in the configuration of the user."""
    return index_settings()


def wheel(name: str, version: str, requires: list[str]) -> tuple[str, bytes]:
    """File name and bytes of a wheel of nothing but metadata."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", metadata)
        archive.writestr(f"{stem}.dist-info/WHEEL", tags)
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    return f"{stem}-py3-none-any.whl", buffer.getvalue()


@dataclass
class LocalIndex:
    """`days`: file name -> upload time; a file without one is served without."""

    files: dict[str, bytes] = field(default_factory=dict)
    days: dict[str, str] = field(default_factory=dict)
    authorization: str | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple/"

    def add(self, name: str, version: str, *requires: str, day: str | None = None) -> None:
        filename, content = wheel(name, version, list(requires))
        self.files[filename] = content
        if day:
            self.days[filename] = f"{day}T00:00:00Z"

    def protect(self, user: str, password: str) -> None:
        secret = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.authorization = f"Basic {secret}"

    def page(self, name: str) -> bytes:
        start = f"{name.replace('-', '_')}-"
        files = [self.entry(filename) for filename in self.files if filename.startswith(start)]
        if not files:
            return b""
        return json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": files}).encode()

    def entry(self, filename: str) -> dict[str, object]:
        digest = hashlib.sha256(self.files[filename]).hexdigest()
        entry: dict[str, object] = {
            "filename": filename,
            "url": f"/files/{filename}",
            "hashes": {"sha256": digest},
        }
        if filename in self.days:
            entry["upload-time"] = self.days[filename]
        return entry


def handler(index: LocalIndex) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if index.authorization and self.headers["Authorization"] != index.authorization:
                self.answer(401, b"", "text/plain")
                return
            _, kind, name, *_ = self.path.split("/")
            if kind == "simple":
                page = index.page(name)
                self.answer(200 if page else 404, page, "application/vnd.pypi.simple.v1+json")
            else:
                self.answer(200, index.files[name], "application/octet-stream")

        def answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serving(index: LocalIndex) -> Iterator[LocalIndex]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(index))
    index.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def local_index(tmp_path, monkeypatch) -> Iterator[LocalIndex]:
    """Holds the serving stack; tests add what they need."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    index = LocalIndex()
    for name in ("flask", "gunicorn", "orjson", "prometheus-client"):
        index.add(name, "9.9", day="2026-01-01")
    with serving(index):
        yield index


@pytest.fixture
def second_index() -> Iterator[LocalIndex]:
    with serving(LocalIndex()) as index:
        yield index
