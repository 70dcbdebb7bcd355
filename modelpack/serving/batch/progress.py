"""Progress for people and for programs."""

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
    """Counts, and says nothing but why it ended."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.rows = 0
        self.refused = 0
        self._shown = 0.0

    def begin(self) -> None:
        """The model is loaded: it is rows that take the time from now on."""
        self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def progress(self, rows: int, size: int, total: int | None) -> None:
        """So many rows more; `size` bytes of `total`, if that is known, are read."""
        self.rows += rows
        if self.seconds - self._shown > INTERVAL_SECONDS:
            self._shown = self.seconds
            self.say("progress", bytes=size, total_bytes=total)

    def refusal(self, detail: str, place: dict[str, Any]) -> None:
        """A row has no answer, and it goes on. Only the first of them are told."""
        self.refused += 1
        if self.refused <= MAX_REPORTED:
            self.say("refused", detail=detail, **place)

    def note(self, detail: str) -> None:
        """Something to know that is no error."""
        self.say("note", detail=detail)

    def done(self) -> None:
        """All is answered."""
        self.say("done")

    def failed(self, detail: str, place: dict[str, Any], code: int) -> None:
        """It ends here, with this exit status."""
        self.say("failed", detail=detail, code=code, **place)

    def say(self, event: str, **facts: Any) -> None:
        if event == "failed":
            _write(f"error: {facts['detail']}\n")


class TextReporter(Reporter):
    """A line that changes while it goes on, on a terminal, and one at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._live = sys.stderr.isatty()

    def say(self, event: str, **facts: Any) -> None:
        clear = "\r\x1b[K" if self._live else ""
        if event in PREFIXES:
            _write(f"{clear}{PREFIXES[event]}{facts['detail']}\n")
        elif event == "done":
            without = f", {self.refused:,} of them without an answer" if self.refused else ""
            _write(f"{clear}{self.rows:,} rows in {self.seconds:.1f} s{without}\n")
        elif self._live:
            total = facts["total_bytes"]
            share = f", {100 * facts['bytes'] / total:.0f} %" if total else ""
            _write(f"{clear}{self.rows:,} rows, {self.rows / self.seconds:,.0f} rows/s{share}")


class JsonReporter(Reporter):
    """A JSON object a line; `event` is progress, refused, note, done or failed."""

    def say(self, event: str, **facts: Any) -> None:
        figures = {"rows": self.rows, "refused": self.refused, "seconds": round(self.seconds, 3)}
        _write(orjson.dumps({"event": event, **figures, **facts}).decode() + "\n")


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


REPORTERS = {"auto": TextReporter, "json": JsonReporter, "none": Reporter}


def describe_problem(
    problem: Problem, chunk: Chunk | None, before: int, index: int | None = None
) -> Any:
    """The words of a problem with rows of `chunk`, which so many rows stand before, and its place:
    {row, line, column}. `index`: of the row, where the problem itself was met by that row alone.
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
