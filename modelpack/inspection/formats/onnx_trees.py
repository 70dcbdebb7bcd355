"""The trees of ONNX models: which features they look up, and how deep they are.

onnxruntime reads features of a row by number, and does not compare the number with the width of the
row. It builds a tree by recursion, which ends the process where the stack ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from .. import limits
from ..invariants import CODE
from ..nodes import require
from .onnx_graph import Model, Operator

_TREES = {"TreeEnsembleRegressor", "TreeEnsembleClassifier", "TreeEnsemble"}
_STANDARD = {"", "ai.onnx", "ai.onnx.ml"}
_AS_WIDE = {"Identity", "Cast", "Scaler", "Imputer", "Normalizer", "Binarizer"}
_LAST_AXIS = {1, -1}
_MAX_STEPS = 16
_MAX_FEATURES = 100_000
"""Where the width of rows is unknown. Models of texts, the widest, look up tens of thousands."""

Children = Mapping[int, Iterable[int]]


def check(model: Model, widths: Mapping[str, int | None]) -> None:
    """Check all trees. `widths`: of the inputs, None where the file does not tell.

    Raises:
        Malformed: A tree asks for a feature that rows do not have, or is too deep.
    """
    known = _Widths(model, widths)
    for operator in model.operators:
        asked = operator.attributes.get("nodes_featureids")
        if operator.kind not in _TREES or asked is None:
            continue
        require(not operator.nested, "a tree of the ONNX model stands in a function or in a graph "
                "of another operator, where the width of its rows is unknown", CODE)  # fmt: skip
        width = known.of(operator.inputs[0], 0) if operator.inputs else None
        features = asked.integers
        fits = max(features, default=0) < (_MAX_FEATURES if width is None else width)
        message = "a tree of the ONNX model asks for a feature that there is not"
        require(fits and min(features, default=0) >= 0, message, CODE)
        for children in _trees(operator, len(features)):
            _check_depth(children)


class _Widths:
    """The columns of the values inside the graph, as far as few operators tell."""

    def __init__(self, model: Model, widths: Mapping[str, int | None]) -> None:
        self._known = dict(widths)
        self._own = model.own
        self._makers = {
            output: op for op in model.operators if not op.nested for output in op.outputs
        }

    def of(self, name: str, steps: int) -> int | None:
        if name not in self._known:
            self._known[name] = None  # of what leads back to itself
            maker = self._makers.get(name)
            if maker and steps < _MAX_STEPS and maker.domain in _STANDARD - self._own:
                self._known[name] = self._through(maker, steps + 1)
        return self._known[name]

    def _through(self, maker: Operator, steps: int) -> int | None:
        if maker.kind in _AS_WIDE and maker.inputs:
            return self.of(maker.inputs[0], steps)
        axis = maker.attributes.get("axis")
        if maker.kind != "Concat" or axis is None or axis.integer not in _LAST_AXIS:
            return None
        parts = [self.of(part, steps) for part in maker.inputs]
        return None if None in parts else sum(part or 0 for part in parts)


def _trees(operator: Operator, count: int) -> Iterator[Children]:
    """The children of the nodes, tree by tree, of those with enough nodes to be deep."""
    if count <= limits.TREE_DEPTH:
        return
    told = {
        name: operator.attributes[f"nodes_{name}"].integers
        for name in ("nodeids", "treeids", "truenodeids", "falsenodeids", "trueleafs", "falseleafs")
        if f"nodes_{name}" in operator.attributes
    }
    nodes = told.get("nodeids", range(count))  # since version 5 they are numbered in their order
    trees = told.get("treeids", [0] * count)
    sides = told.get("truenodeids", []), told.get("falsenodeids", [])
    leaves = told.get("trueleafs", [0] * count), told.get("falseleafs", [0] * count)
    lists = (nodes, trees, *sides, *leaves)
    require({len(each) for each in lists} == {count}, "the lists of a tree of the ONNX model "
            "differ in length", CODE)  # fmt: skip
    modes = operator.attributes.get("nodes_modes")
    kinds = modes.texts if modes and "nodeids" in told else ["BRANCH"] * count
    require(len(kinds) == count, "a node of a tree of the ONNX model has no mode", CODE)
    deep = {tree for tree, size in Counter(trees).items() if size > limits.TREE_DEPTH}
    found: dict[int, dict[int, list[int]]] = {tree: {} for tree in deep}
    for node, tree, true, false, no_true, no_false, kind in zip(*lists, kinds, strict=True):
        if tree in deep:
            both = ((true, no_true), (false, no_false)) if kind != "LEAF" else ()
            found[tree][node] = [child for child, is_leaf in both if not is_leaf]
    yield from found.values()


def _check_depth(children: Children) -> None:
    """Take nodes off the tree that have no parents any more. Nodes may share children."""
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
    require(not any(parents.values()), "a tree of the ONNX model leads back to itself", CODE)
