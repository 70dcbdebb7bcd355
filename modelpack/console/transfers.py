"""A bar for layers that are on their way to a registry: of all their bytes together."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


class Transfers:
    """The bar is there from the first layer on until it is stopped."""

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
        """`done` of `total` bytes; a layer that is told of with all at first was there already."""
        if layer not in self._sizes and done == total:
            self._existing += 1
        self._sizes[layer] = (done, total)
        moved = [pair for pair in self._sizes.values() if pair[1]]
        self._bar.update(
            self._task,
            completed=sum(done for done, _ in moved),
            total=sum(total for _, total in moved) or None,
            description=f"{self._existing} layers were there" if self._existing else "",
        )

    def stop(self) -> None:
        self._bar.stop()
