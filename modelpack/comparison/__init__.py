"""Compare two models, bundles or images, given what each side contains and predicts."""

from __future__ import annotations

from . import image, model, predictions, signature
from .predictions import ModelAnswers, QueriedRows
from .report import (
    Base,
    Change,
    Difference,
    ImageSummary,
    Impact,
    LayerSummary,
    Named,
    PredictionSection,
    Section,
    Side,
)

__all__ = [
    "Base",
    "Change",
    "Difference",
    "ImageSummary",
    "Impact",
    "LayerSummary",
    "ModelAnswers",
    "Named",
    "PredictionSection",
    "QueriedRows",
    "Section",
    "Side",
    "compare",
    "predictions",
]


def compare(old: Side, new: Side, answers: PredictionSection) -> Difference:
    """Compare two sides, given the comparison of their predictions."""
    return Difference(
        old=_named(old),
        new=_named(new),
        signature=signature.compare_signatures(old.model.signature, new.model.signature),
        predictions=answers,
        model=model.compare_models(old, new),
        versions=model.compare_versions(old, new),
        image=image.compare(old, new),
    )


def _named(side: Side) -> Named:
    return Named(side.name, side.kind, tuple(file.sha256 for file in side.model.files))
