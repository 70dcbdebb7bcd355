"""How fast files are answered: `modelpack predict` against requests to the same service.

    python benchmarks/batch.py [ROWS]

Packages sample_models/iris as a local process, makes a csv of ROWS rows (a million), and prints
rows per second of `predict` in each format, of the service by curl once a row, by one connection
once a row, and by one connection with 10,000 rows a request. All one after the other.
"""

from __future__ import annotations

import sys

del sys.path[0]  # Or benchmarks/inspect.py would shadow that of the standard library.

import http.client
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from modelpack import package
from modelpack.engines.local.engine import LocalRunner, venv_path

MODEL = Path(__file__).parents[1] / "sample_models" / "iris" / "model.joblib"
CHUNK = 10_000
CSV = {"Content-Type": "text/csv; header=absent"}


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packaged = package(MODEL, engine="process", output=folder / "bundle", smoke=False)
        assert packaged.bundle
        rows = np.random.default_rng(0).normal(4, 1, (count, 4)).round(1)
        write(rows, folder)
        for way, seconds, row_count in (*offline(folder), *online(folder, rows)):
            print(f"| {way} | {row_count:,} | {seconds:.1f} | {row_count / seconds:,.0f} |")


def write(rows: np.ndarray, folder: Path) -> None:
    np.savetxt(folder / "rows.csv", rows, "%.1f", delimiter=",")
    np.save(folder / "rows.npy", rows)
    with (folder / "rows.jsonl").open("w") as file:
        file.writelines(f"{row}\n" for row in rows.tolist())


def offline(folder: Path) -> Iterator[tuple[str, float, int]]:
    python = venv_path(folder / "bundle") / "bin" / "python"
    count = len(np.load(folder / "rows.npy", mmap_mode="r"))
    for kind in ("csv", "jsonl", "npy"):
        predict_command = [python, "-m", "modelpack.serving", "predict", folder / f"rows.{kind}"]
        predict_command += ["-o", folder / "answers.csv"]
        run = partial(subprocess.run, predict_command, cwd=folder / "bundle", check=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = timed(run)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        yield f"predict, {kind} ({cpu:.1f} s of CPU time)", seconds, count


def online(folder: Path, rows: np.ndarray) -> Iterator[tuple[str, float, int]]:
    with LocalRunner().run(str(folder / "bundle")) as service:
        until_ready(service.url)
        few = rows[:300].tolist()
        yield "curl, a row a request", timed(lambda: [curl(service.url, row) for row in few]), 300
        many = rows[:5000].tolist()
        yield "one connection, a row a request", timed(lambda: post(service.url, many, 1)), 5000
        whole = rows[: 10 * CHUNK].tolist()
        way = "one connection, 10,000 rows a request"
        yield way, timed(lambda: post(service.url, whole, CHUNK)), len(whole)


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def until_ready(url: str) -> None:
    command = ["curl", "-s", "--retry", "60", "--retry-connrefused", "--retry-delay", "1"]
    subprocess.run([*command, "--noproxy", "*", f"{url}/readyz"], check=True, capture_output=True)


def curl(url: str, row: list[float]) -> None:
    command = ["curl", "-s", "--fail", "--noproxy", "*", "-H", "Content-Type: text/csv"]
    body = text([row])
    subprocess.run([*command, "-d", body, f"{url}/predict"], check=True, capture_output=True)


def post(url: str, rows: list[list[float]], size: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for start in range(0, len(rows), size):
        connection.request("POST", "/predict", text(rows[start : start + size]), CSV)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()


def text(rows: list[list[float]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
