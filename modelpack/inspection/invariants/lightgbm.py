"""The text of a LightGBM model.

A head of `name=value` lines, then for each tree a line `Tree=<number>`, its own lines and an empty
one, then `end of trees`: src/boosting/gbdt_model_text.cpp and src/io/tree.cpp of LightGBM. Its code
goes from node to node by `left_child` and `right_child`, where a negative number is a leaf, reads
column `split_feature` of a row, adds to as many outputs as there are trees an iteration, and looks
for trees where `tree_sizes` tells, all without a look at any bound.
"""

from __future__ import annotations

import re
from itertools import accumulate

from .. import limits
from .objects import Broken, require
from .scans import Rule

_NAME = re.compile(rb"\w+")
_NUMBERS = re.compile(rb"[-0-9 ]*")
_END = b"end of trees"
Lines = dict[bytes, bytes]


def model() -> Rule:
    text = _Text()
    rest = b""
    while piece := (yield):
        *lines, rest = (rest + piece).split(b"\n")
        require(len(rest) <= limits.ARRAY_LINE_BYTES, "a line of a LightGBM model has no end")
        for line in lines:
            text.take(line)
    text.finish()


class _Text:
    """Takes one line after the other; `lines` are those of the head, then of the tree at hand."""

    def __init__(self) -> None:
        self.lines: Lines = {}
        self.head: Lines = {}
        self.offset = 0
        self.starts: list[int] = []  # of the trees
        self.ended = False

    def take(self, line: bytes) -> None:
        if not self.offset:
            require(line == b"tree", "the string is no model of LightGBM")
        elif not self.ended:
            self._take(line)
        self.offset += len(line) + 1

    def _take(self, line: bytes) -> None:
        if line.startswith(b"Tree=") or line == _END:
            self._close()
            self.ended = line == _END
            self.starts += [] if self.ended else [self.offset]
        elif line:
            name, _, value = line.partition(b"=")
            plain = _NAME.fullmatch(name) and name not in self.lines and b"\r" not in value
            require(bool(plain), "a LightGBM model has a line that LightGBM does not write")
            self.lines[name] = value

    def _close(self) -> None:
        if self.starts:
            _check_tree(self.lines, _number(self.head, b"max_feature_idx") + 1)
        else:
            self.head = self.lines
            outputs = _number(self.head, b"num_tree_per_iteration")
            fits = 0 < outputs <= _number(self.head, b"num_class")
            require(fits, "a LightGBM model has more trees an iteration than outputs")
        self.lines = {}

    def finish(self) -> None:
        require(self.ended, "a LightGBM model has no end")
        if b"tree_sizes" in self.head:
            sizes = _numbers(self.head, b"tree_sizes")
            told = accumulate(sizes, initial=self.starts[0] if self.starts else 0)
            fits = len(sizes) == len(self.starts) and all(map(int.__eq__, self.starts, told))
            require(fits, "the trees of a LightGBM model are not where it tells")


def _check_tree(tree: Lines, n_features: int) -> None:
    leaves = _number(tree, b"num_leaves")
    values = tree.get(b"leaf_value", b"").split()
    require(0 < leaves == len(values), "a tree of a LightGBM model has not a value for each leaf")
    if leaves > 1:
        features = _numbers(tree, b"split_feature", leaves - 1)
        _check_range(features, n_features, "feature")
        for side in (b"left_child", b"right_child"):
            _check_children(_numbers(tree, side, leaves - 1), leaves)
        _check_categories(tree, leaves)
    _check_range(_numbers(tree, b"leaf_features"), n_features, "feature")


def _check_range(numbers: list[int], bound: int, what: str) -> None:
    for number in numbers:
        if not 0 <= number < bound:
            raise Broken(f"a tree asks for {what} {number:,}, and there are {bound:,}")


def _check_children(children: list[int], leaves: int) -> None:
    for node, child in enumerate(children):
        if not (node < child < leaves - 1 or -leaves <= child < 0):
            raise Broken(
                f"node {node:,} of a tree has the child {child:,}, and the tree has {leaves:,} "
                "leaves and a node less, each before its children"
            )


def _check_categories(tree: Lines, leaves: int) -> None:
    kinds = _numbers(tree, b"decision_type", leaves - 1)
    if not any(kind & 1 for kind in kinds):
        return
    count = _number(tree, b"num_cat")
    thresholds = tree.get(b"threshold", b"").split()
    require(len(thresholds) == leaves - 1, "a tree of a LightGBM model lacks thresholds")
    chosen = [text for text, kind in zip(thresholds, kinds, strict=True) if kind & 1]
    _check_range(_parsed(b" ".join(chosen)), count, "the set of categories")
    bounds = _numbers(tree, b"cat_boundaries", count + 1)
    known = len(tree.get(b"cat_threshold", b"").split())
    fits = bounds[0] == 0 and bounds == sorted(bounds) and bounds[-1] <= known
    require(fits, "the sets of categories of a LightGBM model are not where it tells")


def _number(lines: Lines, name: bytes) -> int:
    return _numbers(lines, name, 1)[0]


def _numbers(lines: Lines, name: bytes, count: int | None = None) -> list[int]:
    found = _parsed(lines.get(name, b""))
    if count is not None and len(found) != count:
        raise Broken(f"a LightGBM model has {len(found):,} of {name.decode()}, not {count:,}")
    return found


def _parsed(text: bytes) -> list[int]:
    try:
        return [int(word) for word in text.split()] if _NUMBERS.fullmatch(text) else [int(b"")]
    except ValueError:
        raise Broken("a LightGBM model has text where numbers belong") from None
