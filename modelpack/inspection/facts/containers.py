"""The categories of pandas columns, as boosters keep them with their trees.

XGBoost (3.1 and later) writes a container `cats`: for each feature its values, and of texts one
behind the other the bytes with where each begins. LightGBM's Python package keeps
`pandas_categorical`, a list of the categories of each column of the category dtype, and not which
columns these are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Sized
from itertools import pairwise
from typing import Any

from modelpack.types import Scalar

from ..arrays import clean, scalar
from ..nodes import Node

MOST_CATEGORIES = 1_000_000
"""Of all columns together; a file can repeat a long list at no cost."""

_NUMBERS = re.compile(r"-?\d{1,10}(:-?\d{1,10}){0,100000}")
_WHOLE_RANGE = re.compile(r"\[(\d{1,9}):(\d{1,9})\]")
_UNUSED = "none"
_MOST_CHOICES = 4_000_000


def xgboost_values(container: Mapping[str, Any]) -> dict[int, tuple[Scalar, ...]]:
    """The categories by the number of the feature. Texts beyond ASCII are left out: XGBoost 3.2
    counts characters where it should count bytes, so that what it saves is shifted and cut.

    Raises:
        KeyError, TypeError, ValueError: it is not as XGBoost writes it.
    """
    found: dict[int, tuple[Scalar, ...]] = {}
    for index, column in enumerate(container.get("enc", ())):
        values, starts = column.get("values", ()), column.get("offsets")
        if starts:
            raw = bytes(byte % 256 for byte in values)
            if not raw.isascii():
                continue
            values = [clean(raw[low:high].decode()) for low, high in pairwise(starts)]
        if values:
            found[index] = tuple(map(scalar, values))
    return found


def lightgbm_lists(node: Node) -> list[tuple[Scalar, ...]] | None:
    """The lists of `pandas_categorical`; None if a category is no text, number or boolean."""
    lists = node if isinstance(node, list) else []
    if sum(len(each) for each in lists if isinstance(each, list)) > MOST_CATEGORIES:
        return None
    told = [tuple(map(scalar, each)) if isinstance(each, list) else () for each in lists]
    return None if any(not each or None in each for each in told) else told


def lightgbm_columns(lists: Sequence[Sized], infos: Sequence[str]) -> list[int] | None:
    """The columns that the lists belong to, in order; None where several choices fit, or none does.

    `infos`: `feature_infos` of the model. It has "0:1:2" (-1: missing) for codes of categories, and
    "[0:2]" for numbers and for the codes of an ordered dtype. Codes that are written as such belong
    to a list, unless the author named columns of integers as categories too.
    """
    coded = {i for i, info in enumerate(infos) if _NUMBERS.fullmatch(info)}
    possible = [i for i, info in enumerate(infos)
                if i in coded or info == _UNUSED or _WHOLE_RANGE.fullmatch(info)]  # fmt: skip
    if len(lists) * len(possible) > _MOST_CHOICES:
        return None
    largest = {i: _largest(infos[i]) for i in possible}
    return _unique(lists, possible, largest, coded) or _unique(lists, possible, largest, set())


def _unique(
    lists: Sequence[Sized], possible: Sequence[int], largest: Mapping[int, int], required: set[int]
) -> list[int] | None:
    """The only way to give the lists to possible columns in order, all required ones included."""
    ways = [[0] * (len(possible) + 1) for _ in lists] + [[1] * (len(possible) + 1)]
    for i in reversed(range(len(possible))):
        if possible[i] in required:
            ways[-1][: i + 1] = [0] * (i + 1)
            break
    for j in reversed(range(len(lists))):
        for i in reversed(range(len(possible))):
            skipped = 0 if possible[i] in required else ways[j][i + 1]
            taken = ways[j + 1][i + 1] if largest[possible[i]] < len(lists[j]) else 0
            ways[j][i] = min(skipped + taken, 2)
    if ways[0][0] != 1:
        return None
    found, j = [], 0
    for i, column in enumerate(possible):
        if j < len(lists) and (column in required or not ways[j][i + 1]):
            found.append(column)
            j += 1
    return found


def _largest(info: str) -> int:
    """The largest code of a column."""
    bounds = _WHOLE_RANGE.fullmatch(info)
    if bounds:
        return int(bounds[2])
    return max(map(int, info.split(":"))) if _NUMBERS.fullmatch(info) else 0
