"""How fast the service and other servers answer: throughput and latency, side by side.

    python -m benchmarks.serve [--models NAMES] [--servers NAMES] [--rounds N] [--seconds N]
        [--json FILE | --from FILE] [--markdown] [--write]

Each serves the same files of models on this machine. In each round each of them is asked in turn,
by wrk: single rows by 1 and by 64 connections, and 1,000 rows a request. Shown are medians, and the
medians of the ratios within a round with the least and the most. The first run makes the
environments of the others, 4 GB. --write puts it all into docs/performance.md, also from a file
that --json has kept.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.serve import machine, plot, report, wrk
from benchmarks.serve.models import MODELS, OF_NUMBERS, made
from benchmarks.serve.results import Failure, Measurement, Results
from benchmarks.serve.rounds import Plan, measured
from benchmarks.serve.servers import LIMITS, OURS, contenders

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
SERVERS = (OURS, *OF_NUMBERS, *LIMITS)


def names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """The type of an option that is some of `known`, with commas between."""

    def read(text: str) -> list[str]:
        wanted = text.split(",")
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return wanted

    return read


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--models", type=names(MODELS), default=list(MODELS), metavar="NAME,...")
    parser.add_argument("--servers", type=names(SERVERS), default=SERVERS, metavar="NAME,...")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--no-curves", dest="curves", action="store_false")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the results")
    parser.add_argument("--from", dest="kept", type=Path, metavar="FILE", help="show kept results")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name} and its plot")
    return parser.parse_args()


def run(chosen: argparse.Namespace, console: Console) -> Iterator[Results]:
    """What is known after each model."""
    wrk.require()
    plan = Plan(chosen.rounds, chosen.seconds, chosen.curves)
    how = {"rounds": plan.rounds, "seconds": plan.seconds}
    found: list[Measurement | Failure] = []
    with tempfile.TemporaryDirectory() as folder, _progress(console) as progress:
        step = partial(_tell, progress, progress.add_task(""))
        for name in chosen.models:
            step(f"{name}: is trained and packaged")
            scratch = Path(folder) / name
            material = made(MODELS[name], scratch)
            some = [each for each in contenders(material, scratch) if each.name in chosen.servers]
            found += measured(MODELS[name], some, plan, step)
            measurements = tuple(each for each in found if isinstance(each, Measurement))
            failures = tuple(each for each in found if isinstance(each, Failure))
            versions = machine.versions(scratch / "bundle")
            yield Results(machine.facts(), how, versions, measurements, failures)


def _tell(progress: Progress, task: TaskID, text: str) -> None:
    progress.update(task, description=text)


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def main() -> None:
    chosen = options()
    console = Console(stderr=True)
    known = [Results.read(chosen.kept)] if chosen.kept else run(chosen, console)
    for results in known:
        if chosen.json:
            chosen.json.write_text(results.json())
    if chosen.write:
        drawn = plot.draw(results, DOCUMENT.parent / "images")
        report.write(report.section(results, bool(drawn)), DOCUMENT)
    if chosen.markdown:
        print(report.markdown(results))
        return
    report.show(results, Console(width=int(os.environ.get("COLUMNS", "150"))))


if __name__ == "__main__":
    main()
