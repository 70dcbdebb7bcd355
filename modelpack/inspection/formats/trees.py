"""Trees of boosters as tables, the form in which compiled models contain them.

docs/compiled.md specifies the columns of the tables. The nodes of each tree are numbered from its
root, and children follow their parents.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

NO_CHILD = NO_FEATURE = NO_SET = -1
MISSING_NAN = 2
"""Kind of missing values of a split: only NaN is one."""


class Unrecordable(Exception):  # noqa: N818 - a fact about the model, not an error of modelpack
    """A value that has no form in a compiled model. The text names its type."""


@dataclass(frozen=True)
class Table:
    """The values of a one-dimensional array in the order of a .npy file.

    Attributes:
        descr: The type of a value, or a list of [name, type] of fields.
    """

    descr: Any
    count: int
    content: bytes


@dataclass(frozen=True)
class Node:
    """A node of a tree; a leaf has no children and no feature.

    Attributes:
        missing: Twice the kind of missing values, plus 1 if they go to the left child.
        set: The number of the set of categories that go to the left child, or NO_SET.
    """

    left: int = NO_CHILD
    right: int = NO_CHILD
    feature: int = NO_FEATURE
    missing: int = 0
    set: int = NO_SET
    threshold: float = 0.0
    value: float = 0.0


class TreeTables:
    """Collects trees. `number`: the type of thresholds and values, "f" or "d"."""

    def __init__(self, number: str) -> None:
        self._row = struct.Struct(f"<5i2{number}")
        self._type = {"f": "<f4", "d": "<f8"}[number]
        self._nodes = bytearray()
        self._starts = [0]
        self._categories = array("i")
        self._set_starts = [0]

    def add_set(self, categories: Sequence[int]) -> int:
        """Add a set of categories and return its number."""
        self._categories.extend(categories)
        self._set_starts.append(len(self._categories))
        return len(self._set_starts) - 2

    def add_tree(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self._nodes += self._row.pack(
                node.left, node.right, node.feature, node.missing, node.set, node.threshold,
                node.value,
            )  # fmt: skip
        self._starts.append(len(self._nodes) // self._row.size)

    def tables(self) -> dict[str, Table]:
        """Return the tables by the names of their attributes."""
        integers = ("left_child", "right_child", "feature", "missing", "set")
        fields = [[name, "<i4"] for name in integers]
        fields += [[name, self._type] for name in ("threshold", "value")]
        return {
            "nodes": Table(fields, self._starts[-1], bytes(self._nodes)),
            "tree_starts": table_of("q", self._starts),
            "categories": table_of("i", self._categories),
            "set_starts": table_of("q", self._set_starts),
        }


_TYPES = {"i": "<i4", "q": "<i8", "f": "<f4", "d": "<f8"}


def table_of(code: str, values: Sequence[float]) -> Table:
    """Return a table of numbers; `code` is that of `struct`."""
    return Table(_TYPES[code], len(values), struct.pack(f"<{len(values)}{code}", *values))
