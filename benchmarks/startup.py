"""Time until a service is ready, next to the time that loading its model takes.

    python -m benchmarks.startup [--runs N] [--docker] [--json | --markdown] [MODEL...]

MODEL is a folder of sample_models. Each is packaged, then loaded in an interpreter that does
nothing else, and served, in turn, N times (5). All times are medians in seconds, from the start of
the process or of `docker run`, of the same environment: as local processes, or in containers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import modelpack
from benchmarks import tables
from modelpack.engines.local.engine import LocalRunner, venv_path

SAMPLES = Path(__file__).parents[1] / "sample_models"
MODELS = ("iris", "mixed-columns", "xgboost-json", "onnx")
COLUMNS = ("bare load", "ready", "first answer", "ready / bare load")
LOAD = """
import json
file = json.load(open("modelpack.json"))["model"]["file"]
if file["format"] == "joblib":
    import joblib
    joblib.load(file["path"])
elif file["format"] == "pickle":
    import pickle
    pickle.load(open(file["path"], "rb"))
elif file["format"] == "xgboost":
    import xgboost
    xgboost.Booster(model_file=bytearray(open(file["path"], "rb").read()))
elif file["format"] == "onnx":
    import onnxruntime
    onnxruntime.InferenceSession(file["path"])
"""
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LOOK_SECONDS = 0.002


class Local:
    """Bundles as local processes."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.folder = scratch / name
        modelpack.package(model(name), engine="process", output=self.folder, smoke=False)
        self.python = venv_path(self.folder) / "bin" / "python"
        # As the image has it, so that no file is compiled at each start.
        compiled = ("-m", "compileall", "-q", "--invalidation-mode=unchecked-hash", "modelpack")
        subprocess.run([self.python, *compiled], cwd=self.folder, check=True)

    def load(self) -> None:
        variables = {"PATH": os.environ["PATH"], **THREADS}
        subprocess.run([self.python, "-c", LOAD], cwd=self.folder, env=variables, check=True)

    @contextmanager
    def served(self) -> Iterator[str]:
        with LocalRunner().run(str(self.folder)) as service:
            yield service.url

    def end(self) -> None:
        """Nothing stays."""


class Container:
    """Images in containers."""

    RUN = ("docker", "run", "--rm", "--read-only", "--tmpfs=/tmp")

    def __init__(self, name: str, scratch: Path) -> None:
        self.image = f"modelpack-benchmark/startup-{name}:1"
        modelpack.package(
            model(name), engine="docker", tag=self.image, output=scratch / name, smoke=False
        )

    def load(self) -> None:
        threads = [f"--env={name}={value}" for name, value in THREADS.items()]
        command = [*self.RUN, *threads, "--entrypoint=python", self.image, "-c", LOAD]
        subprocess.run(command, check=True)

    @contextmanager
    def served(self) -> Iterator[str]:
        command = [*self.RUN, "--detach", "--publish=127.0.0.1:0:8080", self.image]
        name = output(command)
        try:
            yield f"http://{output(['docker', 'port', name, '8080/tcp'])}"
        finally:
            output(["docker", "rm", "--force", name])

    def end(self) -> None:
        output(["docker", "rmi", "--force", self.image])


def model(name: str) -> Path:
    return next(iter(sorted((SAMPLES / name).glob("model.*"))))


def output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def start(where: Local | Container) -> tuple[float, float]:
    """Seconds until /readyz answers 200, and until the first row of the model is answered."""
    started = time.perf_counter()
    with where.served() as url:
        while send(url, "GET", "/readyz")[0] != 200:
            time.sleep(LOOK_SECONDS)
        ready = time.perf_counter() - started
        body = json.loads(send(url, "GET", "/")[1])["example"]
        sent = time.perf_counter()
        status, answer = send(url, "POST", "/predict", json.dumps(body))
        assert status == 200, answer
        return ready, ready + time.perf_counter() - sent


def send(url: str, method: str, path: str, body: str | None = None) -> tuple[int | None, bytes]:
    """Return status and content, or None if the service does not respond yet."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return None, b""
    finally:
        connection.close()


def measured(where: Local | Container, runs: int) -> list[float]:
    """The medians of COLUMNS."""
    loads, readies, answers = [], [], []
    for _ in range(runs):
        loads.append(timed(where.load))
        ready, answer = start(where)
        readies.append(ready)
        answers.append(answer)
    ratios = [ready / load for ready, load in zip(readies, loads, strict=True)]
    return [statistics.median(each) for each in (loads, readies, answers, ratios)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--docker", action="store_true", help="containers, not local processes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.models or MODELS:
            target = (Container if options.docker else Local)(name, Path(folder))
            try:
                found[name] = measured(target, options.runs)
            finally:
                target.end()
    show(found, options)


def show(measurements: dict[str, list[float]], options: Any) -> None:
    if options.json:
        print(
            json.dumps({n: dict(zip(COLUMNS, row, strict=True)) for n, row in measurements.items()})
        )
        return
    rows = [(name, *(f"{value:.2f}" for value in row)) for name, row in measurements.items()]
    heads = ("model", *COLUMNS)
    tables.show(heads, rows, markdown=options.markdown)


if __name__ == "__main__":
    main()
