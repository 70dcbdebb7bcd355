"""Checks of the trees in ONNX models: feature indices and depth.

onnxruntime reads the features of a row by index, without a check against the width of the row. It
builds trees by recursion, so a deep tree overflows the stack and ends the process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from math import prod

from .. import limits
from ..facts.signature import MAX_INPUTS
from ..invariants import CODE
from ..nodes import require
from .onnx_graph import Constant, Model, Operator

_TREES = {"TreeEnsembleRegressor", "TreeEnsembleClassifier", "TreeEnsemble"}
_STANDARD = {"", "ai.onnx", "ai.onnx.ml"}
_WIDTH_KEEPING = {
    "Binarizer", "Cast", "Identity", "Imputer", "LabelEncoder", "Normalizer", "Scaler",
}  # fmt: skip
_ARITHMETIC = {"Add", "Div", "Mul", "Sub"}
_LAST_AXIS = {1, -1}
_MATRIX = _TWO = 2
_MAX_STEPS = 16
Children = Mapping[int, Iterable[int]]


def check(model: Model, widths: Mapping[str, int | None]) -> int:
    """Check all trees. `widths`: of the inputs, None if the file does not fix them.

    Returns:
        The number of columns that trees read from an input of unknown width.

    Raises:
        Malformed: A tree uses a feature that rows do not have, or is too deep.
    """
    known, needed = _Widths(model, widths), 0
    for operator in model.operators:
        attribute = operator.attributes.get("nodes_featureids")
        if operator.kind not in _TREES or attribute is None:
            continue
        require(not operator.nested, "a tree of the ONNX model is in a function or in the graph of "
                "another operator, where the width of its rows is unknown", CODE)  # fmt: skip
        width = known.find(operator.inputs[0], 0) if operator.inputs else None
        features = attribute.integers
        fits = max(features, default=0) < (MAX_INPUTS if width is None else width)
        message = "a tree of the ONNX model uses a feature that does not exist"
        require(fits and min(features, default=0) >= 0, message, CODE)
        if width is None and operator.inputs and known.is_input(operator.inputs[0]):
            needed = max(needed, max(features, default=-1) + 1)
        for children in _trees(operator, len(features)):
            _check_depth(children)
    return needed


class _Widths:
    """The widths of values inside the graph, as far as simple operators determine them.

    A value of known width is a matrix or a list: operators that may return anything else have no
    width here. Widths are those of onnxruntime, which fails at other shapes.
    """

    def __init__(self, model: Model, widths: Mapping[str, int | None]) -> None:
        self._inputs = set(widths)
        self._known = dict(widths)
        self._own = model.own
        self._constants = {} if model.sparse else model.constants
        self._producers = {
            output: op for op in model.operators if not op.nested for output in op.outputs
        }

    def find(self, name: str, steps: int) -> int | None:
        if name not in self._known:
            self._known[name] = None  # ends cycles
            producer = self._producers.get(name)
            if producer and steps < _MAX_STEPS and producer.domain in _STANDARD - self._own:
                self._known[name] = self._through(producer, steps + 1)
        return self._known[name]

    def is_input(self, name: str) -> bool:
        """Return whether a value has the columns of an input of the graph."""
        for _ in range(_MAX_STEPS):
            producer = self._producers.get(name)
            if name in self._inputs or producer is None:
                break
            is_standard = producer.domain in _STANDARD - self._own
            if not (is_standard and producer.kind in _WIDTH_KEEPING and producer.inputs):
                return False
            name = producer.inputs[0]
        return name in self._inputs

    def _through(self, producer: Operator, steps: int) -> int | None:
        if producer.kind in _COMPUTED:
            return _computed(producer)
        if producer.kind == "Concat":
            parts = [self.find(part, steps) for part in producer.inputs]
            is_known = _has_last_axis(producer) and None not in parts
            return sum(part or 0 for part in parts) if is_known else None
        if producer.kind in _ARITHMETIC and len(producer.inputs) == _TWO:
            return self._broadcast(producer.inputs[0], producer.inputs[1], steps)
        if len(producer.inputs) == _TWO:
            return self._with_constant(producer, steps)
        keeps = producer.kind in _WIDTH_KEEPING and producer.inputs
        return self.find(producer.inputs[0], steps) if keeps else None

    def _broadcast(self, first: str, second: str, steps: int) -> int | None:
        """Return the width of a value that is combined with a constant, element by element."""
        if self._constant(second) is None:
            first, second = second, first
        constant = self._constant(second)
        width = self.find(first, steps) if constant and len(constant.dims) <= _MATRIX else None
        return constant.dims[-1] if constant and constant.dims and width == 1 else width

    def _with_constant(self, producer: Operator, steps: int) -> int | None:
        """Return the width of a value whose shape or columns a constant determines."""
        constant = self._constant(producer.inputs[1])
        if constant is None:
            return None
        if producer.kind == "Reshape":
            is_matrix = len(constant.integers) == _MATRIX and constant.integers[1] > 0
            return constant.integers[1] if is_matrix else None
        is_gather = producer.kind == "Gather" and _has_last_axis(producer)
        selects = producer.kind == "ArrayFeatureExtractor" or (
            is_gather and len(constant.dims) == 1
        )
        is_known = selects and self.find(producer.inputs[0], steps) is not None
        return prod(constant.dims) if is_known else None

    def _constant(self, name: str) -> Constant | None:
        return None if name in self._producers else self._constants.get(name)


_COMPUTED = {"FeatureVectorizer": "inputdimensions", "TfIdfVectorizer": "ngram_indexes"}
"""Operator -> the attribute that determines the width of its output, whatever its input is."""


def _computed(producer: Operator) -> int | None:
    attribute = producer.attributes.get(_COMPUTED[producer.kind])
    numbers = attribute.integers if attribute else []
    if not numbers or min(numbers) < 0:
        return None
    return max(numbers) + 1 if producer.kind == "TfIdfVectorizer" else sum(numbers)


def _has_last_axis(producer: Operator) -> bool:
    axis = producer.attributes.get("axis")
    return axis is not None and axis.integer in _LAST_AXIS


def _trees(operator: Operator, count: int) -> Iterator[Children]:
    """Yield node -> its children, for each tree with enough nodes to be too deep."""
    if count <= limits.TREE_DEPTH:
        return
    numbers = {
        name: operator.attributes[f"nodes_{name}"].integers
        for name in ("nodeids", "treeids", "truenodeids", "falsenodeids", "trueleafs", "falseleafs")
        if f"nodes_{name}" in operator.attributes
    }
    nodes = numbers.get("nodeids", range(count))  # since version 5, nodes are numbered in order
    trees = numbers.get("treeids", [0] * count)
    sides = numbers.get("truenodeids", []), numbers.get("falsenodeids", [])
    leaves = numbers.get("trueleafs", [0] * count), numbers.get("falseleafs", [0] * count)
    lists = (nodes, trees, *sides, *leaves)
    require({len(each) for each in lists} == {count}, "the lists of a tree of the ONNX model "
            "differ in length", CODE)  # fmt: skip
    modes = operator.attributes.get("nodes_modes")
    kinds = modes.texts if modes and "nodeids" in numbers else ["BRANCH"] * count
    require(len(kinds) == count, "a node of a tree of the ONNX model has no mode", CODE)
    deep = {tree for tree, size in Counter(trees).items() if size > limits.TREE_DEPTH}
    nodes_by_tree: dict[int, dict[int, list[int]]] = {tree: {} for tree in deep}
    for node, tree, true, false, no_true, no_false, kind in zip(*lists, kinds, strict=True):
        if tree in deep:
            both = ((true, no_true), (false, no_false)) if kind != "LEAF" else ()
            nodes_by_tree[tree][node] = [child for child, is_leaf in both if not is_leaf]
    yield from nodes_by_tree.values()


def _check_depth(children: Children) -> None:
    """Remove the nodes without parents, level by level. Nodes may share children."""
    parents = Counter(child for each in children.values() for child in set(each))
    level = [node for node in children if not parents[node]]
    depth = 0
    while level:
        require(depth <= limits.TREE_DEPTH, "a tree of the ONNX model is deeper than "
                f"{limits.TREE_DEPTH:,} levels", "limit")  # fmt: skip
        below = []
        for node in level:
            for child in set(children.get(node, ())):
                parents[child] -= 1
                below += [child] if not parents[child] else []
        level, depth = below, depth + 1
    require(not any(parents.values()), "a tree of the ONNX model contains a cycle", CODE)
