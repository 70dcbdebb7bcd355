"""The words of a text that each column of transformed rows comes from."""

from __future__ import annotations

from typing import Any, Callable, Iterable, NamedTuple, Sequence

import numpy as np

from .origins import KEEPING, SELECTING, VECTORIZERS, is_dropped, kept_columns
from .steps import Steps, UnavailableError, is_passthrough

Columns = Callable[[str], "dict[int, list[str]]"]
"""Function from a text to the columns that its terms belong to, and these terms."""


class Terms(NamedTuple):
    """The columns that transformers give for a text.

    Attributes:
        columns: The columns of the terms of a text. Others are 0.
        width: The number of all columns.
    """

    columns: Columns
    width: int


def trace(steps: Steps) -> Terms:
    """Return the columns that the last transformer gives.

    Raises:
        UnavailableError: No vectorizer splits the text into words, or a later step combines them.
    """
    terms = None
    for each in steps.transformers:
        terms = _step(each, terms, steps.compiler)
    if terms is None:
        raise UnavailableError("The model has no vectorizer of words.")
    return terms


def _step(step: Any, terms: Terms | None, compiler: Any) -> Terms | None:
    name = type(step).__name__
    if is_passthrough(step):
        return terms
    if name == "Pipeline":
        for _, each in step.steps:
            terms = _step(each, terms, compiler)
        return terms
    if name in ("FeatureUnion", "ColumnTransformer"):
        is_union = name == "FeatureUnion"
        parts = step.transformer_list if is_union else step.transformers_
        return _side_by_side([_step(part[1], terms, compiler) for part in parts if _is_used(*part)])
    if terms is None:
        return _vectorizer(step, compiler)
    if name in KEEPING:
        return terms
    if name in SELECTING:
        return _selected(kept_columns(step), terms)
    raise UnavailableError(f"The step {name} combines words, or is not known.")


def _is_used(_name: str, step: Any, key: Any = True) -> bool:
    """Return whether a part of a union or a ColumnTransformer gets the text."""
    is_empty = isinstance(key, (list, np.ndarray)) and not len(key)
    return not (is_dropped(step) or step is None or is_empty)


def _side_by_side(parts: Sequence[Terms | None]) -> Terms:
    known = [each for each in parts if each is not None]
    if not known or len(known) < len(parts):
        raise UnavailableError("A column is not of a vectorizer of words.")
    starts = np.cumsum([0, *(each.width for each in known)]).tolist()

    def columns(text: str) -> dict[int, list[str]]:
        return {
            start + column: terms
            for start, each in zip(starts, known)
            for column, terms in each.columns(text).items()
        }

    return Terms(columns, starts[-1])


def _selected(kept: np.ndarray, terms: Terms) -> Terms:
    places = {int(column): place for place, column in enumerate(kept)}

    def columns(text: str) -> dict[int, list[str]]:
        found = terms.columns(text).items()
        return {places[column]: words for column, words in found if column in places}

    return Terms(columns, len(places))


def _vectorizer(step: Any, compiler: Any) -> Terms:
    from ..runtimes.plans.records import is_record  # noqa: PLC0415 - many modules
    from ..runtimes.plans.text import analyzer, hash_function  # noqa: PLC0415

    name = type(step).__name__
    if name not in VECTORIZERS:
        raise UnavailableError(f"The step {name} is no vectorizer of words.")
    if step.analyzer in ("char", "char_wb"):
        raise UnavailableError("The vectorizer splits texts into characters, not into words.")
    split: Callable[[str], Iterable[Any]]
    split = analyzer(step, compiler) if is_record(step) else step.build_analyzer()
    if name == "HashingVectorizer":
        width, hash_term = int(step.n_features), hash_function(step)
        return Terms(_columns(split, lambda term: abs(hash_term(term)) % width), width)
    return Terms(_columns(split, step.vocabulary_.get), len(step.vocabulary_))


def _columns(split: Callable[[str], Iterable[Any]], column_of: Callable[[Any], Any]) -> Columns:
    def columns(text: str) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for term in dict.fromkeys(split(text)):
            column = column_of(term)
            if column is not None:
                found.setdefault(int(column), []).append(str(term))
        return found

    return columns
