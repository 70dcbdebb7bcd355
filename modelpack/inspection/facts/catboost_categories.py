"""The categories of a CatBoost model, as far as hashes tell: integers, or words that people use.

CatBoost keeps no category, only the lower half of CityHash64 (version 1.0) of its text: for each
category that a tree asks for alone (`OneHotFeatures`, field 6 of TModelTrees), and in the tables of
counters that follow the FlatBuffer for each that training met, multiplied twice by a constant
(`CalcHash` in catboost/libs/model/hash.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from modelpack.types import Scalar

from .columns import Column
from .flatbuffers import Table

_MASK = 2**64 - 1
_LOWER = 2**32 - 1
_MULTIPLIER = 0x9DDFEA08EB382D69
_K2, _K3 = 0x9AE16A3B2F90404F, 0xC949D7C7509E6557
_UNHASH = pow(0x4906BA494954CB65, -2, 2**64)
_BUCKET = struct.Struct("<QI")
_EMPTY = _MASK
_MOST_BUCKETS = 100_000
_SMALL, _LARGE = 10_000, 100_000
_WORDS = (
    *"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "True", "False", "Yes", "No", "yes", "no", "Male", "Female", "male", "female", "low", "medium",
    "high", "Low", "Medium", "High", "other", "Other", "unknown", "Unknown", "nan", "None",
)  # fmt: skip


@dataclass
class Hashes:
    """Those of one feature; `complete`: they are of all its categories in training."""

    found: set[int]
    complete: bool = False

    def describe(self, column: Column) -> None:
        """Record in the column what its categories are. Numbers and their texts have one hash."""
        column.nullable = False
        integers = [value for each in self.found if (value := _integers().get(each)) is not None]
        if not integers and self.found:
            large = _large_integers()
            integers = [value for each in self.found if (value := large.get(each)) is not None]
        words = [word for each in self.found if (word := _words().get(each)) is not None]
        column.type = "any" if integers or not self.found else "string"
        known: list[Scalar] = [*sorted(integers), *sorted(words)]
        if self.complete and len(known) == len(self.found):
            column.categories = tuple(known)
        column.example = known[0] if known else 0 if column.type == "any" else ""


def hashes(core: bytes, rest: bytes, trees: Table) -> dict[int, Hashes]:
    """By the position of the feature among all. `rest`: the tables of counters.

    Raises:
        struct.error: the data is cut or wrong.
    """
    places = {feature.integer(0): feature.integer(1) for feature in trees.tables(4)}
    found = {place: Hashes(set()) for place in places.values()}
    if trees.size(6) * 4 <= len(core):
        for one_hot in trees.tables(6):
            place = places.get(one_hot.integer(0))
            if place is not None:
                found[place].found |= {value & _LOWER for value in one_hot.values(1, "i")}
    for feature, values in _counters(rest):
        if feature in places:
            found[places[feature]] = Hashes(values, complete=True)
    return found


def _counters(data: bytes) -> Iterator[tuple[int, set[int]]]:
    """The features that have a table of counters of their own, and the hashes in it."""
    count, position, left = (struct.unpack_from("<I", data)[0] if data else 0), 4, _MOST_BUCKETS
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
    """The feature of a table, if it counts the categories of one alone."""
    base = table.table(0)
    combination = base.table(0) if base else None
    if combination is None or combination.size(1) or combination.size(2):
        return None
    features = combination.values(0, "i")
    return int(features[0]) if len(features) == 1 else None


@lru_cache(maxsize=1)
def _integers() -> dict[int, int]:
    return {_hash(str(number)): number for number in range(-99, _SMALL)}


@lru_cache(maxsize=1)
def _words() -> dict[int, str]:
    return {_hash(word): word for word in _WORDS}


@lru_cache(maxsize=1)
def _large_integers() -> dict[int, int]:
    """Identifiers and codes of five digits."""
    return {_hash(str(number)): number for number in range(_SMALL, _LARGE)}


def _hash(text: str) -> int:
    """The lower half of CityHash64 of a text of 1 to 8 bytes, for which it has a way of its own."""
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
