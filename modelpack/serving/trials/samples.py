"""Rows to try a plan on, made of the model's own example, its categories and its vocabulary."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, List, Sequence

from ..columns import DoubtError, Rows
from ..frames import numpy_dtype
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
    return list(acceptable(groups(manifest, words(model)), decode))


def acceptable(groups: Iterable[list[Any]], decode: Decode) -> Iterator[Rows]:
    """Yield groups as a model takes them, without those that the service would refuse."""
    for rows in groups:
        try:
            yield decode(rows)
        except (DoubtError, Problem, ValueError, OverflowError):
            continue


def whole(manifest: Manifest, decode: Decode) -> list[Rows]:
    """Return many rows of integers as a model takes them: so many that two ways to add them up
    differ in at least one.
    """
    example = manifest.example or []
    return list(acceptable([_rows(manifest.inputs, example, _whole_value, WHOLE_ROWS)], decode))


def groups(manifest: Manifest, vocabulary: Sequence[str]) -> list[list[list[Any]]]:
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
