"""The answers of two models compared: their outputs, classes and probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelpack.types import Field, Scalar, Signature

from . import lists
from .inputs import type_of
from .values import Change, Impact


def compare(old: Signature, new: Signature) -> Iterator[Change]:
    if old.outputs and new.outputs:
        yield from _answers(old.outputs, new.outputs)
    if old.classes and new.classes:
        yield from _classes(old.classes, new.classes)
    if old.probabilities != new.probabilities:
        words = "none", "one for each class"
        impact: Impact = "compatible" if new.probabilities else "breaking"
        was, now = words[old.probabilities], words[new.probabilities]
        yield Change("changed", "probabilities", "", was, now, impact)


def _answers(old: Sequence[Field], new: Sequence[Field]) -> Iterator[Change]:
    """Outputs by their positions, as there is seldom more than one."""
    for was, now in zip(old, new, strict=False):
        if was.name != now.name:
            yield Change("renamed", "output", was.name, was.name, now.name, "breaking")
        if type_of(was) != type_of(now):
            yield Change("changed", "output", was.name, type_of(was), type_of(now), "breaking")
    for field in old[len(new) :]:
        yield Change("removed", "output", field.name, type_of(field), None, "breaking")
    for field in new[len(old) :]:
        yield Change("added", "output", field.name, None, type_of(field), "breaking")


def _classes(old: tuple[Scalar, ...], new: tuple[Scalar, ...]) -> Iterator[Change]:
    gone, come = lists.only(old, new), lists.only(new, old)
    if gone:
        yield lists.gone("class", "", gone, "breaking", "it is no answer any more")
    if come:
        yield lists.come("class", "", come, "breaking", "callers may not know it")
    was, now = lists.only(old, gone), lists.only(new, come)
    if list(map(lists.key, was)) != list(map(lists.key, now)):
        yield lists.reordered("class", was, now, "probabilities come in another order")
