"""Live progress of stages, build steps and transfers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.status import Status
from rich.text import Text

from modelpack.cli.output import STAGE_MARKS, err, pins_table, print_message
from modelpack.pipeline.options import Observer

from .text import printable

if TYPE_CHECKING:
    from modelpack.engines import StepEvent
    from modelpack.types import Check, CheckStatus, Environment, ModelSpec


class Transfers:
    """A progress bar of a push."""

    def __init__(self, console: Console, stage: str) -> None:
        self._sizes: dict[str, tuple[int, int]] = {}
        self._existing = 0
        self._bar = Progress(
            TextColumn(f"{stage:<13}", style="bold"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)
        self._bar.start()

    def show(self, layer: str, done: int, total: int) -> None:
        """Show `done` of `total` bytes. A layer that starts with all of them existed before."""
        if layer not in self._sizes and done == total:
            self._existing += 1
        self._sizes[layer] = (done, total)
        moved = [pair for pair in self._sizes.values() if pair[1]]
        self._bar.update(
            self._task,
            completed=sum(done for done, _ in moved),
            total=sum(total for _, total in moved) or None,
            description=f"{self._existing} layers already in the registry"
            if self._existing
            else "",
        )

    def stop(self) -> None:
        self._bar.stop()


class StageProgress(Observer):
    """Shows stages: a spinner with the current step on a terminal, and a line at the end."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._status: Status | None = None
        self._transfers: Transfers | None = None
        self._stage = ""

    def stage_started(self, name: str) -> None:
        self._stage = name
        if err.is_terminal:
            self._status = err.status(Text(name))
            self._status.start()

    def stage_done(
        self, name: str, seconds: float, summary: str, status: CheckStatus = "passed"
    ) -> None:
        self.close()
        print_message(
            Text.assemble(
                STAGE_MARKS[status],
                (f"{name:<13}", "bold"),
                printable(summary),
                (f"  {seconds:.1f} s", "dim"),
            )
        )

    def stage_failed(self) -> None:
        self.close()

    def locked(self, environment: Environment, model: ModelSpec) -> None:
        if self._verbose:
            err.print(pins_table(environment, model))
        for warning in environment.warnings:
            self.notice(warning)

    def step(self, event: StepEvent) -> None:
        self._show(event.name)
        if self._verbose and event.state != "started":
            err.print(Text.assemble("  ", printable(event.name), (f"  {event.state}", "dim")))

    def check(self, check: Check) -> None:
        self._show(check.name)

    def transfer(self, layer: str, done: int, total: int) -> None:
        if self._status:
            self.close()
            self._transfers = Transfers(err, self._stage)
        if self._transfers:
            self._transfers.show(layer, done, total)
        if self._verbose and done == total:
            err.print(Text.assemble("  ", printable(layer), ("  done", "dim")))

    def notice(self, message: str) -> None:
        print_message(Text.assemble(("note: ", "yellow"), printable(message)))

    def close(self) -> None:
        """Remove the spinner or the bar."""
        if self._status:
            self._status.stop()
        if self._transfers:
            self._transfers.stop()
        self._status = self._transfers = None

    def _show(self, what: str) -> None:
        if self._status:
            self._status.update(Text.assemble((f"{self._stage:<13}", "bold"), printable(what[:80])))
