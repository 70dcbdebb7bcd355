"""Build times of the `oci` engine and of BuildKit.

    python -m benchmarks.engines [MODEL] [--runs N] [--markdown]

Both build the same bundles, in turn, of a model whose environment is locked; no smoke test, no
lock. The base image is here: for Docker in its store, for the `oci` engine as a file of `docker
save`. Seconds are medians:

    new         no layer is there, as what makes them has changed; wheels were fetched before
    changed     the model was retrained, all else is as before
    unchanged   all is as before

--markdown writes the table into docs/engine-oci.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.tables import in_markdown, show
from modelpack.bundle import manifest
from modelpack.engines import Engine, select_engine
from modelpack.pipeline.options import Options
from modelpack.pipeline.stages import Pipeline
from modelpack.pipeline.wheelhouse import build_index
from modelpack.types import Bundle, Code
from scripts.sections import replace_section

IRIS = Path(__file__).parents[1] / "sample_models" / "iris" / "model.joblib"
DOCUMENT = Path(__file__).parents[1] / "docs" / "engine-oci.md"
HEADS = ("scenario", "BuildKit, s", "oci, s", "BuildKit / oci")
SCENARIOS = ("new", "changed", "unchanged")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?", default=IRIS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        seconds = _measure(arguments.model, arguments.runs, Path(scratch))
    rows = [
        _row(name, *(seconds[engine, name] for engine in ("docker", "oci"))) for name in SCENARIOS
    ]
    if arguments.markdown:
        replace_section(DOCUMENT, "engines", in_markdown(HEADS, rows))
    show(HEADS, rows, markdown=arguments.markdown)


def _measure(model: Path, runs: int, scratch: Path) -> dict[tuple[str, str], list[float]]:
    """(engine, scenario) -> seconds of each run."""
    docker, embedded = select_engine("docker"), select_engine("oci")
    bundle = _bundle(model, docker, scratch / "bundle")
    archive = scratch / "base.tar"
    base = docker.builder.find_base_image((bundle.environment.python,))
    subprocess.run(["docker", "save", "-o", archive, base.reference], check=True)
    embedded.builder.find_base_image((base.python,), f"docker-archive:{archive}")
    seconds: dict[tuple[str, str], list[float]] = {}
    for number in range(-1, runs):  # the first is for what is fetched once
        for engine in (docker, embedded):
            for name, change in _changes(bundle, number):
                change()
                took = _build(engine, bundle)
                if number >= 0:
                    seconds.setdefault((engine.name, name), []).append(took)
    return seconds


def _changes(bundle: Bundle, number: int) -> list[tuple[str, Callable[[], object]]]:
    makers = bundle.directory / "modelpack" / "assembly" / "__init__.py"
    model = bundle.directory / bundle.model.file.path
    mark = f"# {time.time_ns()} {number}\n"
    return [
        ("new", lambda: makers.write_text(makers.read_text() + mark)),
        ("changed", lambda: _rewrite(model, model.read_bytes() + mark.encode())),
        ("unchanged", lambda: None),
    ]


def _rewrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def _build(engine: Engine, bundle: Bundle) -> float:
    run = Pipeline(Options(engine=engine.name))
    run.engine = engine
    began = time.perf_counter()
    with build_index(engine, bundle, run.index, lambda _: None) as index:
        image = engine.builder.build(bundle, index, lambda _: None)
    took = time.perf_counter() - began
    if image:
        run.remove_untagged(image)
    return took


def _bundle(model: Path, engine: Engine, folder: Path) -> Bundle:
    run = Pipeline(Options(engine=engine.name))
    run.engine = engine
    found, _ = run.inspect([model])
    prepared, _ = run.reference(found, [model])
    run.render(prepared, Code(), folder)
    return manifest.read(folder)


def _row(name: str, docker: list[float], embedded: list[float]) -> tuple[str, ...]:
    theirs, ours = statistics.median(docker), statistics.median(embedded)
    return name, f"{theirs:.2f}", f"{ours:.2f}", f"{theirs / ours:.1f}"


if __name__ == "__main__":
    main()
