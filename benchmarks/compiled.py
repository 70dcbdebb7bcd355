"""Images of compiled models next to those of the models themselves.

    python -m benchmarks.compiled [--rounds N] [--seconds N] [--json | --markdown] [MODEL...]

MODEL is a folder of sample_models (default: all that are pickles). Each is packaged twice with
Docker. In each of N rounds (5) both images are started in turn, and queried by wrk: single rows by
1 and by 64 connections, and 1,000 rows a request. All figures are medians: the time from `docker
run` to the first status 200 of /readyz in seconds, the memory of a worker (PSS) in MB, requests and
rows a second. "ulp" is the largest difference that the proof found.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import modelpack
from benchmarks import tables
from benchmarks.serve import wrk
from benchmarks.startup import SAMPLES, Container, model, output, send
from modelpack.errors import ModelpackError

KINDS = ("plain", "compiled")
MANY = 1_000
LOOK_SECONDS = 0.002
FIGURES = ("ready", "memory", "1 connection", "64 connections", "rows")
HEADS = ("model", "ulp", "image, MB", "ready, s", "worker, MB", "1 connection", "64 connections",
         "rows/s at 1,000")  # fmt: skip
WORKERS = """
import os, re
def pss(pid):
    try:
        text = open(f"/proc/{pid}/smaps_rollup").read()
    except OSError:  # a health check that has ended
        return 0
    found = re.search(r"^Pss:\\s+(\\d+)", text, re.M)
    return int(found[1]) if found else 0
pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]
print(max(pss(pid) for pid in pids if pid != os.getpid()))
"""


class Image:
    """A packaged model."""

    def __init__(self, name: str, kind: str, scratch: Path) -> None:
        self.tag = f"modelpack-benchmark/{kind}-{name}:1"
        files = [*sorted((SAMPLES / name).glob("vectorizer.*")), model(name)]
        result = modelpack.package(
            *files, engine="docker", tag=self.tag, output=scratch / f"{kind}-{name}",
            compiled=kind == "compiled", example=example(name, scratch),
        )  # fmt: skip
        assert result.image is not None
        self.megabytes = result.image.size_bytes / 1e6
        self.proof = result.proof

    @contextmanager
    def served(self) -> Iterator[tuple[str, str]]:
        """Start a container; yield its name and its URL."""
        name = output([*Container.RUN, "--detach", "--publish=127.0.0.1:0:8080", self.tag])
        try:
            yield name, f"http://{output(['docker', 'port', name, '8080/tcp'])}"
        finally:
            output(["docker", "rm", "--force", name])

    def end(self) -> None:
        output(["docker", "rmi", "--force", self.tag])


def example(name: str, scratch: Path) -> Path | None:
    """Return the rows of the sample's request, for models whose file lists no inputs."""
    rows = json.loads((SAMPLES / name / "request.json").read_text())["instances"]
    if not all(isinstance(row, str) for row in rows):
        return None
    path = scratch / f"{name}.json"
    path.write_text(json.dumps([{"text": row} for row in rows]))
    return path


def measure(image: Image, bodies: list[Path], seconds: int) -> dict[str, float]:
    """Return the figures of one container."""
    started = time.perf_counter()
    with image.served() as (name, url):
        while send(url, "GET", "/readyz")[0] != 200:
            time.sleep(LOOK_SECONDS)
        ready = time.perf_counter() - started
        found = {"ready": ready}
        for figure, body, connections, rows in (
            ("1 connection", bodies[0], 1, 1),
            ("64 connections", bodies[0], 64, 1),
            ("rows", bodies[1], 1, MANY),
        ):
            answers = wrk.load(f"{url}/predict", body, connections, seconds)
            assert not answers.refused + answers.broken, answers
            found[figure] = answers.requests * rows / answers.seconds
        found["memory"] = int(output(["docker", "exec", name, "python", "-c", WORKERS])) / 1e3
        return found


def compare(name: str, rounds: int, seconds: int, scratch: Path) -> dict[str, Any]:
    """Return the proof and the median figures of both images of a model."""
    images = {kind: Image(name, kind, scratch) for kind in KINDS}
    bodies = [scratch / f"{name}-one", scratch / f"{name}-many"]
    rows = json.loads((SAMPLES / name / "request.json").read_text())["instances"]
    bodies[0].write_text("".join(json.dumps({"instances": [row]}) + "\n" for row in rows))
    many = (rows * MANY)[:MANY]
    bodies[1].write_text(json.dumps({"instances": many}) + "\n")
    try:
        runs = [{kind: measure(images[kind], bodies, seconds) for kind in KINDS}
                for _ in range(rounds)]  # fmt: skip
    finally:
        for image in images.values():
            image.end()
    proof = images["compiled"].proof
    assert proof is not None
    figures = {
        kind: {
            "megabytes": images[kind].megabytes,
            **{key: statistics.median(run[kind][key] for run in runs) for key in FIGURES},
        }
        for kind in KINDS
    }
    return {"rows": proof.rows, "ulp": proof.largest_ulp, **figures}


def in_a_row(name: str, result: dict[str, Any]) -> list[str]:
    plain, compiled = result["plain"], result["compiled"]
    pairs = [(plain[key], compiled[key]) for key in ("megabytes", *FIGURES)]
    digits = (0, 2, 0, 0, 0, 0)
    cells = [f"{a:,.{n}f} / {b:,.{n}f}" for (a, b), n in zip(pairs, digits, strict=True)]
    return [name, f"{result['ulp']:g} ({result['rows']:,} rows)", *cells]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args()
    wrk.require()
    saved = [*SAMPLES.glob("*/model.joblib"), *SAMPLES.glob("*/model.pkl")]
    names = given.models or sorted(path.parent.name for path in saved)
    results: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in dict.fromkeys(names):
            try:
                results[name] = compare(name, given.rounds, given.seconds, Path(scratch))
            except ModelpackError as error:
                refused[name] = error.message
    if given.json:
        print(json.dumps({"results": results, "refused": refused}, indent=2))
        return
    rows = [in_a_row(name, result) for name, result in results.items()]
    tables.show(HEADS, rows, markdown=given.markdown)
    for name, message in refused.items():
        print(f"{name}: {message}")


if __name__ == "__main__":
    main()
