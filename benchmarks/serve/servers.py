"""The service, its peers, and the limits that are measured."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import modelpack
from benchmarks.peers import Peer, running
from benchmarks.peers.table import instances, predictions_of_instances
from benchmarks.serve import wrk
from benchmarks.serve.models import Load, Material, Model
from benchmarks.serve.processes import used
from modelpack.engines.local.engine import LocalRunner, venv_path
from modelpack.serving.settings import THREAD_VARIABLES

OURS = "modelpack"
COMPILED = "modelpack --compiled"
BARE = "bare WSGI"
DIRECT = "predict alone"
LIMITS = (BARE, DIRECT)

BARE_APP = '''"""A response as long as a prediction's, to every request."""

ANSWER = b'{"predictions":[0]}'
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(ANSWER)))]


def app(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", HEADERS)
    return [ANSWER]
'''


class Running(Protocol):
    """`used`: seconds of CPU time, until now."""

    def used(self) -> float: ...

    def measure(self, load: Load, seconds: int) -> wrk.Answers: ...


@dataclass(frozen=True)
class Contender:
    """Something to measure under `loads`. `start`: it runs, and has answered right, while the
    block is not left.
    """

    name: str
    start: Callable[[], AbstractContextManager[Running]]
    loads: tuple[Load, ...]
    curve: bool = False


@dataclass(frozen=True)
class Answering:
    """A server that answers over HTTP what `document` makes of rows."""

    url: str
    pid: int
    material: Material
    document: Callable[[list[Any]], Any]

    def used(self) -> float:
        return used(self.pid)

    def measure(self, load: Load, seconds: int) -> wrk.Answers:
        return wrk.load(self.url, self._bodies(load), load.connections, seconds)

    def _bodies(self, load: Load) -> Path:
        path = self.material.folder / f"{self.document.__name__}-{load.rows}.jsonl"
        if not path.exists():
            lines = (json.dumps(self.document(rows)) for rows in self.material.instances(load))
            path.write_text("".join(f"{line}\n" for line in lines))
        return path


def competing(model: Model) -> tuple[str, ...]:
    """The names of all that are measured with a model; the service first, the limits last."""
    return (OURS, COMPILED, *model.peers, *(LIMITS if model.limits else ()))


def contender(name: str, material: Material, bundle: Path) -> Contender:
    """`bundle`: of the model, in a folder with room for another one."""
    model = material.model
    if name == OURS:
        return Contender(name, partial(_service, material, bundle), model.loads, model.curve)
    if name == COMPILED:
        start = partial(_compiled_service, material, compiled_bundle(bundle))
        return Contender(name, start, model.loads)
    if name == BARE:
        single = tuple(load for load in model.loads if load.rows == 1)
        return Contender(name, partial(_bare, material, bundle), single)
    if name == DIRECT:
        return Contender(name, partial(_predict_directly, material, bundle), model.loads)
    return Contender(name, partial(_peer, material, model.peers[name]), model.loads, model.curve)


def compiled_bundle(bundle: Path) -> Path:
    """Return the folder of the same model as a compiled one. It may not exist."""
    return bundle.with_name("compiled")


def packaged(material: Material, bundle: Path, **options: bool) -> Path:
    modelpack.package(material.file, engine="process", output=bundle, smoke=False, **options)
    return bundle


@contextmanager
def _service(material: Material, bundle: Path) -> Iterator[Running]:
    """The service as a local process, with the lock, worker, settings and log of the image."""
    with LocalRunner().run(str(bundle)) as process:
        until_answered(f"{process.url}/readyz", process.is_running)
        server = Answering(f"{process.url}/predict", process.pid, material, instances)
        _check(server, predictions_of_instances)
        yield server


@contextmanager
def _compiled_service(material: Material, bundle: Path) -> Iterator[Running]:
    """The same of the compiled model, which is packaged before its first turn."""
    if not bundle.exists():
        packaged(material, bundle, compiled=True)
    with _service(material, bundle) as server:
        yield server


@contextmanager
def _peer(material: Material, peer: Peer) -> Iterator[Running]:
    with running(peer, material.file, material.rows[0]) as process:
        server = Answering(process.url, process.pid, material, peer.document)
        _check(server, peer.predictions)
        yield server


@contextmanager
def _bare(material: Material, bundle: Path) -> Iterator[Running]:
    """The same worker in front of the least application."""
    folder = bundle.with_name("bare")
    if not folder.exists():
        shutil.copytree(bundle, folder)
        (folder / "app.py").unlink()
        (folder / "app.py").write_text(BARE_APP)
    with LocalRunner().run(str(folder)) as process:
        until_answered(process.url, process.is_running)
        yield Answering(f"{process.url}/predict", process.pid, material, instances)


@contextmanager
def _predict_directly(material: Material, bundle: Path) -> Iterator[Running]:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_predicting(material, bundle)) for _ in os.sched_getaffinity(0)
        ]
        yield DirectPrediction(processes)


@contextmanager
def _predicting(material: Material, bundle: Path) -> Iterator[subprocess.Popen[str]]:
    python = venv_path(bundle) / "bin" / "python"
    script = Path(__file__).parent / "predict_alone.py"
    with subprocess.Popen(
        [python, script, material.file, material.questions],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict.fromkeys(THREAD_VARIABLES, "1"),
    ) as process:
        try:
            if _line(process) != "ready":
                raise RuntimeError("The process that only predicts does not start.")
            yield process
        finally:
            process.kill()


@dataclass(frozen=True)
class DirectPrediction:
    """The model without a server: as many processes as processors, one for a lone connection."""

    processes: list[subprocess.Popen[str]]

    def used(self) -> float:
        return sum(used(process.pid) for process in self.processes)

    def measure(self, load: Load, seconds: int) -> wrk.Answers:
        processes = self.processes[: load.connections]
        for process in processes:
            assert process.stdin
            process.stdin.write(f"{load.rows} {seconds}\n")
            process.stdin.flush()
        rate = sum(float(_line(process)) for process in processes) / load.rows
        return wrk.Answers(round(rate * seconds), seconds, None, None, 0, 0)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def _check(server: Answering, predictions: Callable[[Any], list[Any]]) -> None:
    """Require that a server predicts what the model itself predicts.

    Raises:
        RuntimeError: It does not.
    """
    material = server.material
    for count in (1, len(material.rows)):
        body = json.dumps(server.document(material.rows[:count])).encode()
        request = urllib.request.Request(server.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            predicted = predictions(json.load(answer))
        if predicted != material.predictions[:count]:
            raise RuntimeError(
                f"The server predicts {str(predicted)[:200]} for the first {count} rows."
            )


def until_answered(url: str, is_running: Callable[[], bool]) -> None:
    """Wait until a server responds.

    Raises:
        RuntimeError: It ends before.
    """
    while is_running():
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)
    raise RuntimeError("The server ended before it responded.")
