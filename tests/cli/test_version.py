"""`modelpack --version` names the engines, quickly, whatever state they are in."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelpack._version import __version__
from modelpack.cli import version


@pytest.fixture(autouse=True)
def no_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A socket that answers with the second element, which a test may replace."""
    body = json.dumps({"Version": "28.1", "Os": "linux", "Arch": "arm64"}).encode()
    answers = [b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body]
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(answers[0])

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield path, answers
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def docker_line() -> str:
    return next(line for line in version.text().splitlines() if line.startswith("docker"))


def test_first_line_is_the_version() -> None:
    assert version.text().splitlines()[0] == f"modelpack, version {__version__}"


def test_docker_is_queried_at_its_socket(daemon, monkeypatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{daemon[0]}")
    assert docker_line() == "docker  28.1, linux/arm64"


def test_docker_is_queried_at_the_address_of_the_context(daemon, tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "mine"}')
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    host = {"Endpoints": {"docker": {"Host": f"unix://{daemon[0]}"}}}
    (meta / "meta.json").write_text(json.dumps(host))
    assert docker_line() == "docker  28.1, linux/arm64"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 500 No\r\n\r\nno JSON", b"\r\n\r\n[]"])
def test_strange_answer_is_not_an_error(daemon, monkeypatch, answer) -> None:
    daemon[1][0] = answer
    monkeypatch.setenv("DOCKER_HOST", f"unix://{daemon[0]}")
    assert docker_line() == f"docker  no answer at unix://{daemon[0]}: see modelpack doctor"


def test_missing_daemon_is_not_an_error(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    assert "no answer" in docker_line()
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert docker_line() == "docker  at tcp://127.0.0.1:1, not queried"
