"""What people see: stages as they run, trees and tables, errors. Used by `cli.py` alone.

Progress and prose go to stderr, results to stdout. Text that came from a model file passes
`printable` first, so that it can neither move the cursor nor pose as modelpack's own words.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.status import Status
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from modelpack.bundle import example
from modelpack.engines import StepEvent
from modelpack.errors import ModelpackError
from modelpack.pipeline import Observer, Package
from modelpack.spec import Check, Estimator, Field, Image, ModelSpec, Scalar, SmokeReport

if TYPE_CHECKING:
    from modelpack.doctor import Finding

WIDTH_OF_FILES = 120  # of tables where nobody sets COLUMNS and there is no terminal to ask


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has seen enough (`| head`) is no failure: the rest goes nowhere."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def _console(stream: TextIO | None) -> Console:
    stream = stream or io.StringIO()  # None: whoever started modelpack has closed it
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # where the locale's characters are few
    known = stream.isatty() or "COLUMNS" in os.environ
    return _Console(file=stream, highlight=False, width=None if known else WIDTH_OF_FILES)


out = _console(sys.stdout)
err = _console(sys.stderr)

PREDICT_URL = "http://127.0.0.1:8080/predict"
VERDICT_STYLES = {"pass": "green", "trust": "yellow", "refuse": "red"}


def printable(value: object) -> Text:
    """Text without control, format and bidirectional characters: these become escapes."""
    return Text("".join(c if c.isprintable() else _escaped(c) for c in str(value)))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def lines(text: str) -> Text:
    """Several lines, each printable."""
    return Text("\n").join(printable(line) for line in text.splitlines())


# --- progress ------------------------------------------------------------------------------------


class Progress(Observer):
    """Draws the stages: a spinner with the current step on a terminal, a line when one is done."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._status: Status | None = None
        self._stage = ""

    def stage_started(self, name: str) -> None:
        self._stage = name
        if err.is_terminal:
            self._status = err.status(Text(name))
            self._status.start()

    def stage_done(self, name: str, seconds: float, summary: str) -> None:
        self.close()
        err.print(
            Text.assemble(
                ("\u2713 ", "green"),
                (f"{name:<13}", "bold"),
                printable(summary),
                (f"  {seconds:.1f} s", "dim"),
            )
        )

    def stage_failed(self) -> None:
        self.close()

    def step(self, event: StepEvent) -> None:
        self._show(event.name)
        if self._verbose and event.state != "started":
            err.print(Text.assemble("  ", printable(event.name), (f"  {event.state}", "dim")))

    def check(self, check: Check) -> None:
        self._show(check.name)

    def notice(self, message: str) -> None:
        say(Text.assemble(("note: ", "yellow"), printable(message)))

    def close(self) -> None:
        """Ends the spinner; the terminal is as it was."""
        if self._status:
            self._status.stop()
            self._status = None

    def _show(self, what: str) -> None:
        if self._status:
            self._status.update(Text.assemble((f"{self._stage:<13}", "bold"), printable(what[:80])))


# --- results -------------------------------------------------------------------------------------


def error(problem: ModelpackError) -> None:
    say(Text.assemble(("error: ", "bold red"), lines(problem.message)))
    if problem.hint:
        say(Text.assemble(("hint: ", "bold cyan"), lines(problem.hint)))


def say(text: Text) -> None:
    """Prose to stderr; its lines are broken on a terminal only."""
    err.print(text, soft_wrap=not err.is_terminal)


def model(spec: ModelSpec) -> None:
    """The answer of `modelpack inspect`."""
    out.print(_facts(spec))
    parts: list[RenderableType] = []
    if spec.steps:
        parts += [Text("estimator", "bold"), *(_tree(step) for step in spec.steps)]
    if spec.signature.inputs:
        parts += [Text("signature", "bold"), _signature(spec)]
    if spec.requirements:
        parts += [Text("requirements", "bold"), _requirements(spec)]
    parts += [_verdict(spec)]
    out.print(Group(*parts))


def _facts(spec: ModelSpec) -> Table:
    table = _grid()
    library = " ".join(filter(None, (spec.framework, spec.framework_version)))
    protocol = "" if spec.file.protocol is None else f", protocol {spec.file.protocol}"
    rows = (
        ("file", f"{spec.file.path} ({spec.file.size:,} bytes)"),
        ("sha256", spec.file.sha256),
        ("format", f"{spec.format} ({spec.file.container}{protocol})"),
        ("framework", library or "unknown"),
        ("estimator", spec.estimator or "none"),
        ("task", spec.task),
        ("local code", ", ".join(spec.local_modules)),
    )
    for name, value in rows:
        if value:
            table.add_row(Text(name, "bold"), printable(value))
    return table


def _tree(node: Estimator, into: Tree | None = None) -> Tree:
    label = Text.assemble(
        printable(f"{node.name}: " if node.name else ""),
        printable(node.type.rpartition(".")[2]),
        (f"  {_listing(node.columns, 6)}" if node.columns else "", "dim"),
    )
    branch = into.add(label) if into else Tree(label)
    for step in node.steps:
        _tree(step, branch)
    return branch


def _signature(spec: ModelSpec) -> Table:
    table = Table("input", "type", "values", "example", box=box.SIMPLE_HEAD, pad_edge=False)
    for field in spec.signature.inputs:
        table.add_row(
            printable(field.name),
            field.type + (" or missing" if field.nullable else ""),
            printable(_values(field)),
            printable(_value(field.example)),
        )
    table.add_section()
    for field in spec.signature.outputs:
        table.add_row(
            printable(field.name), field.type, printable(_values(field)), "", style="cyan"
        )
    return table


def _values(field: Field) -> str:
    if field.categories is not None:
        return _listing(field.categories, 8)
    if field.minimum is not None and field.maximum is not None:
        return f"{field.minimum:.4g} to {field.maximum:.4g}"
    return ""


def _value(value: Scalar) -> str:
    return value if isinstance(value, str) else "missing" if value is None else f"{value}"


def _listing(values: Iterable[Scalar], limit: int) -> str:
    shown = [_value(value) for value in values]
    more = f", ... ({len(shown)})" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more


def _requirements(spec: ModelSpec) -> Table:
    table = _grid()
    for name, specifier in spec.requirements.items():
        table.add_row(printable(name), printable(specifier or "any version"))
    return table


def _verdict(spec: ModelSpec) -> RenderableType:
    verdict = spec.safety.verdict
    heading = Text.assemble(("safety ", "bold"), (verdict, f"bold {VERDICT_STYLES[verdict]}"))
    table = _grid()
    for finding in spec.safety.findings:
        where = "" if finding.offset is None else f"byte {finding.offset}"
        table.add_row(printable(finding.code), Text(where, "dim"), printable(finding.message))
    return Group(heading, table) if spec.safety.findings else heading


def report(smoke: SmokeReport) -> Table:
    table = Table("check", "", "seconds", "what was seen", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[2].justify = "right"
    for check in smoke.checks:
        mark = Text("passed", "green") if check.passed else Text("failed", "bold red")
        table.add_row(check.name, mark, f"{check.seconds:.2f}", lines(check.detail))
    return table


def smoke(outcome: SmokeReport) -> None:
    """The answer of `modelpack smoke`."""
    out.print(report(outcome))
    err.print(_figures(outcome))


def doctor(findings: Iterable[Finding]) -> None:
    """The answer of `modelpack doctor`."""
    table = Table("", "what", "found", box=box.SIMPLE_HEAD, pad_edge=False)
    for finding in findings:
        mark = Text("\u2713", "green") if finding.present else Text("\u2717", "red")
        hint = Text(f"\n{finding.hint}", "cyan") if not finding.present else Text("")
        table.add_row(mark, finding.name, Text.assemble(printable(finding.detail), hint))
    out.print(table)


def document(value: object) -> None:
    """One JSON document."""
    out.out(json.dumps(value, indent=2, ensure_ascii=True))


def result(text: str) -> None:
    out.print(printable(text), soft_wrap=True)


def interrupted() -> None:
    err.print(Text("interrupted", "yellow"))


def image(made: Image) -> None:
    result(f"{made.reference}  {made.id}  {made.size_bytes / 1e6:.0f} MB")


def package(made: Package) -> None:
    """The answer of `modelpack package`: what was proven, and how to use it."""
    if made.smoke:
        err.print(report(made.smoke))
        err.print(_figures(made.smoke))
    if made.smoke and not made.smoke.passed:
        return
    if made.image:
        image(made.image)
        err.print(_usage(made.image.reference, made.model), soft_wrap=True)
    else:
        result(str(made.bundle))


def _figures(smoke: SmokeReport) -> Text:
    figures = (
        (smoke.ready_seconds, "ready after {:.1f} s"),
        (smoke.latency_ms, "one row in {:.1f} ms (median)"),
        (smoke.memory_bytes and smoke.memory_bytes / 1e6, "{:.0f} MB of memory"),
    )
    said = ", ".join(text.format(value) for value, text in figures if value is not None)
    return Text(said + "\n", "dim")


def _usage(reference: str, spec: ModelSpec) -> Text:
    """Two commands to copy: one that runs the image, one that asks it."""
    run = ["docker", "run", "--rm", "-p", "127.0.0.1:8080:8080", reference]
    text = Text.assemble(("run it  ", "bold"), printable(shlex.join(run)))
    if document := example(spec):
        body = json.dumps(document, ensure_ascii=True)
        ask = ["curl", "-H", "Content-Type: application/json", "-d", body, PREDICT_URL]
        text.append_text(Text.assemble("\n", ("ask it  ", "bold"), printable(shlex.join(ask))))
    return text


def _grid() -> Table:
    return Table(box=None, show_header=False, padding=(0, 2, 0, 2), pad_edge=False)
