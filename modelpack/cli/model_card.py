"""The model card of `modelpack inspect --card`: what is known of a model, as Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from modelpack.pipeline.inspect import render_card
from modelpack.types import Estimator, ModelSpec, Scalar

from .model_view import field_values, join_values, shape_text, value_text, verdict_text

MAX_INPUTS = 200
MAX_CLASSES = 20


def card(spec: ModelSpec) -> str:
    """Return the model card. All texts of the file are quoted.

    It begins with the metadata of https://huggingface.co/docs/hub/model-cards.
    """
    verdict, _, meaning = verdict_text(spec)
    inputs = spec.signature.inputs
    has_guesses = any(field.minimum is not None and not field.quantiles for field in inputs)
    return render_card(
        spec,
        most=MAX_INPUTS,
        values=field_values,
        text=value_text,
        shape=shape_text,
        join=_classes,
        tree=list(_lines(spec.steps, 0)),
        has_guesses=has_guesses,
        versions=spec.recorded or spec.versions,
        verdict=verdict,
        meaning=meaning,
        paths=shlex.join(file.path for file in spec.files),
    )


def _classes(classes: tuple[Scalar, ...]) -> str:
    return join_values(classes, MAX_CLASSES)


def _lines(steps: tuple[Estimator, ...], depth: int) -> Iterator[tuple[int, str]]:
    for step in steps:
        name = step.type.rpartition(".")[2]
        yield depth, f"{step.name}: {name}" if step.name else name
        yield from _lines(step.steps, depth + 1)
