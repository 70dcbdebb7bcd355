"""Create the environment of a server from its lock, and run the server."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uv

from benchmarks.peers.table import PEERS, PYTHON, Peer

DIRECTORY = Path(__file__).parent
CACHE = DIRECTORY.parents[1] / ".cache" / "peers"
COMMON = ("scikit-learn==1.7.2", "joblib")  # the model is the same file for all
READY_SECONDS = 120


@dataclass(frozen=True)
class Running:
    """A server that answers; `pid`: of the group of its processes."""

    url: str
    pid: int


def trained(name: str, folder: Path) -> Path:
    """Return the file of a model of train.py, saved by the scikit-learn version of all peers.

    `questions.json` next to it contains rows and their predictions.
    """
    command = [str(environment(PEERS["fastapi"]) / "bin" / "python"), str(DIRECTORY / "train.py")]
    subprocess.run(command, env={"PEER_TRAIN": name, "PEER_FOLDER": str(folder)}, check=True)
    return folder / "model.joblib"


def lock(peer: Peer) -> None:
    """Pin and hash what `peer` needs, as of today."""
    requirements_text = "\n".join((*peer.requirements, *COMMON))
    flags = ("--generate-hashes", "--no-header", "--no-annotate", "--quiet", "--universal")
    into = (f"--output-file={DIRECTORY / peer.name}.lock", "--upgrade", "-")
    command = [uv.find_uv_bin(), "pip", "compile", f"--python-version={PYTHON}", *flags, *into]
    subprocess.run(command, input=requirements_text, text=True, check=True)


def environment(peer: Peer) -> Path:
    """The virtual environment of `peer`, made if it is not there."""
    pins = DIRECTORY / f"{peer.name}.lock"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
    folder = CACHE / f"{peer.name}-{digest}"
    if not (folder / "made").exists():
        flags = [uv.find_uv_bin(), "venv", "--clear", "--quiet", f"--python={PYTHON}", str(folder)]
        subprocess.run(flags, check=True)
        into = (f"--python={folder}/bin/python", f"--requirement={pins}")
        filled = [uv.find_uv_bin(), "pip", "install", "--quiet", "--require-hashes", *into]
        subprocess.run(filled, check=True)
        (folder / "made").touch()
    return folder


@contextmanager
def running(peer: Peer, model: Path, example: Any) -> Iterator[Running]:
    """`peer` serving `model` on loopback, once it answers `example`; all its processes have ended
    when the block is left.

    Raises:
        RuntimeError: The server ends or does not respond in time.
    """
    directory = environment(peer)
    port = _free_port()
    url = f"http://127.0.0.1:{port}{peer.path}"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        facts = {"here": str(DIRECTORY), "model": str(model), "port": str(port), "folder": folder}
        variables = {
            **{f"PEER_{name.upper()}": value for name, value in facts.items()},
            **{"HOME": folder, "LANG": "C.UTF-8", "PATH": f"{directory / 'bin'}:/usr/bin:/bin"},
            **{"BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true"},
            **{"OMP_NUM_THREADS": "1"},  # as scikit-learn advises where there are many processes
            **{"UVICORN_ACCESS_LOG": "false"},  # of MLflow's, which has no option for it
        }

        def start(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
            filled = [part.format(**facts) for part in command]
            where: Any = {"env": variables, "cwd": folder, "stdout": output, "stderr": output}
            return subprocess.Popen(filled, **where, start_new_session=True)

        process = None
        try:
            if peer.prepare:
                _prepared(start(peer.prepare))
            process = start(peer.command)
            _await(process, url, json.dumps(peer.document([example])).encode())
            yield Running(url, process.pid)
        except RuntimeError as error:
            output.seek(0)
            raise RuntimeError(f"{error}\n{output.read().decode()[-3000:]}") from error
        finally:
            if process:
                _end(process)


def _prepared(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        raise RuntimeError("What is run before it fails.")


def _await(process: subprocess.Popen[bytes], url: str, body: bytes) -> None:
    deadline = time.monotonic() + READY_SECONDS
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    response = "nothing"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except urllib.error.HTTPError as error:
            response = f"{error.code} {error.read()[:500]!r}"
        except OSError as error:
            response = str(error)
        time.sleep(0.2)
    raise RuntimeError(f"The server does not respond: {response}.")


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def lock_all() -> None:
    for peer in PEERS.values():
        lock(peer)
