"""Each model format: versions tried, image, start, speed and parity.

    python -m benchmarks.formats [--rounds N] [--seconds N] [--python VERSION]
                                [--json | --markdown | --write] [SAMPLE...]

SAMPLE is a folder of sample_models (default: for each format, the first in the table of its
README). It is packaged with Docker. In each of N rounds (3) the image is started and queried by
wrk: single rows by one connection, and 1,000 rows a request. Then the library predicts the same
rows in a container of the same image, from arrays or frames that exist already, one row and 1,000
rows a call. All figures are medians. Parity compares the response to 1,000 rows with the
library's predictions. A sample that fails is listed with the reason. --write replaces the table in
docs/formats.md. --python gives all images this version of Python: some indexes have PyTorch without
CUDA for one version only.

The versions tried are those that files of tests/data record, and those of the matrix in
docs/compatibility.md.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version

from benchmarks import tables
from benchmarks.compiled import MANY, SINGLE, Image, Model, inspected, measure, sample
from benchmarks.serve import wrk
from benchmarks.startup import SAMPLES, Container, send
from modelpack.errors import ModelpackError
from modelpack.inspection.inspector import inspect
from modelpack.types import ModelSpec

ROOT = SAMPLES.parent
DOCUMENT = ROOT / "docs" / "formats.md"
MATRIX = ROOT / "docs" / "compatibility.md"
DATA = ROOT / "tests" / "data"
SECTION = "formats"
MAX_BYTES = 5 * 10**6
ROW = re.compile(r"\| (\S+) (\d\S*) \(\d+\) \|.*\| \d+ of \d+: ([^|]+) \|")
FORMATS = {"pickle": "pickle", "joblib": "joblib", "skops": "skops", "lightgbm": "lightgbm",
           "xgboost": "xgboost", "catboost": "catboost", "onnx": "onnx"}  # fmt: skip
"""First word of a way of saving in the matrix -> format."""

HEADS = ("format", "model", "versions tried", "image, MB", "ready, s",
         "rows/s at 1,000: service / library", "single rows/s: service / library",
         "parity")  # fmt: skip
LIBRARY = """
import json, sys, time
from pathlib import Path
from modelpack.serving import settings
settings.limit_threads()
import numpy as np
from modelpack.serving import reference, reference_rows
from modelpack.serving.data.columns import build

request = json.load(sys.stdin)
model = reference.ReferenceModel(Path())
facts, kind = model.facts, type(model.runner)

def prepared(rows):
    if kind in (reference.EstimatorRuntime, reference.CatBoostRuntime):
        values = model._arranged(rows)
        return lambda: getattr(model.model, facts.method)(values)
    if kind is reference.LightGBMRuntime:
        values = reference_rows.codes(facts.inputs, rows)
        return lambda: model.model.predict(values)
    if kind is reference.XGBoostRuntime:
        values = reference_rows.codes(facts.inputs, rows)
        return lambda: model.runner.call_matrix(facts.method, values)
    columns = [build(field, cells) for field, cells in zip(facts.inputs, zip(*rows))]
    if hasattr(model.runner, "call_library"):
        return lambda: model.runner.call_library(columns)
    if kind.__name__ == "OnnxRuntime":
        names = [each.name for each in model.model.get_inputs()]
        tensors = dict(zip(names, model.runner._tensors(columns)))
        return lambda: model.model.run(None, tensors)[0]
    if kind.__name__ == "TorchRuntime":
        return module_call(columns)
    return lambda: model.runner.call(facts.method, columns)

def module_call(columns):
    import torch
    inputs = model.model.inputs
    arrays = zip(model.runner._arrays(columns), inputs)
    tensors = [torch.from_numpy(array).to(each.dtype) for array, each in arrays]
    def call():
        with torch.no_grad():
            result = model.model.module(*tensors)
            return (result[0] if isinstance(result, (list, tuple)) else result).numpy()
    return call

def listed(result):
    array = np.asarray(result.toarray() if hasattr(result, "toarray") else result)
    return (array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array).tolist()

def rate(calls):
    for call in calls:
        call()
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < request["seconds"]:
        calls[count % len(calls)]()
        count += 1
    return count / (time.perf_counter() - begun)

rows = request["rows"]
result = {
    "predictions": listed(prepared(rows)()),
    "rows": len(rows) * rate([prepared(rows)]),
    "1 connection": rate([prepared([row]) for row in rows[:request["single"]]]),
}
sys.stdout.buffer.write(reference.encode(result))
"""


def versions() -> dict[tuple[str, str], set[str]]:
    """Return (format, library) -> the versions of the corpora and of the matrix."""
    tried = defaultdict[tuple[str, str], set[str]](set)
    for path in (*DATA.rglob("*"), *SAMPLES.rglob("model.*")):
        is_other = "formats" in path.parts or not path.is_file()
        if is_other or path.suffix in {".py", ".md", ".zip"} or path.stat().st_size > MAX_BYTES:
            continue
        try:
            spec = inspect(path)
        except ModelpackError:
            continue
        if spec.framework and spec.framework_version and spec.safety.verdict != "refuse":
            tried[spec.format, spec.framework].add(spec.framework_version)
            if (path.parent / "MLmodel").exists():
                tried[label(path.parent, spec), spec.framework].add(spec.framework_version)
    for library, version, ways in ROW.findall(MATRIX.read_text()):
        for way in ways.split(", "):
            if form := FORMATS.get(way.split()[0].lower()):
                tried[form, library].add(version)
    return tried


def label(path: Path, spec: ModelSpec) -> str:
    """Return the name of the format of a model, also that of a folder of MLflow."""
    return f"MLflow folder ({spec.format})" if path.is_dir() else spec.format


def span(tried: dict[tuple[str, str], set[str]], form: str, spec: ModelSpec) -> str:
    """Return the first, the last and the number of the versions of a format."""
    libraries = {library for known, library in tried if known == form}
    if spec.framework in libraries:
        libraries = {spec.framework}
    parts = []
    for library in sorted(libraries):
        found = sorted(tried[form, library], key=Version)
        ends = found[0] if len(found) == 1 else f"{found[0]} to {found[-1]} ({len(found)})"
        parts.append(f"{library} {ends}")
    return ", ".join(parts)


def samples() -> Iterator[tuple[Model, ModelSpec]]:
    """Yield the sample models of one object that need no option, in the order of their table."""
    text = (SAMPLES / "README.md").read_text()
    order = {
        name: number for number, name in enumerate(re.findall(r"^\| \[([\w.-]+)\]", text, re.M))
    }
    folders = [path.parent for path in SAMPLES.glob("*/request.json")]
    for folder in sorted(folders, key=lambda each: (order.get(each.name, len(order)), each.name)):
        model = sample(folder)
        spec = inspected(model.files)
        if spec and spec.safety.verdict == "pass" and len(spec.members) == 1:
            yield model, spec


def first_of_each_format() -> dict[str, tuple[Model, ModelSpec]]:
    found: dict[str, tuple[Model, ModelSpec]] = {}
    for model, spec in samples():
        found.setdefault(label(model.files[-1], spec), (model, spec))
    return {model.name: (model, spec) for model, spec in found.values()}


def in_order(spec: ModelSpec, row: Any) -> list[Any]:
    """Return the values of a row of a request in the order of the signature."""
    if isinstance(row, dict):
        return [row.get(field.name) for field in spec.signature.inputs]
    return row if isinstance(row, list) else [row]


def library(image: Image, rows: list[Any], seconds: int) -> dict[str, Any]:
    """Return the predictions and the speed of the library in a container of the image."""
    request = {"rows": rows, "single": SINGLE, "seconds": seconds}
    command = [*Container.RUN, "--interactive", "--entrypoint=python", image.tag, "-c", LIBRARY]
    done = subprocess.run(
        command, input=json.dumps(request), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the library fails: {done.stderr.strip().rpartition(chr(10))[2]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def difference(ours: Any, theirs: Any) -> float:
    """Return the largest difference of two predictions, infinity for different labels."""
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return max(map(difference, ours, theirs), default=0.0)
    if isinstance(ours, float) and isinstance(theirs, float | int):
        return abs(ours - theirs)
    return 0.0 if ours == theirs else math.inf


@dataclass(frozen=True)
class Run:
    """How a model is measured. `python`: the version of all images, or None."""

    rounds: int
    seconds: int
    scratch: Path
    python: str | None


def compare(model: Model, spec: ModelSpec, run: Run) -> dict[str, Any]:
    """Return the figures of a model: those of the service, of the library, and their parity."""
    many = model.rows(MANY)
    bodies = [run.scratch / f"{model.tag}-one", run.scratch / f"{model.tag}-many"]
    bodies[0].write_text("".join(json.dumps({"instances": [row]}) + "\n" for row in many[:SINGLE]))
    bodies[1].write_text(json.dumps({"instances": many}) + "\n")
    image = Image(model, "plain", run.scratch, run.python)
    try:
        with image.served() as (_, url):
            while send(url, "GET", "/readyz")[0] != 200:
                pass
            status, answer = send(url, "POST", "/predict", bodies[1].read_text())
            if status != 200:
                raise RuntimeError(f"the service rejects rows: {answer[:300]!r}")
        served = [measure(image, bodies, run.seconds) for _ in range(run.rounds)]
        rows = [in_order(spec, row) for row in many]
        own = [library(image, rows, run.seconds) for _ in range(run.rounds)]
    finally:
        image.end()
    speed = ("1 connection", "rows")
    return {
        "format": label(model.files[-1], spec),
        "megabytes": image.megabytes,
        "compared": len(rows),
        "difference": difference(json.loads(answer)["predictions"], own[0]["predictions"]),
        **{key: statistics.median(each[key] for each in served) for key in ("ready", *speed)},
        "library": {key: statistics.median(each[key] for each in own) for key in speed},
    }


def in_a_row(name: str, tried: str, result: dict[str, Any]) -> list[str]:
    own = result["library"]
    pairs = [f"{result[key]:,.0f} / {own[key]:,.0f} ({result[key] / own[key]:.2g})"
             for key in ("rows", "1 connection")]  # fmt: skip
    compared = f"{result['compared']:,} rows"
    distance = result["difference"]
    parity = f"{compared}, equal" if not distance else f"{compared}, within {distance:.1g}"
    figures = (f"{result['megabytes']:,.0f}", f"{result['ready']:.2f}")
    return [result["format"], name, tried, *figures, *pairs, parity]


def write(table: str) -> None:
    """Replace the table of the document."""
    before, opening, rest = DOCUMENT.read_text().partition(f"<!-- {SECTION} -->\n")
    _, closing, after = rest.partition(f"<!-- /{SECTION} -->")
    if not closing:
        raise SystemExit(f"{DOCUMENT.name} has no section {SECTION}")
    DOCUMENT.write_text(f"{before}{opening}{table}\n{closing}{after}")


def not_measured(refused: dict[str, str]) -> list[str]:
    """Return the lines below the table: why a sample has no figures."""
    lines = [f"- Not measured: {name}. {reason}" for name, reason in refused.items()]
    return ["", *lines] if lines else []


def chosen(names: Sequence[str]) -> dict[str, tuple[Model, ModelSpec]]:
    """Return the models of these names, or one for each format."""
    if not names:
        return first_of_each_format()
    known = {model.name: (model, spec) for model, spec in samples()}
    if unknown := set(names) - known.keys():
        raise SystemExit(f"{min(unknown)} is none of {', '.join(known)}")
    return {name: known[name] for name in names}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="SAMPLE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--python", metavar="VERSION")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    wrk.require()
    tried = versions()
    results: dict[str, dict[str, Any]] = {}
    refused: dict[str, str] = {}
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(given.rounds, given.seconds, Path(scratch), given.python)
        for name, (model, spec) in chosen(given.models).items():
            print(name, file=sys.stderr)
            try:
                results[name] = compare(model, spec, run)
            except (ModelpackError, RuntimeError) as error:
                refused[name] = str(error)
                continue
            form = results[name]["format"]
            rows.append(in_a_row(name, span(tried, form, spec), results[name]))
    if given.json:
        print(json.dumps({"results": results, "refused": refused}, indent=2))
    elif given.write:
        write("\n".join([tables.in_markdown(HEADS, rows), *not_measured(refused)]))
    else:
        tables.show(HEADS, rows, markdown=given.markdown)
        print("\n".join(not_measured(refused)))


if __name__ == "__main__":
    main()
