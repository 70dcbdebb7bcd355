"""The largest values of an output, with their positions and labels, as one text each.

Follows Triton's extension for classification,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from .. import answers
from ..problems import Problem

MATRIX = 2
MOST = 100_000
"""Texts of one output: each is made by itself."""


def classify(values: np.ndarray, count: int, labels: Sequence[str] | None) -> np.ndarray:
    """The texts (n_rows, count) `VALUE:POSITION:LABEL` of values (n_rows, n_classes), the largest
    first; of all of them, where there are fewer.

    Raises:
        Problem: 400 they are no numbers, or one a row; 422 there would be too many texts.
    """
    if values.ndim != MATRIX or values.dtype.kind not in "fiu":
        raise Problem(400, "classification: expected an output with a number a class.")
    if len(values) * min(count, values.shape[1]) > MOST:
        raise Problem(422, f"More than {MOST} classifications. Ask for fewer, or send fewer rows.")
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    texts = np.empty(order.shape, object)
    for row, positions in enumerate(order.tolist()):
        for place, position in enumerate(positions):
            texts[row, place] = _text(values[row, position].item(), position, labels)
    return texts


def _text(value: float, position: int, labels: Sequence[str] | None) -> str:
    text = f"{value}:{position}"
    return f"{text}:{labels[position]}" if labels else text


def labels(classes: Any, name: str, width: int) -> list[str] | None:
    """The labels of an output of so many classes, where `classes` has them: those of the model, or
    of several outputs a list of such, of which `name` tells the number.
    """
    nested = isinstance(classes, list) and len(classes) > 0 and np.ndim(classes[0]) > 0
    number = name.rpartition("_")[2]
    if nested and number.isdigit() and int(number) < len(classes):
        classes = classes[int(number)]
    elif nested or classes is None:
        return None
    known = [answers.label(each) for each in np.asarray(classes).tolist()]
    return known if len(known) == width else None
