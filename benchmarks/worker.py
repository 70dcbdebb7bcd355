"""How requests are best answered: by which worker, in which thread, by how many processes.

    python -m benchmarks.worker [--rounds N] [--seconds N] [--markdown] [MODEL...]

Serves the same bundle in several ways, in turn, on this machine; wrk requests single rows by 1 and
by 64 connections. Shown are medians of the rounds, in requests a second, and p99 in ms by 64.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import tables
from benchmarks.serve import wrk
from benchmarks.serve.models import MODELS, Material, train
from benchmarks.serve.servers import packaged, until_answered
from modelpack.engines.local.engine import venv_path

CONNECTIONS = (1, 64)


@dataclass(frozen=True)
class Way:
    """`app`: what is added to the bundle's app.py."""

    name: str
    app: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


WAYS = (
    Way("default: event loop, one worker per CPU"),
    Way("one worker", variables={"WEB_CONCURRENCY": "1"}),
    Way("twice as many workers", variables={"WEB_CONCURRENCY": str(2 * (os.cpu_count() or 1))}),
    Way("no plan, batched, in a thread", variables={"MODELPACK_PLANS": "0"}),
    Way("plan, batched, in a thread", app="service.runner.quick_rows = 0\n"),
    Way("plan, not batched, in a thread", app="service.runner.quick_rows = 0\n"
        "service.runner.can_batch = False\n"),
    Way("plan, through Flask", app="app.before_request(lambda: None)\n"),
    Way("plan, through Flask, gunicorn with 4 threads", app="app.before_request(lambda: None)\n",
        variables={"GUNICORN_CMD_ARGS": "--worker-class gthread --threads 4"}),
)  # fmt: skip


@contextmanager
def serving(bundle: Path, way: Way) -> Iterator[str]:
    """The URL of the bundle's service, answering in that way."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        copy = Path(folder) / "bundle"
        shutil.copytree(bundle, copy)
        app = copy / "app.py"
        text = app.read_text()
        app.unlink()
        app.write_text(text + way.app)
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
        listener.close()
        variables = {"PATH": "/usr/bin:/bin", "HOME": folder, "PORT": port, **way.variables}
        command = [str(venv_path(bundle) / "bin" / "python"), "-m", "gunicorn"]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=copy, env=variables, stderr=log, stdout=log)
            try:
                until_answered(f"http://127.0.0.1:{port}/readyz", lambda: process.poll() is None)
                yield f"http://127.0.0.1:{port}/predict"
            finally:
                process.terminate()
                process.wait(30)


def measured(material: Material, bundle: Path, rounds: int, seconds: int) -> dict[str, list[float]]:
    """Name of a way -> requests a second by each of CONNECTIONS, and the last one's p99."""
    load = next(load for load in material.model.loads if load.rows == 1)
    bodies = material.folder / "bodies.jsonl"
    lines = (json.dumps({"instances": rows}) + "\n" for rows in material.instances(load))
    bodies.write_text("".join(lines))
    found: dict[str, list[list[float]]] = {way.name: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            with serving(bundle, way) as url:
                wrk.load(url, bodies, 8, 1)
                answers = [wrk.load(url, bodies, count, seconds) for count in CONNECTIONS]
            if any(each.refused or each.broken for each in answers):
                raise SystemExit(f"{way.name}: not every request was answered")
            rates = [each.requests / each.seconds for each in answers]
            found[way.name].append([*rates, answers[-1].p99 or 0.0])
    return {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", choices=[*MODELS, []], metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    wrk.require()
    for name in arguments.models or ["iris", "forest"]:
        with tempfile.TemporaryDirectory() as folder:
            material = train(MODELS[name], Path(folder) / "model")
            bundle = packaged(material, Path(folder) / "bundle")
            show(
                name,
                measured(material, bundle, arguments.rounds, arguments.seconds),
                arguments.markdown,
            )


def show(model: str, measurements: Mapping[str, list[float]], markdown: bool) -> None:
    heads = (model, "1 connection", "64 connections", "p99, ms")
    lines = [
        (name, *(f"{x:,.3g}" if x < 100 else f"{x:,.0f}" for x in row))
        for name, row in measurements.items()
    ]
    tables.show(heads, lines, markdown=markdown)


if __name__ == "__main__":
    main()
