"""Rows around the example, on which plans and batches are compared with the model."""

from __future__ import annotations

import time
import warnings
from typing import Any, Callable, Iterable, Iterator, List, Sequence

import numpy as np

from ..data.columns import FallbackRequiredError, Rows, count, split_rows
from ..data.frames import numpy_dtype
from ..manifest import Field, Manifest
from ..problems import Problem
from .estimator import traverse

ROWS = 32
"""Rows of each kind: near the example, far from it, and so on."""
INTEGER_ROWS = 256
WORDS = 60
"""Words that are taken from a vocabulary, evenly spaced."""
UNKNOWN = "never met"
"""A text that is in no vocabulary and is no category."""

FACTORS = (0.0, -1.0, 1e-3, 1e3, 1.0, 1e9, -1e9, 1.0000001)
_STEP = 0.6180339887498949  # fraction of the golden ratio: its multiples are spread evenly

Make = Callable[[Field, Any, int], Any]
Decode = Callable[[List[Any]], Rows]


def decoded_groups(model: Any, manifest: Manifest, decode: Decode) -> list[Rows]:
    """Return the sample groups as input of a model, without those that the service rejects.

    `decode` converts rows from JSON.
    """
    return list(acceptable(sample_groups(manifest, vocabulary_terms(model)), decode))


def acceptable(groups: Iterable[list[Any]], decode: Decode) -> Iterator[Rows]:
    """Yield the groups as input of a model, without those that the service rejects."""
    for rows in groups:
        try:
            yield decode(rows)
        except (FallbackRequiredError, Problem, ValueError, OverflowError):
            continue


def integer_groups(manifest: Manifest, decode: Decode) -> list[Rows]:
    """Return one group of integers, with enough rows that two orders of addition differ in one."""
    example = manifest.example or []
    return list(acceptable([_rows(manifest.inputs, example, _integer_value, INTEGER_ROWS)], decode))


def sample_groups(manifest: Manifest, vocabulary: Sequence[str]) -> list[list[list[Any]]]:
    """Return groups of rows as in JSON, around the example of the manifest.

    They are near the example, far from it, with missing values, or with unknown categories. Texts
    consist of words of the `vocabulary`. Without an example and a vocabulary there are no groups.
    """
    fields, example = manifest.inputs, manifest.example
    if manifest.layout == "text" and vocabulary:
        example = example or [UNKNOWN]
        texts = [[_text(vocabulary, n)] for n in range(ROWS)]
        return [[list(example)], texts, *[[row] for row in texts[:3]], *_around(fields, example)]
    return [] if example is None else [[list(example)], *_around(fields, example)]


def _around(fields: Sequence[Field], example: Sequence[Any]) -> list[list[list[Any]]]:
    groups = [_rows(fields, example, make) for make in (_near_value, _far_value)]
    if any(field.nullable for field in fields):
        near = groups[0]
        groups.append([_with_missing(fields, row, n) for n, row in enumerate(near)])
        groups.append([[None if f.nullable else v for f, v in zip(fields, near[0])]])
    if any(isinstance(value, str) for value in example):
        groups.append(_rows(fields, example, _unknown_value))
    return groups


def _rows(
    fields: Sequence[Field], example: Sequence[Any], make: Make, rows: int = ROWS
) -> list[list[Any]]:
    return [
        [make(field, value, n + 3 * index) for index, (field, value) in enumerate(pairs)]
        for pairs in [list(zip(fields, example))]
        for n in range(rows)
    ]


def _with_missing(fields: Sequence[Field], row: list[Any], n: int) -> list[Any]:
    return [
        None if field.nullable and (n + index) % 3 == 0 else value
        for index, (field, value) in enumerate(zip(fields, row))
    ]


def _near_value(field: Field, example: Any, n: int) -> Any:
    return _value(field, example, n, _near)


def _far_value(field: Field, example: Any, n: int) -> Any:
    return _value(field, example, n, _far)


def _integer_value(field: Field, example: Any, n: int) -> Any:
    return _value(field, example, n, _hundreds)


def _unknown_value(field: Field, example: Any, n: int) -> Any:
    if isinstance(example, str) and n % 4 == 0:
        return UNKNOWN
    return _value(field, example, n, _near)


def _value(field: Field, example: Any, n: int, number: Callable[[float, int], float]) -> Any:
    if field.categories:
        return field.categories[n % len(field.categories)]
    if field.type == "boolean" or isinstance(example, bool):
        return n % 2 == 0
    if field.type == "datetime":
        return example
    if isinstance(example, str):
        return _text(example.split(), n)
    if not isinstance(example, (int, float)):
        return example
    value = number(float(example), n)
    return int(value) if is_integer(field) else value


def is_integer(field: Field) -> bool:
    """Return whether the values of a column were integers in training."""
    dtype = numpy_dtype(field.dtype)
    return field.type == "integer" or (dtype is not None and dtype.kind in "iu")


def _near(example: float, n: int) -> float:
    return example + ((n * _STEP) % 1 - 0.5) * max(abs(example), 1.0)


def _hundreds(_: float, n: int) -> float:
    return round(((n * _STEP) % 1 - 0.5) * 2000)


def _far(example: float, n: int) -> float:
    return (example or 1.0) * FACTORS[n % len(FACTORS)]


def _text(terms: Sequence[str], n: int) -> str:
    """Return a text of the terms in another order, some left out and some repeated."""
    if len(terms) < 2:
        return " ".join(terms)
    return " ".join(terms[(n * each) % len(terms)] for each in range(1, 2 + n % (2 * len(terms))))


def vocabulary_terms(model: Any) -> list[str]:
    """Return some terms of the vocabularies in a model, always in the same order."""
    chosen: list[str] = []
    for vocabulary in _vocabularies(model):
        terms = sorted(str(term) for term in vocabulary)
        chosen += terms[:: max(1, len(terms) // WORDS)]
    return chosen


def _vocabularies(model: Any) -> Iterable[Any]:
    for part in traverse(model, _members):
        vocabulary = getattr(part, "__dict__", {}).get("vocabulary_")
        if isinstance(vocabulary, dict):
            yield vocabulary


def _members(part: Any) -> Iterator[Any]:
    """Yield the estimators in the attributes of an estimator, a chain or a compiled model."""
    state = getattr(part, "__dict__", {})
    for value in state.values() if _is_estimator(part) or {"members", "root"} & {*state} else ():
        yield from _estimators(value)


def _is_estimator(value: Any) -> bool:
    """Return whether a value is an estimator, or a record of a compiled model."""
    return hasattr(value, "get_params") or hasattr(value, "_get_param_names")


def _estimators(value: Any) -> list[Any]:
    """Return the estimators in a parameter or attribute."""
    if isinstance(value, (list, tuple)):
        return [part for each in value for part in _estimators(each)] if len(value) < 1000 else []
    return [value] if _is_estimator(value) else []


def is_same(one: Any, other: Any) -> bool:
    """Return whether two arrays have the same type, dtype, shape and bits. NaN equals NaN.

    Sparse matrices are equal if they have the same entries in the same order.
    """
    if type(one) is not type(other) or one.dtype != other.dtype or one.shape != other.shape:
        return False
    if hasattr(one, "indptr"):
        names = ("indptr", "indices")
        equal = (np.array_equal(getattr(one, name), getattr(other, name)) for name in names)
        return all(equal) and is_same(one.data, other.data)
    if one.dtype.kind != "f":
        return bool(np.all(one == other))
    is_equal = (one == other) & (np.signbit(one) == np.signbit(other))
    return bool(np.all(is_equal | (np.isnan(one) & np.isnan(other))))


SINGLE_ROWS = 4
"""Rows of a group that are also predicted one by one."""
PATIENCE_SECONDS = 1.0
LIBRARIES = frozenset(
    {"sklearn", "numpy", "scipy", "pandas", "joblib", "xgboost", "lightgbm", "catboost"}
    | {"builtins", "__builtin__", "collections", "copyreg", "copy_reg", "_codecs", "datetime"}
)
"""Packages whose estimators predict each row independently, except for rounding."""


def can_batch(runtime: Any, manifest: Manifest, methods: Sequence[str], decode: Decode) -> bool:
    """Return whether rows have the same predictions in a batch as alone, to the last bit.

    A model with code of other packages than LIBRARIES is not tried, because such code may combine
    rows in any way.
    """
    if not runtime.has_exact_batches:
        return False
    if not {name.partition(":")[0].partition(".")[0] for name in manifest.globals} <= LIBRARIES:
        return False
    deadline = time.monotonic() + PATIENCE_SECONDS
    groups = decoded_groups(runtime.model, manifest, decode)
    several = [rows for rows in groups if count(rows) > 1]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return all(_is_batch_exact(runtime, method, several, deadline) for method in methods)


def _is_batch_exact(runtime: Any, method: str, groups: Sequence[Rows], deadline: float) -> bool:
    proved = False
    for rows in groups:
        predictions = _predictions(runtime, method, rows)
        if predictions is None:
            continue
        batch, single = predictions
        if time.monotonic() > deadline or not isinstance(batch, np.ndarray):
            return False
        if not is_same(batch[: len(single)], np.concatenate(single)):
            return False
        proved = True
    return proved


def _predictions(runtime: Any, method: str, rows: Rows) -> tuple[Any, list[Any]] | None:
    """Return the predictions of all rows at once and of the first ones alone; None on an error."""
    try:
        single = [runtime.call(method, row) for row in split_rows(rows)[:SINGLE_ROWS]]
        return runtime.call(method, rows), single
    except Exception:
        return None


MAX_GROUP_ROWS = 512
MAX_COLUMNS = 24
"""Columns whose categories and limits are tried one by one; the others are tried all at once."""

Row = List[Any]
INTEGERS = (0, -1, 2**31, -(2**31) - 1, 2**53, -(2**53), 2**63 - 1, -(2**63))
FLOATS = (
    *(0.0, -0.0, 5e-324, -1e-310, 2.2250738585072014e-308, 3.4028234663852886e38, 3.5e38),
    *(-3.5e38, 1e154, -1e155, 1e306, 1.7976931348623157e308, -1.7976931348623157e308),
)


def coverage_groups(manifest: Manifest) -> Iterator[list[Row]]:
    """Yield groups of rows as in JSON around the model's example, in order of importance.

    A row that a model may reject is the only one of its group.
    """
    fields, example = manifest.inputs, manifest.example
    if example is None or manifest.layout == "text":
        return
    yield from _categories(fields, example)
    yield from _flags(fields, example)
    yield from _missing(fields, example)
    yield from _unknown(fields, example)
    yield from _limits(fields, example)


def _categories(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    """Yield every category of every column, in as many rows as the longest list has."""
    longest = max((len(field.categories or ()) for field in fields), default=0)
    rows = [
        [
            field.categories[n % len(field.categories)] if field.categories else value
            for field, value in zip(fields, example)
        ]
        for n in range(longest)
    ]
    for start in range(0, longest, MAX_GROUP_ROWS):
        yield rows[start : start + MAX_GROUP_ROWS]
    for index, field in enumerate(fields[:MAX_COLUMNS]):
        if field.categories:
            yield [
                _with(example, index, each)
                for each in {*field.categories[:1], *field.categories[-1:]}
            ]


def _flags(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    flags = [index for index, field in enumerate(fields) if field.type == "boolean"]
    if flags:
        rows = [_with(example, index, value) for index in flags for value in (False, True)]
        yield rows[:MAX_GROUP_ROWS]


def _missing(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    nullable = [index for index, field in enumerate(fields) if field.nullable]
    if nullable:
        yield [_with(example, index, None) for index in nullable][:MAX_GROUP_ROWS]


def _unknown(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    for index, field in enumerate(fields[:MAX_COLUMNS]):
        if isinstance(example[index], str) or field.type == "string":
            yield [_with(example, index, UNKNOWN)]
        elif field.categories and field.type in ("integer", "number", "any"):
            yield [_with(example, index, 1_000_003)]


def _limits(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    """Yield the limits of all columns at once, then the smallest and the largest of each alone."""
    by_column = {
        index: _field_limits(field, example[index])
        for index, field in enumerate(fields)
        if not field.categories
    }
    by_column = {index: limits for index, limits in by_column.items() if limits}
    for n in range(max(map(len, by_column.values()), default=0)):
        row = list(example)
        for index, limits in by_column.items():
            row[index] = limits[n % len(limits)]
        yield [row]
    for index, limits in list(by_column.items())[:MAX_COLUMNS]:
        yield [_with(example, index, min(limits))]
        yield [_with(example, index, max(limits))]


def _field_limits(field: Field, example: Any) -> tuple[Any, ...]:
    dtype = numpy_dtype(field.dtype)
    if dtype is not None and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return (0, int(bounds.min), int(bounds.max), *(n for n in INTEGERS if abs(n) <= bounds.max))
    if field.type == "integer":
        return INTEGERS
    is_number = isinstance(example, (int, float)) and not isinstance(example, bool)
    return FLOATS if field.type == "number" or (field.type == "any" and is_number) else ()


def _with(example: Row, index: int, value: Any) -> Row:
    return [*example[:index], value, *example[index + 1 :]]
