"""Results of the gauntlet, and the text that the document shows."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compatibility.verdicts import Verdict
from result_lines import read_lines

from .models import Model

_MAX_CELL = 120


@dataclass(frozen=True)
class Result:
    """The result of one model.

    Attributes:
        hints: Options that the model needs.
        seconds: Of `modelpack package`, by its stages.
        megabytes: Size of the image.
    """

    name: str
    licence: str
    hints: str
    source: str
    saved_by: str
    served_with: str
    outcome: str
    verdict: str
    passed: bool
    supported: bool
    seconds: float
    megabytes: float

    @classmethod
    def from_verdict(cls, model: Model, verdict: Verdict) -> Result:
        """Return the result of a model that was judged."""
        return cls(
            name=model.name,
            licence=model.line["licence"],
            hints=" ".join(model.row.options),
            source=model.line.get("source", ""),
            saved_by=verdict.recorded,
            served_with=verdict.chosen,
            outcome=verdict.outcome,
            verdict=verdict.verdict,
            passed=verdict.passed,
            supported=model.is_supported,
            seconds=verdict.seconds,
            megabytes=verdict.size / 1e6,
        )


def read_results(path: Path) -> dict[str, Result]:
    """Read the results of an earlier run, by the names of models."""
    results = [Result(**line) for line in read_lines(path)]
    return {result.name: result for result in results}


def describe(results: Sequence[Result]) -> str:
    """Return the summary and the table, in Markdown."""
    return f"{summary(results)}\n\n{table(results)}"


def summary(results: Sequence[Result]) -> str:
    """Return the success rate, and how many models needed options."""
    supported = [result for result in results if result.supported]
    served = [result for result in supported if result.passed]
    hinted = sum(bool(result.hints) for result in served)
    others = [result for result in results if not result.supported]
    explained = sum(result.passed for result in others)
    text = (
        f"{len(served)} of {len(supported)} models ({len(served) / max(len(supported), 1):.0%})"
        f" predict as expected, {len(served) - hinted} of them without an option."
    )
    if others:
        text += f" {explained} of {len(others)} other files are refused with the true reason."
    if served:
        seconds = statistics.median(result.seconds for result in served)
        size = statistics.median(result.megabytes for result in served)
        text += f" Medians: {seconds:.0f} s for `modelpack package`, {size:.0f} MB for the image."
    return text


def table(results: Iterable[Result]) -> str:
    lines = [
        "| model | licence | saved by | served with | predictions or error | result | s | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        options = f"<br>`{result.hints}`" if result.hints else ""
        figures = (f"{result.seconds:.0f}", f"{result.megabytes:.0f}") if result.megabytes else ()
        verdict = f"equal ({result.source})" if result.passed else result.verdict
        verdict = verdict if result.supported else result.verdict
        cells = (
            result.name + options, result.licence, result.saved_by, result.served_with,
            _short(result.outcome), verdict, *(figures or ("", "")),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def _short(text: str) -> str:
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 3]}..."
