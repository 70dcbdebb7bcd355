"""Results as tables: for the terminal, and as Markdown for docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.serve.claims import PEERS, Verdict, verdicts
from benchmarks.serve.models import BULK, CROWD, LONE, MODELS, Load
from benchmarks.serve.results import Results, Spread, cpu, p50, p99, rate, ratios
from benchmarks.serve.servers import LIMITS, OURS

WIDTH = 100
BEGIN, END = "<!-- serve -->", "<!-- /serve -->"
HOW = """\
Measured on {processors} processors ({processor}, {memory}, {kernel}), which the servers share with
the load generator, {wrk}. In each of {rounds} rounds, each server in turn got each load for
{seconds} s. Figures are medians. Ratios compare servers in the same round: the median, with the
minimum and the maximum. 99 of 100 responses took at most p99."""
PICTURE = """\
<picture>
<source media="(prefers-color-scheme: dark)" srcset="images/serve-dark.svg">
<img alt="p99 over throughput, one line per server" src="images/serve-light.svg">
</picture>

Each line is a server, with points at 1, 4, 16, 64 and 128 connections. Throughput increases to the
right, latency upwards."""
NAMES = {OURS: "**modelpack**", **{name: f"*{name}*" for name in LIMITS}}
LOADS = {LONE: "1 connection", CROWD: "64 connections", BULK: "1,000 rows a request"}


@dataclass(frozen=True)
class Sheet:
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        align = ("---", *("--:" for _ in self.head[1:]))
        lines = (self.head, align, *self.rows)
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"**{self.title}**\n\n{table}"

    def table(self) -> Table:
        table = Table(title=self.title, title_justify="left", box=box.SIMPLE, padding=(0, 1))
        for number, name in enumerate(self.head):
            head = re.sub(r": |, |(?= a )", "\n", name).replace("\n ", "\n")
            table.add_column(head, justify="right" if number else "left", no_wrap=True)
        for row in self.rows:
            table.add_row(*(cell.replace("*", "").replace(" (", "\n(") for cell in row))
        return table


def sheets(results: Results) -> Iterator[Sheet]:
    for model in results.models():
        yield _model_sheet(results, model)
    claims = tuple(_claims(results))
    if claims:
        yield Sheet("Claims", ("claim", "target", "measured", "met"), claims)


def _model_sheet(results: Results, model: str) -> Sheet:
    servers = results.servers(model)
    loads = [load for load in LOADS if any(results.values(model, s, load, rate) for s in servers)]
    head = ["server"]
    for load in loads:
        head += [f"{LOADS[load]}: rows/s", "modelpack / server"]
        head += ["p50, ms", "p99, ms", "CPU, ms a row"] if load is CROWD else ["p99, ms"]
    rows = []
    for server in servers:
        cells = (cell for load in loads for cell in _cells(results, model, server, load))
        rows.append((NAMES.get(server, server), *cells))
    return Sheet(MODELS[model].title, tuple(head), tuple(rows))


def _cells(results: Results, model: str, server: str, load: Load) -> Iterator[str]:
    found = results.spread(model, server, load, rate)
    errors = results.errors(model, server, load)
    yield "" if found is None else f"{errors:,} errors" if errors else figure(found.median)
    ours = results.values(model, OURS, load, rate)
    theirs = results.values(model, server, load, rate)
    yield "" if server == OURS else times(ratios(ours, theirs))
    for value in (p50, p99, cpu) if load is CROWD else (p99,):
        known = results.spread(model, server, load, value)
        yield figure(known.median) if known else ""


def _claims(results: Results) -> Iterator[tuple[str, ...]]:
    for verdict in verdicts(results):
        target, met = f"≥ {verdict.claim.target:g}", "yes" if verdict.is_met else "no"
        yield sentence(verdict), target, times(verdict.ratio), met


def sentence(verdict: Verdict) -> str:
    claim = verdict.claim
    quantity = "rows/s" if claim.value is rate else "p99"
    against = verdict.against
    if claim.against_model:
        against = "the same, saved with n_jobs=1"
    elif claim.against == PEERS:
        against = f"the best peer, {against}"
    model = claim.model if claim.server == OURS else f"{claim.model} --compiled"
    return f"{model}, {LOADS[claim.load]}: {quantity} against {against}"


def times(ratio: Spread | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio.median:.2f} ({ratio.least:.2f}-{ratio.most:.2f})"


def figure(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        digits = len(str(int(value))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def notes(results: Results) -> Iterator[str]:
    for failure in results.failures:
        reason = failure.reason.partition("\n")[0]
        yield f"{failure.server} was left out of {failure.model}: {reason}"
    others = f"{results.others():.0%} of the processors"
    yield f"Other programs used {others} at the same time (median)."


def show(results: Results, console: Console) -> None:
    for sheet in sheets(results):
        console.print(sheet.table(), "")
    for note in notes(results):
        console.print(note, highlight=False)


def markdown(results: Results) -> str:
    return "\n\n".join((*(sheet.markdown() for sheet in sheets(results)), *notes(results)))


def section(results: Results, picture: bool) -> str:
    """Return the text between the marks of the document."""
    *models, claims = sheets(results)
    versions = (f"{name} {version}" for name, version in results.versions.items())
    parts = (
        fill(HOW.format(**results.machine, **results.how), WIDTH),
        claims.markdown(),
        *((PICTURE,) if picture else ()),
        *(model.markdown() for model in models),
        fill(f"Versions: {'; '.join(versions)}.", WIDTH),
        *notes(results),
    )
    return "\n\n".join(parts)


def write(text: str, document: Path) -> None:
    """Put `text` between the marks of the document."""
    before, _, rest = document.read_text().partition(f"{BEGIN}\n")
    _, _, after = rest.partition(END)
    document.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
