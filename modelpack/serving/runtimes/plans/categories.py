"""Rows and trees of histogram gradient boosting, whose splits may be sets of categories.

A split by categories becomes a column of the rows: 1 if the category goes to the right child, else
0. So all splits compare numbers.
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from .compiler import Compiler
from .nodes import LEAF, Splits
from .trees import matrix

CODES = 256
"""Number of codes of categories. The next number is the code of a missing value."""
BEYOND_INT32 = 2.0**31


class Categories:
    """The categories of a record of histogram gradient boosting.

    Attributes:
        splits: The trees, validated.
    """

    def __init__(self, model: Any, trees: Sequence[Any], width: int, compiler: Compiler) -> None:
        self._width, self._accepts_negative = width, compiler.since(1, 3)
        self._encode, self._order = _encoder(model, compiler)
        self._known = _known_codes(model)
        self._numbers: dict[bytes, int] = {}
        self._features: list[int] = []
        self._tables: list[np.ndarray] = []
        self.splits = [self._splits(tree) for tree in trees]
        self._flat = np.array(self._tables, np.float64).ravel()
        self._starts = np.arange(len(self._tables)) * (CODES + 1)

    def rows(self, block: Any) -> np.ndarray:
        """Convert a block to the rows that the trees read.

        Raises:
            FallbackRequiredError: The estimator would reject it.
        """
        rows = np.asarray(self._encoded(block), np.float64)
        if not self._tables:
            return np.ascontiguousarray(rows)
        codes = self._codes(rows.take(self._features, axis=1)) + self._starts
        return np.concatenate([rows, self._flat.take(codes)], axis=1)

    def feature_of(self, column: int) -> int:
        """Return the position in a block of a column that the trees compare."""
        feature = column if column < self._width else self._features[column - self._width]
        if self._order is None:
            return feature
        encoded, numbers = self._order
        return int(np.concatenate([encoded, numbers])[feature])

    def _encoded(self, block: Any) -> np.ndarray:
        """Replace categories by their codes, and put them in front, as since scikit-learn 1.4."""
        if self._encode is None:
            return matrix(block, self._width)
        columns = block if isinstance(block, list) else list(matrix(block, self._width).T)
        if len(columns) != self._width:
            raise FallbackRequiredError
        encoded, numbers = self._order
        parts = [self._encode([columns[index] for index in encoded])]
        if len(numbers):
            parts.append(matrix([columns[index] for index in numbers], len(numbers)))
        return np.concatenate(parts, axis=1)

    def _codes(self, values: np.ndarray) -> np.ndarray:
        """Return the codes of categories, which C truncates to 8 bits."""
        is_negative = values < 0
        if not self._accepts_negative and is_negative.any():
            raise FallbackRequiredError
        is_missing = is_negative | np.isnan(values)
        numbers = np.where(is_missing | (values >= BEYOND_INT32), 0, values).astype(np.intp)
        return np.where(is_missing, CODES, numbers & (CODES - 1))

    def _splits(self, tree: Any) -> Splits:
        nodes, names = tree.nodes, tree.nodes.dtype.names or ()
        is_leaf = nodes["is_leaf"] != 0
        feature = nodes["feature_idx"].astype(np.intp)
        threshold = "num_threshold" if "num_threshold" in names else "threshold"
        splits = Splits(
            np.where(is_leaf, LEAF, nodes["left"].astype(np.intp)),
            np.where(is_leaf, LEAF, nodes["right"].astype(np.intp)),
            feature,
            nodes[threshold].astype(np.float64),
            nodes["missing_go_to_left"] != 0,
        )
        if "is_categorical" in names:
            for index in np.flatnonzero((nodes["is_categorical"] != 0) & ~is_leaf):
                bits = tree.raw_left_cat_bitsets[nodes["bitset_idx"][index]]
                column = self._column(feature[index], bits, splits.is_missing_left[index])
                feature[index], splits.threshold[index] = self._width + column, 0.5
        splits.validate(self._width + len(self._tables))
        return splits

    def _column(self, feature: int, bits: np.ndarray, is_missing_left: bool) -> int:
        """Return the number of the column of a split, and create it if necessary."""
        is_right = np.empty(CODES + 1, np.bool_)
        is_right[:] = not is_missing_left  # for unknown categories, too
        is_right[:CODES][self._known[feature]] = True
        is_right[:CODES][_members(bits)] = False
        key = int(feature).to_bytes(8, "little") + is_right.tobytes()
        if key not in self._numbers:
            self._numbers[key] = len(self._tables)
            self._features.append(int(feature))
            self._tables.append(is_right)
        return self._numbers[key]


def _members(bits: np.ndarray) -> np.ndarray:
    """Return which codes are in a set of 8 numbers of 32 bits, as a mask."""
    codes = np.arange(CODES)
    return np.asarray((bits[codes // 32] >> (codes % 32).astype(np.uint32)) & 1 == 1)


def _known_codes(model: Any) -> dict[int, np.ndarray]:
    """Return the codes that occurred in the training, by the feature that has categories."""
    mapper = getattr(model, "_bin_mapper", None)
    if mapper is None or getattr(mapper, "is_categorical_", None) is None:
        return {}
    return {
        int(feature): np.asarray(mapper.bin_thresholds_[feature]).astype(np.intp)
        for feature in np.flatnonzero(mapper.is_categorical_)
    }


def _encoder(model: Any, compiler: Compiler) -> Any:
    """Return the transform of the encoder since scikit-learn 1.4, and the order of its columns.

    The order consists of the indices of the columns with categories, then of the others.
    """
    preprocessor = getattr(model, "_preprocessor", None)
    if preprocessor is None:
        return None, None
    is_encoded = np.asarray(model.is_categorical_)
    transform = compiler.part(preprocessor.transformers_[0][1])["transform"]
    return transform, (np.flatnonzero(is_encoded), np.flatnonzero(~is_encoded))
