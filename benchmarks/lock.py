"""How long locking the environment of a model takes, cold (nothing in uv's cache) and warm.

    python benchmarks/lock.py [--runs N] [MODEL...]

Medians of N runs against the index that pip or uv is set to, in seconds; by default of the sample
models. Choosing the Python version is included, the start of a process is not.
"""

from __future__ import annotations

import sys

del sys.path[0]  # Or benchmarks/inspect.py would shadow that of the standard library.

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from modelpack.environment import candidate_pythons, index_settings, resolve
from modelpack.inspection import inspect
from modelpack.types import ModelSpec

SAMPLES = Path(__file__).parents[1] / "sample_models"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    table = Table("model", "Python", "pins", "cold", "warm")
    for path in options.models or sorted(SAMPLES.glob("*/model.*")):
        table.add_row(f"{path.parent.name}/{path.name}", *measured(inspect(path), options.runs))
    Console().print(table)


def measured(spec: ModelSpec, runs: int) -> tuple[str, ...]:
    cold = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as cache:
            os.environ["UV_CACHE_DIR"] = cache
            cold.append(seconds(spec)[0])
            warm = [seconds(spec) for _ in range(runs)]
    _, python, pins = warm[0]
    medians = (statistics.median(cold), statistics.median(duration for duration, _, _ in warm))
    return python, str(pins), *(f"{median:.2f}" for median in medians)


def seconds(spec: ModelSpec) -> tuple[float, str, int]:
    """How long a lock takes, its Python version and how many distributions it pins."""
    started = time.perf_counter()
    python = candidate_pythons(spec)[0]
    pins = resolve(spec, python, index=index_settings()).requirements
    return time.perf_counter() - started, python, len(pins)


if __name__ == "__main__":
    main()
