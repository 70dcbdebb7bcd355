"""Results of the model as JSON values."""

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
    """Predictions for rows.

    Attributes:
        predictions: An array (n_rows,) or (n_rows, n_outputs).
        probabilities: {label: probability} of each row, or a list of them, one for each output of
            the model. None if not requested.
    """

    predictions: np.ndarray
    probabilities: list[Any] | None = None


class UnfitError(Exception):
    """The model did not return one prediction for each row. The text describes what it returned."""


def stack_outputs(result: Any) -> np.ndarray:
    """Return an array (n_rows, ...), or a list of them, one for each output, as one array.

    Raises:
        Problem: 422, the outputs differ in shape.
    """
    if isinstance(result, np.ndarray):
        return result
    if len({each.shape for each in result}) > 1:
        raise Problem(422, "This model's outputs differ in shape. Request its probabilities.")
    return np.stack(result, axis=1)


def columns(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as columns, which are arrays or lists.

    They are `prediction` and `probability_setosa`..., or `prediction_0`... and
    `probability_0_setosa`... for several outputs. Infinity is NaN.
    """
    values = prediction.predictions.reshape(len(prediction.predictions), -1)
    single = prediction.predictions.ndim == 1
    by_name: dict[str, Any] = {
        "prediction" if single else f"prediction_{index}": column
        for index, column in enumerate(values.T)
    }
    if prediction.probabilities is not None:
        rows = [dict(_leaves(row, "probability")) for row in prediction.probabilities]
        by_name.update((name, [row[name] for row in rows]) for name in rows[0])
    return {name: replace_infinity(column) for name, column in by_name.items()}


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, (dict, list)):
        yield name, value
        return
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(part, f"{name}_{key}")


def to_dense(result: Any, max_values: int) -> np.ndarray:
    """Return an array, a sparse matrix or a DataFrame as an array.

    Raises:
        Problem: 422, the array would have more than `max_values` values.
    """
    if np.prod(np.shape(result), dtype=float) > max_values:
        detail = f"The response would have more than {max_values} values. Send fewer rows."
        raise Problem(422, detail)
    array: np.ndarray = result.toarray() if hasattr(result, "toarray") else np.asarray(result)
    return array


def require_rows(result: Any, count: int, max_values: int) -> np.ndarray:
    """Return `result` as an array (count, ...).

    Raises:
        UnfitError: The model did not return one prediction for each of `count` rows.
        Problem: See `to_dense`.
    """
    try:
        array = to_dense(result, max_values)
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
    """Return {label: probability} of each row, or a list of them, one for each output.

    A chain of classifiers returns one matrix with the probability of each output. Its labels are
    the numbers of the outputs.

    Args:
        result: An array (n_rows, n_classes), or a list of them, one for each output.
        classes: The classes of the model, or a list of them, one for each output.

    Raises:
        UnfitError: The model did not return one probability for each class.
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
    """Return a class label as the name of a JSON member: `true`, `1`, `setosa`."""
    return value if isinstance(value, str) else dump(value).decode()


def dump(document: Any) -> bytes:
    """Return JSON, with floats in the shortest exact form, and NaN and infinity as null."""
    try:
        return orjson.dumps(document, default=_to_json_value)
    except TypeError:  # half of a surrogate pair
        return orjson.dumps(replace_all_surrogates(document), default=_to_json_value)


def _to_json_value(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


# JSON has no infinity, and UTF-8 no half of a surrogate pair. In each media type, a client receives
# a missing value for the first, and U+FFFD for the second.
SURROGATE = re.compile(r"[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def replace_surrogates(value: str) -> str:
    """Return a text with U+FFFD in place of halves of surrogate pairs."""
    return SURROGATE.sub(REPLACEMENT, value)


def replace_all_surrogates(value: Any) -> Any:
    """Call `replace_surrogates` on all texts and names of a document or an array of objects."""
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
    """Return an array, or a list of floats, with NaN in place of infinity."""
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
