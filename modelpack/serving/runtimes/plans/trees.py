"""Decision trees and their traversal."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from .blocks import BEYOND_EXACT, dense
from .compiler import Compiler, Compilers, Part, UnplannedError, copy_with, nameless
from .records import is_record
from .sparse import is_sparse
from .traversal import Traversal, Tree, Walk, splits_of, tree_of

Function = Callable[[Any], np.ndarray]


def tree_classifier(model: Any, compiler: Compiler) -> Part:
    require_one_output(model)
    classes, tree, rows_of = model.classes_, tree_of(model), reader(model, compiler)
    table = class_probabilities(model, tree, compiler)

    def predict(block: Any) -> np.ndarray:
        return np.asarray(classes.take(np.argmax(tree.predict(rows_of(block)), axis=1), axis=0))

    def proba(block: Any) -> np.ndarray:
        return np.asarray(table.take(tree.apply(rows_of(block)), axis=0))

    return {"predict": predict, "predict_proba": proba}


def tree_regressor(model: Any, compiler: Compiler) -> Part:
    is_single = has_one_output(model)
    tree, rows_of = tree_of(model), reader(model, compiler)

    def predict(block: Any) -> np.ndarray:
        values = tree.predict(rows_of(block))
        return np.asarray(values[:, 0] if is_single else values[:, :, 0])

    return {"predict": predict}


def require_one_output(model: Any) -> None:
    """Raise UnplannedError unless the model has one output."""
    if model.n_outputs_ != 1:
        raise UnplannedError("the model has several outputs")


def has_one_output(model: Any) -> bool:
    """Return whether a regressor has one output.

    Raises:
        UnplannedError: An estimator of scikit-learn has several. It predicts without a plan.
    """
    if not is_record(model):
        require_one_output(model)
    return bool(model.n_outputs_ == 1)


def reader(tree: Any, compiler: Compiler) -> Function:
    """Return a function that converts a block to float32 rows for the fitted `tree`.

    It raises FallbackRequiredError if the tree would reject the rows.
    """
    width = tree.tree_.n_features
    is_rejected = np.isinf if accepts_nan(tree, compiler, check_input=True) else _is_not_finite

    def rows_of(block: Any) -> np.ndarray:
        rows = float32_rows(block, width)
        if is_rejected(rows).any():
            raise FallbackRequiredError
        return rows

    return rows_of


def _is_not_finite(rows: np.ndarray) -> np.ndarray:
    return np.asarray(~np.isfinite(rows))


def accepts_nan(model: Any, compiler: Compiler, **options: bool) -> bool:
    """Return whether a fitted tree or forest accepts missing values.

    Trees accept them since scikit-learn 1.3, forests since 1.4. `options` are those of the check.
    """
    if is_record(model):
        return _accepts_nan_by_release(model, compiler)
    try:
        nameless(model)._validate_X_predict(np.full((1, _width(model)), np.nan), **options)
    except ValueError:
        return False
    return True


CRITERIA = {"gini", "log_loss", "entropy", "squared_error", "friedman_mse", "poisson"}
"""Criteria that supported missing values before scikit-learn 1.9."""


def _accepts_nan_by_release(model: Any, compiler: Compiler) -> bool:
    is_forest = hasattr(model, "estimators_")
    tree = model.estimators_[0] if is_forest else model
    if not compiler.since(1, 4 if is_forest else 3):
        return False
    is_extra = type(tree).__name__.startswith("ExtraTree")
    if compiler.since(1, 9):
        return not is_extra or tree.splitter == "random"
    if not compiler.since(1, 6):
        splitters = {"best"}
    else:
        splitters = {"random"} if is_extra else {"best", "random"}
    is_constrained = getattr(tree, "monotonic_cst", None) is not None
    return tree.splitter in splitters and tree.criterion in CRITERIA and not is_constrained


def _width(model: Any) -> int:
    first = model.estimators_[0] if hasattr(model, "estimators_") else model
    return int(first.tree_.n_features)


def class_probabilities(estimator: Any, tree: Any, compiler: Compiler) -> np.ndarray:
    """Return the probabilities of classes at each node, (n_nodes, n_classes).

    Since scikit-learn 1.4 they are the values of the tree, without a copy. Earlier releases divide
    the values by their sums.
    """
    values = np.asarray(tree.value)[:, 0, : estimator.n_classes_]
    if is_record(estimator):
        return values if compiler.since(1, 4) else _divided(values)
    row = np.zeros((1, tree.n_features), np.float32)
    table = np.asarray(
        copy_with(estimator, tree_=_TreeValues(values)).predict_proba(row, check_input=False)
    )
    return values if np.array_equal(table, values) else table


def _divided(values: np.ndarray) -> np.ndarray:
    """Divide the values of each node by their sum."""
    table = np.array(values)
    sums = table.sum(axis=1)
    sums[sums == 0] = 1
    table /= sums[:, np.newaxis]
    return table


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


FEW_COMPARISONS = 1 << 14
"""Number of comparisons up to which compiled code of scikit-learn takes less time than numpy."""


def traverse(trees: Any, scale: float = 1.0) -> Walk:
    """Return a function that traverses all trees in one call.

    It gets finite float32 rows; that of records also accepts missing values.

    Args:
        trees: Objects with a `tree_` of one output, (n, n_columns). Each is added to its column.
        scale: Factor of the values of the leaves.

    Raises:
        UnplannedError: This release of scikit-learn lacks the code.
    """
    estimators, scale = np.asarray(trees, object), float(scale)
    fitted = [tree_of(each) for each in estimators.ravel()]
    is_of_record = isinstance(fitted[0], Tree)
    if not is_of_record and sum(nodes_of(tree).nbytes for tree in fitted) > MAX_COPIED:
        return by_stages(estimators, scale)
    traversal = Traversal([splits_of(tree) for tree in fitted], np.float32)
    values = [np.asarray(tree.value)[:, 0, 0] for tree in fitted]
    walk = traversal.walk(values, estimators.shape[1], scale)
    return walk if is_of_record else by_count(by_stages(estimators, scale), walk, traversal)


def by_stages(estimators: np.ndarray, scale: float = 1.0) -> Walk:
    """Return a function that adds up trees by the compiled code of gradient boosting.

    It takes a tenth of the time of one call per tree.

    Raises:
        UnplannedError: This release of scikit-learn lacks the code.
    """
    try:
        from sklearn.ensemble._gradient_boosting import predict_stages  # noqa: PLC0415
    except ImportError as error:
        raise UnplannedError("this scikit-learn traverses its trees in an unknown way") from error

    def add(rows: np.ndarray, sums: np.ndarray) -> None:
        predict_stages(estimators, rows, scale, sums)

    return add


def by_count(
    compiled: Callable[..., Any], by_numpy: Callable[..., Any], traversal: Traversal
) -> Callable[..., Any]:
    """Return a function that calls the faster of two functions for the number of rows."""

    def call(rows: np.ndarray, *others: Any) -> Any:
        is_quick = len(rows) <= traversal.quick_rows
        if is_quick or len(rows) * traversal.comparisons > FEW_COMPARISONS:
            return by_numpy(rows, *others)
        return compiled(rows, *others)

    return call


def nodes_of(tree: Any) -> np.ndarray:
    """Return the nodes of a fitted tree."""
    return np.asarray(tree.nodes if isinstance(tree, Tree) else tree.__getstate__()["nodes"])


def build_tree(
    width: int, nodes: np.ndarray, depth: int, values: np.ndarray, is_of_record: bool = False
) -> Any:
    """Build an object with a `tree_` of `width` features, from nodes and one value per node."""
    if is_of_record:
        return SimpleNamespace(tree_=Tree(width, nodes, values.reshape((-1, 1, 1))))
    from sklearn.tree import _tree  # noqa: PLC0415 - absent for records

    tree = _tree.Tree(width, np.array([1], np.intp), 1)
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
    if is_sparse(block):
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


COMPILERS: Compilers = {
    "DecisionTreeClassifier": tree_classifier,
    "DecisionTreeRegressor": tree_regressor,
    "ExtraTreeClassifier": tree_classifier,
    "ExtraTreeRegressor": tree_regressor,
}
