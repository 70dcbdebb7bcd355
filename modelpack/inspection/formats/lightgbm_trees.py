"""The trees in the text of a LightGBM model, as attributes of a record.

The format is described in `../invariants/lightgbm.py`, which has checked the text. In a tree, a
negative child -1, -2, ... is the leaf 0, 1, ....
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from .trees import MISSING_NAN, Node, TreeTables, Unrecordable

_CATEGORICAL = 1
"""Bit of a decision type; the next ones are those of `Node.missing`."""
_WORD = 32

Lines = Mapping[str, str]


def record_attributes(data: bytes) -> dict[str, Any]:
    """Return the attributes of the record of a text, with tables.

    Raises:
        Unrecordable: The model has linear trees.
        KeyError, ValueError, IndexError: The text is not that of a model.
    """
    head, *trees = _parts(data.decode())
    tables = TreeTables("d")
    for lines in trees:
        if lines.get("is_linear", "0") != "0":
            raise Unrecordable("a linear tree of LightGBM")
        tables.add_tree(_nodes(lines, tables))
    return {
        "n_features": int(head["max_feature_idx"]) + 1,
        "objective": head.get("objective", ""),
        "trees_per_round": int(head["num_tree_per_iteration"]),
        "is_average": "average_output" in head,
        **tables.tables(),
    }


def _parts(text: str) -> Iterator[Lines]:
    """Yield the lines of the head, then those of each tree, by name."""
    lines: dict[str, str] = {}
    for line in text.split("\n"):
        if line.startswith("Tree="):
            yield lines
            lines = {}
        elif line in ("end of trees", "feature importances:"):
            break
        elif line:
            name, _, value = line.partition("=")
            lines[name] = value
    yield lines


def _nodes(lines: Lines, tables: TreeTables) -> list[Node]:
    """Return the inner nodes of a tree, then its leaves."""
    leaves = [Node(value=float(text)) for text in lines["leaf_value"].split()]
    inner = len(leaves) - 1
    if not inner:
        return leaves
    children = [
        [number if number >= 0 else inner - 1 - number for number in _integers(lines, side)]
        for side in ("left_child", "right_child")
    ]
    features, thresholds = _integers(lines, "split_feature"), lines["threshold"].split()
    kinds = _integers(lines, "decision_type") if "decision_type" in lines else [0] * inner
    sets = _sets(lines, tables)
    nodes = []
    for left, right, feature, text, kind in zip(
        *children, features, thresholds, kinds, strict=True
    ):
        if kind & _CATEGORICAL:  # a missing value is never in the set
            number = sets[int(text)]
            nodes.append(Node(left, right, feature, 2 * MISSING_NAN, number))
        else:
            nodes.append(Node(left, right, feature, kind >> 1, threshold=float(text)))
    return nodes + leaves


def _sets(lines: Lines, tables: TreeTables) -> list[int]:
    """Add the sets of categories of a tree, which are bits, and return their numbers."""
    if lines["num_cat"] == "0":
        return []
    bounds, words = _integers(lines, "cat_boundaries"), _integers(lines, "cat_threshold")
    return [
        tables.add_set(
            [
                _WORD * index + bit
                for index, word in enumerate(words[low:high])
                for bit in range(_WORD)
                if word >> bit & 1
            ]
        )
        for low, high in pairwise(bounds)
    ]


def _integers(lines: Lines, name: str) -> list[int]:
    return [int(text) for text in lines[name].split()]
