"""Package indexes and proxies on this machine, as companies have them: with a certificate of their
own authority, with a password, behind a proxy. By name, as pip 24 refuses TLS to an address.
"""

from __future__ import annotations

import base64
import hashlib
import io
import ssl
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from select import select
from socket import create_connection, socket

EXTENSION = """\
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *none) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "%s", "", -1, methods};
PyMODINIT_FUNC PyInit_%s(void) { return PyModule_Create(&module); }
"""


def wheel(name: str, version: str = "1.0", requires: tuple[str, ...] = ()) -> tuple[str, bytes]:
    """Return the file name and the bytes of a wheel with one module."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    lines = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{module}.py", f"NAME = {name!r}\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{lines}"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{module}-{version}-py3-none-any.whl", buffer.getvalue()


def sdist(
    name: str, version: str = "1.0", *, compiled: bool = False, metadata: str = "1.1"
) -> tuple[str, bytes]:
    """File name and bytes of a source distribution as setuptools makes one. `compiled`: its module
    is written in C and has a function `answer`. From `metadata` 2.2 on, nothing is run to read it.
    """
    module = name.replace("-", "_")
    marker = (
        f"ext_modules=[Extension({module!r}, ['module.c'])]"
        if compiled
        else f"py_modules=[{module!r}]"
    )
    setup = "from setuptools import Extension, setup\n"
    setup += f"setup(name={name!r}, version={version!r}, {marker})\n"
    files = {
        "setup.py": setup,
        "PKG-INFO": f"Metadata-Version: {metadata}\nName: {name}\nVersion: {version}\n",
    }
    if compiled:
        files["module.c"] = EXTENSION % (module, module)
    else:
        files[f"{module}.py"] = "def answer():\n    return 42\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{module}-{version}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return f"{module}-{version}.tar.gz", buffer.getvalue()


@dataclass
class Index:
    """An index on the loopback.

    Attributes:
        password: The required credentials, as user:password.
        paths: The requested paths, in order.
        swapped: Contents to send instead of the files that the pages list.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    password: str | None = None
    url: str = ""
    paths: list[str] = field(default_factory=list)
    swapped: dict[str, bytes] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return self.url.split("/")[2]

    def add(self, file: tuple[str, bytes]) -> str:
        """Returns its sha256."""
        self.files[file[0]] = file[1]
        return hashlib.sha256(file[1]).hexdigest()

    def page(self, name: str) -> str:
        """PEP 503: what every pip reads."""
        start = name.replace("-", "_") + "-"
        return "".join(
            f'<a href="/files/{file}#sha256={hashlib.sha256(content).hexdigest()}">{file}</a>\n'
            for file, content in self.files.items()
            if file.startswith(start)
        )

    def answer(self, path: str, authorization: str | None) -> tuple[int, bytes]:
        self.paths.append(path)
        if self.password and authorization != f"Basic {_base64(self.password)}":
            return 401, b""
        _, kind, name, *_ = path.split("/")
        content = (
            self.page(name).encode() if kind == "simple" else {**self.files, **self.swapped}[name]
        )
        return (200 if content else 404), content


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@contextmanager
def serve_index(index: Index, certificate: Path | None = None) -> Iterator[Index]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = index.answer(self.path, self.headers["Authorization"])
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", "Basic")
            self.send_header(
                "Content-Type",
                "text/html" if "/simple/" in self.path else "application/octet-stream",
            )
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None: ...

    server = _Quiet(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    index.url = f"http{'s' if certificate else ''}://localhost:{server.server_port}/simple"
    with _in_background(server):
        yield index


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that does not trust the certificate hangs up, as it must."""


@contextmanager
def _in_background(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def authority(folder: Path) -> tuple[Path, Path]:
    """Create a CA certificate, and a certificate for localhost that it has signed."""
    folder.mkdir(parents=True)
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    signs = "-addext keyUsage=critical,keyCertSign"  # Python 3.13 requires it
    _run(f"{new} -subj /CN=Authority {signs} -keyout ca.key -out ca.pem", folder)
    _run(
        f"{new} -subj /CN=Index -addext subjectAltName=DNS:localhost"
        " -addext basicConstraints=CA:FALSE -CA ca.pem -CAkey ca.key"
        " -keyout server.key -out server.crt",
        folder,
    )
    server = folder / "server.pem"
    server.write_text((folder / "server.crt").read_text() + (folder / "server.key").read_text())
    return folder / "ca.pem", server


def _run(command: str, folder: Path) -> None:
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


@dataclass
class Proxy:
    """An HTTP proxy; `requested` lists the addresses of the tunnels that it opened."""

    password: str
    url: str = ""
    requested: list[str] = field(default_factory=list)
    refused: int = 0


@contextmanager
def run_proxy(proxy: Proxy) -> Iterator[Proxy]:
    """Run an HTTP proxy that supports only CONNECT."""

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            if self.headers["Proxy-Authorization"] != f"Basic {_base64(proxy.password)}":
                proxy.refused += 1
                self.send_response(407)
                self.send_header("Proxy-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            proxy.requested.append(self.path)
            name, port = self.path.rsplit(":", 1)
            with closing(create_connection((name, int(port)))) as other:
                self.send_response(200)
                self.end_headers()
                _splice(self.connection, other)
            self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = _Quiet(("127.0.0.1", 0), Handler)
    proxy.url = f"http://{proxy.password}@localhost:{server.server_port}"
    with _in_background(server):
        yield proxy


def _splice(one: socket, other: socket) -> None:
    """Pass bytes both ways until one side closes."""
    to = {one: other, other: one}
    while True:
        for end in select([one, other], [], [], 30)[0]:
            block = end.recv(65536)
            if not block:
                return
            to[end].sendall(block)


@contextmanager
def registry(manifest: bytes, kind: str) -> Iterator[str]:
    """Run an image registry whose every image has this manifest, and yield its address."""
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = manifest if "/manifests/" in self.path else b"{}"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Docker-Content-Digest", digest)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None: ...

    server = _Quiet(("127.0.0.1", 0), Handler)
    with _in_background(server):
        yield f"127.0.0.1:{server.server_port}"
