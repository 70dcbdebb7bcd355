"""Trial rows, and whether batching preserves every bit."""

from __future__ import annotations

import time
import warnings
from typing import Any, Callable, Iterable, Iterator, List, Sequence

import numpy as np

from ..data.columns import FallbackRequiredError, Rows, count, split_rows
from ..data.frames import numpy_dtype
from ..manifest import Field, Manifest
from ..problems import Problem

ROWS = 32
"""Of each kind: near the example, far from it, and so on."""
WHOLE_ROWS = 256
WORDS = 60
"""Of a vocabulary, spread over it."""
UNKNOWN = "never met"
"""A text that is in no vocabulary, and no category."""

FACTORS = (0.0, -1.0, 1e-3, 1e3, 1.0, 1e9, -1e9, 1.0000001)
_STEP = 0.6180339887498949  # the golden ratio's, whose multiples spread evenly

Make = Callable[[Field, Any, int], Any]
Decode = Callable[[List[Any]], Rows]


def decoded(model: Any, manifest: Manifest, decode: Decode) -> list[Rows]:
    """The groups as a model takes them, without those that the service would refuse before any
    model sees them. `decode`: makes rows of what JSON has.
    """
    return list(acceptable(sample_groups(manifest, words(model)), decode))


def acceptable(groups: Iterable[list[Any]], decode: Decode) -> Iterator[Rows]:
    """Yield groups as a model takes them, without those that the service would refuse."""
    for rows in groups:
        try:
            yield decode(rows)
        except (FallbackRequiredError, Problem, ValueError, OverflowError):
            continue


def whole(manifest: Manifest, decode: Decode) -> list[Rows]:
    """Return many rows of integers as a model takes them: so many that two ways to add them up
    differ in at least one.
    """
    example = manifest.example or []
    return list(acceptable([_rows(manifest.inputs, example, _whole_value, WHOLE_ROWS)], decode))


def sample_groups(manifest: Manifest, vocabulary: Sequence[str]) -> list[list[list[Any]]]:
    """Groups of rows as JSON has them: the example and others near it, some far from it, some with
    nothing where something may be missing, some with what training never met; and texts of the
    `vocabulary`. There are none where neither an example is known nor a vocabulary.
    """
    fields, example = manifest.inputs, manifest.example
    if manifest.layout == "text" and vocabulary:
        example = example or [UNKNOWN]
        texts = [[_words(vocabulary, n)] for n in range(ROWS)]
        return [[list(example)], texts, *[[row] for row in texts[:3]], *_around(fields, example)]
    return [] if example is None else [[list(example)], *_around(fields, example)]


def _around(fields: Sequence[Field], example: Sequence[Any]) -> list[list[list[Any]]]:
    made = [_rows(fields, example, make) for make in (_near_value, _far_value)]
    if any(field.nullable for field in fields):
        near = made[0]
        made.append([_without(fields, row, n) for n, row in enumerate(near)])
        made.append([[None if f.nullable else v for f, v in zip(fields, near[0])]])
    if any(isinstance(value, str) for value in example):
        made.append(_rows(fields, example, _unknown_value))
    return made


def _rows(
    fields: Sequence[Field], example: Sequence[Any], make: Make, rows: int = ROWS
) -> list[list[Any]]:
    return [
        [make(field, value, n + 3 * place) for place, (field, value) in enumerate(pairs)]
        for pairs in [list(zip(fields, example))]
        for n in range(rows)
    ]


def _without(fields: Sequence[Field], row: list[Any], n: int) -> list[Any]:
    return [
        None if field.nullable and (n + place) % 3 == 0 else value
        for place, (field, value) in enumerate(zip(fields, row))
    ]


def _near_value(field: Field, example: Any, n: int) -> Any:
    return _value(field, example, n, _near)


def _far_value(field: Field, example: Any, n: int) -> Any:
    return _value(field, example, n, _far)


def _whole_value(field: Field, example: Any, n: int) -> Any:
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
        return _words(example.split(), n)
    if not isinstance(example, (int, float)):
        return example
    value = number(float(example), n)
    return int(value) if is_whole(field) else value


def is_whole(field: Field) -> bool:
    """Whether the values of a column are integers, as in its training."""
    dtype = numpy_dtype(field.dtype)
    return field.type == "integer" or (dtype is not None and dtype.kind in "iu")


def _near(example: float, n: int) -> float:
    return example + ((n * _STEP) % 1 - 0.5) * max(abs(example), 1.0)


def _hundreds(_: float, n: int) -> float:
    return round(((n * _STEP) % 1 - 0.5) * 2000)


def _far(example: float, n: int) -> float:
    return (example or 1.0) * FACTORS[n % len(FACTORS)]


def _words(words: Sequence[str], n: int) -> str:
    """Some of the words, in another order, more or fewer of them, some twice; or a single word, as
    it is.
    """
    if len(words) < 2:
        return " ".join(words)
    return " ".join(words[(n * each) % len(words)] for each in range(1, 2 + n % (2 * len(words))))


def words(model: Any) -> list[str]:
    """Some terms of the vocabularies in a model, in an order that is always the same."""
    found: list[str] = []
    for vocabulary in _vocabularies(model):
        terms = sorted(str(term) for term in vocabulary)
        found += terms[:: max(1, len(terms) // WORDS)]
    return found


def _vocabularies(model: Any) -> Iterable[Any]:
    waiting, seen = [model], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        state = getattr(part, "__dict__", {})
        vocabulary = state.get("vocabulary_")
        if isinstance(vocabulary, dict):
            yield vocabulary
        for value in state.values() if hasattr(part, "get_params") or "members" in state else ():
            waiting += _parts(value)


def _parts(value: Any) -> list[Any]:
    """The estimators in a parameter or attribute."""
    if isinstance(value, (list, tuple)):
        return [part for each in value for part in _parts(each)] if len(value) < 1000 else []
    return [value] if hasattr(value, "get_params") else []


def same(one: Any, other: Any) -> bool:
    """Whether two arrays are of one dtype and shape, and equal to the last bit; NaN is NaN. Of
    sparse matrices, whether they hold the same at the same places, in the same order.
    """
    if type(one) is not type(other) or one.dtype != other.dtype or one.shape != other.shape:
        return False
    if hasattr(one, "indptr"):
        places = ("indptr", "indices")
        equal = (np.array_equal(getattr(one, name), getattr(other, name)) for name in places)
        return all(equal) and same(one.data, other.data)
    if one.dtype.kind != "f":
        return bool(np.all(one == other))
    is_equal = (one == other) & (np.signbit(one) == np.signbit(other))
    return bool(np.all(is_equal | (np.isnan(one) & np.isnan(other))))


ALONE = 4
"""Rows of a group that are asked for one by one, too."""
PATIENCE_SECONDS = 1.0
LIBRARIES = frozenset(
    {"sklearn", "numpy", "scipy", "pandas", "joblib", "xgboost", "lightgbm", "catboost"}
    | {"builtins", "__builtin__", "collections", "copyreg", "copy_reg", "_codecs", "datetime"}
)
"""Whose estimators are known to judge each row by itself, but for rounding."""


def can_batch(runner: Any, manifest: Manifest, methods: Sequence[str], decode: Decode) -> bool:
    """Whether the model answers each of several rows as it answers it alone, to the last bit. Code
    of others than LIBRARIES may do anything with its rows, and is not tried.
    """
    if not {name.partition(":")[0].partition(".")[0] for name in manifest.globals} <= LIBRARIES:
        return False
    deadline = time.monotonic() + PATIENCE_SECONDS
    groups = decoded(runner.model, manifest, decode)
    several = [rows for rows in groups if count(rows) > 1]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return all(_merge(runner, method, several, deadline) for method in methods)


def _merge(runner: Any, method: str, groups: Sequence[Rows], deadline: float) -> bool:
    proved = False
    for rows in groups:
        answers = _answers(runner, method, rows)
        if answers is None:
            continue
        together, alone = answers
        if time.monotonic() > deadline or not isinstance(together, np.ndarray):
            return False
        if not same(together[: len(alone)], np.concatenate(alone)):
            return False
        proved = True
    return proved


def _answers(runner: Any, method: str, rows: Rows) -> tuple[Any, list[Any]] | None:
    """To the rows at once, and to the first of them each alone; None where one is refused."""
    try:
        alone = [runner.call(method, row) for row in split_rows(rows)[:ALONE]]
        return runner.call(method, rows), alone
    except Exception:
        return None


CHUNK = 512
"""Rows of a group at most."""
COLUMNS = 24
"""Columns that get their limits each alone; more get them all at once."""

Row = List[Any]
WHOLE = (0, -1, 2**31, -(2**31) - 1, 2**53, -(2**53), 2**63 - 1, -(2**63))
FLOATS = (
    *(0.0, -0.0, 5e-324, -1e-310, 2.2250738585072014e-308, 3.4028234663852886e38, 3.5e38),
    *(-3.5e38, 1e154, -1e155, 1e306, 1.7976931348623157e308, -1.7976931348623157e308),
)


def coverage_groups(manifest: Manifest) -> Iterator[list[Row]]:
    """Yield groups of rows as JSON has them, around the model's example; the important ones first.
    Rows that a model may refuse are alone in their group.
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
    """Every category of every column, in as many rows as the longest list has."""
    longest = max((len(field.categories or ()) for field in fields), default=0)
    rows = [
        [
            field.categories[n % len(field.categories)] if field.categories else value
            for field, value in zip(fields, example)
        ]
        for n in range(longest)
    ]
    for start in range(0, longest, CHUNK):
        yield rows[start : start + CHUNK]
    for place, field in enumerate(fields[:COLUMNS]):
        if field.categories:
            yield [
                _with(example, place, each)
                for each in {*field.categories[:1], *field.categories[-1:]}
            ]


def _flags(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    places = [place for place, field in enumerate(fields) if field.type == "boolean"]
    if places:
        yield [_with(example, place, flag) for place in places for flag in (False, True)][:CHUNK]


def _missing(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    places = [place for place, field in enumerate(fields) if field.nullable]
    if places:
        yield [_with(example, place, None) for place in places][:CHUNK]


def _unknown(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    for place, field in enumerate(fields[:COLUMNS]):
        if isinstance(example[place], str) or field.type == "string":
            yield [_with(example, place, UNKNOWN)]
        elif field.categories and field.type in ("integer", "number", "any"):
            yield [_with(example, place, 1_000_003)]


def _limits(fields: Sequence[Field], example: Row) -> Iterator[list[Row]]:
    """The limits of all columns at once; then the smallest and the largest of each alone."""
    found = {
        place: _limits_of(field, example[place])
        for place, field in enumerate(fields)
        if not field.categories
    }
    found = {place: limits for place, limits in found.items() if limits}
    for n in range(max(map(len, found.values()), default=0)):
        row = list(example)
        for place, limits in found.items():
            row[place] = limits[n % len(limits)]
        yield [row]
    for place, limits in list(found.items())[:COLUMNS]:
        yield [_with(example, place, min(limits))]
        yield [_with(example, place, max(limits))]


def _limits_of(field: Field, example: Any) -> tuple[Any, ...]:
    dtype = numpy_dtype(field.dtype)
    if dtype is not None and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return (0, int(bounds.min), int(bounds.max), *(n for n in WHOLE if abs(n) <= bounds.max))
    if field.type == "integer":
        return WHOLE
    is_number = isinstance(example, (int, float)) and not isinstance(example, bool)
    return FLOATS if field.type == "number" or (field.type == "any" and is_number) else ()


def _with(example: Row, place: int, value: Any) -> Row:
    return [*example[:place], value, *example[place + 1 :]]
