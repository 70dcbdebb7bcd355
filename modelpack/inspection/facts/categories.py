"""Categories that boosters record.

XGBoost (3.1 and later) writes a container `cats` with the values of each feature; texts are one
array of bytes and the offsets in it. The Python package of LightGBM saves `pandas_categorical`, the
categories of each column of the category dtype, but not which columns these are.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from modelpack.types import Scalar

from ..encodings.flatbuffers import Table
from ..nodes import Node
from ..pickle.ndarrays import scalar
from ..text import clean
from .columns import Column

MAX_CATEGORIES = 1_000_000
"""The limit for all columns together: a file can repeat a long list at no cost."""

_NUMBERS = re.compile(r"-?\d{1,10}(:-?\d{1,10}){0,100000}")
_WHOLE_RANGE = re.compile(r"\[(\d{1,9}):(\d{1,9})\]")
_UNUSED = "none"
_MAX_CHOICES = 4_000_000


def xgboost_values(container: Mapping[str, Any]) -> dict[int, tuple[Scalar, ...]]:
    """Return the categories by the number of their feature.

    Texts that are not ASCII are left out: XGBoost 3.2 counts characters instead of bytes, so that
    the saved texts are shifted and cut.

    Raises:
        KeyError, TypeError, ValueError: The container is not one that XGBoost writes.
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
    """Return the lists of `pandas_categorical`, or None if a category is not a scalar."""
    lists = node if isinstance(node, list) else []
    if sum(len(each) for each in lists if isinstance(each, list)) > MAX_CATEGORIES:
        return None
    categories = [tuple(map(scalar, each)) if isinstance(each, list) else () for each in lists]
    return None if any(not each or None in each for each in categories) else categories


def lightgbm_columns(lists: Sequence[Sized], infos: Sequence[str]) -> list[int] | None:
    """Return the columns that the lists belong to, or None unless exactly one choice fits.

    Args:
        lists: The lists of categories, in the order of their columns.
        infos: `feature_infos` of the model: "0:1:2" (-1 if missing) for codes of categories,
            "[0:2]" for numbers and codes of an ordered dtype. Each feature of the first form has a
            list, unless the author also declared columns of integers as categories.
    """
    coded = {i for i, info in enumerate(infos) if _NUMBERS.fullmatch(info)}
    possible = [i for i, info in enumerate(infos)
                if i in coded or info == _UNUSED or _WHOLE_RANGE.fullmatch(info)]  # fmt: skip
    if len(lists) * len(possible) > _MAX_CHOICES:
        return None
    largest = {i: _largest(infos[i]) for i in possible}
    return _unique(lists, possible, largest, coded) or _unique(lists, possible, largest, set())


def _unique(
    lists: Sequence[Sized], possible: Sequence[int], largest: Mapping[int, int], required: set[int]
) -> list[int] | None:
    """Return the only assignment of lists to possible columns that includes all required ones."""
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
    """Return the largest code of a column."""
    bounds = _WHOLE_RANGE.fullmatch(info)
    if bounds:
        return int(bounds[2])
    return max(map(int, info.split(":"))) if _NUMBERS.fullmatch(info) else 0


# CatBoost saves no categories, only the lower half of CityHash64 (version 1.0) of their texts: for
# each category in a one-hot split (`OneHotFeatures`, field 6 of TModelTrees), and for each category
# in training in the tables of counters after the FlatBuffer, multiplied twice by a constant
# (`CalcHash` in catboost/libs/model/hash.h).
_MASK = 2**64 - 1
_LOWER = 2**32 - 1
_MULTIPLIER = 0x9DDFEA08EB382D69
_K2, _K3 = 0x9AE16A3B2F90404F, 0xC949D7C7509E6557
_UNHASH = pow(0x4906BA494954CB65, -2, 2**64)
_BUCKET = struct.Struct("<QI")
_EMPTY = _MASK
_MAX_BUCKETS = 100_000
_SMALL, _LARGE = 10_000, 100_000
_WORDS = (
    *"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "True", "False", "Yes", "No", "yes", "no", "Male", "Female", "male", "female", "low", "medium",
    "high", "Low", "Medium", "High", "other", "Other", "unknown", "Unknown", "nan", "None",
)  # fmt: skip


@dataclass
class Hashes:
    """The hashes of one feature; `complete` if they include all categories in training."""

    found: set[int]
    complete: bool = False

    def describe(self, column: Column) -> None:
        """Record the categories in the column; a number and its text have the same hash."""
        column.nullable = False
        integers = [
            value for each in self.found if (value := _integer_hashes().get(each)) is not None
        ]
        if not integers and self.found:
            large = _large_integer_hashes()
            integers = [value for each in self.found if (value := large.get(each)) is not None]
        words = [word for each in self.found if (word := _word_hashes().get(each)) is not None]
        column.type = "any" if integers or not self.found else "string"
        known: list[Scalar] = [*sorted(integers), *sorted(words)]
        if self.complete and len(known) == len(self.found):
            column.categories = tuple(known)
        column.example = known[0] if known else 0 if column.type == "any" else ""


def hashes(core: bytes, rest: bytes, trees: Table) -> dict[int, Hashes]:
    """Return the hashes by the position of their feature.

    `core` is the FlatBuffer, with TModelTrees in `trees`, and `rest` the tables of counters.

    Raises:
        struct.error: The data is cut off or malformed.
    """
    positions = {feature.integer(0): feature.integer(1) for feature in trees.tables(4)}
    found = {position: Hashes(set()) for position in positions.values()}
    if trees.size(6) * 4 <= len(core):
        for one_hot in trees.tables(6):
            position = positions.get(one_hot.integer(0))
            if position is not None:
                found[position].found |= {value & _LOWER for value in one_hot.values(1, "i")}
    for feature, values in _counters(rest):
        if feature in positions:
            found[positions[feature]] = Hashes(values, complete=True)
    return found


def _counters(data: bytes) -> Iterator[tuple[int, set[int]]]:
    """Yield each feature with a separate table of counters, and the hashes in that table."""
    count, position, left = (struct.unpack_from("<I", data)[0] if data else 0), 4, _MAX_BUCKETS
    for _ in range(count):
        (size,) = struct.unpack_from("<I", data, position)
        position += 4
        if size > len(data) - position:
            raise struct.error("beyond the end")
        table = Table.root(data[position : position + size])
        position += size
        feature, buckets = _single_feature(table), table.raw(1)
        left -= len(buckets) // _BUCKET.size
        if left < 0:
            return
        if feature is not None and len(buckets) % _BUCKET.size == 0:
            keys = (key for key, _ in _BUCKET.iter_unpack(buckets) if key != _EMPTY)
            yield feature, {key * _UNHASH & _LOWER for key in keys}


def _single_feature(table: Table) -> int | None:
    """Return the feature of a table, if it counts the categories of a single one."""
    base = table.table(0)
    combination = base.table(0) if base else None
    if combination is None or combination.size(1) or combination.size(2):
        return None
    features = combination.values(0, "i")
    return int(features[0]) if len(features) == 1 else None


@lru_cache(maxsize=1)
def _integer_hashes() -> dict[int, int]:
    return {_hash(str(number)): number for number in range(-99, _SMALL)}


@lru_cache(maxsize=1)
def _word_hashes() -> dict[int, str]:
    return {_hash(word): word for word in _WORDS}


@lru_cache(maxsize=1)
def _large_integer_hashes() -> dict[int, int]:
    """Return the hashes of identifiers and codes of five digits."""
    return {_hash(str(number)): number for number in range(_SMALL, _LARGE)}


def _hash(text: str) -> int:
    """Return the lower half of CityHash64 of a text of 1 to 8 bytes."""
    data = text.encode()
    size = len(data)
    if size >= 4:
        first, last = struct.unpack_from("<I", data)[0], struct.unpack_from("<I", data, size - 4)[0]
        return _mixed(size + (first << 3), last)
    y, z = data[0] + (data[size >> 1] << 8), size + (data[-1] << 2)
    mixed = (y * _K2 ^ z * _K3) & _MASK
    return ((mixed ^ mixed >> 47) * _K2) & _LOWER


def _mixed(low: int, high: int) -> int:
    a = (low ^ high) * _MULTIPLIER & _MASK
    a ^= a >> 47
    b = (high ^ a) * _MULTIPLIER & _MASK
    b ^= b >> 47
    return b * _MULTIPLIER & _LOWER
