"""Encoders whose output has as many columns as their state says, whatever fills these.

One-hot encoders make sparse matrices with `_n_features_outs` columns for each input, of
which the categories are the indices; the compiled routines of scipy then read and write there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from ..arrays import view
from ..nodes import Node, Obj
from .objects import Broken, attributes, integer, require, stored
from .scans import Scan


def one_hot(made: Obj) -> Iterator[Scan]:
    state = attributes(made)
    told, categories = state.get("_n_features_outs"), state.get("categories_")
    if told is None:  # before scikit-learn 1.1, where it is counted
        return
    if not isinstance(told, list) or not isinstance(categories, list):
        raise Broken("a one-hot encoder has no categories")
    dropped = view(state.get("_drop_idx_after_grouping", state.get("drop_idx_")))
    drops = (dropped.values() if dropped else None) or []
    groups = state.get("_default_to_infrequent_mappings") or []
    for columns, values, group, drop in zip_longest(told, categories, groups, drops):
        count = integer(columns)
        if count is None or values is None or count < _needed(values, group, drop):
            raise Broken("a one-hot encoder has more categories than columns")
    yield from ()


def target(made: Obj) -> Iterator[Scan]:
    """`TargetEncoder` fills a column of new memory for each of its encodings and returns all
    columns: sklearn/preprocessing/_target_encoder.py, `transform`.
    """
    state = attributes(made)
    encodings, categories = state.get("encodings_"), state.get("categories_")
    if encodings is None:  # not fitted
        return
    if not isinstance(encodings, list) or not isinstance(categories, list):
        raise Broken("a target encoder has no encodings")
    of_each = 1
    if state.get("target_type_") == "multiclass":
        of_each = stored(state.get("classes_"), "the classes of a target encoder").size
    width = integer(state.get("n_features_in_"))
    fits = len(encodings) == len(categories) * of_each and width in (None, len(categories))
    require(fits, "a target encoder has not as many encodings as columns")
    yield from ()


def _needed(categories: Node, group: Node, drop: Node) -> int:
    """One more than the highest column of an input."""
    count = stored(categories, "the categories of an encoder").size
    array = view(group)
    if array is not None:
        numbers = [n for n in array.values() or [] if type(n) is int]
        count = max(numbers, default=-1) + 1
    return count - 1 if type(drop) is int and 0 <= drop < count else count
