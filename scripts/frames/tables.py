"""The tables of docs/frames.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .querying import BITS, REFUSED, RIGHT, WRONG
from .sets import SETS
from .verdicts import BEFORE, Verdict

STATES = (RIGHT, BEFORE, BITS, REFUSED, WRONG)
LIBRARIES = ("scikit-learn", "pandas", "lightgbm", "xgboost", "catboost")


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return a line for each set: its libraries, and how many models came to which verdict."""
    lines = [
        f"| set | Python | libraries | models | {' | '.join(STATES)} | right with rows only |",
        f"|---|---|---|---|{'---|' * len(STATES)}---|",
    ]
    for release in SETS:
        found = [v for v in verdicts if v.set == release.name]
        counts = Counter(v.state for v in found)
        pins = dict(pin.split("==") for pin in release.requirements.split() if "==" in pin)
        pins["xgboost"] = pins.get("xgboost") or pins["xgboost-cpu"]
        libraries = ", ".join(f"{name} {pins[name]}" for name in LIBRARIES)
        cells = [_short(release.name), release.python, libraries, str(counts.total())]
        cells += [str(counts[state]) for state in STATES]
        cells.append(str(sum(v.state == RIGHT and v.needs_rows for v in found)))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def by_model(verdicts: Sequence[Verdict]) -> str:
    """Return a line for each model, with its verdict in each set that can train it."""
    names = [_short(release.name) for release in SETS]
    lines = [f"| model | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    states = {(v.name, v.set): v.state for v in verdicts}
    for name, text in dict.fromkeys((v.name, v.text) for v in verdicts):
        cells = [states.get((name, release.name), "") for release in SETS]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _short(name: str) -> str:
    return name.removeprefix("frames-")
