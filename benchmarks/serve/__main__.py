"""How fast the service and other servers answer: throughput and latency, side by side.

    python -m benchmarks.serve [--models NAMES] [--servers NAMES] [--rounds N] [--seconds N]
        [--json FILE | --from FILE] [--markdown] [--write]

Each serves the same files of models on this machine. In each round each of them is queried in turn,
by wrk: single rows by 1 and by 64 connections, and 1,000 rows a request. Shown are medians, and the
medians of the ratios within a round with the least and the most. The first run makes the
environments of the others, 4 GB. --write puts it all into docs/performance.md, also from a file
that --json has kept.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from benchmarks.serve import machine, plot, report, wrk
from benchmarks.serve.models import MODELS, NUMERIC, train
from benchmarks.serve.results import Failure, Measurement, Results
from benchmarks.serve.rounds import Plan, measured
from benchmarks.serve.servers import COMPILED, LIMITS, OURS, competing, contender, packaged

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
SERVERS = (OURS, COMPILED, *NUMERIC, *LIMITS)


def names(known: Iterable[str]) -> Callable[[str], list[str]]:
    """The type of an option that is some of `known`, with commas between."""

    def read(text: str) -> list[str]:
        selected = text.split(",")
        unknown = [name for name in selected if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return selected

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
    """Yield the results known after each model."""
    wrk.require()
    plan = Plan(chosen.rounds, chosen.seconds, chosen.curves)
    how = {"rounds": plan.rounds, "seconds": plan.seconds}
    found: list[Measurement | Failure] = []
    selected = {
        MODELS[name]: [server for server in competing(MODELS[name]) if server in chosen.servers]
        for name in chosen.models
    }
    turns = plan.rounds * sum(map(len, selected.values()))
    with tempfile.TemporaryDirectory() as folder, Steps(console, turns) as steps:
        for model, servers in selected.items():
            material = train(model, Path(folder) / model.name)
            bundle = packaged(material, material.folder / "bundle")
            contenders = [contender(name, material, bundle) for name in servers]
            found += measured(model, contenders, plan, steps.next)
            measurements = tuple(each for each in found if isinstance(each, Measurement))
            failures = tuple(each for each in found if isinstance(each, Failure))
            yield Results(machine.facts(), how, machine.versions(bundle), measurements, failures)


class Steps(Progress):
    """A bar for a terminal, lines for a file."""

    def __init__(self, console: Console, count: int) -> None:
        columns = (TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn())
        super().__init__(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._task = self.add_task("", total=count, completed=-1)

    def next(self, text: str) -> None:
        self.update(self._task, description=text, advance=1)
        if not self.console.is_terminal:
            self.console.print(text, highlight=False)


def main() -> None:
    chosen = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all servers are ended
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
