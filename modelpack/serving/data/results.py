"""Model output as JSON values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Iterator

import numpy as np
import orjson

from ..problems import Problem

MATRIX = 2
"""Dimensions of the probabilities of one output."""


@dataclass(frozen=True)
class Prediction:
    """`predictions`: (n_rows,) or (n_rows, n_outputs). `probabilities`: as below, if asked for."""

    predictions: np.ndarray
    probabilities: list[Any] | None = None


class UnfitError(Exception):
    """The model returned something that is not one answer for each row. The text describes it."""


def stack_outputs(result: Any) -> np.ndarray:
    """`result`, an array (n_rows, ...) or of several outputs a list of such, as one array.

    Raises:
        Problem: 422 they differ in shape.
    """
    if isinstance(result, np.ndarray):
        return result
    if len({each.shape for each in result}) > 1:
        raise Problem(422, "This model's outputs differ in shape. Ask for its probabilities.")
    return np.stack(result, axis=1)


def columns(answer: Prediction) -> dict[str, Any]:
    """Name -> array or list of n_rows values: `prediction`, or `prediction_0`... of several
    outputs; `probability_setosa`..., or `probability_0_setosa`... likewise. Infinity is NaN.
    """
    values = answer.predictions.reshape(len(answer.predictions), -1)
    single = answer.predictions.ndim == 1
    found: dict[str, Any] = {
        "prediction" if single else f"prediction_{index}": column
        for index, column in enumerate(values.T)
    }
    if answer.probabilities is not None:
        rows = [dict(_leaves(row, "probability")) for row in answer.probabilities]
        found.update((name, [row[name] for row in rows]) for name in rows[0])
    return {name: replace_infinity(column) for name, column in found.items()}


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, (dict, list)):
        yield name, value
        return
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(part, f"{name}_{key}")


def to_dense(result: Any, most: int) -> np.ndarray:
    """`result`, an array, a sparse matrix or a DataFrame of n_rows, as an array.

    Raises:
        Problem: 422 the answer would hold more than `most` values.
    """
    if np.prod(np.shape(result), dtype=float) > most:
        raise Problem(422, f"The answer would hold more than {most} values. Send fewer rows.")
    array: np.ndarray = result.toarray() if hasattr(result, "toarray") else np.asarray(result)
    return array


def require_rows(result: Any, count: int, most: int) -> np.ndarray:
    """Return `result` as an array (count, ...).

    Raises:
        UnfitError: It does not hold one answer for each of `count` rows.
        Problem: 422 as `dense`.
    """
    try:
        array = to_dense(result, most)
    except ValueError as error:
        raise UnfitError(f"{_kind(result)} of answers that differ in shape") from error
    if array.ndim == 0 or (isinstance(result, tuple) and array.ndim > 1):
        raise UnfitError(f"{_kind(result)}, which is not an array, a list or a frame")
    if len(array) != count:
        raise UnfitError(f"{_counted(len(array), 'answer')} for {_counted(count, 'row')}")
    return array


def is_list_of_outputs(result: Any) -> bool:
    """Return whether a result is a list of matrices, one for each output of the model."""
    if not isinstance(result, list) or not result:
        return False
    return all(len(getattr(each, "shape", ())) >= MATRIX for each in result)


def _kind(result: Any) -> str:
    return "None" if result is None else f"a value of type {type(result).__name__}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def probabilities(result: Any, classes: Any) -> list[Any]:
    """One {label: probability} a row; a list of them where the model has several outputs. `result`
    is (n_rows, n_classes), or a list of such, and `classes` goes with it. A chain of classifiers
    gives one matrix for its list of classes: of each output, by number, how probable it is.

    Raises:
        UnfitError: There is not one probability for each class.
    """
    if is_list_of_outputs(result):
        outputs = [probabilities(each, labels) for each, labels in zip(result, classes)]
        return [list(row) for row in zip(*outputs)]
    rows = np.asarray(result)
    if rows.ndim != MATRIX:
        raise UnfitError(f"probabilities of {_counted(rows.ndim, 'dimension')} in place of 2")
    chained = isinstance(classes, list) and np.ndim(classes[0]) == 1
    names = range(rows.shape[1]) if chained else np.asarray(classes).tolist()
    labels = [label(each) for each in names]
    if len(labels) != rows.shape[1]:
        columns, known = _counted(rows.shape[1], "probability column"), len(labels)
        raise UnfitError(f"{columns} for {known} classes")
    return [dict(zip(labels, row)) for row in rows.tolist()]


def label(value: Any) -> str:
    """A class label as the name of a JSON member: `true`, `1`, `setosa`."""
    return value if isinstance(value, str) else dump(value).decode()


def dump(document: Any) -> bytes:
    """JSON bytes; floats in their shortest form that reads back equal, NaN and infinity as null."""
    try:
        return orjson.dumps(document, default=_to_json_value)
    except TypeError:  # of half of a surrogate pair
        return orjson.dumps(replace_all_surrogates(document), default=_to_json_value)


def _to_json_value(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


# Infinity is no number of JSON, and half of a surrogate pair is no character of UTF-8. A client
# gets the same in each media type: a missing value for the first, U+FFFD for the second.
SURROGATE = re.compile(r"[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def replace_surrogates(value: str) -> str:
    """A text without halves of surrogate pairs."""
    return SURROGATE.sub(REPLACEMENT, value)


def replace_all_surrogates(value: Any) -> Any:
    """A document, or an array of objects, with such texts, names of members included."""
    if isinstance(value, str):
        return replace_surrogates(value)
    if isinstance(value, dict):
        return {
            replace_all_surrogates(name): replace_all_surrogates(part)
            for name, part in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [replace_all_surrogates(part) for part in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        changed = np.empty(value.shape, object)
        changed.ravel()[:] = [replace_all_surrogates(part) for part in value.ravel().tolist()]
        return changed
    return value


def replace_infinity(values: Any) -> Any:
    """An array, or a list of floats, with NaN in place of infinity."""
    if isinstance(values, np.ndarray):
        return _finite(values) if values.dtype.kind == "f" else values
    if math.inf in values or -math.inf in values:
        return [math.nan if _is_infinite(value) else value for value in values]
    return values


def _finite(numbers: np.ndarray) -> np.ndarray:
    infinite = np.isinf(numbers)
    return np.where(infinite, numbers.dtype.type(np.nan), numbers) if infinite.any() else numbers


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)
