"""Results of the matrix, and the text that the document shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from result_lines import read_lines

from .releases import Entry, entries
from .verdicts import ACCEPTED, EQUAL, TRUST, UNSUPPORTED, Outcome

_MAX_REASON = 160
_ROW = re.compile(
    r"\| (?P<library>\S+) \S+ \((?P<year>\d+)\) \| [\d.]+ \| (?P<files>\d+) "
    r"\| (?P<accepted>\d+)(, (?P<trust>\d+) with `--trust`)? \| (?P<equal>\d+) of (?P<served>\d+)"
)
_MODELS = "libraries."


@dataclass(frozen=True)
class Result:
    """The outcomes of the files of an entry.

    Attributes:
        problem: Why there is no model: the libraries cannot be installed, or fail.
        unsaved: Way -> why the library does not save the model so.
    """

    name: str
    library: str
    python: str
    version: str
    problem: str
    unsaved: dict[str, str]
    outcomes: Sequence[Outcome]

    @classmethod
    def from_line(cls, line: dict[str, Any]) -> Result:
        return cls(**{**line, "outcomes": [Outcome(**each) for each in line["outcomes"]]})

    @classmethod
    def from_problem(cls, entry: Entry, problem: str) -> Result:
        """Return the result of an entry without a model."""
        return cls(entry.name, entry.library, entry.release.python, "", problem, {}, ())

    @property
    def is_right(self) -> bool:
        return all(outcome.is_right for outcome in self.outcomes)


def read_results(path: Path) -> dict[str, Result]:
    """Read the results of earlier runs, by the names of entries."""
    results = [Result.from_line(line) for line in read_lines(path)]
    return {result.name: result for result in results}


def describe(results: Sequence[Result]) -> str:
    """Return the summary, the table, and the entries without a model, in Markdown."""
    parts = [summary(results), table(results)]
    if missing := [result for result in results if result.problem]:
        parts.append("\n".join(f"- {result.name}: {result.problem}" for result in missing))
    return "\n\n".join(parts)


def summary(results: Sequence[Result]) -> str:
    """Return what was run, and the counts of outcomes."""
    trained = [result for result in results if not result.problem]
    outcomes = [outcome for result in trained for outcome in result.outcomes]
    states = [outcome.state for outcome in outcomes]
    served = [outcome.answer for outcome in outcomes if outcome.answer]
    libraries = len({result.library for result in trained})
    total = len(list(entries()))
    trust = states.count(TRUST)
    counts = {
        "files": len(states),
        "accepted": states.count(ACCEPTED) + trust,
        "trust": trust,
        "refused": states.count(UNSUPPORTED),
        "equal": served.count(EQUAL),
        "served": len(served),
    }
    return (
        f"{len(results)} of {total} entries were run; {len(trained)} of them install and train a"
        f" model, of {libraries} {_MODELS} {_sentences(counts)}"
    )


def _sentences(counts: Mapping[str, int]) -> str:
    trust = counts["trust"]
    with_trust = f" ({trust} of them once their names are trusted)" if trust else ""
    return (
        f"{counts['accepted']} of {counts['files']} files are accepted{with_trust}. Refused as not"
        f" supported: {counts['refused']}. {counts['equal']} of {counts['served']} served files"
        " predict what the library predicted."
    )


def replace_rows(section: str, results: Sequence[Result]) -> str:
    """Return the section of a document with new rows of these entries, and new counts.

    Args:
        section: What `describe` returned for all entries.
        results: Results without a wrong outcome. Those without a model, or without a row, are
            left out.
    """
    rows = {(r.library, r.name.rpartition(" ")[2]): _row(r) for r in results if not r.problem}
    lines = section.splitlines()
    counts = dict.fromkeys(("files", "accepted", "trust", "equal", "served"), 0)
    for index, line in enumerate(lines):
        if found := _ROW.match(line):
            lines[index] = rows.get((found["library"], found["year"]), line)
            found = _ROW.match(lines[index]) or found
            counts = {name: count + int(found[name] or 0) for name, count in counts.items()}
    if not counts["files"]:
        return section
    counts["refused"] = counts["files"] - counts["accepted"]
    lines[0] = f"{lines[0].partition(_MODELS)[0]}{_MODELS} {_sentences(counts)}"
    return "\n".join(lines)


def table(results: Sequence[Result]) -> str:
    lines = [
        "| saved by | Python | files | accepted | served and equal | other outcomes |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        if not result.problem:
            lines.append(_row(result))
    return "\n".join(lines)


def _row(result: Result) -> str:
    return f"| {' | '.join(_cells(result))} |"


def _cells(result: Result) -> list[str]:
    outcomes = result.outcomes
    states = [outcome.state for outcome in outcomes]
    accepted = f"{states.count(ACCEPTED) + states.count(TRUST)}"
    if TRUST in states:
        accepted += f", {states.count(TRUST)} with `--trust`"
    served = [outcome for outcome in outcomes if outcome.answer]
    equal = ", ".join(outcome.way for outcome in served if outcome.answer == EQUAL)
    count = sum(outcome.answer == EQUAL for outcome in served)
    return [
        f"{result.library} {result.version} ({result.name.rpartition(' ')[2]})",
        result.python,
        str(len(outcomes)),
        accepted,
        f"{count} of {len(served)}: {equal}" if count else f"{count} of {len(served)}",
        "<br>".join([*_others(outcomes), *_unsaved(result)]),
    ]


def _others(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a text for each reason, with the ways that it applies to."""
    ways: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.state not in {ACCEPTED, TRUST}:
            ways.setdefault(_short(outcome.reason), []).append(outcome.way)
        elif outcome.answer not in {"", EQUAL}:
            ways.setdefault(_short(f"{outcome.answer}: {outcome.detail}"), []).append(outcome.way)
        elif outcome.detail:
            ways.setdefault(f"as a hint asks, `{outcome.detail}`", []).append(outcome.way)
    return [f"{', '.join(names)}: {reason}" for reason, names in ways.items()]


def _unsaved(result: Result) -> list[str]:
    """Return the ways that fail in the library. A module that is not installed is no failure."""
    ways = [way for way, reason in result.unsaved.items() if "ModuleNotFoundError" not in reason]
    return [f"not saved by the library: {', '.join(ways)}"] if ways else []


def _short(text: str) -> str:
    text = " ".join(text.split()).replace("|", "/")
    return text if len(text) <= _MAX_REASON else f"{text[: _MAX_REASON - 3]}..."
