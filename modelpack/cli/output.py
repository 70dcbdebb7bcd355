"""Results, errors and reports on the terminal.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modelpack.errors import ModelpackError

from .text import lines, printable

if TYPE_CHECKING:
    from modelpack.comparison import Difference
    from modelpack.pipeline.apply import Deployed
    from modelpack.pipeline.apply_job import AppliedJob
    from modelpack.pipeline.deploy import DeployResult
    from modelpack.pipeline.deploy_job import JobResult
    from modelpack.pipeline.doctor import Finding
    from modelpack.pipeline.package import PackageResult
    from modelpack.pipeline.verify import Verification
    from modelpack.types import (
        CheckStatus,
        Code,
        Environment,
        Image,
        ModelSpec,
        ReportStatus,
        Ruling,
        SmokeReport,
    )

_PIECES_PER_WRITE = 10_000  # of JSON text
WIDTH_OF_FILES = 120  # without a terminal and without COLUMNS


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Discard the rest: a reader that stops early (`| head`) is not a failure."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


def _console(stream: TextIO | None) -> Console:
    stream = stream or io.StringIO()  # None if the parent process closed it
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # for locales with few characters
    known = stream.isatty() or "COLUMNS" in os.environ
    return _Console(file=stream, highlight=False, width=None if known else WIDTH_OF_FILES)


out = _console(sys.stdout)
err = _console(sys.stderr)

PREDICT_URL = "http://127.0.0.1:8080/predict"


# --- progress ------------------------------------------------------------------------------------


STAGE_MARKS: dict[CheckStatus, tuple[str, str]] = {
    "passed": ("\u2713 ", "green"),
    "failed": ("\u2717 ", "red"),
    "not run": ("- ", "yellow"),
}


# --- results -------------------------------------------------------------------------------------


def print_error(problem: ModelpackError) -> None:
    print_message(Text.assemble(("error: ", "bold red"), lines(problem.message)))
    if problem.hint:
        print_message(Text.assemble(("hint: ", "bold cyan"), lines(problem.hint)))


def print_message(text: Text) -> None:
    """Print to stderr. Lines are wrapped only on a terminal."""
    err.print(text, soft_wrap=not err.is_terminal)


def print_model(spec: ModelSpec, code: Code) -> None:
    """Print the result of `modelpack inspect`."""
    from . import model_view

    out.print(model_view.view(spec, code))


def print_diff(difference: Difference) -> None:
    """Print the result of `modelpack diff`."""
    from . import diff_view

    out.print(diff_view.view_diff(difference))


def write_diff(difference: Difference, path: Path) -> None:
    """Write the result of `modelpack diff` for a pull request, or raise UsageError."""
    from . import diff_view

    diff_view.write_markdown(difference, path)


def report_table(smoke: SmokeReport) -> Table:
    table = Table("check", "status", "seconds", "detail", box=box.SIMPLE_HEAD, pad_edge=False)
    table.columns[2].justify = "right"
    styles = {"passed": "green", "failed": "bold red", "not run": "yellow"}
    for check in smoke.checks:
        mark = Text(check.status, styles[check.status])
        seconds = "" if check.status == "not run" else f"{check.seconds:.2f}"
        table.add_row(check.name, mark, seconds, lines(check.detail or check.reason))
    return table


def print_verification(outcome: Verification) -> None:
    """Print the result of `modelpack verify`."""
    marks = {
        "holds": Text("holds", "green"),
        "fails": Text("fails", "bold red"),
        "unknown": Text("unknown", "yellow"),
    }
    table = Table("check", "verdict", "detail", box=box.SIMPLE_HEAD, pad_edge=False)
    for verdict in outcome.checks:
        table.add_row(verdict.name, marks[verdict.state], lines(verdict.detail))
    if outcome.smoke:
        states: dict[ReportStatus, str] = {
            "passed": "holds", "failed": "fails", "untested": "unknown"
        }  # fmt: skip
        passed = sum(check.passed for check in outcome.smoke.checks)
        counts = f"{passed} of {len(outcome.smoke.checks)} checks passed"
        if outcome.smoke.untested:
            counts += f"; no prediction was tested: {outcome.smoke.untested}"
        table.add_row("smoke test", marks[states[outcome.smoke.status]], counts)
    out.print(table)


def pins_table(environment: Environment, spec: ModelSpec) -> Table:
    """Return a table of the locked versions, their origins and the versions in the file."""
    table = Table(
        "distribution", "version", "source", "in the file", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for name, version in environment.requirements.items():
        recorded = printable(spec.versions.get(name.removesuffix("-cpu"), ""), "dim")
        table.add_row(name, version, environment.origins[name], recorded)
    return table


def print_smoke_report(outcome: SmokeReport) -> None:
    """Print the result of `modelpack smoke`."""
    out.print(report_table(outcome))
    err.print(_figures(outcome))


def print_rulings(outcomes: Iterable[Ruling]) -> None:
    """Print the result of `modelpack scan`."""
    table = Table("rule", "status", "source", "finding", box=box.SIMPLE_HEAD, pad_edge=False)
    for ruling in outcomes:
        mark = Text("passed", "green") if ruling.passed else Text("failed", "bold red")
        violations = "\n".join(f"{each.where}: {each.what}" for each in ruling.violations)
        table.add_row(ruling.rule, mark, ", ".join(ruling.sources), lines(violations))
    out.print(table)


def print_findings(findings: Iterable[Finding]) -> None:
    """Print the result of `modelpack doctor`."""
    table = Table("", "check", "detail", box=box.SIMPLE_HEAD, pad_edge=False)
    for finding in findings:
        mark = Text("\u2713", "green") if finding.present else Text("\u2717", "red")
        hint = Text(f"\n{finding.hint}", "cyan") if not finding.present else Text("")
        table.add_row(mark, finding.name, Text.assemble(printable(finding.detail), hint))
    out.print(table)


def print_value(value: object) -> None:
    """Write the JSON form of a value of `modelpack.types` to stdout."""
    from modelpack.types import to_json

    print_json(to_json(value))


def print_json(value: object) -> None:
    """Write one JSON document to stdout."""
    # Rich would split it into lines, each an object: 5 s and 400 MB for 36,000 inputs.
    pieces = json.JSONEncoder(indent=2, ensure_ascii=True).iterencode(value)
    try:
        while some := "".join(islice(pieces, _PIECES_PER_WRITE)):
            out.file.write(some)
        out.file.write("\n")
        out.file.flush()
    except BrokenPipeError:
        out.on_broken_pipe()


def print_result(text: str) -> None:
    out.print(printable(text), soft_wrap=True)


def print_lock(text: str) -> None:
    """Print the result of `modelpack lock`."""
    out.print(lines(text), soft_wrap=True)


def print_interrupted() -> None:
    err.print(Text("interrupted", "yellow"))


def print_image(built: Image) -> None:
    print_result(f"{built.reference}  {built.id}  {built.size_bytes / 1e6:.0f} MB")


def print_package(packaged: PackageResult, *, accepted: bool, quiet: bool = False) -> None:
    """Print the result of `modelpack package`: what was tested, and how to use it.

    With `quiet`, print the image only, and the report of a test that did not pass.
    """
    if packaged.smoke and not (quiet and accepted):
        err.print(report_table(packaged.smoke))
        err.print(_figures(packaged.smoke))
    if not accepted:
        return
    if packaged.image is None:
        print_result(str(packaged.bundle))
        return
    print_image(packaged.image)
    if not quiet:
        err.print(_usage(packaged.engine, packaged.image.reference, packaged.model), soft_wrap=True)


def print_deployment(result: DeployResult | JobResult) -> None:
    """Print the result of `modelpack deploy`: the folder, and how to deploy it."""
    print_result(str(result.request.output))
    err.print(Text.assemble(("deploy  ", "bold"), printable(result.command)), soft_wrap=True)


def print_deployed(deployed: Deployed) -> None:
    """Print the state of a deployment."""
    table = Table("replica", "state", "detail", box=box.SIMPLE_HEAD, pad_edge=False)
    for replica in deployed.status.replicas:
        table.add_row(*map(printable, (replica.name, replica.state, replica.detail)))
    out.print(table)
    print_result(f"{deployed.name}: {deployed.status.summary}")


def print_job(job: AppliedJob) -> None:
    """Print the state of a job: its report if it is complete, otherwise its containers."""
    if job.report is not None:
        print_result(json.dumps(job.report))
        return
    if job.status.containers:
        table = Table("container", "state", "detail", box=box.SIMPLE_HEAD, pad_edge=False)
        for container in job.status.containers:
            table.add_row(*map(printable, (container.name, container.state, container.detail)))
        out.print(table)
    print_result(f"{job.name}: {job.summary}")


def _figures(smoke: SmokeReport) -> Text:
    figures = (
        (smoke.ready_seconds, "ready after {:.1f} s"),
        (smoke.latency_ms, "one row in {:.1f} ms (median)"),
        (smoke.memory_bytes and smoke.memory_bytes / 1e6, "{:.0f} MB of memory"),
    )
    text = ", ".join(form.format(value) for value, form in figures if value is not None)
    return Text(text + "\n", "dim")


def _export(reference: str) -> str:
    file = f"{reference.rpartition('/')[2].partition(':')[0]}.tar"
    export = shlex.join(["modelpack", "export", reference, file])
    return f"{export} && {shlex.join(['docker', 'load', '-i', file])}"


_MAX_BODY = 2_000
_LONG_BODY = 'GET / of the service has a body of POST /predict as "example".'


def _usage(engine: str, reference: str, spec: ModelSpec) -> Text:
    """Return commands to copy: to run the image, or to load it first, and to query it."""
    from modelpack.bundle.manifest import example

    run = [engine, "run", "--rm", "-p", "127.0.0.1:8080:8080", reference]
    if engine == "oci":
        text = Text.assemble(("export  ", "bold"), printable(_export(reference)))
        run[0] = "docker"
        text.append_text(Text.assemble("\n", ("run     ", "bold"), printable(shlex.join(run))))
    else:
        text = Text.assemble(("run     ", "bold"), printable(shlex.join(run)))
    if document := example(spec):
        body = json.dumps(document, ensure_ascii=True)
        command = ["curl", "-H", "Content-Type: application/json", "-d", body, PREDICT_URL]
        query = shlex.join(command) if len(body) <= _MAX_BODY else _LONG_BODY
        text.append_text(Text.assemble("\n", ("query   ", "bold"), printable(query)))
    return text
