"""The trees of a record of LightGBM or XGBoost, and the rows that they read.

Missing values and sets of categories become values of columns, so that all splits compare numbers
and the trees have the form of all others. docs/compiled.md specifies the attributes.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from .blocks import BEYOND_EXACT
from .compiler import UnplannedError
from .nodes import LEAF, Splits
from .sparse import is_sparse, row_numbers
from .traversal import Traversal
from .trees import MAX_DENSE

INTEGERS = ("left_child", "right_child", "feature", "missing", "set")
NUMBERS = ("threshold", "value")
NO_SET = -1
MISSING_NONE, MISSING_ZERO, MISSING_NAN = 0, 1, 2
"""Kinds of missing values: a NaN counts as 0; zeros and NaN are missing; NaN is missing."""
NEAR_ZERO = float(np.float32(1e-35))
"""Numbers up to this size are zeros for LightGBM."""
MAX_CATEGORY = 2**31 - 1
MAX_TABLES = 64 << 20
"""Bytes of the tables of the sets of categories."""

MAX_OUTPUTS = 100_000

Rows = Callable[[Any], np.ndarray]


class _Feature(NamedTuple):
    """A feature with sets of categories.

    Attributes:
        number: Its index among the features.
        known: The categories in its sets, sorted.
        table: Whether a category goes to the right in each of its columns: a line for each of the
            known ones, for others, and for missing values.
    """

    number: int
    known: np.ndarray
    table: np.ndarray


class BoostedTrees:
    """The trees of a record.

    Attributes:
        splits: The trees, validated, over the columns that `rows` returns.
        numbers: Number of columns that are compared with thresholds; the others are sets.
        values: The values of the nodes of each tree.
    """

    def __init__(self, model: Any, count: int | None = None, is_truncating: bool = True) -> None:
        """Validate the trees, which may come from any file.

        Args:
            model: The record.
            count: Number of trees that predict; None for all.
            is_truncating: Whether a number above -1 is the category 0, as in LightGBM.

        Raises:
            ValueError: The attributes are not trees.
            UnplannedError: The tables would be too large.
        """
        self._width, self._is_truncating = int(model.n_features), is_truncating
        nodes, starts = model.nodes, _offsets(model.tree_starts, len(model.nodes))
        names = nodes.dtype.names or ()
        if nodes.ndim != 1 or set(names) != {*INTEGERS, *NUMBERS}:
            raise ValueError("the nodes have other fields")
        if any(nodes.dtype[name].kind != "i" for name in INTEGERS):
            raise ValueError("the indices of nodes are not integers")
        starts = starts[: None if count is None else count + 1]
        nodes = nodes[: starts[-1]]
        self._is_leaf = nodes["left_child"] == LEAF
        columns, thresholds, is_left = self._assigned(model, nodes)
        left, right = (nodes[name].astype(np.intp) for name in ("left_child", "right_child"))
        whole = Splits(left, right, columns.astype(np.intp), thresholds, is_left)
        pairs = list(zip(starts, starts[1:]))
        self.numbers = len(self._indices)
        is_same = self.numbers == self._width  # the indices are distinct and sorted
        self._is_plain = is_same and not (len(self._filled) + len(self._emptied) + len(self._sets))
        self.splits = [Splits(*(each[low:high] for each in whole)) for low, high in pairs]
        for each in self.splits:
            each.validate(self.numbers + sum(len(one.table) for one in self._sets))
        self.values = [nodes["value"][low:high] for low, high in pairs]
        if not all(np.isfinite(each).all() for each in self.values):
            raise ValueError("the value of a leaf is not a number")

    def _assigned(self, model: Any, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the column, the threshold, and the side of missing values of each node."""
        feature, kind = nodes["feature"].astype(np.int64), nodes["missing"] >> 1
        inner = ~self._is_leaf
        if ((feature < 0) | (feature >= self._width))[inner].any():
            raise ValueError("a node compares an unknown feature")
        if ((kind < MISSING_NONE) | (kind > MISSING_NAN))[inner].any():
            raise ValueError("a node has an unknown kind of missing values")
        is_set = inner & (nodes["set"] != NO_SET)
        compares = inner & ~is_set
        keys = feature * (MISSING_NAN + 1) + kind
        distinct, numbers = np.unique(keys[compares], return_inverse=True)
        self._indices, kinds = np.divmod(distinct, MISSING_NAN + 1)
        self._filled = np.flatnonzero(kinds == MISSING_NONE).tolist()
        self._emptied = np.flatnonzero(kinds == MISSING_ZERO).tolist()
        columns = np.zeros(len(nodes), np.int64)
        columns[compares] = numbers
        thresholds = nodes["threshold"].astype(nodes.dtype["threshold"].newbyteorder("="))
        is_left = (nodes["missing"] & 1 != 0) & compares
        self._sets, columns[is_set] = self._tables(model, nodes[is_set])
        thresholds[is_set] = 0.5
        return columns, thresholds, is_left

    def _tables(self, model: Any, nodes: np.ndarray) -> tuple[list[_Feature], np.ndarray]:
        """Return the features with sets, and the column of each of their nodes."""
        starts = _offsets(model.set_starts, len(model.categories))
        categories = np.asarray(model.categories).astype(np.int64)
        if ((categories < 0) | (categories > MAX_CATEGORY)).any():
            raise ValueError("a category is out of range")
        if ((nodes["set"] < 0) | (nodes["set"] >= len(starts) - 1)).any():
            raise ValueError("a node has an unknown set of categories")
        columns, features, size = np.zeros(len(nodes), np.int64), [], 0
        first = len(self._indices)
        for index in np.unique(nodes["feature"]):
            chosen = np.flatnonzero(nodes["feature"] == index)
            keys = nodes["set"][chosen].astype(np.int64) * 2 + (nodes["missing"][chosen] & 1)
            distinct, numbers = np.unique(keys, return_inverse=True)
            members = [categories[slice(*starts[key // 2 : key // 2 + 2])] for key in distinct]
            known = np.unique(np.concatenate(members))
            size += len(distinct) * (len(known) + 2)
            if size > MAX_TABLES:
                raise UnplannedError("the sets of categories of a booster are too large")
            table = np.ones((len(distinct), len(known) + 2))
            for line, key, chosen_ones in zip(table, distinct, members):
                line[known.searchsorted(chosen_ones)] = 0.0
                line[-1] = 1 - key % 2
            features.append(_Feature(int(index), known, table))
            columns[chosen] = first + numbers
            first += len(distinct)
        return features, columns

    def rows(self, matrix: np.ndarray) -> np.ndarray:
        """Return the columns that the trees read, for rows (n_rows, n_features) in C order."""
        if self._is_plain:
            return matrix
        taken = matrix.take(self._indices, axis=1)
        for column in self._filled:
            values = taken[:, column]
            values[np.isnan(values)] = 0.0
        for column in self._emptied:
            values = taken[:, column]
            values[np.abs(values) <= NEAR_ZERO] = np.nan
        if not self._sets:
            return taken
        parts = [taken, *(self._looked_up(each, matrix[:, each.number]) for each in self._sets)]
        return np.concatenate(parts, axis=1).astype(matrix.dtype, order="C", copy=False)

    def _looked_up(self, feature: _Feature, values: np.ndarray) -> np.ndarray:
        is_missing = np.isnan(values)
        is_other = is_missing | (np.abs(values) > MAX_CATEGORY)
        if not self._is_truncating:
            is_other |= values < 0
        codes = np.where(is_other, -1, values).astype(np.int64)
        lines = feature.known.searchsorted(codes)
        is_known = lines < len(feature.known)
        is_known[is_known] = feature.known[lines[is_known]] == codes[is_known]
        lines = np.where(is_known, lines, len(feature.known))
        lines[is_missing] = len(feature.known) + 1
        return np.asarray(feature.table[:, lines].T)

    def sums(self, start: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that adds the values of the leaves to `start`, (n_columns,).

        Trees belong to the columns in turn. The function gets what `rows` returns.
        """
        columns = len(start)
        if not self.splits:
            return lambda rows: np.repeat(start[np.newaxis], len(rows), axis=0)
        if len(self.splits) % columns:
            raise ValueError("the trees do not belong to the outputs in turn")
        add = Traversal(self.splits, start.dtype).walk(self.values, columns)

        def sum_up(rows: np.ndarray) -> np.ndarray:
            sums = np.empty((len(rows), columns), start.dtype)
            sums[:] = start
            add(rows, sums)
            return sums

        return sum_up


def output_count(count: Any) -> int:
    """Return the number of outputs of a booster.

    Raises:
        ValueError: It is absurd.
    """
    if not 0 < count <= MAX_OUTPUTS:
        raise ValueError("a booster has an absurd number of outputs")
    return int(count)


def _offsets(offsets: np.ndarray, end: int) -> list[int]:
    """Return offsets that start with 0, never decrease, and do not exceed `end`.

    Raises:
        ValueError: They do.
    """
    listed: list[int] = np.asarray(offsets).astype(np.int64).tolist()
    if not listed or listed[0] or listed[-1] > end or sorted(listed) != listed:
        raise ValueError("offsets are not sorted")
    return listed


def reader(model: Any, unknown: float | None, absent: float) -> Rows:
    """Return a function that converts a block to float64 rows (n_rows, n_features) in C order.

    It raises FallbackRequiredError if the booster would reject the block.

    Args:
        model: The record of a Booster, with the values of categories by feature.
        unknown: The code of other categories; None if they are rejected.
        absent: What a sparse row does not contain.
    """
    width = int(model.n_features)
    codes = _codes(model.category_values)
    if any(not 0 <= index < width for index in codes):
        raise ValueError("categories belong to an unknown feature")

    def rows_of(block: Any) -> np.ndarray:
        if is_sparse(block):
            block = _dense(block, absent)
        if codes or isinstance(block, list):
            columns = block if isinstance(block, list) else list(block.T)
            if len(columns) != width:
                raise FallbackRequiredError
            parts = [
                _encoded(column, codes[index], unknown) if index in codes else _floats(column)
                for index, column in enumerate(columns)
            ]
            block = np.array(parts, np.float64).T
        if block.ndim != 2 or block.shape[1] != width or not len(block):
            raise FallbackRequiredError
        return np.ascontiguousarray(block, np.float64)

    return rows_of


def _codes(values: Mapping[int, Sequence[Any]]) -> dict[int, dict[Any, float]]:
    return {
        int(index): {value: float(code) for code, value in enumerate(categories)}
        for index, categories in values.items()
    }


def _encoded(column: np.ndarray, codes: Mapping[Any, float], unknown: float | None) -> list[float]:
    """Return the codes of categories, with NaN for missing ones.

    Raises:
        FallbackRequiredError: A category is unknown, and `unknown` is None.
    """
    found = [
        np.nan if value != value else codes.get(value, unknown)  # NaN  # noqa: PLR0124
        for value in column.tolist()
    ]
    if None in found:
        raise FallbackRequiredError
    return found  # type: ignore[return-value]


def _floats(column: np.ndarray) -> np.ndarray:
    """Return numbers as float64.

    Raises:
        FallbackRequiredError: They are texts, or integers that float64 cannot represent.
    """
    if column.dtype.kind not in "fibO":
        raise FallbackRequiredError
    if column.dtype.kind == "O" and any(isinstance(value, str) for value in column.tolist()):
        raise FallbackRequiredError
    values = column.astype(np.float64)
    if column.dtype.kind == "i" and (np.abs(values) >= BEYOND_EXACT).any():
        raise FallbackRequiredError
    return values


def _dense(block: Any, absent: float) -> np.ndarray:
    """Convert a sparse matrix to a dense one.

    Raises:
        FallbackRequiredError: It would need too much memory.
    """
    if block.shape[0] * block.shape[1] > MAX_DENSE:
        raise FallbackRequiredError
    rows = np.full(block.shape, absent)
    rows[0 if block.shape[0] == 1 else row_numbers(block), block.indices] = block.data
    return rows
