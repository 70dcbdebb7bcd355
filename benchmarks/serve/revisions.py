"""Compare the speed of this revision of the service with an earlier one, in the same rounds.

    git worktree add ../before REVISION
    python -m benchmarks.serve.revisions ../before [--models NAMES] [--rounds N] [--seconds N]

Each model is packaged by both revisions. In each round both services answer in turn. The table
shows the medians of the ratios within a round, this revision divided by the earlier one, with the
least and the most: of requests per second, and of requests per second of processor time, which
other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.serve import wrk
from benchmarks.serve.__main__ import names
from benchmarks.serve.models import MODELS, Material, Model, train
from benchmarks.serve.results import Failure, Measurement
from benchmarks.serve.rounds import Plan, measured
from benchmarks.serve.servers import OURS, contender
from benchmarks.tables import show

BEFORE, AFTER = "before", "after"
ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve.revisions",
        description=(__doc__ or "").partition("\n")[0],
    )
    parser.add_argument("before", type=Path, help="a checkout of the earlier revision")
    parser.add_argument("--models", type=names(MODELS), default=list(MODELS), metavar="NAME,...")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--markdown", action="store_true")
    chosen = parser.parse_args()
    wrk.require()
    rows: list[Sequence[str]] = []
    with tempfile.TemporaryDirectory(prefix="modelpack-revisions-") as scratch:
        for name in chosen.models:
            plan = Plan(chosen.rounds, chosen.seconds, curves=False)
            rows += compared(MODELS[name], Path(scratch), chosen.before.resolve(), plan)
    show(
        ("model", "requests", "throughput", "per processor second"), rows, markdown=chosen.markdown
    )
    return 0


def compared(model: Model, folder: Path, before: Path, plan: Plan) -> list[Sequence[str]]:
    """Return a line of the table for each load of a model.

    Raises:
        subprocess.CalledProcessError: One of the revisions does not package the model.
        RuntimeError: One of the services fails.
    """
    material = train(model, folder / model.name)
    contenders = []
    for name, checkout in ((BEFORE, before), (AFTER, ROOT)):
        bundle = packaged_by(checkout, material, folder / f"{model.name}-{name}")
        contenders.append(replace(contender(OURS, material, bundle), name=name))
    results = list(measured(model, contenders, plan, lambda step: print(step, file=sys.stderr)))
    for failure in (each for each in results if isinstance(each, Failure)):
        raise RuntimeError(f"{failure.server}: {failure.reason}")
    found = [each for each in results if isinstance(each, Measurement)]
    return [line(model, load.name, found) for load in model.loads]


def packaged_by(checkout: Path, material: Material, bundle: Path) -> Path:
    """Return the bundle that the modelpack of a checkout makes of a model."""
    command = [sys.executable, "-m", "modelpack", "package", str(material.file)]
    command += ["--engine", "process", "--no-smoke", "--quiet", "-o", str(bundle)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run(command, check=True, cwd=checkout, env=environment)
    return bundle


def line(model: Model, load: str, measurements: Sequence[Measurement]) -> Sequence[str]:
    """Return the model, the load, and the ratios of both measures."""
    by_round = {(m.server, m.round): m for m in measurements if m.load == load}
    rounds = range(len(by_round) // 2)
    pairs = [(by_round[BEFORE, number], by_round[AFTER, number]) for number in rounds]
    rates = [after.rate / before.rate for before, after in pairs]
    costs = [(before.cpu or 0) / (after.cpu or 1) for before, after in pairs]
    return model.name, load, spread(rates), spread(costs)


def spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


if __name__ == "__main__":
    sys.exit(main())
