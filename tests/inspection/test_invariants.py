"""Invariants of compiled code: real models pass, and are refused with one number changed.

No changed model is loaded in this process.
"""

import copyreg
import io
import pickle
import re
import struct
import subprocess
import sys
from pathlib import Path

import catboost
import joblib
import lightgbm
import numpy as np
import opcodes as op
import pytest
import xgboost
from altered_models import (
    CODE,
    CODES,
    MANY,
    MODELS,
    NOTES,
    assert_refused,
    findings,
    inner_node,
    model,
    tree_nodes,
)
from scipy import sparse
from sklearn.neighbors import BallTree, KDTree
from sklearn.preprocessing import TargetEncoder
from sklearn.tree._tree import Tree

from modelpack.inspection import invariants, limits
from modelpack.inspection.inspector import inspect

OLD = Path(__file__).parents[1] / "data" / "old"

NATIVE = Path(__file__).parents[1] / "data" / "native"


@pytest.mark.parametrize("how", [0, 2, 5, "raw", "zlib"])
@pytest.mark.parametrize("name", MODELS)
def test_real_models_pass(name, how, tmp_path):
    assert findings(model(name), tmp_path, how) == []


# --- Trees ---------------------------------------------------------------------------------------


def leaf(nodes, where):
    leaves = np.flatnonzero(nodes["left_child"] == -1)
    return leaves[{"first": 0, "middle": len(leaves) // 2, "last": -1}[where]]


BROKEN_NODES = {
    "left child beyond": ("left_child", lambda nodes, at: len(nodes), "has the child"),
    "right child beyond": ("right_child", lambda nodes, at: len(nodes), "has the child"),
    "child far beyond": ("right_child", lambda nodes, at: 2**40 + at + 1, "has the child"),
    "child before": ("left_child", lambda nodes, at: at, "has the child"),
    "right child before": ("right_child", lambda nodes, at: 0, "has the child 0"),
    "negative child": ("left_child", lambda nodes, at: -2, "has the child -2"),
    "one child": ("right_child", lambda nodes, at: -1, "has the child -1"),
    "no such feature": ("feature", lambda nodes, at: 4, "reads feature 4, but there are only 4"),
    "negative feature": ("feature", lambda nodes, at: -1, "reads feature -1"),
    "feature far beyond": ("feature", lambda nodes, at: 2**32, "reads feature"),
}


@pytest.mark.parametrize("where", ["first", "middle", "last"])
@pytest.mark.parametrize("broken", BROKEN_NODES)
def test_node(broken, where, tmp_path):
    field, value, message = BROKEN_NODES[broken]
    tree = model("tree")
    nodes = tree_nodes(tree.tree_)
    at = inner_node(nodes, where)
    nodes[field][at] = value(nodes, at)
    found = assert_refused(tree, tmp_path, f"node {at:,} of a tree .*{message}")
    assert found.global_ == "sklearn.tree._tree:Tree"


@pytest.mark.parametrize("how", [0, 2, 5, "raw", "zlib"])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_node_of_a_tree_too_large_to_keep(where, how, tmp_path):
    tree = model("large tree")
    nodes = tree_nodes(tree.tree_)
    assert nodes.nbytes > 2**20
    at = inner_node(nodes, where)
    nodes["right_child"][at] = len(nodes)
    assert_refused(tree, tmp_path, f"node {at:,} of a tree has the child {len(nodes):,}", how)


@pytest.mark.parametrize("broken", BROKEN_NODES)
def test_each_rule_in_a_tree_too_large_to_keep(broken, tmp_path):
    field, value, message = BROKEN_NODES[broken]
    tree = model("large tree")
    nodes = tree_nodes(tree.tree_)
    at = inner_node(nodes, "middle")
    nodes[field][at] = value(nodes, at)
    assert_refused(tree, tmp_path, f"node {at:,} of a tree .*{message}")


@pytest.mark.parametrize(
    ("field", "value"), [("left_child", 1), ("right_child", 1), ("left_child", -2), ("feature", 3)]
)
@pytest.mark.parametrize("where", ["first", "last"])
def test_leaf(field, value, where, tmp_path):
    tree = model("tree")
    nodes = tree_nodes(tree.tree_)
    at = leaf(nodes, where)
    nodes[field][at] = value
    assert_refused(tree, tmp_path, f"node {at:,} of a tree")


EDGES = [-(2**63), -(2**32), -3, -2, -1, 0, 1, 3, 4, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62]


def is_sound(nodes):
    """Check the documented properties of a tree, node by node."""
    for number, node in enumerate(nodes):
        left, right = int(node["left_child"]), int(node["right_child"])
        is_leaf = (left, right, int(node["feature"])) == (-1, -1, -2)
        below = all(number < child < len(nodes) for child in (left, right))
        if not is_leaf and not (below and 0 <= node["feature"] < 4):
            return False
    return True


@pytest.mark.parametrize("seed", range(40))
def test_numbers_drawn_by_chance(seed, tmp_path):
    """The comparison of all nodes at once agrees with a walk from node to node."""
    random = np.random.default_rng(seed)
    tree = model("tree")
    nodes = tree_nodes(tree.tree_)
    for _ in range(random.integers(1, 4)):
        field = random.choice(["left_child", "right_child", "feature"])
        at = random.integers(len(nodes))
        nearby = [at - 1, at, at + 1, at + 2, len(nodes) - 1, len(nodes), nodes[field][at]]
        nodes[field][at] = random.choice([*EDGES, *nearby])
    found = findings(tree, tmp_path, 5, with_state(max_depth=len(nodes) - 1))
    assert (found == []) == is_sound(nodes)


def test_children_may_be_the_other_way_round(tmp_path):
    tree = model("large tree")
    nodes = tree_nodes(tree.tree_)
    left = nodes["left_child"].copy()
    nodes["left_child"] = nodes["right_child"]
    nodes["right_child"] = left
    assert findings(tree, tmp_path) == []


def test_bytes_in_the_file(tmp_path):
    path = tmp_path / "model.joblib"
    tree = model("large tree")
    joblib.dump(tree, path)
    data = bytearray(path.read_bytes())
    nodes = tree_nodes(tree.tree_)
    at = inner_node(nodes, "last")
    start = data.index(nodes.tobytes()) + at * nodes.itemsize
    data[start : start + 8] = (99_999).to_bytes(8, "little")
    path.write_bytes(data)
    found = inspect(path).safety
    assert found.verdict == "refuse"
    message = found.findings[0].message
    assert f"node {at:,} of a tree has the child 99,999, but" in message
    assert f"the tree has {len(nodes):,} nodes" in message


def as_pickled(change):
    """How to pickle a tree otherwise than it is: `change` gets its arguments and its state."""

    def reduce(tree):
        kind, args, state = tree.__reduce__()
        return (kind, *change(args, dict(state)))

    return {Tree: reduce}


def with_state(**changes):
    return as_pickled(lambda args, state: (args, state | changes))


def with_nodes(change):
    return as_pickled(lambda args, state: (args, state | {"nodes": change(state["nodes"])}))


def renamed(nodes, **kinds):
    """The same nodes, some fields of other dtypes."""
    fields = [(name, kinds.get(name, kind)) for name, kind in nodes.dtype.descr if name]
    return nodes.astype(np.dtype(fields))


def overlapping(nodes):
    kinds = nodes.dtype
    offsets = [kinds.fields[name][1] for name in kinds.names]
    offsets[1] = offsets[0]
    formats = [kinds.fields[name][0] for name in kinds.names]
    spec = {"names": kinds.names, "formats": formats, "offsets": offsets, "itemsize": 64}
    return nodes.view(np.dtype(spec))


CHANGED_TREES = {
    "more nodes than there are": (with_state(node_count=10**6), "node_count of a tree"),
    "no nodes": (with_nodes(lambda nodes: nodes[:0]), "has no nodes"),
    "too flat": (with_state(max_depth=1), "levels deep"),
    "no depth": (with_state(max_depth=-1), "depth"),
    "fewer values": (
        as_pickled(lambda args, state: (args, state | {"values": state["values"][1:]})),
        "the shape of the values",
    ),
    "values of another kind": (
        as_pickled(lambda args, state: (args, state | {"values": state["values"].astype("f4")})),
        "is f4, not f8",
    ),
    "more classes": (
        as_pickled(lambda args, state: ((args[0], np.array([99]), args[2]), state)),
        "the shape of the values",
    ),
    "no classes": (
        as_pickled(lambda args, state: ((args[0], np.array([0]), args[2]), state)),
        "contradict each other",
    ),
    "more outputs": (
        as_pickled(lambda args, state: ((args[0], args[1], 2), state)),
        "contradict each other",
    ),
    "children of 2 bytes": (
        with_nodes(lambda nodes: renamed(nodes, left_child="i2")),
        "do not have the fields",
    ),
    "features of floats": (
        with_nodes(lambda nodes: renamed(nodes, feature="f8")),
        "do not have the fields",
    ),
    "fields in another order": (
        with_nodes(lambda nodes: nodes[[*nodes.dtype.names[1::-1], *nodes.dtype.names[2:]]].copy()),
        "do not have the fields",
    ),
    "fields on each other": (with_nodes(overlapping), "overlap"),
    "a table of nodes": (with_nodes(lambda nodes: nodes[:, None]), "not a list"),
    "a list": (with_nodes(list), "is not an array"),
}


@pytest.mark.parametrize("how", [2, 5])
@pytest.mark.parametrize("changed", CHANGED_TREES)
def test_tree_as_a_whole(changed, how, tmp_path):
    reductions, message = CHANGED_TREES[changed]
    assert_refused(model("tree"), tmp_path, message, how, reductions)


OTHER_LAYOUTS = {
    "of 1.2": lambda nodes: nodes[[*nodes.dtype.names[:-1]]].astype(
        [(name, kind) for name, kind in nodes.dtype.descr[:7]]
    ),
    "of 32 bits": lambda nodes: renamed(
        nodes, left_child="<i4", right_child="<i4", feature="<i4", n_node_samples="<i4"
    ),
    "big endian": lambda nodes: nodes.astype(nodes.dtype.newbyteorder(">")),
    "packed": renamed,
}


@pytest.mark.parametrize("name", ["tree", "large tree"])
@pytest.mark.parametrize("layout", OTHER_LAYOUTS)
def test_other_layouts_of_nodes(layout, name, tmp_path):
    change = OTHER_LAYOUTS[layout]
    tree = model(name)
    assert findings(tree, tmp_path, 5, with_nodes(change)) == []
    nodes = tree_nodes(tree.tree_)
    at = inner_node(nodes, "middle")
    nodes["feature"][at] = 4
    assert_refused(tree, tmp_path, f"node {at:,} of a tree reads feature 4", 5, with_nodes(change))


def test_tree_of_other_features_than_its_estimator(tmp_path):
    tree = model("tree")
    tree.n_features_in_ = 3
    assert_refused(tree, tmp_path, "number of features")
    del tree.n_features_in_
    assert_refused(tree, tmp_path, "n_features_in_")


def test_boosting_of_other_features_than_its_trees(tmp_path):
    boosting = model("boosting")
    boosting.n_features_in_ = 3
    assert_refused(boosting, tmp_path, "number of features")


def test_boosting_with_more_trees_than_classes(tmp_path):
    boosting = model("boosting")
    boosting.estimators_ = np.c_[boosting.estimators_, boosting.estimators_]
    assert_refused(boosting, tmp_path, "the shape of the trees")
    boosting.n_trees_per_iteration_ = 6
    assert_refused(boosting, tmp_path, "classes")


def test_boosting_with_an_initial_estimator_of_other_classes(tmp_path):
    boosting = model("boosting")
    boosting.init_.classes_ = boosting.init_.classes_[:2]
    assert_refused(boosting, tmp_path, "classes")


def test_isolation_forest_deeper_than_recorded(tmp_path):
    """Prediction walks the paths of its trees, whatever their size."""
    reductions = as_pickled(
        lambda args, state: (args, state | {"max_depth": state["max_depth"] - 1})
    )
    assert_refused(model("large isolation"), tmp_path, "levels deep", 5, reductions)


# --- Histogram gradient boosting -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("left", 10**6, "has the children"),
        ("right", 0, "has the children"),
        ("feature_idx", 5, "reads feature 5, but there are only 5"),
        ("feature_idx", -1, "reads feature -1"),
        ("bitset_idx", 1_000, "reads the set of categories 1,000"),
    ],
)
@pytest.mark.parametrize("where", [0, -1])
def test_node_of_histogram_boosting(field, value, message, where, tmp_path):
    boosting = model("categories")
    nodes = boosting._predictors[1][0].nodes
    chosen = nodes["is_leaf"] == 0
    if field == "bitset_idx":
        chosen &= nodes["is_categorical"] == 1
    nodes[field][np.flatnonzero(chosen)[where]] = value
    assert_refused(boosting, tmp_path, message)


def test_categories_that_are_not_known(tmp_path):
    boosting = model("categories")
    boosting._bin_mapper.is_categorical_[:] = False
    assert_refused(boosting, tmp_path, "set of categories")


def test_sets_of_categories_too_small(tmp_path):
    boosting = model("categories")
    for (predictor,) in boosting._predictors:
        predictor.raw_left_cat_bitsets = predictor.raw_left_cat_bitsets[:, :1].copy()
    assert_refused(boosting, tmp_path, "the shape of the sets of categories")


def test_histogram_boosting_of_other_features(tmp_path):
    boosting = model("histogram")
    boosting._n_features = 99
    assert_refused(boosting, tmp_path, "number of features")


# --- Neighbours ----------------------------------------------------------------------------------


def with_tree_state(index, change):
    def reduce(tree):
        kind, args, state = tree.__reduce__()
        state = list(state)
        state[index] = change(state[index])
        return kind, args, tuple(state)

    return {KDTree: reduce, BallTree: reduce}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "change", [lambda values: values[:-1], lambda values: values * 2, lambda _: []]
)
def test_encodings_of_a_target_encoder(classes, change, tmp_path):
    encoder = TargetEncoder(cv=2).fit(CODES[:, :3], np.arange(300) % classes)
    assert findings(encoder, tmp_path) == []
    encoder.encodings_ = change(encoder.encodings_)
    assert_refused(encoder, tmp_path, "does not have one encoding")


@pytest.mark.parametrize("name", ["kd tree", "ball tree"])
@pytest.mark.parametrize("size", [11, 12, 14])
def test_the_state_of_a_tree_has_as_many_values_as_its_release_reads(name, size, tmp_path):
    def shortened(tree):
        make, arguments, state = tree.__reduce__()
        return make, arguments, (*state, None)[:size]

    reductions = {KDTree: shortened, BallTree: shortened}
    assert_refused(model(name), tmp_path, "does not have 13 values", 5, reductions)


@pytest.mark.parametrize(("name", "module"), [("kd tree", "kd_tree"), ("ball tree", "ball_tree")])
@pytest.mark.parametrize("size", [12, 13])
def test_the_state_of_a_tree_under_its_old_name(name, module, size, tmp_path):
    """scikit-learn 0.20 and 0.21 write 13 values, as tests/data/old shows."""

    def shortened(tree):
        make, arguments, state = tree.__reduce__()
        return make, arguments, state[:size]

    pickler = pickle.Pickler(buffer := io.BytesIO(), 2)
    pickler.dispatch_table = copyreg.dispatch_table | {KDTree: shortened, BallTree: shortened}
    pickler.dump(model(name))
    old, new = (f"sklearn.neighbors.{mark}{module}\n".encode() for mark in ("_", ""))
    path = tmp_path / "model"
    path.write_bytes(buffer.getvalue().replace(old, new))
    found = [f.code for f in inspect(path).safety.findings if f.code not in NOTES]
    assert found == ([] if size == 13 else ["old-layout"])


@pytest.mark.parametrize("name", ["kd tree", "ball tree", "large kd tree"])
@pytest.mark.parametrize("value", [None, -1, 2**40])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_order_of_samples(name, value, where, tmp_path):
    altered = model(name)
    tree = altered if isinstance(altered, KDTree) else altered._tree
    index = np.array(tree.get_arrays()[1])
    position = {"first": 0, "middle": len(index) // 2, "last": len(index) - 1}[where]
    index[position] = len(index) if value is None else value
    assert_refused(
        altered, tmp_path, rf"at position {position:,}\b", 5, with_tree_state(1, lambda _: index)
    )


@pytest.mark.parametrize(
    ("field", "node", "value", "message"),
    [
        ("idx_end", 0, 301, "node 0 of a tree has the samples 0 to 301"),
        ("idx_start", -1, -1, "has the samples -1"),
        ("idx_end", 1, -1, "node 1 of a tree has the samples"),
        ("idx_start", 2, 300, None),
        ("is_leaf", -1, 0, "has no children and is not a leaf"),
    ],
)
def test_node_of_a_tree_of_neighbours(field, node, value, message, tmp_path):
    def changed(nodes):
        nodes = nodes.copy()
        nodes[field][node] = value
        return nodes

    reductions = with_tree_state(2, changed)
    if message is None:  # no samples at all: useless and harmless
        assert findings(model("kd tree"), tmp_path, 5, reductions) == []
    else:
        assert_refused(model("kd tree"), tmp_path, message, 5, reductions)


@pytest.mark.parametrize(
    ("position", "change", "message"),
    [
        (0, lambda data: data[:-1], "the order of the samples"),
        (0, lambda data: data[:0], "has no samples"),
        (1, lambda index: index[:-1], "the order of the samples"),
        (2, lambda nodes: nodes[:-2], "match its levels"),
        (3, lambda bounds: bounds[:, :-1], "the bounds of the nodes"),
        (3, lambda bounds: bounds[:1], "the bounds of the nodes"),
        (4, lambda size: 0, "leaf size"),
        (5, lambda levels: levels + 1, "match its levels"),
        (6, lambda count: count * 2, "match its levels"),
        (11, lambda _: None, "no distance"),
        (12, lambda _: np.ones(5), "the weights of the samples"),
    ],
)
def test_tree_of_neighbours_as_a_whole(position, change, message, tmp_path):
    assert_refused(model("kd tree"), tmp_path, message, 5, with_tree_state(position, change))


def test_distance_of_other_features(tmp_path):
    def smaller(metric):
        kind, args, (p, vector, matrix) = metric.__reduce__()
        altered = kind(*args)
        altered.__setstate__((p, vector, matrix[:1, :1].copy()))
        return altered

    assert_refused(model("mahalanobis"), tmp_path, "a distance", 5, with_tree_state(11, smaller))


def test_classes_of_samples(tmp_path):
    search = model("brute force")
    search._y[-1] = 3
    assert_refused(search, tmp_path, "the classes of the samples contain 3")
    search._y = search._y[:-1]
    assert_refused(search, tmp_path, "the shape of the classes of the samples")


def test_samples_of_other_features(tmp_path):
    search = model("brute force")
    search._fit_X = search._fit_X[:, :3].copy()
    assert_refused(search, tmp_path, "number of features")


# --- Sparse matrices -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [2, 5, "raw", "zlib"])
@pytest.mark.parametrize("name", ["rows", "columns", "a row", "large rows"])
@pytest.mark.parametrize("where", [0, 0.5, 1])
def test_index_of_a_sparse_matrix(name, where, how, tmp_path):
    matrix = model(name)
    position = int(where * (len(matrix.indices) - 1))
    matrix.indices[position] = max(matrix.shape)
    assert_refused(matrix, tmp_path, rf"at position {position:,}\b", how)
    matrix.indices[position] = -1
    assert_refused(matrix, tmp_path, rf"contain -1 at position {position:,}\b", how)


@pytest.mark.parametrize("name", ["rows", "columns", "large rows"])
@pytest.mark.parametrize("change", ["begins late", "falls", "ends late", "is short", "is negative"])
def test_row_pointers(name, change, tmp_path):
    matrix = model(name)
    pointers = matrix.indptr
    if change == "begins late":
        pointers[0] = 1
    elif change == "falls":
        middle = len(pointers) // 2
        pointers[middle] = pointers[middle + 1] + 1
    elif change == "ends late":
        pointers[-1] += 1
    elif change == "is short":
        matrix.indptr = pointers[:-1].copy()
    else:
        pointers[1] = -1
    assert_refused(matrix, tmp_path, "the row pointers of a sparse matrix")


def test_fewer_values_than_indices(tmp_path):
    matrix = model("rows")
    matrix.data = matrix.data[:-1].copy()
    assert_refused(matrix, tmp_path, "one index for each value")


def test_indices_of_8_bytes(tmp_path):
    matrix = model("rows")
    matrix.indices, matrix.indptr = matrix.indices.astype("i8"), matrix.indptr.astype("i8")
    assert findings(matrix, tmp_path) == []
    matrix.indices[7] = 2**32
    assert_refused(matrix, tmp_path, "contain 4,294,967,296 at position 7")


def test_shape_of_a_sparse_matrix(tmp_path):
    matrix = model("rows")
    matrix._shape = (300, 3)
    assert_refused(matrix, tmp_path, "the indices of a sparse matrix")
    matrix._shape = (-1, 4)
    assert_refused(matrix, tmp_path, "no shape")


# --- Support vector machines ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["svc", "svc of two", "sparse svc", "kernel svc"])
@pytest.mark.parametrize(
    ("attribute", "change"),
    [
        ("_n_support", lambda n: n + 1),
        ("_n_support", lambda n: np.r_[n[:-1], 10**6].astype(n.dtype)),
        ("_n_support", lambda n: np.r_[n, 0].astype(n.dtype)),
        ("_dual_coef_", lambda c: c[:, :-1]),
        ("_intercept_", lambda c: np.r_[c, 0.0][1:][:-1]),
        ("support_", lambda s: np.r_[s[:-1], 300].astype(s.dtype)),
        ("support_", lambda s: np.r_[-1, s[1:]].astype(s.dtype)),
        ("support_", lambda s: s[:-1].copy()),
        ("_probA", lambda p: np.zeros(7)),
        ("support_vectors_", lambda v: v[:-1] if v.shape[0] else v.tolist()),
    ],
)
def test_support_vector_machine(name, attribute, change, tmp_path):
    machine = model(name)
    setattr(machine, attribute, change(getattr(machine, attribute)))
    assert_refused(machine, tmp_path, "support|coefficients|intercepts|vectors")


def test_support_vector_machine_of_another_kind(tmp_path):
    machine = model("svr")
    machine._impl = "c_svc"
    assert_refused(machine, tmp_path, "another kind")


def test_sparse_coefficients_with_gaps(tmp_path):
    machine = model("sparse svc")
    machine._dual_coef_.data[0] = 0
    machine._dual_coef_.eliminate_zeros()
    assert_refused(machine, tmp_path, "coefficients")


# --- Vocabularies, encoders, splines -------------------------------------------------------------


@pytest.mark.parametrize("name", ["words", "frequent words", "dicts"])
@pytest.mark.parametrize("how", [0, 2, 5])
@pytest.mark.parametrize("value", [99, -1, 3.0, "0", np.int64(99), True])
def test_column_of_a_term(name, how, value, tmp_path):
    vectorizer = model(name)
    vectorizer.vocabulary_[next(iter(vectorizer.vocabulary_))] = value
    assert_refused(vectorizer, tmp_path, "a vocabulary of", how)


@pytest.mark.parametrize("name", ["words", "frequent words", "dicts"])
def test_column_of_a_term_is_below_the_number_of_terms(name, tmp_path):
    vectorizer = model(name)
    count = len(vectorizer.vocabulary_)
    vectorizer.vocabulary_[next(iter(vectorizer.vocabulary_))] = count
    assert_refused(vectorizer, tmp_path, "a vocabulary of")


def test_encoder_with_fewer_columns_than_categories(tmp_path):
    for name in ("one hot", "one hot without one", "one hot with the rest"):
        encoder = model(name)
        encoder._n_features_outs[0] -= 1
        assert_refused(encoder, tmp_path, "more categories than columns")


@pytest.mark.parametrize("attribute", ["_c", "_t", "k"])
def test_spline(attribute, tmp_path):
    splines = model("spline")
    spline = splines.bsplines_[1]
    state = vars(getattr(spline, "_delegate_to", None) or spline)  # since scipy 1.18, before it
    name = attribute if attribute in state else attribute.lstrip("_")
    state[name] = -1 if name == "k" else state[name][:4].copy()
    assert_refused(splines, tmp_path, "a spline")


@pytest.mark.parametrize("name", ["clusters", "parts of clusters"])
def test_centres_of_other_features(name, tmp_path):
    clusters = model(name)
    clusters.cluster_centers_ = clusters.cluster_centers_[:, :3].copy()
    assert_refused(clusters, tmp_path, "the shape of the centres")


# --- Boosters ------------------------------------------------------------------------------------


class Stored:
    """Pickled as a booster with this state."""

    def __init__(self, kind, state):
        self.kind, self.state = kind, state

    @property
    def __class__(self):  # picklers look whether it is the class that they write
        return self.kind

    def __reduce_ex__(self, protocol):
        return copyreg.__newobj__, (self.kind,), self.state


@pytest.mark.parametrize("how", [2, 5])
@pytest.mark.parametrize("blob", [b"\0" * 300, b"model", b"", b"PK\3\4" * 9])
def test_string_that_is_no_xgboost_model(blob, how, tmp_path):
    booster = Stored(xgboost.Booster, {"handle": bytearray(blob)})
    assert_refused(booster, tmp_path, "not an XGBoost model", how)


def saved_xgboost(trees=2):
    """The attribute `handle` of a Booster."""
    altered = xgboost.XGBRegressor(n_estimators=trees, max_depth=6, n_jobs=1)
    return bytes(altered.fit(MANY[:2_000], MANY[:2_000, 0]).get_booster().__getstate__()["handle"])


def in_ubjson(data, key, value):
    """The document with the first whole number of an array changed, or a text of one character."""
    at = data.rindex(struct.pack(">Q", len(key)) + key.encode()) + 8 + len(key)
    if data[at : at + 1] == b"S":
        return data[: at + 10] + value + data[at + 11 :]
    assert data[at : at + 4] == b"[$l#"
    return data[: at + 13] + struct.pack(">i", value) + data[at + 17 :]


@pytest.mark.parametrize("how", [2, 5])
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("left_children", 99_999, "has child"),
        ("right_children", -7, "has child"),
        ("split_indices", 77, "uses feature 77"),
        ("num_feature", b"1", "uses feature|another model"),
    ],
)
def test_trees_in_the_bytes_of_xgboost(key, value, message, how, tmp_path):
    data = saved_xgboost()
    assert findings(Stored(xgboost.Booster, {"handle": bytearray(data)}), tmp_path, how) == []
    broken = bytearray(in_ubjson(data, key, value))
    assert_refused(Stored(xgboost.Booster, {"handle": broken}), tmp_path, message, how)


@pytest.mark.parametrize("how", [2, 5])
def test_xgboost_model_too_large_to_keep(how, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MODEL_BYTES", 10_000)
    monkeypatch.setattr(limits, "KEPT_BYTES", 10_000)
    data = saved_xgboost(40)
    assert len(data) > limits.MODEL_BYTES
    assert findings(Stored(xgboost.Booster, {"handle": bytearray(data)}), tmp_path, how) == []
    broken = bytearray(in_ubjson(data, "left_children", 99_999))
    assert_refused(Stored(xgboost.Booster, {"handle": broken}), tmp_path, "has child", how)


def test_configuration_of_another_xgboost_model(tmp_path):
    data = saved_xgboost()
    at = data.index(b"num_feature") + len("num_feature") + 10  # that of the configuration
    broken = bytearray(data[:at] + b"9" + data[at + 1 :])
    assert_refused(Stored(xgboost.Booster, {"handle": broken}), tmp_path, "another model", 5)


def test_bytes_of_xgboost_before_1_4(tmp_path):
    """A binary model, and its configuration behind it."""
    binary = (NATIVE / "kserve-xgboost-1.1.bst").read_bytes().removeprefix(b"binf")

    def stored(model):
        data = b"CONFIG-offset:" + struct.pack("<q", len(model)) + model + b"{}"
        return Stored(xgboost.Booster, {"handle": bytearray(data)})

    assert findings(stored(binary), tmp_path, 5) == []
    assert_refused(stored(binary[:-40]), tmp_path, "too early", 5)
    bare = Stored(xgboost.Booster, {"handle": bytearray(binary)})
    assert findings(bare, tmp_path, 5) == []


def test_trees_in_the_bytes_of_catboost(tmp_path):
    state = model("catboost").__getstate__()
    assert findings(Stored(catboost.CatBoostClassifier, state), tmp_path, 5) == []
    state["__model"] = state["__model"][:-9]
    assert_refused(Stored(catboost.CatBoostClassifier, state), tmp_path, "CatBoost", 5)


def test_bytes_that_are_no_catboost_model(tmp_path):
    state = model("catboost").__getstate__()
    state["__model"] = b"XBM1" + state["__model"][4:]
    altered = Stored(catboost.CatBoostClassifier, state)
    assert_refused(altered, tmp_path, "not a CatBoost model", 5)


CATBOOST_STATES = {
    "no state": (None, "not-a-model"),
    "empty": ({}, "not-a-model"),
    "parameters": ({"iterations": 2}, "not-fitted"),
    "None": ({"iterations": 2, "__model": None}, CODE),
    "empty bytes": ({"iterations": 2, "__model": b""}, CODE),
}


@pytest.mark.parametrize("kind", ["CatBoost", "CatBoostClassifier", "CatBoostRegressor"])
@pytest.mark.parametrize("name", CATBOOST_STATES)
def test_catboost_without_a_model(name, kind, tmp_path):
    state, code = CATBOOST_STATES[name]
    cls = getattr(catboost, kind)
    path = tmp_path / "model"
    path.write_bytes(pickle.dumps(Stored(cls, state)))
    assert [f.code for f in inspect(path).safety.findings] == [code]
    # A child process, because a crash would end this one. An error of Python is harmless.
    program = (
        f"import pickle\ntry: pickle.load(open({str(path)!r}, 'rb')).predict([[0.0] * 4])\n"
        "except Exception as error: print('error')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"error\n")


def changed_text(name, pattern, new, count=1):
    text = model(name).booster_.model_to_string()
    changed, times = re.subn(pattern, new, text, count=count)
    assert times
    # Trees keep the offsets in `tree_sizes`, so that only the number is wrong.
    return changed


LIGHTGBM = {
    "feature beyond": ("lightgbm", r"(split_feature=)\d", r"\g<1>9", "reads feature 9"),
    "child beyond": ("lightgbm", r"(left_child=)-?\d", r"\g<1>99", "has the child"),
    "leaf beyond": ("lightgbm", r"(right_child=)-?\d+", r"\g<1>-99", "has the child -99"),
    "child before": ("lightgbm", r"(left_child=)-?\d+", r"\g<1>0", "node 0 .* the child 0"),
    "more leaves": ("lightgbm", r"num_leaves=\d+", "num_leaves=99", "a value for each leaf"),
    "no leaves": ("lightgbm", r"num_leaves=\d+", "num_leaves=0", "a value for each leaf"),
    "fewer features": ("lightgbm", "max_feature_idx=3", "max_feature_idx=0", "reads feature"),
    "twice": ("lightgbm", "\nmax_feature_idx=3", "\nmax_feature_idx=3" * 2, "does not write"),
    "more outputs": ("lightgbm", "num_tree_per_iteration=3", "num_tree_per_iteration=4", "outputs"),
    "other places": ("lightgbm", r"tree_sizes=\d", "tree_sizes=9", "not at the offsets"),
    "fewer places": ("lightgbm", r"(tree_sizes=.*) \d+", r"\1", "not at the offsets"),
    "more places": ("lightgbm", r"(tree_sizes=.*)", r"\1 9", "not at the offsets"),
    "no end": ("lightgbm", "end of trees", "end of some", "empty line before"),
    "text for numbers": ("lightgbm", r"(split_feature=)\d", r"\g<1>x", "where numbers belong"),
    "no tree": ("lightgbm", "^tree", "shrub", "not a LightGBM model"),
    "carriage return": ("lightgbm", "(leaf_weight=)", "\\1\r", "does not write"),
    "sets of categories": (
        "categories of lightgbm", r"cat_boundaries=0 1", "cat_boundaries=0 9", "sets of categories",
    ),
    "set of categories": (
        "categories of lightgbm", r"num_cat=\d", "num_cat=0", "set of categories",
    ),
    "features of leaves": (
        "linear lightgbm", r"leaf_features=[^\n]*", "leaf_features=9", "reads feature 9",
    ),
}  # fmt: skip


@pytest.mark.parametrize("changed", LIGHTGBM)
def test_text_of_lightgbm(changed, tmp_path):
    name, pattern, new, message = LIGHTGBM[changed]
    text = changed_text(name, pattern, new)
    for key in ("_handle", "handle"):
        assert_refused(Stored(lightgbm.Booster, {key: text}), tmp_path, message, 5)


def test_text_of_lightgbm_too_large_to_keep(tmp_path):
    booster = lightgbm.train(
        {"verbose": -1, "num_leaves": 255, "min_data_in_leaf": 1, "num_threads": 1},
        lightgbm.Dataset(MANY, MANY[:, 0]),
        60,
    )
    text = booster.model_to_string()
    assert len(text) > 2**20
    at = text.rindex("left_child=") + len("left_child=")
    broken = f"{text[:at]}999{text[at + 1 :]}"
    for how in (2, 5):
        assert findings(Stored(lightgbm.Booster, {"_handle": text}), tmp_path, how) == []
        assert_refused(Stored(lightgbm.Booster, {"_handle": broken}), tmp_path, "the child", how)


# --- Other parts of a file ----------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(p.name for p in OLD.glob("*.pkl")))
def test_models_of_old_releases_pass(path):
    assert inspect(OLD / path).safety.findings == () or path.startswith("dicts")
    assert inspect(OLD / path).safety.verdict == "pass"


def test_second_state(tmp_path):
    """An array frees its memory when it gets a second state, even if a view still uses it."""
    args = op.name("numpy:ndarray"), op.many(op.number(0)), op.raw(b"b")
    array = op.call("numpy.core.multiarray:_reconstruct", *args)
    shape = op.many(op.number(0))
    state = op.many(op.number(1), shape, op.dtype("f8"), op.FALSE, op.raw(b"")) + op.BUILD
    path = tmp_path / "model.pkl"
    path.write_bytes(op.pickled(array + state))
    assert inspect(path).safety.verdict == "pass"
    path.write_bytes(op.pickled(array + state + state))
    assert inspect(path).safety.verdict == "refuse"


def test_estimator_has_one_state(tmp_path):
    """Loading merges two states, and the checks would see one of them."""
    scaler = op.name(op.SCALER) + op.EMPTY_TUPLE + op.NEWOBJ
    path = tmp_path / "model.pkl"
    for times, verdict in ((1, "pass"), (2, "refuse")):
        state = op.EMPTY_DICT + op.MARK + op.text("copy") + op.TRUE + op.SETITEMS + op.BUILD
        path.write_bytes(op.pickled(scaler + state * times))
        assert inspect(path).safety.verdict == verdict


def test_attribute_that_is_set_twice(tmp_path):
    """The first is in force: the second may have come into the dict after it was used."""
    altered = op.name(op.SCALER) + op.EMPTY_TUPLE + op.NEWOBJ
    path = tmp_path / "model.pkl"
    for times, verdict in ((1, "pass"), (2, "refuse")):
        items = (op.text("copy") + op.TRUE) * times
        state = op.EMPTY_DICT + op.MARK + items + op.SETITEMS
        path.write_bytes(op.pickled(altered + state + op.BUILD))
        assert inspect(path).safety.verdict == verdict


def test_more_of_a_kind_are_one_finding(tmp_path):
    forest = model("forest of two")
    for tree in forest.estimators_:
        tree_nodes(tree.tree_)["feature"][0] = 99
    assert len(findings(forest, tmp_path)) == 1


def test_many_objects_on_the_same_array(tmp_path):
    """Each would have to be checked, and none costs the file anything."""
    matrix = model("large rows")
    copies = [sparse.csr_matrix(matrix.shape) for _ in range(100)]
    for copy in copies:
        copy.__dict__.update(matrix.__dict__)
    assert_refused(copies, tmp_path, "share its arrays", 5)


def test_file_that_changes_between_its_first_and_its_second_reading(tmp_path, monkeypatch):
    def check(*args):
        path.touch()
        return []

    path = tmp_path / "model.joblib"
    joblib.dump(model("large tree"), path)
    monkeypatch.setattr(invariants, "check", check)
    assert [f.code for f in inspect(path).safety.findings] == ["changed"]
