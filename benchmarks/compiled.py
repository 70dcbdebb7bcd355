"""Images of compiled models next to those of the models themselves.

    python -m benchmarks.compiled [--rounds N] [--seconds N] [--json | --markdown] [MODEL...]
    python -m benchmarks.compiled --from FILE [--from FILE] --markdown

MODEL is a folder of sample_models, or FOLDER/FILE of ../shared/models (default: all sample models,
and all published ones of scikit-learn, LightGBM and XGBoost). Each is packaged twice with Docker.
In each of N rounds (5) both images are started in turn, and queried by wrk: single rows by 1 and by
64 connections, and 1,000 rows a request. All figures are medians: the time from `docker run` to the
first status 200 of /readyz in seconds, the memory of a worker (PSS) in MB, requests and rows a
second. "ulp" is the largest difference that the proof found. A model that is not compiled is listed
with the reason. --from shows the results of earlier runs with --json; later files replace results.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import modelpack
from benchmarks import tables
from benchmarks.serve import wrk
from benchmarks.startup import SAMPLES, Container, output, send
from modelpack.errors import ModelpackError
from modelpack.types import Field, ModelSpec

PUBLISHED = SAMPLES.parents[1] / "shared" / "models"
LIBRARIES = ("scikit-learn", "lightgbm", "xgboost")
KINDS = ("plain", "compiled")
SINGLE = 64
MANY = 1_000
LOOK_SECONDS = 0.002
READY_SECONDS = 60
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


@dataclass(frozen=True)
class Model:
    """The files of a model, rows that it predicts, and requirements that its file does not name."""

    name: str
    files: tuple[Path, ...]
    known: tuple[Any, ...]
    requirements: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        return "".join(char if char.isalnum() else "-" for char in self.name.lower()).strip("-")

    def rows(self, count: int) -> list[Any]:
        """Return different rows: the known ones in turn, with other fractions.

        A processor learns the comparisons of repeated rows, and only of compiled code.
        """
        generator = random.Random(0)
        repeated = (self.known * count)[:count]
        return [varied(row, generator) for row in repeated]


def varied(value: Any, generator: random.Random) -> Any:
    if isinstance(value, list):
        return [varied(each, generator) for each in value]
    if isinstance(value, dict):
        return {name: varied(each, generator) for name, each in value.items()}
    return round(value * generator.uniform(0.5, 1.5), 4) if isinstance(value, float) else value


def sample(folder: Path) -> Model:
    """Return a sample model."""
    model = next(iter(sorted(folder.glob("model.*"))), folder / "model")
    files = (*sorted(folder.glob("vectorizer.*")), model)
    rows = json.loads((folder / "request.json").read_text())["instances"]
    script = folder / "train.py"
    is_dated = model.suffix != ".pt"  # of TorchScript
    found = [] if is_dated else re.findall(r'"(torch==[\w.]+)"', script.read_text())
    return Model(folder.name, files, tuple(rows), tuple(found))


def published() -> Iterator[Model]:
    """Yield the models of other authors, if this machine has them."""
    for manifest in sorted(PUBLISHED.glob("*/manifest.json")):
        folder, facts = manifest.parent, json.loads(manifest.read_text())
        names = [folder.parent / each["path"] for each in facts.get("files", ())]
        files = [path for path in names if path.is_file() and path.stat().st_size]
        first = [path for path in files if path.stem == "vectorizer"]
        groups = [(*first, path) for path in files if path not in first]
        inputs = [each.get("input") for each in facts.get("expected", ())]
        rows = next((each for each in inputs if isinstance(each, list)), [])
        for group in groups:
            spec = inspected(group)
            if spec is not None and spec.framework in LIBRARIES:
                known = rows or [[typical(field) for field in spec.signature.inputs]]
                yield Model(f"{folder.name}/{group[-1].name}", group, tuple(known))


def inspected(files: Sequence[Path]) -> ModelSpec | None:
    try:
        return modelpack.inspect(*files)
    except ModelpackError:
        return None


def typical(field: Field) -> Any:
    """Return a value of an input."""
    if field.example is not None or field.categories:
        return field.example if field.example is not None else (field.categories or ())[0]
    bounds = (field.minimum, field.maximum)
    return sum(each for each in bounds if each is not None) / 2 + 0.5


@dataclass(frozen=True)
class Results:
    """What was measured of each model, and why others were not compiled."""

    results: dict[str, dict[str, Any]]
    refused: dict[str, str]


class Image:
    """A packaged model."""

    def __init__(self, model: Model, kind: str, scratch: Path, python: str | None = None) -> None:
        self.tag = f"modelpack-benchmark/{kind}-{model.tag}:1"
        result = modelpack.package(
            *model.files, engine="docker", tag=self.tag, output=scratch / f"{kind}-{model.tag}",
            compiled=kind == "compiled", example=example(model, scratch),
            requirements=model.requirements, python=python,
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


def example(model: Model, scratch: Path) -> Path | None:
    """Return the known rows of a model whose file has none: one of texts, or of TorchScript."""
    is_text = all(isinstance(row, str) for row in model.known)
    if not is_text and not model.requirements:
        return None
    path = scratch / f"{model.tag}.json"
    path.write_text(json.dumps([{"text": row} for row in model.known] if is_text else model.known))
    return path


def measure(image: Image, bodies: list[Path], seconds: int) -> dict[str, float]:
    """Return the figures of one container."""
    started = time.perf_counter()
    with image.served() as (name, url):
        while send(url, "GET", "/readyz")[0] != 200:
            if time.perf_counter() - started > READY_SECONDS:
                raise RuntimeError("the service does not get ready")
            time.sleep(LOOK_SECONDS)
        ready = time.perf_counter() - started
        found = {"ready": ready}
        for figure, body, connections, rows in (
            ("1 connection", bodies[0], 1, 1),
            ("64 connections", bodies[0], 64, 1),
            ("rows", bodies[1], 1, MANY),
        ):
            answers = wrk.load(f"{url}/predict", body, connections, seconds)
            if answers.refused + answers.broken:
                raise RuntimeError(f"the service rejects rows: {answers}")
            found[figure] = answers.requests * rows / answers.seconds
        found["memory"] = int(output(["docker", "exec", name, "python", "-c", WORKERS])) / 1e3
        return found


def compare(model: Model, rounds: int, seconds: int, scratch: Path) -> dict[str, Any]:
    """Return the proof and the median figures of both images of a model."""
    images: dict[str, Image] = {}
    bodies = [scratch / f"{model.tag}-one", scratch / f"{model.tag}-many"]
    many = model.rows(MANY)
    bodies[0].write_text("".join(json.dumps({"instances": [row]}) + "\n" for row in many[:SINGLE]))
    bodies[1].write_text(json.dumps({"instances": many}) + "\n")
    try:
        for kind in reversed(KINDS):  # a model that is not compiled needs no other image
            images[kind] = Image(model, kind, scratch)
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


def run(names: Sequence[str], rounds: int, seconds: int) -> Results:
    """Measure models, all if `names` is empty.

    Raises:
        KeyError: One of the names is unknown.
    """
    wrk.require()
    samples = [sample(path.parent) for path in sorted(SAMPLES.glob("*/request.json"))]
    models = {each.name: each for each in (*samples, *published())}
    chosen = [models[name] for name in names or models]
    found = Results({}, {})
    with tempfile.TemporaryDirectory() as scratch:
        for model in chosen:
            print(model.name, file=sys.stderr)
            try:
                found.results[model.name] = compare(model, rounds, seconds, Path(scratch))
            except (ModelpackError, RuntimeError) as error:
                reason = str(error).replace(f"{model.files[-1].parent}/", "")
                found.refused[model.name] = reason
    return found


def kept(files: Sequence[Path]) -> Results:
    """Read and merge the results of earlier runs."""
    found = Results({}, {})
    for path in files:
        document = json.loads(path.read_text())
        for name, result in document["results"].items():
            found.results[name] = result
            found.refused.pop(name, None)
        found.refused.update(document["refused"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--from", dest="files", type=Path, action="append", metavar="FILE")
    given = parser.parse_args()
    try:
        found = kept(given.files) if given.files else run(given.models, given.rounds, given.seconds)
    except KeyError as error:
        parser.error(f"{error.args[0]} is no sample and no published model")
    if given.json:
        print(json.dumps({"results": found.results, "refused": found.refused}, indent=2))
        return
    rows = [in_a_row(name, found.results[name]) for name in sorted(found.results)]
    tables.show(HEADS, rows, markdown=given.markdown)
    print()
    reasons = [
        (name, reason.partition(". ")[0].rstrip("."))
        for name, reason in sorted(found.refused.items())
    ]
    tables.show(("not compiled", "reason"), reasons, markdown=given.markdown)


if __name__ == "__main__":
    main()
