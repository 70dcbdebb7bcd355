"""Support vector machines.

libsvm takes the sizes of all of its arrays from the number of classes and of support vectors:
sklearn/svm/src/libsvm/libsvm_helper.c, `set_model`, and libsvm_sparse_helper.c.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..arrays import view
from ..contracts import class_key
from ..nodes import Node, Obj
from .integers import within
from .objects import attributes, integer, require, stored
from .scans import Scan, scan
from .sparse import is_sparse, shape_of_sparse

_IMPLEMENTATIONS = {
    "SVC": "c_svc", "NuSVC": "nu_svc", "SVR": "epsilon_svr", "NuSVR": "nu_svr",
    "OneClassSVM": "one_class",
}  # fmt: skip


def classifier(made: Obj) -> Iterator[Scan]:
    return _machine(made, is_classifier=True)


def regressor(made: Obj) -> Iterator[Scan]:
    return _machine(made, is_classifier=False)


def _machine(made: Obj, *, is_classifier: bool) -> Iterator[Scan]:
    state = attributes(made)
    if state.get("support_") is None:
        return
    # An attribute of objects up to scikit-learn 0.19, and of their class since.
    own = _IMPLEMENTATIONS.get(class_key(made).rpartition(":")[2])
    other = state.get("_impl", own) != own or not own
    require(not other, "a support vector machine says that it is another")
    support = stored(state["support_"], "the numbers of the support vectors")
    support.expect({"i4"}, None)
    counts = [_counts(state[name]) for name in ("_n_support", "n_support_") if name in state]
    require(bool(counts), "a support vector machine does not tell its support vectors")
    for numbers in counts:
        if is_classifier:
            fits = min(numbers) >= 0 and sum(numbers) == support.size
            require(fits, "the classes of a support vector machine have not the vectors it has")
        _sizes(state, len(numbers), support.size)
    samples = state.get("shape_fit_")
    bound = integer(samples[0]) if isinstance(samples, tuple) and samples else None
    yield scan(support, within(support, bound or 0))


def _counts(node: Node) -> list[int]:
    """The support vectors of each class; two numbers where there are no classes."""
    array = view(node)
    values = array.values() if array and len(array.shape) == 1 else None
    counts = [n for n in values or () if type(n) is int]
    require(len(counts) > 1, "a support vector machine does not tell its support vectors")
    return counts


def _sizes(state: dict[str, Node], n_classes: int, n_vectors: int) -> None:
    pairs = n_classes * (n_classes - 1) // 2
    coefficients = state.get("_dual_coef_")
    require(
        _shape(coefficients) == (n_classes - 1, n_vectors)
        and _stored_values(coefficients) == (n_classes - 1) * n_vectors,
        "a support vector has no coefficients",
    )
    vectors, kernel = _shape(state.get("support_vectors_")), state.get("kernel")
    is_computed = kernel == "precomputed" or not isinstance(kernel, str)
    require(is_computed or vectors[0] == n_vectors, "a support vector machine lacks vectors")
    stored(state.get("_intercept_"), "the intercepts").expect({"f8"}, pairs)
    for name in ("_probA", "_probB", "probA_", "probB_"):
        if name in state:
            size = stored(state[name], "the coefficients of probabilities").size
            require(size in (0, pairs), "pairs of classes have no coefficients of probabilities")


def _stored_values(node: Node) -> int:
    """How many; libsvm reads sparse coefficients as if they were dense."""
    data = attributes(node).get("data") if is_sparse(node) else node
    return stored(data, "the coefficients of a support vector machine").size


def _shape(node: Node) -> tuple[int, ...]:
    """Of a table, dense or sparse."""
    if is_sparse(node):
        return shape_of_sparse(node)
    array = stored(node, "the vectors of a support vector machine")
    require(len(array.shape) == 2, "the vectors of a support vector machine are no table")
    return array.shape
