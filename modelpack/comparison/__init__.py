"""Two sides -> Difference: what changes where one model takes the place of another."""

from __future__ import annotations

from . import image, model, predictions, signature, versions
from .pairs import Asked, Said
from .side import Base, Built, Part, Side
from .values import Change, Difference, Impact, Named, PredictionSection, Section

__all__ = [
    "Asked",
    "Base",
    "Built",
    "Change",
    "Difference",
    "Impact",
    "Named",
    "Part",
    "PredictionSection",
    "Said",
    "Section",
    "Side",
    "compare",
    "predictions",
]


def compare(old: Side, new: Side, answers: PredictionSection) -> Difference:
    """`answers`: of what both say of the same rows, by `predictions`."""
    return Difference(
        old=_named(old),
        new=_named(new),
        signature=signature.compare(old.model.signature, new.model.signature),
        predictions=answers,
        model=model.compare(old, new),
        versions=versions.compare(old, new),
        image=image.compare(old, new),
    )


def _named(side: Side) -> Named:
    return Named(side.name, side.kind, tuple(file.sha256 for file in side.model.files))
