"""Decision trees, their traversal, isolation forests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Sequence

import numpy as np
from scipy.sparse import issparse  # type: ignore[import-untyped]

from ...data.columns import FallbackRequiredError
from .blocks import BEYOND_EXACT, dense
from .compiler import Compiler, Compilers, Part, UnplannedError, copy_with, nameless

Function = Callable[[Any], np.ndarray]


def tree_classifier(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    require_one_output(model)
    classes, tree, rows_of = model.classes_, model.tree_, reader(model)
    table = class_probabilities(model)

    def predict(block: Any) -> np.ndarray:
        return np.asarray(classes.take(np.argmax(tree.predict(rows_of(block)), axis=1), axis=0))

    def proba(block: Any) -> np.ndarray:
        return np.asarray(table.take(tree.apply(rows_of(block)), axis=0))

    return {"predict": predict, "predict_proba": proba}


def tree_regressor(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    require_one_output(model)
    tree, rows_of = model.tree_, reader(model)

    def predict(block: Any) -> np.ndarray:
        return np.asarray(tree.predict(rows_of(block))[:, 0])

    return {"predict": predict}


def require_one_output(model: Any) -> None:
    """Raise UnplannedError unless the model has one output."""
    if model.n_outputs_ != 1:
        raise UnplannedError("the model has several outputs")


def reader(tree: Any) -> Function:
    """Return a function that converts a block to float32 rows for the fitted `tree`.

    It raises FallbackRequiredError if the tree would reject the rows.
    """
    width = tree.tree_.n_features
    is_rejected = np.isinf if accepts_nan(tree, check_input=True) else _is_not_finite

    def rows_of(block: Any) -> np.ndarray:
        rows = float32_rows(block, width)
        if is_rejected(rows).any():
            raise FallbackRequiredError
        return rows

    return rows_of


def _is_not_finite(rows: np.ndarray) -> np.ndarray:
    return np.asarray(~np.isfinite(rows))


def accepts_nan(model: Any, **options: bool) -> bool:
    """Return whether a fitted tree or forest accepts missing values.

    Trees accept them since scikit-learn 1.3, forests since 1.4. `options` are those of the check.
    """
    try:
        nameless(model)._validate_X_predict(np.full((1, _width(model)), np.nan), **options)
    except ValueError:
        return False
    return True


def _width(model: Any) -> int:
    first = model.estimators_[0] if hasattr(model, "estimators_") else model
    return int(first.tree_.n_features)


def class_probabilities(tree: Any) -> np.ndarray:
    """Return the probabilities of classes at each node, (n_nodes, n_classes).

    Since scikit-learn 1.4 they are the values of the tree, without a copy. Earlier releases divide
    the values by their sums.
    """
    values = np.asarray(tree.tree_.value)[:, 0, : tree.n_classes_]
    row = np.zeros((1, tree.tree_.n_features), np.float32)
    table = np.asarray(
        copy_with(tree, tree_=_TreeValues(values)).predict_proba(row, check_input=False)
    )
    return values if np.array_equal(table, values) else table


class _TreeValues:
    """Replacement of a tree that returns the values of all nodes."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def predict(self, rows: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return np.array(self._values)


MAX_COPIED = 32 << 20
"""Bytes of trees that may be copied, so that a plan adds little to the memory of its model."""

MAX_DENSE = 1 << 22
"""Values of a sparse matrix that may be converted to a dense one."""

Walk = Callable[[np.ndarray, np.ndarray], None]
"""Function that adds the values of the leaves to sums, in the order of the trees.

It gets finite float32 rows (n_rows, n_features) and float64 sums (n_rows, n_columns) in C order.
"""


def traverse(trees: Any, scale: float = 1.0) -> Walk:
    """Return a function that traverses all trees in one call.

    It uses the compiled code of gradient boosting, which takes a tenth of the time of one call per
    tree.

    Args:
        trees: Objects with a `tree_` of one output, (n, n_columns). Each is added to its column.
        scale: Factor of the values of the leaves.

    Raises:
        UnplannedError: This release of scikit-learn lacks the code.
    """
    try:
        from sklearn.ensemble._gradient_boosting import predict_stages  # noqa: PLC0415
    except ImportError as error:
        raise UnplannedError("this scikit-learn traverses its trees in an unknown way") from error
    estimators, scale = np.asarray(trees, object), float(scale)

    def add(rows: np.ndarray, sums: np.ndarray) -> None:
        predict_stages(estimators, rows, scale, sums)

    return add


def build_tree(width: int, nodes: np.ndarray, depth: int, values: np.ndarray) -> Any:
    """Build an object with a `tree_` of `width` features, from nodes and one value per node."""
    from sklearn.tree._tree import Tree  # noqa: PLC0415

    tree = Tree(width, np.array([1], np.intp), 1)
    tree.__setstate__(
        {
            "max_depth": depth,
            "node_count": len(nodes),
            "nodes": nodes,
            "values": np.ascontiguousarray(values, np.float64).reshape(-1, 1, 1),
        }
    )
    return SimpleNamespace(tree_=tree)


def node_dtype() -> np.dtype[Any]:
    """Return the dtype of the nodes of a tree in this release of scikit-learn."""
    from sklearn.tree._tree import Tree  # noqa: PLC0415

    return np.asarray(Tree(1, np.array([1], np.intp), 1).__getstate__()["nodes"]).dtype


def width_of(model: Any) -> int:
    """Return the number of features; its attribute has another name before scikit-learn 0.24."""
    has_new_name = hasattr(model, "n_features_in_")
    return int(model.n_features_in_ if has_new_name else model.n_features_)


def matrix(block: Any, width: int) -> np.ndarray:
    """Return `block` as an array (n_rows, width).

    Raises:
        FallbackRequiredError: It has another shape, or values that float64 cannot represent.
    """
    rows = _stacked(block) if isinstance(block, list) else block
    if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
        raise FallbackRequiredError
    return np.asarray(rows)


def _stacked(columns: Sequence[np.ndarray]) -> np.ndarray:
    kinds = {column.dtype.kind for column in columns}
    if not kinds <= set("fib"):
        raise FallbackRequiredError
    rows = np.array(columns, np.float64)
    if "i" in kinds and (np.abs(rows) >= BEYOND_EXACT).any():
        raise FallbackRequiredError
    return np.asarray(rows.T)


def float32_rows(block: Any, width: int) -> np.ndarray:
    """Convert `block` to float32 (n_rows, width) in C order; large values become infinite.

    Raises:
        FallbackRequiredError: See `matrix`; or a sparse matrix has a value that is not finite.
    """
    if issparse(block):
        all_finite(block.data)  # only dense rows may have missing values
        block = _dense(block)
    with np.errstate(over="ignore"):
        return matrix(block, width).astype(np.float32, order="C")


def all_finite(rows: np.ndarray) -> np.ndarray:
    """Return `rows` if all values are finite, however large.

    Raises:
        FallbackRequiredError: A value is missing or infinite.
    """
    if not np.isfinite(rows).all():
        raise FallbackRequiredError
    return rows


def _dense(block: Any) -> np.ndarray:
    """Convert a sparse matrix to a dense one. The predictions of trees are the same for both.

    Raises:
        FallbackRequiredError: The dense matrix would need too much memory.
    """
    if block.shape[0] * block.shape[1] > MAX_DENSE:
        raise FallbackRequiredError
    return dense(block)


def isolation_forest(model: Any, compiler: Compiler) -> Part:
    width = width_of(model)
    trees = [_lengths(tree.tree_, used, width) for tree, used in _drawn(model, width)]
    add, offset = traverse([[tree] for tree in trees]), model.offset_
    usual = len(trees) * _average_length([model.max_samples_])
    if not usual.all():
        raise UnplannedError("the model was fitted on a single row")

    def decide(block: Any) -> np.ndarray:
        rows = all_finite(float32_rows(block, width))
        lengths = np.zeros((len(rows), 1))
        add(rows, lengths)
        scores = 2 ** (-lengths.ravel() / usual)
        return np.asarray(-scores - offset)

    is_old = getattr(model, "behaviour", "new") == "old" and not compiler.since(0, 22)
    threshold = model.threshold_ if is_old else 0

    def predict(block: Any) -> np.ndarray:
        return np.asarray(np.where(decide(block) < threshold, -1, 1))

    return {"predict": predict, "decision_function": decide}


def _drawn(model: Any, width: int) -> list[tuple[Any, np.ndarray]]:
    """Return each tree with its features. Raise UnplannedError if they are too large for a copy."""
    if sum(tree.tree_.__getstate__()["nodes"].nbytes for tree in model.estimators_) > MAX_COPIED:
        raise UnplannedError("the model is too large")
    all_features = np.arange(width)
    return [
        (tree, all_features if tree.tree_.n_features == width else np.asarray(used))
        for tree, used in zip(model.estimators_, model.estimators_features_)
    ]


def _lengths(tree: Any, used: np.ndarray, width: int) -> Any:
    """Return a copy of a tree whose values are the lengths of paths.

    A leaf with several rows of the training adds the average length of a tree of so many rows.
    """
    state = tree.__getstate__()
    nodes, is_inner = state["nodes"].copy(), state["nodes"]["left_child"] >= 0
    nodes["feature"][is_inner] = used[nodes["feature"][is_inner]]
    lengths = _steps(nodes) + _average_length(tree.n_node_samples) - 1.0
    return build_tree(width, nodes, state["max_depth"], lengths)


def _steps(nodes: np.ndarray) -> np.ndarray:
    """Return the number of nodes on the path from the root to each node, both included."""
    steps, level, step = np.zeros(len(nodes)), np.zeros(1, np.intp), 1
    while len(level):
        steps[level] = step
        inner = nodes[level[nodes["left_child"][level] >= 0]]
        level, step = np.concatenate([inner["left_child"], inner["right_child"]]), step + 1
    return steps


def _average_length(counts: Any) -> np.ndarray:
    """Return the average lengths of paths in trees of so many rows, by the installed release."""
    try:
        from sklearn.ensemble._iforest import _average_path_length  # noqa: PLC0415
    except ImportError as error:
        raise UnplannedError("this scikit-learn measures paths in an unknown way") from error
    return np.asarray(_average_path_length(counts))


COMPILERS: Compilers = {
    "DecisionTreeClassifier": tree_classifier,
    "DecisionTreeRegressor": tree_regressor,
    "ExtraTreeClassifier": tree_classifier,
    "ExtraTreeRegressor": tree_regressor,
    "IsolationForest": isolation_forest,
}
