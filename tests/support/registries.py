"""Debian's docker-registry on a free port."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

USER, PASSWORD = "somebody", "correct horse"
HTPASSWD = f"{USER}:$2b$04$mV1Z.YIgDVFWRKQMWngoKOF/y/GppaMX3mVWatOUFcvH5y3roR8mO\n"
SETTINGS = """\
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: REPLACED}
  delete: {enabled: true}
"""


@contextmanager
def run_registry(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Gives its host, "127.0.0.1:PORT", once it answers there. `settings`: its variables, such as
    REGISTRY_HTTP_SECRET.

    FileNotFoundError: there is no docker-registry here.
    """
    host = f"127.0.0.1:{_free_port()}"
    (folder / "config.yml").write_text(SETTINGS.replace("REPLACED", str(folder / "data")))
    environ = {**os.environ, "REGISTRY_HTTP_ADDR": host, "OTEL_TRACES_EXPORTER": "none"}
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, env={**environ, **(settings or {})}, stdout=log, stderr=log
        )
    try:
        _wait(process, f"http://{host}/v2/", folder / "log")
        yield host
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def run_registry_with_passwords(folder: Path) -> Iterator[str]:
    """Run a registry that only USER with PASSWORD may use."""
    (folder / "htpasswd").write_text(HTPASSWD)
    settings = {
        "REGISTRY_AUTH_HTPASSWD_REALM": "test",
        "REGISTRY_AUTH_HTPASSWD_PATH": str(folder / "htpasswd"),
    }
    with run_registry(folder, settings) as host:
        yield host


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(200):
        try:
            requests.get(url, timeout=5)
        except requests.ConnectionError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"docker-registry does not start: {log.read_text()}")
