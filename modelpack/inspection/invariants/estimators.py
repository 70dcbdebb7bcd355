"""Checks of SVMs, clusters, encoders, splines and vectorizers.

libsvm derives the sizes of all of its arrays from the numbers of classes and support vectors, and
does not compare them with the arrays. See sklearn/svm/src/libsvm/libsvm_helper.c, `set_model`, and
libsvm_sparse_helper.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from ..contracts import class_key
from ..nodes import DictNode, Node, ObjectNode
from ..pickle.dtypes import parse
from ..pickle.ndarrays import scalar, view
from .objects import InvariantError, attributes, integer, require, stored_array
from .scan import Rule, Scan, in_range, is_sparse, scan_values, shape_of_sparse

_IMPLEMENTATIONS = {
    "SVC": "c_svc", "NuSVC": "nu_svc", "SVR": "epsilon_svr", "NuSVR": "nu_svr",
    "OneClassSVM": "one_class",
}  # fmt: skip


def classifier(node: ObjectNode) -> Iterator[Scan]:
    return _machine(node, is_classifier=True)


def regressor(node: ObjectNode) -> Iterator[Scan]:
    return _machine(node, is_classifier=False)


def _machine(node: ObjectNode, *, is_classifier: bool) -> Iterator[Scan]:
    state = attributes(node)
    if state.get("support_") is None:
        return
    # An attribute of the object up to scikit-learn 0.19, and of the class since then.
    own = _IMPLEMENTATIONS.get(class_key(node).rpartition(":")[2])
    other = state.get("_impl", own) != own or not own
    require(not other, "it is set to another kind of support vector machine than its class")
    support = stored_array(state["support_"], "the indices of the support vectors")
    support.expect({"i4"}, None)
    counts = [_counts(state[name]) for name in ("_n_support", "n_support_") if name in state]
    require(bool(counts), "the number of its support vectors is missing")
    for numbers in counts:
        if is_classifier:
            fits = min(numbers) >= 0 and sum(numbers) == support.size
            require(fits, "the support vectors of the classes do not add up to all support vectors")
        _sizes(state, len(numbers), support.size)
    samples = state.get("shape_fit_")
    bound = integer(samples[0]) if isinstance(samples, tuple) and samples else None
    yield scan_values(support, in_range(support, bound or 0))


def _counts(node: Node) -> list[int]:
    """Return the number of support vectors of each class; two numbers without classes."""
    array = view(node)
    values = array.values() if array and len(array.shape) == 1 else None
    counts = [n for n in values or () if type(n) is int]
    require(len(counts) > 1, "the number of its support vectors is missing")
    return counts


def _sizes(state: dict[str, Node], n_classes: int, n_vectors: int) -> None:
    pairs = n_classes * (n_classes - 1) // 2
    coefficients = state.get("_dual_coef_")
    require(
        _shape(coefficients) == (n_classes - 1, n_vectors)
        and _stored_values(coefficients) == (n_classes - 1) * n_vectors,
        "its coefficients do not match its support vectors",
    )
    vectors, kernel = _shape(state.get("support_vectors_")), state.get("kernel")
    is_computed = kernel == "precomputed" or not isinstance(kernel, str)
    require(
        is_computed or vectors[0] == n_vectors,
        "a support vector machine does not have all of its vectors",
    )
    stored_array(state.get("_intercept_"), "the intercepts").expect({"f8"}, pairs)
    for name in ("_probA", "_probB", "probA_", "probB_"):
        if name in state:
            size = stored_array(state[name], "the coefficients of probabilities").size
            require(
                size in (0, pairs),
                "its coefficients of probabilities do not match the pairs of classes",
            )


def _stored_values(node: Node) -> int:
    """Return the number of stored coefficients; libsvm reads sparse ones as if they were dense."""
    data = attributes(node).get("data") if is_sparse(node) else node
    return stored_array(data, "the coefficients of a support vector machine").size


def _shape(node: Node) -> tuple[int, ...]:
    """Return the shape of a dense or sparse table."""
    if is_sparse(node):
        return shape_of_sparse(node)
    array = stored_array(node, "the vectors of a support vector machine")
    require(len(array.shape) == 2, "the vectors of a support vector machine are not a table")
    return array.shape


_FLOAT = {"f4", "f8"}


def centres(node: ObjectNode) -> Iterator[Scan]:
    """Clusters: each centre has one column for each feature."""
    state = attributes(node)
    n_features = integer(state.get("n_features_in_"))
    if state.get("cluster_centers_") is not None and n_features is not None:
        stored_array(state["cluster_centers_"], "the centres").expect(_FLOAT, None, n_features)
    yield from ()


def subclusters(node: ObjectNode) -> Iterator[Scan]:
    """Birch: one norm for each centre."""
    state = attributes(node)
    if state.get("subcluster_centers_") is not None:
        centres = stored_array(state["subcluster_centers_"], "the centres")
        centres.expect(_FLOAT, None, integer(state.get("n_features_in_")))
        norms = stored_array(state.get("_subcluster_norms"), "the norms of the centres")
        norms.expect(_FLOAT, centres.shape[0])
    yield from ()


def ellipse(node: ObjectNode) -> Iterator[Scan]:
    """EllipticEnvelope: a centre, and two square matrices with as many columns."""
    state = attributes(node)
    if state.get("location_") is not None:
        centre = stored_array(state["location_"], "the centre")
        centre.expect(_FLOAT, integer(state.get("n_features_in_")))
        for name in ("covariance_", "precision_"):
            if state.get(name) is not None:
                stored_array(state[name], "a matrix of covariances").expect(
                    _FLOAT, *centre.shape * 2
                )
    yield from ()


# A one-hot encoder builds a sparse matrix with `_n_features_outs` columns for each input and the
# numbers of the categories as indices. The compiled routines of scipy read and write at these.
def one_hot(node: ObjectNode) -> Iterator[Scan]:
    state = attributes(node)
    widths, categories = state.get("_n_features_outs"), state.get("categories_")
    if widths is None:  # scikit-learn before 1.1 counts the categories instead
        return
    if not isinstance(widths, list) or not isinstance(categories, list):
        raise InvariantError("a one-hot encoder has no categories")
    dropped = view(state.get("_drop_idx_after_grouping", state.get("drop_idx_")))
    drops = (dropped.values() if dropped else None) or []
    groups = state.get("_default_to_infrequent_mappings") or []
    for columns, values, group, drop in zip_longest(widths, categories, groups, drops):
        count = integer(columns)
        if count is None or values is None or count < _needed(values, group, drop):
            raise InvariantError("a one-hot encoder has more categories than columns")
    yield from ()


def target(node: ObjectNode) -> Iterator[Scan]:
    """`TargetEncoder` allocates all columns and fills one for each of its encodings.

    It would return uninitialized memory for the rest. See
    sklearn/preprocessing/_target_encoder.py, `transform`.
    """
    state = attributes(node)
    encodings, categories = state.get("encodings_"), state.get("categories_")
    if encodings is None:  # not fitted
        return
    if not isinstance(encodings, list) or not isinstance(categories, list):
        raise InvariantError("a target encoder has no encodings")
    n_classes = 1
    if state.get("target_type_") == "multiclass":
        n_classes = stored_array(state.get("classes_"), "the classes of a target encoder").size
    width = integer(state.get("n_features_in_"))
    fits = len(encodings) == len(categories) * n_classes and width in (None, len(categories))
    require(fits, "a target encoder does not have one encoding for each column")
    yield from ()


def _needed(categories: Node, group: Node, drop: Node) -> int:
    """Return the number of columns that an input needs: its highest column plus one."""
    count = stored_array(categories, "the categories of an encoder").size
    array = view(group)
    if array is not None:
        numbers = [n for n in array.values() or [] if type(n) is int]
        count = max(numbers, default=-1) + 1
    return count - 1 if type(drop) is int and 0 <= drop < count else count


def spline(node: ObjectNode) -> Iterator[Scan]:
    if node.states and isinstance(node.states[0], tuple):
        return  # since scipy 1.18 it wraps another spline, which is checked itself
    state = attributes(node)
    knots = stored_array(state.get("_t", state.get("t")), "the knots of a spline")
    rows = stored_array(state.get("_c", state.get("c")), "the coefficients of a spline")
    knots.expect({"f8"}, None)
    degree = integer(state.get("k"))
    if degree is None or not 0 <= degree < knots.size:
        raise InvariantError("a spline has no degree")
    needed = knots.size - degree - 1
    require(needed > degree, "a spline has fewer knots than its degree needs")
    require(rows.shape[:1] >= (needed,), "a spline has fewer coefficients than its knots need")
    yield from ()


# A vectorizer builds a sparse matrix with one column for each term of its vocabulary and the values
# of the vocabulary as indices. The compiled routines of scipy read and write at these.
_PLAIN = (str, bytes, float)
"""Types of keys that are hashed here: at most 33 floats have the same hash value."""

_BITS = 61
"""Shorter integers have distinct hash values; any number of longer ones may share one."""


def vectorizer(node: ObjectNode) -> Iterator[Scan]:
    return _terms(attributes(node).get("vocabulary_"))


def labels(node: ObjectNode) -> Iterator[Scan]:
    """MultiLabelBinarizer: the columns of its classes, which it caches at the first use."""
    return _terms(attributes(node).get("_cached_dict"))


def _terms(node: Node) -> Iterator[Scan]:
    if node is None:
        return
    terms = node.pairs if isinstance(node, ObjectNode) else node
    if not isinstance(terms, DictNode):
        raise InvariantError("a vocabulary is not a dict")
    yield Scan(terms.values, 1, _columns(terms.keys))


def _columns(keys: list[Node]) -> Rule:
    """Require that all values are less than the number of distinct keys."""
    while values := (yield):
        numbers = _numbers(values)
        count = len(set(filter(_is_plain, keys)))
        if numbers is None or not 0 <= min(numbers) <= max(numbers) < count:
            raise InvariantError(
                f"a vocabulary of {count:,} terms refers to columns that do not exist"
            )


def _is_plain(key: Node) -> bool:
    return type(key) in _PLAIN or (type(key) is int and key.bit_length() < _BITS)


def _numbers(values: list[Node]) -> list[int] | None:
    """Return integers of Python or numpy; those of one dtype are decoded at once."""
    first = values[0]
    found: Sequence[Node] = values
    if isinstance(first, ObjectNode) and all(_is_alike(value, first) for value in values):
        kind = parse(first.args[0])
        found = (kind and kind.decode(b"".join([value.args[1] for value in values]))) or ()
    elif not all(type(value) is int for value in values):
        found = [scalar(value) for value in values]
    return list(found) if found and all(type(value) is int for value in found) else None


def _is_alike(value: Node, first: ObjectNode) -> bool:
    return (
        isinstance(value, ObjectNode)
        and value.cls.name == "scalar"
        and len(value.args) == 2
        and value.args[0] is first.args[0]
        and type(value.args[1]) is bytes
    )
