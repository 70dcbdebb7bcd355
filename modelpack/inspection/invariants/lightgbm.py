"""The text of a LightGBM model.

The format has `name=value` lines as a head, then for each tree a line `Tree=<number>`, its lines
and an empty line, then `end of trees`, then the training parameters, `[name: value]` on each line.
See src/boosting/gbdt_model_text.cpp and src/io/tree.cpp of LightGBM.

LightGBM does not check any of the following:
- `left_child` and `right_child`, by which it walks from node to node; a negative number is a leaf.
- `split_feature`, the column of a row that it reads.
- `num_tree_per_iteration`, the number of outputs that it adds to, and the classes of the objective,
  the number of outputs that it computes.
- `tree_sizes`, the offsets at which it looks for trees.
- Lists: it reads one number for each node or leaf, three more lists for each leaf of a linear tree,
  and ends the process at a text that is not a number.
- Lines: a tree ends at its first empty line or after 22 lines. A name extends to the next `=`, even
  in a later line.
- Parameters: it cuts a line at the colon without checking that it has one.
"""

from __future__ import annotations

import re
from itertools import accumulate

from .. import limits
from .objects import InvariantError, require
from .scan import Rule

_NAME = re.compile(rb"\w+")
_NUMBERS = re.compile(rb"[-0-9 ]*")
_NUMBER = re.compile(rb"[-+]?(\d+(\.\d*)?(e[-+]?\d+)?|nan|inf)")
_PARAMETER = re.compile(rb"\[\w+: ?.*\]", re.DOTALL)
_CONTROL, _RETURN = re.compile(rb"[\0-\x1f]"), re.compile(rb"[\0\r]")
_OF_NODES = (b"split_gain", b"threshold", b"internal_value", b"internal_weight", b"internal_count")
_OF_LEAVES = (b"leaf_value", b"leaf_weight", b"leaf_count", b"leaf_const")
_REQUIRED = (b"num_cat", b"split_feature", b"threshold", b"left_child", b"right_child")
_REQUIRED_OF_LINEAR = (b"leaf_const", b"num_features", b"leaf_features", b"leaf_coeff")
_MAX_LINES = 22
_CLASSES = {b"multiclass", b"softmax", b"multiclassova", b"multiclass_ova", b"ova", b"ovr"}
"""Objectives that compute an output for each class, with their aliases."""

_ENDS = {b"end of trees", b"feature importances:"}
"""Since LightGBM 2.2, and before. LightGBM does not read the importances, which follow."""

_PARAMETERS, _END_OF_PARAMETERS = b"parameters:", b"end of parameters"
_CATEGORICAL = b"pandas_categorical:"
Lines = dict[bytes, bytes]


class CutError(InvariantError):
    """The text ends before the model does."""


def model() -> Rule:
    """Check the text of a model."""
    text = _Text()
    rest = b""
    while piece := (yield):
        *lines, rest = (rest + piece).split(b"\n")
        require(len(rest) <= limits.ARRAY_LINE_BYTES, "a line of a LightGBM model has no end")
        for line in lines:
            text.take(line)
    text.finish(rest)


class _Text:
    """The state of reading a text; `lines` are those of the head, then of the current tree."""

    def __init__(self) -> None:
        self.lines: Lines = {}
        self.head: Lines = {}
        self.offset = 0
        self.starts: list[int] = []  # offsets of the trees
        self.ended = False
        self.gap = False  # an empty line followed the current ones
        self.in_parameters = False

    def take(self, line: bytes) -> None:
        if not self.offset:
            require(line == b"tree", "the text is not a LightGBM model")
        elif not self.ended:
            self._take(line)
        elif line in (_PARAMETERS, _END_OF_PARAMETERS):
            self.in_parameters = line == _PARAMETERS
        elif not self.starts and line.startswith(b"Tree="):
            # LightGBM would read the end as a line of the head, and then this tree.
            raise InvariantError("a LightGBM model has a tree after the end of its trees")
        elif self.in_parameters and line:
            fits = _PARAMETER.fullmatch(line) is not None
            require(fits, "a LightGBM model has a parameter without a value")
        self.offset += len(line) + 1

    def _take(self, line: bytes) -> None:
        if line.startswith(b"Tree=") or line in _ENDS:
            self._close()
            self.ended = line in _ENDS
            self.starts += [] if self.ended else [self.offset]
        elif not line:
            self.gap = True
        else:
            # For LightGBM, the tree ends at the empty line.
            require(not self.gap, "a LightGBM model has an empty line before its values end")
            name, mark, value = line.partition(b"=")
            others = _CONTROL if self.starts else _RETURN  # names of features may be any text
            plain = _NAME.fullmatch(name) and name not in self.lines and not others.search(value)
            is_complete = bool(mark) or not self.starts
            require(
                bool(plain) and is_complete,
                "a LightGBM model has a line that LightGBM does not write",
            )
            self.lines[name] = value

    def _close(self) -> None:
        if self.starts:
            _check_tree(self.lines, _number(self.head, b"max_feature_idx") + 1)
        else:
            self.head = self.lines
            outputs = _number(self.head, b"num_tree_per_iteration")
            fits = 0 < outputs <= _number(self.head, b"num_class")
            require(fits, "a LightGBM model has more trees in an iteration than outputs")
            _check_objective(self.head, outputs)
        self.lines, self.gap = {}, False

    def finish(self, rest: bytes) -> None:
        """Check the end of the text. `rest`: its last line, if no newline follows."""
        is_line = not rest or rest == _END_OF_PARAMETERS or rest.startswith(_CATEGORICAL)
        if not self.ended:
            raise CutError("the LightGBM model is truncated: it ends before its trees do")
        if not is_line or (self.in_parameters and rest != _END_OF_PARAMETERS):
            raise CutError("the LightGBM model is truncated: it ends in its parameters")
        if b"tree_sizes" in self.head:
            sizes = _numbers(self.head, b"tree_sizes")
            starts = accumulate(sizes, initial=self.starts[0] if self.starts else 0)
            fits = len(sizes) == len(self.starts) and all(map(int.__eq__, self.starts, starts))
            require(fits, "the trees of a LightGBM model are not at the offsets of tree_sizes")


def _check_objective(head: Lines, outputs: int) -> None:
    """Compare the parameters of the objective, as in `multiclass num_class:3`, with the outputs."""
    if b"objective" not in head:
        return
    name, *words = head[b"objective"].split() or [b""]
    require(bool(name), "a LightGBM model has an objective without a name")
    parameters = [word for word in words if b"num_class" in word]
    expected = [b"num_class:%d" % outputs] if name in _CLASSES else []
    fits = parameters == expected and (not expected or outputs == _number(head, b"num_class"))
    require(fits, "the objective and the head of a LightGBM model differ in the number of classes")


def _check_tree(tree: Lines, n_features: int) -> None:
    require(
        len(tree) <= _MAX_LINES, "a tree of a LightGBM model has more lines than LightGBM reads"
    )
    leaves = _number(tree, b"num_leaves")
    values = tree.get(b"leaf_value", b"").split()
    require(
        0 < leaves == len(values), "a tree of a LightGBM model does not have a value for each leaf"
    )
    is_linear = _numbers(tree, b"is_linear", 1) if b"is_linear" in tree else [0]
    require(is_linear in ([0], [1]), "is_linear of a tree of a LightGBM model is not 0 or 1")
    lacking = set(_REQUIRED[: None if leaves > 1 or is_linear == [1] else 1]) - tree.keys()
    require(
        not lacking, "a tree of a LightGBM model does not have all lines that LightGBM requires"
    )
    if leaves > 1:
        features = _numbers(tree, b"split_feature", leaves - 1)
        _check_range(features, n_features, "feature")
        for side in (b"left_child", b"right_child"):
            _check_children(_numbers(tree, side, leaves - 1), leaves)
    for names, count in ((_OF_NODES, leaves - 1), (_OF_LEAVES, leaves)):
        for name in names:
            if name in tree:
                _check_tokens(tree[name].split(), count, name.decode(), leaves)
    _check_categories(tree, leaves)
    if is_linear == [1]:
        _check_linear(tree, leaves, n_features)


def _check_tokens(tokens: list[bytes], count: int, name: str, leaves: int) -> None:
    """Require `count` numbers; a tree with one leaf may have none, depending on the release."""
    fits = len(tokens) == count or (leaves == 1 and not tokens)
    require(fits and all(map(_NUMBER.fullmatch, tokens)),
            f"{name} of a tree of a LightGBM model is not {count:,} numbers")  # fmt: skip


def _check_linear(tree: Lines, leaves: int, n_features: int) -> None:
    """Each leaf has a linear model: a number of features, these, and their coefficients."""
    require(
        set(_REQUIRED_OF_LINEAR) <= tree.keys(),
        "a linear tree of a LightGBM model has no linear models",
    )
    counts = _numbers(tree, b"num_features", leaves)
    features = _numbers(tree, b"leaf_features")
    _check_range(features, n_features, "feature")
    fits = min(counts) >= 0 and sum(counts) == len(features)
    require(fits, "num_features and leaf_features of a LightGBM model differ")
    for name, count in ((b"leaf_coeff", len(features)), (b"leaf_const", leaves)):
        tokens = tree[name].split()
        fits = len(tokens) == count and all(map(_NUMBER.fullmatch, tokens))
        require(fits, f"{name.decode()} of a tree of a LightGBM model is not {count:,} numbers")


def _check_range(numbers: list[int], bound: int, what: str) -> None:
    for number in numbers:
        if not 0 <= number < bound:
            raise InvariantError(f"a tree reads {what} {number:,}, but there are only {bound:,}")


def _check_children(children: list[int], leaves: int) -> None:
    for node, child in enumerate(children):
        if not (node < child < leaves - 1 or -leaves <= child < 0):
            raise InvariantError(
                f"node {node:,} of a tree has the child {child:,}, but children follow their "
                f"parent, and the tree has {leaves:,} leaves"
            )


def _check_categories(tree: Lines, leaves: int) -> None:
    kinds = _numbers(tree, b"decision_type", leaves - 1) if leaves > 1 else []
    count = _number(tree, b"num_cat")
    thresholds = tree.get(b"threshold", b"").split()
    chosen = [text for text, kind in zip(thresholds, kinds, strict=True) if kind & 1]
    _check_range(_parsed(b" ".join(chosen)), count, "the set of categories")
    require(count >= 0, "a tree of a LightGBM model has a negative number of sets of categories")
    if not count:
        return
    bounds = _numbers(tree, b"cat_boundaries", count + 1)
    known = len(tree.get(b"cat_threshold", b"").split())
    fits = bounds[0] == 0 and bounds == sorted(bounds) and bounds[-1] <= known
    require(
        fits, "the sets of categories of a LightGBM model are not at the offsets of cat_boundaries"
    )


def _number(lines: Lines, name: bytes) -> int:
    return _numbers(lines, name, 1)[0]


def _numbers(lines: Lines, name: bytes, count: int | None = None) -> list[int]:
    found = _parsed(lines.get(name, b""))
    if count is not None and len(found) != count:
        raise InvariantError(
            f"a LightGBM model has {len(found):,} of {name.decode()}, not {count:,}"
        )
    return found


def _parsed(text: bytes) -> list[int]:
    try:
        found = [int(word) for word in text.split()] if _NUMBERS.fullmatch(text) else [int(b"")]
    except ValueError:
        raise InvariantError("a LightGBM model has text where numbers belong") from None
    fits = max(found, default=0) < 2**31
    require(fits, "a LightGBM model has a number of more than 32 bits")
    return found
