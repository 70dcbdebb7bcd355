"""Files of native formats that are cut, changed or made to harm: a finding each, never a bug."""

import json
import random
import re
import struct
import time
from itertools import islice
from pathlib import Path

import lightgbm
import numpy as np
import onnx_models as onnx
import pytest
from mutations import mutants

from modelpack.inspection import formats
from modelpack.inspection.encodings import ubjson
from modelpack.inspection.encodings.flatbuffers import Table
from modelpack.inspection.formats import onnx_trees
from modelpack.inspection.inspector import inspect
from modelpack.inspection.nodes import Malformed

ROOT = Path(__file__).parents[2]
SAMPLES, DATA = ROOT / "sample_models", ROOT / "tests" / "data" / "native"
XGBOOST = (DATA / "kserve-xgboost.json").read_bytes()
BINARY = (DATA / "kserve-xgboost-2.0.bst").read_bytes()
TEXT = (SAMPLES / "lightgbm-text" / "model.txt").read_bytes()
CATBOOST = (SAMPLES / "catboost-cbm" / "model.cbm").read_bytes()
FILES = {
    "lightgbm": ("lightgbm", TEXT),
    "xgboost json": ("xgboost", (SAMPLES / "xgboost-json" / "model.json").read_bytes()),
    "xgboost ubjson": ("xgboost", (DATA / "kserve-xgboost.ubj").read_bytes()),
    "xgboost binary": ("xgboost-binary", BINARY),
    "catboost": ("catboost", CATBOOST),
    "onnx": ("onnx", (SAMPLES / "onnx" / "model.onnx").read_bytes()),
    "onnx trees": ("onnx", onnx.forest([2, 0, 0])),
}
BROKEN, MUTANTS = "broken-invariant", 200


def read(reader, data):
    """Return the code of the finding for the data, or None."""
    try:
        formats.read(reader, iter([data]))
    except Malformed as problem:
        return problem.code
    return None


@pytest.mark.parametrize(("reader", "data"), FILES.values(), ids=FILES)
def test_truncated_files_are_refused_or_complete(reader, data):
    """The parameters of LightGBM's training come after its end, and need not be there."""
    assert read(reader, data) is None
    ends = sorted(
        {*range(1, len(data), max(1, len(data) // 60)), *range(len(data) - 40, len(data))}
    )
    codes = [read(reader, data[:end]) for end in ends]
    assert all(codes[: len(codes) // 3])
    if reader != "lightgbm":
        assert all(codes)


@pytest.mark.parametrize(("reader", "data"), FILES.values(), ids=FILES)
def test_random_changes_cause_no_bug(reader, data):
    chance = random.Random(4)
    codes = [read(reader, mutant) for mutant in islice(mutants(data, chance), MUTANTS)]
    assert sum(code is not None for code in codes) > len(codes) / 20


def changed(path, value):
    """KServe's JSON with another value at a path of keys."""
    document = json.loads(XGBOOST)
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return json.dumps(document).encode()


MODEL = ("learner", "gradient_booster", "model")
TREE = (*MODEL, "trees", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*TREE, "left_children"), [0, -1, -1]),  # a circle
        ((*TREE, "left_children"), [2, -1, -1]),  # one child twice
        ((*TREE, "right_children"), [10**6, -1, -1]),
        ((*TREE, "right_children"), [-1, -1, -1]),
        ((*TREE, "left_children"), [1.0, -1, -1]),
        ((*TREE, "left_children"), [True, -1, -1]),
        ((*TREE, "parents"), [2**31 - 1, 0, 1]),
        ((*TREE, "split_indices"), [4, 0, 0]),
        ((*TREE, "split_indices"), [2**40, 0, 0]),
        ((*TREE, "split_indices"), [0]),
        ((*TREE, "split_conditions"), ["a", 0, 0]),
        ((*TREE, "split_type"), [1, 0, 0]),
        ((*TREE, "tree_param", "num_nodes"), "4"),
        ((*TREE, "tree_param", "num_nodes"), 3),
        ((*TREE, "id"), 1),
        ((*MODEL, "tree_info"), [10] * 100),
        ((*MODEL, "tree_info"), [-1] * 100),
        ((*MODEL, "iteration_indptr"), [0, 200]),
        ((*MODEL, "gbtree_model_param", "num_trees"), "99"),
        (("learner", "learner_model_param", "num_feature"), "-1"),
        (("learner", "learner_model_param", "num_feature"), "1"),
        (("learner", "learner_model_param", "num_class"), "4000000000"),
        (("learner", "gradient_booster", "name"), "mine"),
        (("learner", "gradient_booster"), []),
        (("learner", "feature_names"), [1, 2, 3, 4]),
        (("learner",), None),
        (("version",), 2),
    ],
)
def test_inconsistent_xgboost_documents_are_refused(path, value):
    assert read("xgboost", changed(path, value)) in {"malformed", "broken-invariant"}


def test_sets_of_categories_of_xgboost():
    document = json.loads(XGBOOST)
    tree = document["learner"]["gradient_booster"]["model"]["trees"][0]
    tree["split_type"] = [1, 0, 0]
    tree.update(categories_nodes=[0], categories_segments=[0], categories_sizes=[2])
    tree["categories"] = [0, 2]
    assert read("xgboost", json.dumps(document).encode()) is None
    for name, value in (("categories", [0, 2**24]), ("categories_sizes", [3]),
                        ("categories_segments", [-1]), ("categories_nodes", [3])):  # fmt: skip
        broken = json.loads(json.dumps(document))
        broken["learner"]["gradient_booster"]["model"]["trees"][0][name] = value
        assert read("xgboost", json.dumps(broken).encode()) == "broken-invariant"


def test_json_that_names_a_value_twice():
    """The one that is checked could be another than the one that is loaded."""
    twice = XGBOOST.replace(b'"tree_info":', b'"tree_info":[99],"tree_info":', 1)
    assert read("xgboost", twice) == "malformed"


@pytest.mark.parametrize("deep", [b'{"learner":' + b"[" * 200_000, b'{"learner":{"a":' * 60_000])
def test_json_that_is_nested(deep):
    assert read("xgboost", deep) in {"limit", "malformed", "truncated"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"[" * 100_000, "limit"),
        (b"[#L" + struct.pack(">q", 2**60), "truncated"),
        (b"[#L" + struct.pack(">q", -1), "truncated"),
        (b"[$d#L" + struct.pack(">q", 2**61), "truncated"),
        (b"[$S#L" + struct.pack(">q", 1), "malformed"),
        (b"SL" + struct.pack(">q", 2**62) + b"a", "truncated"),
        (b"{L" + struct.pack(">q", 1) + b"aZL" + struct.pack(">q", 1) + b"aZ}", "malformed"),
        (b"q", "malformed"),
        (b"ZZ", "trailing-data"),
        (b"", "truncated"),
    ],
)
def test_ubjson_that_claims_missing_content(data, code):
    with pytest.raises(Malformed) as problem:
        ubjson.loads(data)
    assert problem.value.code == code


def test_ubjson_equals_the_output_of_xgboost():
    """The same model, once as JSON and once as UBJSON."""
    one, other = json.loads(XGBOOST), ubjson.loads(FILES["xgboost ubjson"][1])
    trees = [m["learner"]["gradient_booster"]["model"]["trees"] for m in (one, other)]
    for plain, packed in zip(*trees, strict=True):
        assert plain.keys() == packed.keys()
        for name in ("left_children", "right_children", "split_indices", "categories"):
            assert plain[name] == list(packed[name])
        assert list(packed["split_conditions"]) == pytest.approx(plain["split_conditions"])


def patched(data, offset, code, value):
    return data[:offset] + struct.pack(code, value) + data[offset + struct.calcsize(code) :]


TREES = BINARY.index(b"gbtree") + len(b"gbtree")
FIRST_NODE = TREES + 160 + 148


@pytest.mark.parametrize(
    ("offset", "code", "value"),
    [
        (8, "<I", 1),  # features
        (TREES, "<i", 2**31 - 1),  # trees
        (TREES, "<i", -1),
        (TREES + 160 + 4, "<i", 2**30),  # nodes of the first
        (TREES + 160 + 4, "<i", 0),
        (FIRST_NODE + 4, "<i", 0),  # its left child: a circle
        (FIRST_NODE + 8, "<i", 77),
        (FIRST_NODE + 20, "<i", 5),  # whose child it claims to be
        (FIRST_NODE + 12, "<I", 2**31 + 4),  # the feature
        (len(b"binf") + 136, "<Q", 2**63),  # the length of the objective
        (24, "<I", 7),  # the version
    ],
)
def test_inconsistent_xgboost_binaries_are_refused(offset, code, value):
    assert read("xgboost-binary", BINARY) is None
    assert read("xgboost-binary", patched(BINARY, offset, code, value)) is not None


def test_xgboost_of_1_marks_metrics_that_it_does_not_write():
    marked = patched(BINARY, len(b"binf") + 16, "<i", 1)
    assert marked != BINARY
    assert read("xgboost-binary", marked) is None
    assert read("xgboost-binary", marked + bytes(4)) == "truncated"
    assert read("xgboost-binary", marked + bytes(9)) == "trailing-data"


def dart(excess):
    """BINARY as the booster dart, with one weight per tree and `excess` more."""
    name = BINARY.index(b"\6" + bytes(7) + b"gbtree")
    (count,) = struct.unpack_from("<i", BINARY, TREES)
    end = TREES + 160
    for _ in range(count):
        (nodes,) = struct.unpack_from("<i", BINARY, end + 4)
        end += 148 + 36 * nodes
    end += 4 * count
    head = BINARY[:name] + b"\4" + bytes(7) + b"dart"
    weights = struct.pack("<Q", count + excess) + bytes(4 * (count + excess))
    return head + BINARY[TREES:end] + weights + BINARY[end:]


@pytest.mark.parametrize(("excess", "result"), [(0, None), (-1, BROKEN), (1, BROKEN)])
def test_dart_has_one_weight_per_tree(excess, result):
    assert read("xgboost-binary", dart(excess)) == result


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"num_class=1", b"num_class=0"),
        (b"num_class=1", b"num_class=99999999999"),
        (b"num_tree_per_iteration=1", b"num_tree_per_iteration=2"),
        (b"max_feature_idx=2", b"max_feature_idx=0"),
        (b"left_child=1", b"left_child=0"),
        (b"pandas_categorical:[[", b"pandas_categorical:[[" + b"[" * 100_000),
        (b'pandas_categorical:[["centre"', b"pandas_categorical:[[{}"),
        (b"feature_names=square_metres", b"feature_names=square_metres\xff"),
        (b"Tree=3\n", b"Tree=3 \n\n"),
        (b"split_gain=", b"split_gain=1 "),
        (b"leaf_value=", b"leaf_value=x"),
        (b"[num_leaves: 8]", b"[num_leaves"),
    ],
)
def test_inconsistent_lightgbm_texts_are_refused(old, new):
    assert old in TEXT
    assert read("lightgbm", TEXT.replace(old, new, 1)) in {"malformed", "broken-invariant"}


def trained(**settings):
    """The text of a model of two trees, each with three leaves and three features."""
    X = np.random.default_rng(0).normal(size=(300, 3))
    parameters = {
        "verbosity": -1,
        "num_threads": 1,
        "num_leaves": 3,
        "min_data_in_leaf": 3,
        **settings,
    }
    y = np.arange(300) % 3 if "num_class" in settings else X[:, 0]
    return lightgbm.train(parameters, lightgbm.Dataset(X, y), 2).model_to_string()


def replaced(text, old, new, start=0):
    """Return the text with lines replaced and valid offsets of its trees."""
    head, *trees = re.split(r"(?m)^(?=Tree=|end of trees)", text)
    parts = [head, *trees]
    assert re.search(old, parts[start])
    parts[start] = re.sub(old, new, parts[start], count=1)
    sizes = " ".join(str(len(part)) for part in parts[1:-1])
    parts[0] = re.sub(r"(?m)^tree_sizes=.*$", f"tree_sizes={sizes}", parts[0])
    return "".join(parts).encode()


TREES_OF_LIGHTGBM = {
    "an objective without a name": ({}, "objective=.*", "objective=", 0),
    "an objective of spaces": ({}, "objective=.*", "objective=  ", 0),
    "an objective of classes that are not there": (
        {}, "objective=.*", "objective=multiclass num_class:3000", 0),
    "an objective of more classes": (
        {"objective": "multiclass", "num_class": 3}, " num_class:3", " num_class:3000", 0),
    "an objective of classes twice": (
        {"objective": "multiclassova", "num_class": 3}, " num_class:3", r"\g<0> :num_class:9", 0),
    "more classes than trees": (
        {"objective": "multiclass", "num_class": 3}, "\nnum_class=3", "\nnum_class=9", 0),
    "classes that are 1 in 32 bits": ({}, "num_class=1", "num_class=4294967297", 0),
    "features that are 2 in 32 bits": ({}, "max_feature_idx=2", "max_feature_idx=4294967298", 0),
    "a number of 32 bits": ({}, "max_feature_idx=2", "max_feature_idx=2147483648", 0),
    "an empty line in the head": ({}, "num_class=1", r"\n\g<0>", 0),
    "a zero byte": ({}, "label_index=0", "\\g<0>\0", 0),
    "sets of categories without bounds": ({}, "num_cat=0", "num_cat=3", 1),
    "fewer than no sets of categories": ({}, "num_cat=0", "num_cat=-1", 1),
    "no number of sets": ({}, "num_cat=0\n", "", 1),
    "no thresholds": ({}, "threshold=.*\n", "", 1),
    "thresholds of nothing": ({}, "threshold=.*\n", "threshold=\n", 1),
    "no features": ({}, "split_feature=.*\n", "", 1),
    "an empty line in a tree": ({}, "num_cat=0\n", r"\g<0>\n", 1),
    "a line without a mark": ({}, "threshold=", r"abc\n\g<0>", 1),
    "more lines than are read": (
        {}, "threshold=", "a=1\nb=1\nc=1\nd=1\ne=1\nf=1\ng=1\nthreshold=", 1),
    **{
        f"a linear tree, {name}": ({"linear_tree": True}, *change, 2)
        for name, change in {
            "no coefficients": ("leaf_coeff=.*\n", ""),
            "coefficients of nothing": ("leaf_coeff=.*\n", "leaf_coeff=\n"),
            "another coefficient": ("leaf_coeff=", "leaf_coeff=1 "),
            "no constants": ("leaf_const=.*\n", ""),
            "constants of nothing": ("leaf_const=.*\n", "leaf_const=\n"),
            "no numbers of features": ("num_features=.*\n", ""),
            "a feature that there is not": ("leaf_features=.", "leaf_features=9"),
            "other numbers of features": ("num_features=.", "num_features=7"),
            "fewer than no features": ("num_features=1 1", "num_features=-1 3"),
            "neither linear nor not": ("is_linear=1", "is_linear=2"),
            "behind an empty line": ("leaf_coeff=", r"\n\g<0>"),
        }.items()
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "old", "new", "start"), TREES_OF_LIGHTGBM.values(), ids=TREES_OF_LIGHTGBM
)
def test_texts_that_end_the_process_of_lightgbm(settings, old, new, start):
    text = trained(**settings)
    assert read("lightgbm", text.encode()) is None
    assert read("lightgbm", replaced(text, old, r"\g<0>", start)) is None
    assert read("lightgbm", replaced(text, old, new, start)) in {"malformed", "broken-invariant"}


def test_a_linear_tree_of_one_leaf():
    """LightGBM requires the same lines of it as of others."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    parameters = {"verbosity": -1, "num_threads": 1, "linear_tree": True}
    text = lightgbm.train(parameters, lightgbm.Dataset(X, np.ones(60)), 1).model_to_string()
    assert "num_leaves=1\n" in text
    assert "is_linear=1\n" in text
    assert read("lightgbm", text.encode()) is None
    for old, new in (
        ("threshold=\n", ""),
        ("leaf_const=1", "leaf_const="),
        ("leaf_coeff= ?\n", ""),
    ):
        assert read("lightgbm", replaced(text, old, new, 1)) == "broken-invariant"


def vector(number):
    """Return the start of a vector of CatBoost's trees."""
    trees = Table.root(CATBOOST[8:]).table(1)
    return 8 + trees._vector(number)[0]


@pytest.mark.parametrize(
    ("offset", "code", "value"),
    [
        (4, "<I", 2**31),  # the size of the core
        (8, "<I", 2**30),  # where the first table is
        (vector(1), "<i", -1),  # the first split
        (vector(1), "<i", 10_000),
        (vector(2), "<i", 17),  # how many the first tree has
        (vector(2), "<i", -3),
        (vector(3), "<i", 5),  # where it begins
        (vector(8) - 4, "<I", 8),  # how many leaves there are
        (vector(8) - 4, "<I", 2**31),
        (vector(17), "<H", 500),  # the feature of the first bin
    ],
)
def test_inconsistent_catboost_files_are_refused(offset, code, value):
    assert read("catboost", CATBOOST) is None
    assert read("catboost", patched(CATBOOST, offset, code, value)) in {
        "malformed", "broken-invariant", "truncated"}  # fmt: skip


def counters():
    """The last hash table of CatBoost: where its buckets begin, and how many there are."""
    end = struct.unpack_from("<I", CATBOOST, 4)[0] + 8
    start = end + 8  # after the number of tables, and the size of the only one
    table = Table.root(CATBOOST[start:])
    node, size = table._vector(1)
    return start + node, size // 12


def test_inconsistent_catboost_counters_are_refused():
    node, count = counters()
    assert count & (count - 1) == 0
    buckets = [node + 12 * index for index in range(count)]
    used = [at for at in buckets if CATBOOST[at : at + 8] != b"\xff" * 8]
    assert 0 < len(used) < count
    full = CATBOOST
    beyond = patched(CATBOOST, used[0] + 8, "<I", 10**6)
    assert read("catboost", beyond) == "broken-invariant"
    for at in buckets:
        full = patched(full, at, "<Q", 1)
    assert read("catboost", full) == "broken-invariant"  # searching it has no end
    odd = patched(CATBOOST, node - 4, "<I", 12 * 3)
    assert read("catboost", odd) == "broken-invariant"
    assert read("catboost", CATBOOST + b"x") == "trailing-data"


def nested(levels):
    graph = onnx.node("Abs", ["x"], ["y"])
    for _ in range(levels):
        graph = onnx.node(
            "If", ["x"], ["y"], onnx.field(5, onnx.field(1, "b") + onnx.field(6, graph))
        )
    return onnx.field(1, 8) + onnx.field(2, "t") + onnx.field(7, graph)


@pytest.mark.parametrize(
    "data",
    [
        onnx.forest([3, 0, 0]),  # a feature beyond the row
        onnx.forest([-1, 0, 0]),
        nested(20),
        nested(5_000),
        b"\x08\x08\x12\x01t\x3a" + b"\xff" * 9 + b"\x01",  # a length of 64 bits
        b"\x08" + b"\xff" * 11,
        b"\x08\x08\x12\x01t\x3b",  # a group
        onnx.field(1, 8) + onnx.field(2, "t") + onnx.field(7, 5),
        onnx.field(1, 8) + onnx.field(2, "t") + onnx.field(7, b""),
    ],
)
def test_protocol_buffers_that_are_no_model(data):
    assert read("onnx", data) is not None


def axis(number):
    return onnx.field(5, onnx.field(1, "axis") + onnx.field(3, number) + onnx.field(20, 2))


def joined(*more):
    return [onnx.node("Concat", ["X", "X"], ["Z"], *more)]


SAME = [onnx.node("Identity", ["X"], ["A"]),
        onnx.node("Scaler", ["A"], ["Z"], domain="ai.onnx.ml")]  # fmt: skip
UNKNOWN = [onnx.node("Abs", ["X"], ["Z"])]
OWN = onnx.field(25, onnx.field(1, "Identity") + onnx.field(10, ""))


@pytest.mark.parametrize(
    ("nodes", "width"), [(SAME, 3), (joined(axis(1)), 6), (joined(axis(-1)), 6), (UNKNOWN, 100_000)]
)
def test_features_of_trees_behind_other_operators(nodes, width):
    assert read("onnx", onnx.forest([width - 1, 0, 0], nodes, "Z")) is None
    assert read("onnx", onnx.forest([width, 0, 0], nodes, "Z")) == "broken-invariant"


ML = "ai.onnx.ml"
WRITTEN = Path(__file__).parents[1] / "data" / "onnx"
TEXTS = onnx.node("TfIdfVectorizer", ["X"], ["Z"], onnx.attribute("ngram_indexes", [0, 4, 2]))
VECTOR = onnx.node(
    "FeatureVectorizer", ["X", "X"], ["Z"], onnx.attribute("inputdimensions", [3, 2]), domain=ML
)
EXTRACTED = onnx.node("ArrayFeatureExtractor", ["X", "C"], ["Z"], domain=ML)
GATHERED = onnx.node("Gather", ["X", "C"], ["Z"], axis(1))
RESHAPED = [onnx.node("Abs", ["X"], ["A"]), onnx.node("Reshape", ["A", "C"], ["Z"])]
SCALED = [TEXTS.replace(b"Z", b"A"), onnx.node("Mul", ["A", "C"], ["Z"])]
SCALED_BY = [TEXTS.replace(b"Z", b"A"), onnx.node("Mul", ["C", "A"], ["Z"])]
KNOWN = {
    "texts": ([TEXTS], (), 5),
    "vector": ([VECTOR], (), 5),
    "extracted": ([EXTRACTED], [onnx.constant("C", [2, 0])], 2),
    "gathered": ([GATHERED], [onnx.constant("C", [2, 0])], 2),
    "reshaped": (RESHAPED, [onnx.constant("C", [-1, 4])], 4),
    "reshaped without raw data": (RESHAPED, [onnx.constant("C", [-1, 4], raw=False)], 4),
    "scaled": (SCALED, [onnx.constant("C", [1] * 5)], 5),
    "scaled by one": (SCALED_BY, [onnx.constant("C", [1])], 5),
    "widened": ([onnx.node("Add", ["X", "C"], ["Z"])], [onnx.constant("C", [1] * 6)], 6),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_features_of_trees_behind_operators_with_constants(kind):
    nodes, more, width = KNOWN[kind]
    options = {"more": more, "width": 1 if kind == "widened" else 3}
    assert read("onnx", onnx.forest([width - 1, 0, 0], nodes, "Z", **options)) is None
    assert read("onnx", onnx.forest([width, 0, 0], nodes, "Z", **options)) == "broken-invariant"


@pytest.mark.parametrize("path", sorted(WRITTEN.glob("*.onnx")), ids=lambda path: path.stem)
def test_widths_in_graphs_of_skl2onnx_are_known(path, monkeypatch):
    monkeypatch.setattr(onnx_trees, "MAX_INPUTS", 0)  # of trees whose width is unknown
    assert read("onnx", path.read_bytes()) is None


TWO = [onnx.constant("C", [-1, 4]), onnx.constant("C", [-1, 5])]
BOTH = onnx.field(
    5, onnx.field(1, 2) + onnx.field(2, 7) + onnx.field(8, "C") + onnx.field(7, 1)
    + onnx.field(7, 4) + onnx.field(9, bytes(16)),
)  # fmt: skip
WITH_SHAPE = [onnx.node("Shape", ["X"], ["C"]), *RESHAPED]
UNKNOWN_WIDTHS = {
    "two constants": (RESHAPED, TWO),
    "values twice": (RESHAPED, [BOTH]),
    "three dimensions": (RESHAPED, [onnx.constant("C", [-1, 2, 2])]),
    "computed shape": (RESHAPED, [onnx.constant("C", [-1, -1])]),
    "wrong length": (RESHAPED, [onnx.constant("C", [-1, 4], dims=[3])]),
    "shape of an operator": (WITH_SHAPE, [onnx.constant("C", [-1, 4])]),
    "sparse constant": (RESHAPED, [onnx.constant("C", [-1, 4]), onnx.field(15, b"")]),
    "no constant": (RESHAPED, ()),
    "other axis": ([onnx.node("Gather", ["X", "C"], ["Z"])], [onnx.constant("C", [2, 0])]),
    "columns of an unknown value": (
        [onnx.node("Abs", ["X"], ["A"]), EXTRACTED.replace(b"X", b"A")],
        [onnx.constant("C", [2, 0])],
    ),
}


@pytest.mark.parametrize("kind", UNKNOWN_WIDTHS)
def test_other_values_have_no_known_width(kind):
    nodes, more = UNKNOWN_WIDTHS[kind]
    assert read("onnx", onnx.forest([99_999, 0, 0], nodes, "Z", more=more)) is None


@pytest.mark.parametrize("nodes", [joined(axis(0)), joined(), joined(axis(2))])
def test_other_joins_have_no_known_width(nodes):
    assert read("onnx", onnx.forest([99_999, 0, 0], nodes, "Z")) is None


def test_operators_of_the_file_may_be_called_like_others():
    data = onnx.forest([5, 0, 0], [onnx.node("Identity", ["X"], ["Z"])], "Z")
    assert read("onnx", data) == "broken-invariant"
    assert read("onnx", data + OWN) is None


def test_trees_in_functions_and_graphs_of_operators():
    """Their inputs have names that may be those of others."""
    tree = onnx.node("TreeEnsembleRegressor", ["X"], ["y"],
                     onnx.attribute("nodes_featureids", [0]), domain="ai.onnx.ml")  # fmt: skip
    function = onnx.field(25, onnx.field(1, "f") + onnx.field(10, "own") + b"\x3a" + tree[1:])
    assert read("onnx", onnx.imputer() + function) == "broken-invariant"
    branch = onnx.field(5, onnx.field(1, "then_branch") + onnx.field(6, tree))
    inside = onnx.model(
        [onnx.node("If", ["X"], ["y"], branch)],
        [onnx.tensor("X", onnx.FLOAT, [None, 3])],
        [onnx.tensor("y", onnx.FLOAT, [None, 1])],
    )
    assert read("onnx", inside) == "broken-invariant"


def test_widths_inside_functions_are_not_those_of_the_graph():
    """The function gives its own value the name of one of the graph."""
    own = onnx.field(7, onnx.node("Identity", ["X"], ["Z"])[2:])
    function = onnx.field(25, onnx.field(1, "f") + onnx.field(10, "own") + own)
    nodes = [onnx.node("Abs", ["X"], ["Z"])]
    assert read("onnx", onnx.forest([5, 0, 0], nodes, "Z") + function) is None


def test_deep_trees_of_onnx():
    assert read("onnx", onnx.chain(1_000)) is None
    assert read("onnx", onnx.chain(1_001)) == "limit"
    assert read("onnx", onnx.chain(500, trees=3)) is None
    assert read("onnx", onnx.chain(30_000)) == "limit"


def test_deep_trees_of_onnx_since_version_5():
    """Nodes are numbered in their order, and leaves are elsewhere."""
    count = 1_100

    def tree(true, leaves):
        attributes = {"nodes_featureids": [0] * count, "nodes_modes": ["LEAF"] * count,
                "nodes_truenodeids": true, "nodes_trueleafs": leaves,
                "nodes_falsenodeids": [0] * count, "nodes_falseleafs": [1] * count}  # fmt: skip
        node = onnx.node("TreeEnsemble", ["X"], ["y"],
                         *[onnx.attribute(*each) for each in attributes.items()],
                         domain="ai.onnx.ml")  # fmt: skip
        return onnx.model(
            [node],
            [onnx.tensor("X", onnx.FLOAT, [None, 3])],
            [onnx.tensor("y", onnx.FLOAT, [None, 1])],
        )

    below = [*range(1, count), 0]
    assert read("onnx", tree(below, [0] * (count - 1) + [1])) == "limit"
    assert read("onnx", tree(below, [0, 1] * (count // 2))) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"nodes_modes": ["BRANCH_LEQ"] * 1_200},  # the last leads to the first
        {"nodes_modes": ["LEAF"] * 9},
        {"nodes_truenodeids": [1]},
        {"nodes_treeids": [0]},
    ],
)
def test_trees_of_onnx_whose_lists_do_not_fit(changed):
    attributes = {
        "nodes_treeids": [0] * 1_200,
        "nodes_nodeids": list(range(1_200)),
        "nodes_modes": ["BRANCH_LEQ", "LEAF"] * 600,
        "nodes_truenodeids": [*range(1, 1_200), 0],
        "nodes_falsenodeids": [*range(1, 1_200), 0],
    }
    assert read("onnx", onnx.forest([0] * 1_200, **attributes)) is None
    assert read("onnx", onnx.forest([0] * 1_200, **{**attributes, **changed})) == "broken-invariant"


def deep(levels):
    """KServe's model with a first tree of so many levels, each with a leaf."""
    document = json.loads(XGBOOST)
    tree = document["learner"]["gradient_booster"]["model"]["trees"][0]
    count, inner = 2 * levels + 1, range(0, 2 * levels, 2)
    tree.update({name: [0] * count for name, each in tree.items() if isinstance(each, list)})
    tree.update(categories=[], categories_nodes=[], categories_segments=[], categories_sizes=[])
    tree["left_children"] = [node + 2 if node in inner else -1 for node in range(count)]
    tree["right_children"] = [node + 1 if node in inner else -1 for node in range(count)]
    tree["parents"] = [2**31 - 1, *(each for node in inner for each in (node, node))]
    tree["tree_param"]["num_nodes"] = str(count)
    return json.dumps(document).encode()


def test_deep_trees_of_xgboost():
    assert read("xgboost", deep(1_000)) is None
    assert read("xgboost", deep(1_001)) == "limit"
    assert read("xgboost", deep(300_000)) == "limit"


def test_chained_onnx_values_cost_little(tmp_path):
    """Concatenated again and again they would be endless."""
    nodes = [onnx.node("Concat", [f"v{i}"] * 3, [f"v{i + 1}"]) for i in range(200)]
    nodes += [onnx.node("Concat", ["b", "b"], ["a"]), onnx.node("Concat", ["a", "a"], ["b"])]
    nodes += [onnx.node("Scaler", [name], [f"s{name}"]) for name in ("v200", "v8", "a")]
    data = onnx.model(
        nodes,
        [onnx.tensor("v0", onnx.FLOAT, [None, 4])],
        [onnx.tensor("v200", onnx.FLOAT, [None, None])],
    )
    started = time.process_time()
    assert read("onnx", data) is None
    assert time.process_time() - started < 5


@pytest.mark.parametrize(("reader", "data"), FILES.values(), ids=FILES)
def test_the_finding_reaches_the_spec(tmp_path, reader, data):
    path = tmp_path / "model"
    path.write_bytes(data[: len(data) // 3])
    spec = inspect(path)
    assert spec.format == reader.partition("-")[0]
    assert spec.safety.verdict == "refuse"
    assert len(spec.safety.findings) == 1


def test_a_large_file_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr("modelpack.inspection.limits.NATIVE_BYTES", 2**20)
    chunks = (bytes(2**18) for _ in range(2**40))
    with pytest.raises(Malformed, match="larger than 1 MiB"):
        formats.read("onnx", chunks)
