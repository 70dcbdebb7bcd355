"""What comes to a list of values, what goes, and what is in another order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelpack.types import Scalar

from .values import Change, Impact


def key(value: Scalar) -> tuple[str, Scalar]:
    """1, 1.0 and True are three values."""
    return type(value).__name__, value


def only(these: Iterable[Scalar], those: Iterable[Scalar]) -> tuple[Scalar, ...]:
    """Those of the first that the second has not, in their order."""
    known = set(map(key, those))
    return tuple(value for value in these if key(value) not in known)


def come(
    what: str, name: str, values: tuple[Scalar, ...], impact: Impact, note: str = ""
) -> Change:
    return Change("added", what, name, None, _text(values), impact, note, values)


def gone(
    what: str, name: str, values: tuple[Scalar, ...], impact: Impact, note: str = ""
) -> Change:
    return Change("removed", what, name, _text(values), None, impact, note, values)


def reordered(what: str, old: Sequence[Scalar], new: Sequence[Scalar], note: str) -> Change:
    return Change("reordered", what, "", _text(old), _text(new), "breaking", note, tuple(new))


def _text(values: Iterable[Scalar]) -> str:
    return ", ".join(map(str, values))
