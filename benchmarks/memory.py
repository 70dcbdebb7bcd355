"""How much memory a large model takes while it is loaded and served by two workers.

    python -m benchmarks.memory [--size MB] [--json | --markdown] [MODEL...]

Makes models that take MB (1000) in memory, packages them, serves each as local processes with two
workers, and requests predictions of both that reach all parts of the model. Memory is the
proportional set size (PSS) of all processes of the service: its maximum until the service was
ready, its value then, and after the predictions. It is given in MB, and as a multiple of the size
of the model in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import modelpack
from benchmarks import tables
from benchmarks.bad_input import watched
from benchmarks.inspect import MB, forest
from benchmarks.startup import send
from modelpack.engines.local.engine import LocalRunner
from modelpack.engines.local.processes import memory_bytes

COLUMNS = ("most at the start", "ready", "after predictions")
WORKERS = 2
REQUESTS, ROWS = 40, 50


def trees(size: int) -> Any:
    return forest(size)


def neighbours(size: int) -> Any:
    """A model that is one array."""
    import numpy
    from sklearn.neighbors import KNeighborsClassifier

    noise = numpy.random.default_rng(0)
    rows = noise.random((size // (64 * 8), 64))
    return KNeighborsClassifier(algorithm="brute").fit(rows, noise.integers(0, 3, len(rows)))


def plain(model: Any, path: Path) -> None:
    with path.open("wb") as file:
        pickle.dump(model, file)


def joblib_file(model: Any, path: Path) -> None:
    import joblib

    joblib.dump(model, path)


def compressed(model: Any, path: Path) -> None:
    import joblib

    joblib.dump(model, path, compress=("gzip", 1))


MODELS: dict[str, tuple[Callable[[int], Any], Callable[[Any, Path], None]]] = {
    "forest.joblib": (trees, joblib_file),
    "forest.joblib.gz": (trees, compressed),
    "forest.pkl": (trees, plain),
    "neighbours.joblib": (neighbours, joblib_file),
    "neighbours.pkl": (neighbours, plain),
}


def measured(name: str, size: int, scratch: Path) -> list[int]:
    """Bytes of COLUMNS."""
    make, save = MODELS[name]
    save(make(size), scratch / name)
    bundle = scratch / "bundle"
    modelpack.package(scratch / name, engine="process", output=bundle, smoke=False)
    with LocalRunner().run(str(bundle)) as service:
        with watched(service.pid) as most:
            while send(service.url, "GET", "/readyz")[0] != 200:
                time.sleep(0.05)
        time.sleep(2)  # the second worker comes after the first
        ready = memory_bytes(service.pid)
        with ThreadPoolExecutor(2 * WORKERS) as pool:
            list(pool.map(lambda _: predict(service.url), range(REQUESTS)))
        return [max(most[0], ready), ready, memory_bytes(service.pid)]


def predict(url: str) -> None:
    example = json.loads(send(url, "GET", "/")[1])["example"]["instances"][0]
    width = len(example)
    rows = [[random.random() for _ in range(width)] for _ in range(ROWS)]
    status, answer = send(url, "POST", "/predict", json.dumps({"instances": rows}))
    assert status == 200, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    options = parser.parse_args()
    size = options.size * MB
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:WORKERS])  # a worker each
    found = {}
    for name in options.models or MODELS:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = measured(name, size, Path(folder))
    show(found, size, options)


def show(measurements: dict[str, list[int]], size: int, options: Any) -> None:
    if options.json:
        print(
            json.dumps({n: dict(zip(COLUMNS, row, strict=True)) for n, row in measurements.items()})
        )
        return
    rows = [
        (name, *(f"{value / MB:,.0f} ({value / size:.2f}x)" for value in row))
        for name, row in measurements.items()
    ]
    heads = (f"model of {size / MB:,.0f} MB", *COLUMNS)
    tables.show(heads, rows, markdown=options.markdown)


if __name__ == "__main__":
    main()
