"""Values that libraries would take for something else. Nothing that is refused is loaded."""

import collections
import pickle

import joblib
import numpy as np
import opcodes as op
import pandas as pd
import pytest
import skops.io
from lightgbm import LGBMClassifier
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.utils import Bunch
from xgboost import XGBClassifier
from zoo import X, Y

from modelpack.inspection import policy, posing
from modelpack.inspection.inspector import inspect

MEMORY = {"data": b"12345678", "offset": -48, "shape": (4,), "typestr": "<f8", "version": 3}
ATTRIBUTE = "__array_interface__"
NORMAL = "scipy.stats._continuous_distns:norm_gen"
FUNCTION = "sklearn.preprocessing._function_transformer:FunctionTransformer"


def bunch(**items):
    return Bunch(**items)


def scaler(value):
    altered = MinMaxScaler().fit(X)
    altered.min_ = value
    return altered


def codes(spec):
    return {finding.code for finding in spec.safety.findings}


def saved(altered, path, how):
    if how == "skops":
        skops.io.dump(altered, path)
    elif how == "joblib":
        joblib.dump(altered, path)
    else:
        path.write_bytes(pickle.dumps(altered, how))
    return inspect(path)


HOSTILE = {
    "items of a bunch": lambda: scaler(bunch(**{ATTRIBUTE: MEMORY})),
    "array of objects": lambda: scaler(bunch(**{ATTRIBUTE: {**MEMORY, "typestr": "|O"}})),
    "address": lambda: scaler(bunch(**{ATTRIBUTE: {**MEMORY, "data": (4_194_304, False)}})),
    "another protocol": lambda: scaler(bunch(__array__=MinMaxScaler())),
    "items like a series": lambda: scaler(bunch(_typ="series")),
}


@pytest.mark.parametrize("how", [0, 2, 5, "joblib", "skops"])
@pytest.mark.parametrize("name", HOSTILE)
def test_items_of_an_object_are_no_protocols(name, how, tmp_path, monkeypatch):
    altered = HOSTILE[name]()
    found = saved(altered, tmp_path / "m", how)
    assert found.safety.verdict == "refuse"
    assert "posing" in codes(found)
    monkeypatch.setattr(policy, "_STATES", policy._STATES[:-1])
    monkeypatch.setattr(policy, "memory_interfaces", lambda _: ())
    assert saved(altered, tmp_path / "again", how).safety.verdict == "pass"


@pytest.mark.parametrize("how", [0, 2, 5, "joblib"])
@pytest.mark.parametrize("key", ["typestr", np.str_("typestr")])
def test_labels_of_a_series_are_no_protocols(key, how, tmp_path):
    memory = {key: "<f8", **{name: MEMORY[name] for name in ("data", "shape", "version")}}
    found = saved(scaler(pd.Series([memory], index=[ATTRIBUTE])), tmp_path / "m", how)
    assert codes(found) == {"array-interface"}


def test_dicts_of_python_2_are_looked_at(tmp_path):
    pairs = op.EMPTY_LIST + op.many(op.text("typestr"), op.text("<f8")) + op.APPEND
    body = op.new(op.SCALER, mean_=op.call("collections:OrderedDict", pairs))
    (tmp_path / "m").write_bytes(op.pickled(body))
    assert "array-interface" in codes(inspect(tmp_path / "m"))


def test_vocabulary_may_contain_the_name_of_an_attribute(tmp_path):
    for value in (1, 1.5, np.int64(1)):
        found = saved(scaler({"typestr": value}), tmp_path / "m", 5)
        assert found.safety.findings == ()


@pytest.mark.parametrize("how", [0, 2, 5, "joblib", "skops"])
def test_only_pandas_determines_the_kind(how, tmp_path):
    altered = scaler(np.ones(4))
    altered._typ = "series"
    assert codes(saved(altered, tmp_path / "m", how)) == {"posing"}


def test_a_series_is_no_index(tmp_path):
    kinds = [
        op.new("pandas.core.series:Series", _typ=op.text(kind)) for kind in ("series", "index")
    ]
    for body, wrong in zip(kinds, (False, True), strict=True):
        (tmp_path / "m").write_bytes(op.pickled(body))
        assert ("posing" in codes(inspect(tmp_path / "m"))) is wrong


def test_frames_keep_their_kind(tmp_path):
    frame = pd.DataFrame({"a": [1, 2]})
    found = saved({"model": scaler(np.ones(4)), "rows": frame, "b": bunch(a=1)}, tmp_path / "m", 5)
    assert found.safety.verdict == "pass"


ZONE = "datetime64[ns, dateutil//etc/hostname]"


@pytest.mark.parametrize("kind", [ZONE, [ZONE], np.str_(ZONE)])
def test_a_dtype_names_no_file(kind, tmp_path):
    altered = FunctionTransformer(np.asarray, kw_args={"dtype": kind})
    assert codes(saved(altered, tmp_path / "m", 5)) == {"bad-text"}
    monthly = FunctionTransformer(np.asarray, kw_args={"dtype": "datetime64[M]"})
    assert saved(monthly, tmp_path / "m", 5).safety.verdict == "pass"


@pytest.mark.parametrize("keyword", ["dtype", "tz"])
def test_a_text_of_numpy_names_no_file_either(keyword, tmp_path):
    zone = "dateutil//etc/x"
    state = op.many(op.number(3), op.text("<"), op.NONE, op.NONE, op.NONE,
                    op.number(4 * len(zone)), op.number(4), op.number(8))  # fmt: skip
    kind = op.call("numpy:dtype", op.text(f"U{len(zone)}"), op.FALSE, op.TRUE) + state + op.BUILD
    text = op.call("numpy.core.multiarray:scalar", kind, op.raw(zone.encode("utf-32-le")))
    altered = op.call("pandas.core.indexes.base:_new_Index", op.name("pandas:Index"),
                   op.table(**{keyword: text}))  # fmt: skip
    (tmp_path / "m").write_bytes(op.pickled(altered))
    found = inspect(tmp_path / "m").safety.findings
    assert "its time zone is the path of a file" in str(found)
    (tmp_path / "m").write_bytes(op.pickled(op.new(op.SCALER, _tz=text)))
    assert codes(inspect(tmp_path / "m")) == {"bad-text"}


# --- functions by way of a distribution ----------------------------------------------------------


def in_function(tmp_path, function):
    (tmp_path / "m").write_bytes(op.pickled(op.new(FUNCTION, func=function)))
    return codes(inspect(tmp_path / "m"))


def attribute_lookup(attribute, **state):
    return op.call("builtins:getattr", op.new(NORMAL, **state), op.text(attribute))


def test_no_attribute_of_the_file_is_a_method(tmp_path):
    wrapped = op.new(
        "numpy:vectorize", pyfunc=attribute_lookup("own", own=op.name("numpy:ndarray"))
    )
    assert in_function(tmp_path, wrapped) == {"bad-arguments", "bad-callable"}
    assert "bad-arguments" in in_function(tmp_path, attribute_lookup("random_state"))


def test_a_distribution_holds_no_names(tmp_path):
    (tmp_path / "m").write_bytes(op.pickled(op.new(NORMAL, own=op.name("numpy:ndarray"))))
    assert "bad-callable" in codes(inspect(tmp_path / "m"))


def test_an_estimator_calls_no_wrapper_of_a_function(tmp_path):
    wrapped = op.new("numpy:vectorize", pyfunc=attribute_lookup("cdf"))
    assert in_function(tmp_path, wrapped) == {"bad-callable"}


def test_an_array_holds_no_names(tmp_path):
    held = np.array([np.ndarray, None], object)
    for how in (2, 5, "joblib"):
        assert codes(saved(scaler(held), tmp_path / "m", how)) == {"bad-callable"}


def test_distributions_pass(tmp_path):
    held = [stats.norm, stats.randint(1, 5), stats.loguniform(1, 2), stats.poisson(2)]
    model = LogisticRegression().fit(X, Y)
    model.distributions = held
    assert saved(model, tmp_path / "m", 5).safety.verdict == "pass"


@pytest.mark.parametrize(
    "name", ["_base_loss", "_bin_mapper", "_link_instance", "kernel_", "link", "nbrs_", "nn_fit"]
)
def test_a_series_is_no_part_of_an_estimator(name, tmp_path):
    """Its labels would be the methods that are called."""
    altered = scaler(np.ones(4))
    setattr(altered, name, pd.Series([1], index=["inverse"]))
    assert codes(saved(altered, tmp_path / "m", 5)) == {"bad-member"}


# --- models that are not there -------------------------------------------------------------------


@pytest.mark.parametrize("model", [LGBMClassifier(n_estimators=2, verbose=-1), XGBClassifier()])
def test_a_booster_has_a_model(model, tmp_path, monkeypatch):
    model.fit(X, Y)
    booster = type(model._Booster)
    whole = booster.__getstate__
    state = whole(model._Booster)
    name = "_handle" if "_handle" in state else "handle"
    less = {key: value for key, value in state.items() if key != name}
    for other in (less, {**state, name: None}):
        monkeypatch.setattr(booster, "__getstate__", lambda _, other=other: other)
        assert codes(saved(model, tmp_path / "m", 5)) == {"broken-invariant"}


def test_codes_of_categories_are_no_classes(tmp_path):
    model = LogisticRegression().fit(X, Y)
    model.classes_ = pd.Categorical(["c", "b", "a"])
    found = saved(model, tmp_path / "m", 5)
    assert found.signature.classes is None


def test_lists_that_dicts_share_cost_once(monkeypatch):
    looked = collections.Counter()
    plain = posing._plain

    def counted(node):
        looked["values"] += 1
        return plain(node)

    monkeypatch.setattr(posing, "_plain", counted)
    shared = ["a"] * 1_000
    dicts = [posing.DictNode(["dtype"], [shared]) for _ in range(100)]
    assert list(posing.memory_interfaces(dicts)) == []
    assert looked["values"] < 2_000
