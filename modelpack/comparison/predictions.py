"""The answers of two models to the same rows, compared value by value.

Labels differ or do not; numbers differ by more than the tolerance, relative to the larger of both
and 1, as in the smoke test. Probabilities are compared class by class, whatever their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelpack.agreement import APART, difference
from modelpack.spec import Scalar

from .values import Change, Impact, PredictionSection, RowDifference, Verdict, counted

_LONGEST = 60


@dataclass(frozen=True)
class Said:
    """What a model said of rows, one entry a row. `errors`: None where it answered.
    `classes`: the order of the probabilities.
    """

    errors: tuple[str | None, ...]
    predictions: tuple[Any, ...]
    probabilities: tuple[Any, ...] | None = None
    classes: tuple[Scalar, ...] | None = None


@dataclass(frozen=True)
class Asked:
    """The rows, as OLD takes them. `made_up`: from its signature. `labels`: a prediction is a name,
    and no amount.
    """

    rows: tuple[tuple[Scalar, ...], ...]
    made_up: bool = False
    tolerance: float = 0.0
    labels: bool = False


@dataclass(frozen=True)
class _Pair:
    """What both said of a row, of which the probabilities are those of the classes of both."""

    number: int
    old: Any
    new: Any
    old_probabilities: Any
    new_probabilities: Any

    def apart(self, asked: Asked) -> bool:
        """Whether the predictions differ."""
        return difference(self.old, self.new) > (0.0 if asked.labels else asked.tolerance)

    def shifted(self, asked: Asked) -> bool:
        """Whether the probabilities differ."""
        return difference(self.old_probabilities, self.new_probabilities) > asked.tolerance


def not_asked(why: Sequence[str]) -> PredictionSection:
    """Of what cannot be compared."""
    return PredictionSection("unknown", "not compared", unknown=tuple(why))


def silent(which: str, why: str) -> PredictionSection:
    """Of two models of which only one answers at all; `which` does not: "OLD" or "NEW"."""
    impact: Impact = "breaking" if which == "NEW" else "compatible"
    kind = "removed" if which == "NEW" else "added"
    change = Change(kind, "answers", which, impact=impact, note=why)  # type: ignore[arg-type]
    return PredictionSection(impact, f"{which} does not answer", (change,))  # type: ignore[arg-type]


def compare(asked: Asked, old: Said, new: Said) -> PredictionSection:
    pairs = list(_pairs(old, new))
    apart = [pair for pair in pairs if pair.apart(asked)]
    shifted = [pair for pair in pairs if not pair.apart(asked) and pair.shifted(asked)]
    refused = [i for i, (a, b) in enumerate(_errors(old, new)) if b is not None and a is None]
    answered = [i for i, (a, b) in enumerate(_errors(old, new)) if a is not None and b is None]
    rows = [_row(asked, pair) for pair in (*apart, *shifted)]
    rows += [RowDifference(i, asked.rows[i], new_error=new.errors[i]) for i in refused]
    rows += [RowDifference(i, asked.rows[i], old_error=old.errors[i]) for i in answered]
    figures = {} if asked.labels else _largest([(pair.old, pair.new) for pair in pairs])
    chances = _largest([(pair.old_probabilities, pair.new_probabilities) for pair in pairs])
    return PredictionSection(
        verdict=_verdict(refused, answered, [*apart, *shifted], pairs),
        summary=_summary(asked, len(pairs), len(apart), len(refused), figures, chances),
        changes=tuple(_change(row) for row in sorted(rows, key=lambda row: row.number)),
        rows=len(asked.rows),
        made_up=asked.made_up,
        tolerance=asked.tolerance,
        differing=len(apart),
        refused_now=len(refused),
        answered_now=len(answered),
        absolute=figures.get("absolute"),
        relative=figures.get("relative"),
        probability=chances.get("absolute"),
        differences=tuple(sorted(rows, key=lambda row: row.number)),
    )


def _errors(old: Said, new: Said) -> Iterator[tuple[str | None, str | None]]:
    return zip(old.errors, new.errors, strict=True)


def _pairs(old: Said, new: Said) -> Iterator[_Pair]:
    """Of the rows that both answered."""
    places = _places(old.classes, new.classes)
    for number, errors in enumerate(_errors(old, new)):
        if errors == (None, None):
            chances = None, None
            if old.probabilities and new.probabilities:
                chances = _by_class(old.probabilities[number], new.probabilities[number], places)
            yield _Pair(number, old.predictions[number], new.predictions[number], *chances)


def _places(
    old: Sequence[Scalar] | None, new: Sequence[Scalar] | None
) -> list[tuple[int, int]] | None:
    """Positions of the classes of both; None where they are the same, or not known."""
    if not old or not new or old == new:
        return None
    found = {(type(label), label): place for place, label in enumerate(new)}
    pairs = [(place, found.get((type(label), label))) for place, label in enumerate(old)]
    return [(was, now) for was, now in pairs if now is not None]


def _by_class(old: Any, new: Any, places: list[tuple[int, int]] | None) -> tuple[Any, Any]:
    if places is None or any(isinstance(value, list) for value in (*old, *new)):
        return old, new
    return [old[was] for was, _ in places], [new[now] for _, now in places]


def _row(asked: Asked, pair: _Pair) -> RowDifference:
    apart = max(
        0.0 if asked.labels else difference(pair.old, pair.new),
        difference(pair.old_probabilities, pair.new_probabilities),
    )
    known = None if apart == APART or (asked.labels and pair.old_probabilities is None) else apart
    return RowDifference(
        pair.number,
        asked.rows[pair.number],
        pair.old,
        pair.new,
        pair.old_probabilities,
        pair.new_probabilities,
        known,
    )


def _largest(pairs: Sequence[tuple[Any, Any]]) -> dict[str, float]:
    """The largest differences of two numbers in the same place; empty where there are none."""
    numbers = [both for a, b in pairs for both in _numbers(a, b)]
    if not numbers:
        return {}
    return {
        "absolute": max(abs(a - b) for a, b in numbers),
        "relative": max(difference(a, b) for a, b in numbers),
    }


def _numbers(a: Any, b: Any) -> Iterator[tuple[float, float]]:
    """Finite ones alone; of one and what is none, nothing."""
    if isinstance(a, list) and isinstance(b, list):
        for one, other in zip(a, b, strict=False):
            yield from _numbers(one, other)
    elif _is_number(a) and _is_number(b) and difference(a, b) != APART:
        yield a, b


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _verdict(
    refused: Sequence[int], answered: Sequence[int], differing: Sequence[_Pair],
    pairs: Sequence[_Pair],
) -> Verdict:  # fmt: skip
    if refused:
        return "breaking"
    if differing:
        return "changed"
    return "compatible" if answered else "same" if pairs else "unknown"


def _summary(
    asked: Asked, both: int, apart: int, refused: int,
    figures: Mapping[str, float], chances: Mapping[str, float],
) -> str:  # fmt: skip
    rows = f"{'made-up ' if asked.made_up else ''}row{'' if both == 1 else 's'}"
    told = [f"NEW refuses {counted(refused, 'row')} that OLD answers"] if refused else []
    if apart:
        what = "another label" if asked.labels else "another value"
        told.append(f"{apart:,} of {both:,} {rows} get{'s' if apart == 1 else ''} {what}")
        told[-1] += _by(figures)
    elif both:
        how = f" within {asked.tolerance:g}" if asked.tolerance else ""
        told.append(f"{both:,} {rows} answered alike{how}")
    if chances.get("absolute"):
        told.append(f"probabilities by up to {chances['absolute']:.2g}")
    return "; ".join(told) or "no row that both answer"


def _by(figures: Mapping[str, float]) -> str:
    if not figures:
        return ""
    return f", by up to {figures['absolute']:.4g} ({figures['relative']:.1%})"


def _change(row: RowDifference) -> Change:
    name = str(row.number)
    if row.new_error is not None:
        return Change("removed", "row", name, impact="breaking", note=row.new_error)
    if row.old_error is not None:
        return Change("added", "row", name, impact="compatible", note=row.old_error)
    note = "" if row.apart is None else f"apart by {row.apart:.2g}"
    if row.old == row.new:
        pairs = _brief(row.old_probabilities), _brief(row.new_probabilities)
        return Change("changed", "row", name, *pairs, note=note)
    return Change("changed", "row", name, _brief(row.old), _brief(row.new), note=note)


def _brief(value: Any) -> str:
    """A value of an answer, numbers to six digits."""
    text = value if isinstance(value, str) else json.dumps(_rounded(value), ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _rounded(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
