"""Progress as text and as JSON lines."""

from __future__ import annotations

import sys
import time
from typing import Any, Sequence

import orjson

from ..data import validation
from ..problems import Problem
from .chunks import Chunk

INTERVAL_SECONDS = 0.2
MAX_REPORTED = 20
PREFIXES = {"refused": "no answer: ", "note": "note: ", "failed": "error: "}


class Reporter:
    """Counts rows, and reports only errors."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.rows = 0
        self.refused = 0
        self._shown = 0.0

    def begin(self) -> None:
        """Start the time of the rows, after the model is loaded."""
        self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since `begin`."""
        return time.perf_counter() - self.started

    def progress(self, rows: int, size: int, total: int | None) -> None:
        """Count `rows`. `size` bytes of `total`, if known, have been read."""
        self.rows += rows
        if self.seconds - self._shown > INTERVAL_SECONDS:
            self._shown = self.seconds
            self.report("progress", bytes=size, total_bytes=total)

    def rejected(self, detail: str, place: dict[str, Any]) -> None:
        """Count a row that cannot be predicted, and report the first ones."""
        self.refused += 1
        if self.refused <= MAX_REPORTED:
            self.report("refused", detail=detail, **place)

    def note(self, detail: str) -> None:
        """Report something that is not an error."""
        self.report("note", detail=detail)

    def part(self, name: str, rows: int) -> None:
        """Report that a part of a folder is finished."""
        self.report("part", name=name, part_rows=rows)

    def done(self) -> None:
        """Report that all rows are predicted."""
        self.report("done")

    def failed(self, detail: str, place: dict[str, Any], code: int) -> None:
        """Report the error that ends the batch, and the exit status."""
        self.report("failed", detail=detail, code=code, **place)

    def report(self, event: str, **facts: Any) -> None:
        """Write an event to standard error."""
        if event == "failed":
            _write(f"error: {facts['detail']}\n")


class TextReporter(Reporter):
    """Text: a line that changes, if standard error is a terminal, and one at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._live = sys.stderr.isatty()

    def report(self, event: str, **facts: Any) -> None:
        """Write an event to standard error."""
        clear = "\r\x1b[K" if self._live else ""
        if event in PREFIXES:
            _write(f"{clear}{PREFIXES[event]}{facts['detail']}\n")
        elif event == "part":
            _write(f"{clear}{facts['name']!a}: {facts['part_rows']:,} rows\n")
        elif event == "done":
            without = f", {self.refused:,} of them without an answer" if self.refused else ""
            _write(f"{clear}{self.rows:,} rows in {self.seconds:.1f} s{without}\n")
        elif self._live:
            total = facts["total_bytes"]
            share = f", {100 * facts['bytes'] / total:.0f} %" if total else ""
            _write(f"{clear}{self.rows:,} rows, {self.rows / self.seconds:,.0f} rows/s{share}")


class JsonReporter(Reporter):
    """JSON lines. `event` is progress, refused, note, part, done or failed."""

    def report(self, event: str, **facts: Any) -> None:
        """Write an event to standard error."""
        figures = {"rows": self.rows, "refused": self.refused, "seconds": round(self.seconds, 3)}
        _write(orjson.dumps({"event": event, **figures, **facts}).decode() + "\n")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


REPORTERS = {"auto": TextReporter, "json": JsonReporter, "none": Reporter}


def describe_problem(
    problem: Problem, chunk: Chunk | None, before: int, index: int | None = None
) -> Any:
    """Return the text of a problem with rows of `chunk`, and its position {row, line, column}.

    Args:
        problem: The problem.
        chunk: The chunk, or None if it could not be read.
        before: The number of rows before the chunk.
        index: The index of the row, if the problem is that of a single row.
    """
    errors = [dict(error) for error in problem.errors]
    place: dict[str, Any] = {}
    if index is not None:
        errors = [{**error, "row": index} for error in errors]
    if errors and errors[0]["row"] is not None:
        place = _place(errors[0], chunk, before)
    elif index is not None:
        place = _place({"row": index}, chunk, before)
    detail = _detail(problem, errors, before)
    if place.get("line"):
        row = f"Row {place['row']}"
        detail = detail.replace(row, f"{row} (line {place['line']})", 1)
    return detail, place


def _place(error: dict[str, Any], chunk: Chunk | None, before: int) -> dict[str, Any]:
    lines = chunk.lines if chunk is not None else None
    row = error["row"]
    return {
        "row": before + row,
        "line": lines[row] if lines else None,
        "column": error.get("column"),
    }


def _detail(problem: Problem, errors: Sequence[dict[str, Any]], before: int) -> str:
    if problem.status == 500:
        cause = problem.__cause__
        return f"The model failed: {type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
    if not errors or errors[0]["row"] is None:
        return problem.detail.replace("The body", "The input")
    return validation.validation_problem([{**e, "row": before + e["row"]} for e in errors]).detail
