"""Legitimate files that were once refused, and the attacks closest to each."""

import gzip
import json
import pickle
import struct
import warnings
import zlib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from opcodes import (
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    FALSE,
    NONE,
    REDUCE,
    SCALER,
    SYSTEM,
    TUPLE1,
    call,
    dtype,
    many,
    name,
    new,
    number,
    pickled,
    raw,
    table,
    text,
)
from saving import save_and_inspect
from sklearn.compose import ColumnTransformer
from sklearn.impute._iterative import IterativeImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.inspection.verdicts import NOTES

DATA = Path(__file__).parents[1] / "data" / "alarms"
FILES = sorted(path.name for path in DATA.iterdir() if path.suffix in {".model", ".pkl", ".txt"})
TRUSTED = ("lr-pycaret", "ngboost", "sklearn-crfsuite")
"""Models of classes that modelpack does not know."""

X = np.random.RandomState(0).rand(40, 2)
Y = np.arange(40) % 2


def codes(tmp_path, data):
    (tmp_path / "model.pkl").write_bytes(data)
    spec = inspect(tmp_path / "model.pkl")
    trusting = inspect(tmp_path / "model.pkl", trust=spec.globals)
    assert spec.safety.verdict in {trusting.safety.verdict, "trust"}
    return {finding.code for finding in spec.safety.findings}


def hint(path):
    with pytest.raises((ModelNotSupportedError, ModelRefusedError)) as error:
        require_servable(inspect(path))
    return str(error.value.hint)


@pytest.mark.parametrize("file", FILES)
def test_files_of_old_releases(file):
    spec = inspect(DATA / file)
    if file.startswith(TRUSTED):
        assert {each.code for each in spec.safety.findings} - NOTES == {"unknown-global"}
        assert inspect(DATA / file, trust=spec.globals).safety.verdict == "pass"
    else:
        assert spec.safety.findings == ()
        require_servable(spec)


def test_there_is_a_file_of_each_kind():
    kinds = {file.partition("-")[0] for file in FILES}
    assert {
        "baggingclassifier", "bare", "booster", "boosting", "callbacks", "dart", "dpgmm",
        "ellipticenvelope",
        "featureagglomeration", "frame", "gaussianprocess", "gblinear", "gbtree", "gmm",
        "gridsearchcv", "onehotencoder", "randomizedpca",
        "importances", "kmeans", "labels", "lr", "memory", "metrics", "ngboost", "nowhere",
        "nusvc", "nusvr", "oneclasssvm", "pipeline", "poisson", "pooling", "reconstruct",
        "sklearn", "svc", "svr", "text", "ufunc",
    } == kinds  # fmt: skip
    joblibs = {file.split("-")[2] for file in FILES if file.startswith("memory")}
    assert joblibs == {
        "0.13.2.pkl", "0.17.0.pkl", "1.1.1.pkl", "1.2.0.pkl", "1.3.2.pkl", "1.4.2.pkl",
        "1.5.3.pkl", "1.6.0.pkl",
    }  # fmt: skip


def test_requirements_of_the_files():
    needs = inspect(DATA / "pipeline-dill-0.4.1.pkl").requirements
    assert needs == {"dill": "", "numpy": ">=2", "scikit-learn": "==1.9.1"}
    needs = inspect(DATA / "sklearn-crfsuite-0.5.0.pkl").requirements
    assert {"sklearn-crfsuite", "python-crfsuite"} <= needs.keys()
    assert "pycaret" in inspect(DATA / "lr-pycaret-3.3.2.pkl").requirements


@pytest.mark.parametrize("release", ["0.3.10", "0.5.11"])
def test_ngboost_names_its_inputs_and_a_release_with_its_modules(release):
    """Without a bound, the resolver chose 0.1.1, whose dependencies all have wheels."""
    spec = inspect(DATA / f"ngboost-{release}.pkl")
    assert spec.requirements["ngboost"] == ">=0.2"
    assert [(f.name, f.type) for f in spec.signature.inputs] == [
        ("x0", "number"), ("x1", "number"), ("x2", "number")
    ]  # fmt: skip


# --- caches of joblib -------------------------------------------------------------------------


@pytest.mark.parametrize("how", [0, 2, 5, ("zlib", 3)], ids=str)
@pytest.mark.parametrize("kind", ["text", "folder", "nowhere", "mapped", "compressed"])
def test_pipelines_with_a_cache(tmp_path, kind, how):
    folder = str(tmp_path / "cache")
    memory = {
        "text": folder,
        "folder": joblib.Memory(folder, verbose=0),
        "nowhere": joblib.Memory(None, verbose=0),
        "mapped": joblib.Memory(folder, verbose=0),
        "compressed": joblib.Memory(folder, compress=3, verbose=0),
    }[kind]
    columns = ColumnTransformer([("numbers", StandardScaler(), [0, 1])])
    model = Pipeline([("columns", columns), ("model", LogisticRegression())], memory=memory)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib warns that persisting took long
        model.fit(X, Y)
    if kind == "mapped":
        model.memory.mmap_mode = "r"
    spec = save_and_inspect(model, tmp_path / "model.pkl", how)
    assert spec.safety.findings == ()
    require_servable(spec)


MEMORY = "joblib.memory:Memory"
FOLDER = "joblib._store_backends:FileSystemStoreBackend"
NOT_CACHED = "joblib.memory:NotMemorizedFunc"
PIPELINE = "sklearn.pipeline:Pipeline"
FUNCTION = "sklearn.preprocessing._function_transformer:FunctionTransformer"


def piped(memory):
    return new(PIPELINE, steps=EMPTY_LIST, memory=memory)


# fmt: off
CACHES = {
    "a method": (piped(new(MEMORY, cache=text("x"))), "replaced-method"),
    "another attribute": (piped(new(MEMORY, other=NONE)), "bad-arguments"),
    "a location that is an object": (piped(new(MEMORY, location=new(SCALER))), "bad-arguments"),
    "another folder": (piped(new(MEMORY, store_backend=new(SCALER))), "bad-arguments"),
    "another backend": (piped(new(MEMORY, backend=text("s3"))), "bad-arguments"),
    "options": (piped(new(MEMORY, backend_options=table(a=NONE))), "bad-arguments"),
    "arguments": (piped(name(MEMORY) + text("/tmp") + TUPLE1 + b"\x81"), "bad-arguments"),
    "called": (piped(call(MEMORY, text("/tmp"))), "bad-arguments"),
    "a folder with a method": (
        piped(new(MEMORY, store_backend=new(FOLDER, load_item=text("x")))), "replaced-method"),
    "a folder in its place": (piped(new(FOLDER, location=text("/tmp"))), "bad-member"),
    "another object in its place": (piped(new(SCALER)), "bad-member"),
    "as a function": (new(FUNCTION, func=new(MEMORY, location=NONE)), "bad-member"),
    "as an estimator": (
        new(PIPELINE, steps=EMPTY_LIST + many(text("a"), new(MEMORY)) + b"a"), "bad-member"),
    "a cached function": (
        new(FUNCTION, func=new("joblib.memory:MemorizedFunc", location=text("/tmp"))),
        "banned-global"),
    "a cached result": (piped(new("joblib.memory:MemorizedResult")), "banned-global"),
    "a banned function": (new(FUNCTION, func=new(NOT_CACHED, func=name("posix:system"))),
                          "banned-global"),
    "a known function": (new(FUNCTION, func=new(NOT_CACHED, func=name("numpy:log1p"))),
                         "bad-arguments"),
    "a call": (new(FUNCTION, func=new(NOT_CACHED, func=SYSTEM)), "bad-arguments"),
    "a function's method": (
        new(FUNCTION, func=new(NOT_CACHED, func=name("own:f"), clear=name("own:f"))),
        "replaced-method"),
}
# fmt: on


@pytest.mark.parametrize(("body", "code"), CACHES.values(), ids=CACHES)
def test_caches_with_other_calls_are_refused(tmp_path, body, code):
    assert code in codes(tmp_path, pickled(body))


# --- frames of pandas 1.3 -----------------------------------------------------------------------

BLOCK = "pandas.core.internals.blocks:new_block"
ONES = (
    call("numpy.core.multiarray:_reconstruct", name("numpy:ndarray"), number(0) + TUPLE1, raw(b"b"))
    + many(number(1), many(number(1), number(2)), dtype("f8"), b"\x89", raw(bytes(16)))
    + BUILD
)


def partial(function=BLOCK, wrapped=b"h\5", more=EMPTY_TUPLE, **others):
    keywords = table(**{"ndim": number(2), **others})
    state = many(wrapped, more, keywords, NONE)  # b"h\5": the function again
    return name("functools:partial") + name(function) + b"q\5" + TUPLE1 + REDUCE + state + BUILD


def placed(built=None, start=0, stop=1):
    """A block with one row of two values."""
    slice_call = call("builtins:slice", number(start), number(stop), number(1))
    return (built or partial()) + many(ONES, slice_call) + REDUCE


def test_a_block_outside_of_its_frame(tmp_path):
    data = (DATA / "frame-2-pandas-1.3.5.pkl").read_bytes()
    positions = b"K\x02K\x03K\x01\x87"  # of a slice
    assert data.count(positions) == 1
    assert codes(tmp_path, data.replace(positions, b"K\x09K\x0aK\x01\x87")) == {"broken-invariant"}
    at = data.index(b"K\x02", data.index(b"ndim"))
    dimensions = data[:at] + b"K\x03" + data[at + 2 :]
    assert codes(tmp_path, dimensions) == {"broken-invariant"}


# fmt: off
PARTIALS = {
    "another function": (partial("numpy:load"), "computed-call"),
    "one that is trusted": (partial("own:f"), "computed-call"),
    "another in the state": (partial(wrapped=name("posix:system")), "computed-call"),
    "the same name again": (partial(wrapped=name(BLOCK)), "computed-call"),
    "more arguments": (partial(more=number(1) + TUPLE1), "computed-call"),
    "another keyword": (partial(klass=name("pandas:DataFrame")), "computed-call"),
    "a state that comes twice": (
        partial() + many(b"h\5", EMPTY_TUPLE, table(ndim=number(2)), NONE) + BUILD,
        "computed-call"),
    "no state": (name("functools:partial") + name(BLOCK) + TUPLE1 + REDUCE, "computed-call"),
    "dimensions that are text": (partial(ndim=text("2")), "bad-arguments"),
}
# fmt: on


@pytest.mark.parametrize(("built", "code"), PARTIALS.values(), ids=PARTIALS)
def test_partials_that_are_not_a_block_are_refused(tmp_path, built, code):
    assert code in codes(tmp_path, pickled(placed(built)))


def test_a_partial_of_a_block_is_no_value(tmp_path):
    assert "unexpected-role" in codes(tmp_path, pickled(new(FUNCTION, func=partial())))
    assert "unexpected-role" in codes(tmp_path, pickled(new("own:Model", func=partial())))
    assert codes(tmp_path, pickled(placed())) == {"not-a-model"}


# --- dill ---------------------------------------------------------------------------------------

CREATE, LOAD = "dill._dill:_create_array", "dill._dill:_load_type"
IMPORT, ATTRIBUTE = "dill._dill:_import_module", "dill._dill:_get_attr"
TYPED = "dill._dill:_create_ftype"
MAKER = "numpy._core.multiarray:_reconstruct"
EMPTY = many(name("numpy:ndarray"), number(0) + TUPLE1, raw(b"b"))
VALUES = many(number(1), number(2) + TUPLE1, dtype("f8"), b"\x89", raw(bytes(16)))

# fmt: off
DILL = {
    "a function": (call(CREATE, name("posix:system"), text("true") + TUPLE1, NONE, NONE),
                   "bad-arguments"),
    "one that is trusted": (call(CREATE, name("own:f"), EMPTY, VALUES, NONE), "bad-arguments"),
    "attributes": (call(CREATE, name(MAKER), EMPTY, VALUES, table(a=NONE)), "bad-arguments"),
    "another class": (
        call(CREATE, name(MAKER), many(name("subprocess:Popen"), number(0) + TUPLE1, raw(b"b")),
             VALUES, NONE), "banned-global"),
    "more values than bytes": (
        call(CREATE, name(MAKER), EMPTY,
             many(number(1), number(9) + TUPLE1, dtype("f8"), b"\x89", raw(bytes(16))),
             NONE), "broken-array"),
    "a list of arguments": (call(CREATE, name(MAKER), EMPTY_LIST, VALUES, NONE), "bad-arguments"),
    "a type of code": (call(LOAD, text("CodeType")), "bad-arguments"),
    "a call of a type of code": (call(LOAD, text("CodeType")) + EMPTY_TUPLE + REDUCE,
                                 "byte-code"),
    "zeros of a size": (call(LOAD, text("bytearray")) + number(9) + TUPLE1 + REDUCE,
                        "bad-arguments"),
    "a type that makes more": (call(LOAD, text("memoryview")) + number(9) + TUPLE1 + REDUCE,
                               "computed-call"),
    "a slice of a class": (
        call(LOAD, text("slice")) + many(name("own:f"), NONE, NONE) + REDUCE, "bad-arguments"),
    "a type as a function": (new(FUNCTION, func=call(LOAD, text("list"))), "bad-callable"),
    "the helper as a value": (new(FUNCTION, func=name(CREATE)), "unexpected-role"),
    "the helper in an own class": (new("own:Model", func=name(CREATE)), "unexpected-role"),
    "another module": (call(ATTRIBUTE, call(IMPORT, text("os")), text("system")),
                       "bad-arguments"),
    "a module without known names": (call(IMPORT, text("numpy.testing")), "bad-arguments"),
    "a name that is not known": (
        call(ATTRIBUTE, call(IMPORT, text("numpy")), text("load")), "bad-arguments"),
    "a name of the builtins": (
        call(ATTRIBUTE, call(IMPORT, text("numpy")), text("max")), "bad-arguments"),
    "an attribute of a class": (
        call(ATTRIBUTE, name("numpy:ndarray"), text("tofile")), "bad-arguments"),
    "a module as a value": (new("own:Model", part=call(IMPORT, text("numpy"))), "unexpected-role"),
    "a known function in another role": (
        new(FUNCTION, func=call(ATTRIBUTE, call(IMPORT, text("numpy.core.multiarray")),
                                text("_reconstruct"))), "unexpected-role"),
    "a partial of a function": (
        new(FUNCTION, func=call(TYPED, call(LOAD, text("PartialType")), name("posix:system"),
                                EMPTY_TUPLE, EMPTY_DICT)), "bad-arguments"),
    "a partial that is no partial": (
        call(TYPED, name("own:f"), name("own:g"), EMPTY_TUPLE, EMPTY_DICT), "bad-arguments"),
    "a partial with arguments": (
        call(TYPED, call(LOAD, text("PartialType")), name(BLOCK), number(1) + TUPLE1, EMPTY_DICT),
        "bad-arguments"),
    "another helper": (call("dill._dill:_create_function", NONE), "banned-global"),
    "code": (call("dill._dill:_eval_repr", text("1")), "banned-global"),
}
# fmt: on


@pytest.mark.parametrize(("body", "code"), DILL.values(), ids=DILL)
def test_dill_helpers_with_other_calls_are_refused(tmp_path, body, code):
    assert code in codes(tmp_path, pickled(body))


def test_dill_helpers_for_values_are_accepted(tmp_path):
    array = call(CREATE, name(MAKER), EMPTY, VALUES, NONE)
    slice_call = call(LOAD, text("slice")) + many(number(0), number(1), NONE) + REDUCE
    assert codes(tmp_path, pickled(array)) == {"not-a-model"}
    assert codes(tmp_path, pickled(many(array, slice_call))) == {"not-a-model"}
    assert codes(tmp_path, pickled(call(LOAD, text("int")))) == {"not-a-model"}
    module = call(IMPORT, text("numpy.core._multiarray_umath"))
    maker = call(ATTRIBUTE, module, text("_reconstruct"))
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(call(CREATE, maker, EMPTY, VALUES)))
    assert inspect(path).safety.verdict == "pass"
    assert set(inspect(path).globals) == {
        ATTRIBUTE, CREATE, IMPORT, "numpy.core._multiarray_umath:_reconstruct", "numpy:dtype",
        "numpy:ndarray",
    }  # fmt: skip


# --- states -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cls", "key", "code"),
    [
        ("own:Model", "__class__", "bad-state"),
        ("own:Model", "__dict__", "bad-state"),
        ("own:Model", "__array_ufunc__", "bad-state"),
        ("own:Model", "__Class__", "bad-state"),
        (SCALER, "__FILE_RESOURCE_DATA__", "bad-state"),
        ("own:Model", "__FILE_RESOURCE_DATA__", "unknown-global"),
    ],
)
def test_attributes_of_python(tmp_path, cls, key, code):
    assert code in codes(tmp_path, pickled(new(cls, **{key: raw(b"x")})))


@pytest.mark.parametrize(
    ("file", "own", "other"),
    [
        ("svc", "c_svc", "nu_svc"),
        ("svc", "c_svc", "one_class"),
        ("nusvc", "nu_svc", "c_svc"),
        ("svr", "epsilon_svr", "one_class"),
        ("nusvr", "nu_svr", "c_svc"),
        ("oneclasssvm", "one_class", "epsilon_svr"),
    ],
)
def test_a_support_vector_machine_of_another_kind(tmp_path, file, own, other):
    def sized_text(value):
        return struct.pack("<I", len(value)) + value.encode()

    data = (DATA / f"{file}-sklearn-0.19.2.pkl").read_bytes()
    assert sized_text(own) in data
    assert codes(tmp_path, data.replace(sized_text(own), sized_text(other))) == {"broken-invariant"}


@pytest.mark.parametrize("module", ["numpy.lib.function_base", "numpy.lib.type_check"])
def test_ufuncs_by_the_module_that_was_found_first(tmp_path, module):
    found = "isnan" if module.endswith("type_check") else "sqrt"

    def transformer(function):
        held = call("numpy.core:_ufunc_reconstruct", text(module), text(function))
        return pickled(new(FUNCTION, func=held))

    assert not codes(tmp_path, transformer(found)) - {"not-fitted", "no-prediction"}
    assert "bad-arguments" in codes(tmp_path, transformer("vectorize"))
    assert "bad-arguments" in codes(tmp_path, transformer("np"))


# --- boosters -----------------------------------------------------------------------------------


def test_callbacks_of_xgboost(tmp_path):
    stop = xgboost.callback.EarlyStopping(rounds=2)
    shown = xgboost.callback.EvaluationMonitor()
    model = xgboost.XGBClassifier(n_estimators=3, callbacks=[stop, shown])
    model.fit(X, Y, eval_set=[(X, Y)], verbose=False)
    for how in (2, 5):
        assert save_and_inspect(model, tmp_path / "model.pkl", how).safety.verdict == "pass"


def test_callbacks_with_other_calls_are_refused(tmp_path):
    stop, shown = "xgboost.callback:EarlyStopping", "xgboost.callback:EvaluationMonitor"
    assert "replaced-method" in codes(tmp_path, pickled(new(stop, after_iteration=NONE)))
    body = new(shown, _logger=name("numpy:savetxt"))
    assert codes(tmp_path, pickled(body)) & {"banned-global", "bad-callable"}
    assert "bad-callable" in codes(tmp_path, pickled(new(shown, _logger=name("numpy:log1p"))))
    body = new(FUNCTION, func=name("xgboost.collective:communicator_print"))
    assert "bad-callable" in codes(tmp_path, pickled(body))


@pytest.mark.parametrize("booster", ["gbtree", "dart"])
def test_trees_without_a_header(tmp_path, booster):
    data = bytearray((DATA / f"{booster}-xgboost-0.90.model").read_bytes())
    root = 136 + 8 + len("binary:logistic") + 8 + len(booster) + 160 + 148
    assert struct.unpack_from("<i", data, root)[0] == -1  # the parent of the first node
    struct.pack_into("<i", data, root + 4, 10**6)
    assert codes(tmp_path, bytes(data)) == {"broken-invariant"}


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("neighbours-sklearn-0.19.2.old", "a tree of neighbours of scikit-learn before 0.20"),
        ("tree-sklearn-0.17.1.old", "a tree of scikit-learn before 0.18"),
        ("scaler-sklearn-0.16.1.old", "an estimator of scikit-learn before 0.17, without 'scale_'"),
        ("lda-sklearn-0.18.2.old", "a class that scikit-learn 0.19 and later do not have"),
    ],
)
def test_layouts_that_later_releases_do_not_load_are_not_called_dangerous(file, words):
    with pytest.raises(ModelNotSupportedError, match=words) as error:
        require_servable(inspect(DATA / file))
    assert error.value.hint == "Train the model again with scikit-learn 0.20 or later."


OLD_STATES = {
    "SVC": ("sklearn.svm.classes:SVC", "dual_coef_", "_dual_coef_"),
    "scaler": ("sklearn.preprocessing.data:StandardScaler", "std_", "scale_"),
    "NMF": ("sklearn.decomposition.nmf:NMF", "components_", "beta_loss"),
}


@pytest.mark.parametrize("kind", OLD_STATES)
def test_estimators_that_later_releases_cannot_use_are_named(tmp_path, kind):
    key, fitted, added = OLD_STATES[kind]
    (tmp_path / "m").write_bytes(pickled(new(key, **{fitted: NONE})))
    with pytest.raises(ModelNotSupportedError, match=f"without '{added}', which later") as error:
        require_servable(inspect(tmp_path / "m"))
    assert error.value.hint == "Train the model again with scikit-learn 0.20 or later."
    assert "old-layout" not in codes(tmp_path, pickled(new(key, **{fitted: NONE, added: NONE})))
    (tmp_path / "m").write_bytes(pickled(many(new(key, **{fitted: NONE}), SYSTEM)))
    with pytest.raises(ModelRefusedError):
        require_servable(inspect(tmp_path / "m"))


def test_classes_that_were_removed_before_0_19_need_no_trust(tmp_path):
    (tmp_path / "m").write_bytes(pickled(new("sklearn.hmm:GaussianHMM", means_=NONE)))
    with pytest.raises(ModelNotSupportedError, match=r"sklearn\.hmm\.GaussianHMM is a class that"):
        require_servable(inspect(tmp_path / "m"))


def test_pipelines_before_0_17_contain_their_steps_twice():
    spec = inspect(DATA / "text-sklearn-0.16.1.pkl")
    assert (spec.safety.verdict, spec.task, len(spec.steps)) == ("pass", "classifier", 2)
    assert spec.signature.layout == "text"


@pytest.mark.parametrize(("release", "needed"), [("0.19.2", {"scipy": "<1.3"}), ("0.20.2", {})])
def test_scikit_learn_before_0_20_does_not_declare_scipy(tmp_path, release, needed):
    data = (DATA / "svc-sklearn-0.19.2.pkl").read_bytes().replace(b"0.19.2", release.encode())
    (tmp_path / "model.pkl").write_bytes(data)
    found = inspect(tmp_path / "model.pkl").requirements
    assert found == {"numpy": "<2", "scikit-learn": f"=={release}", **needed}


REMOVED = {
    "dpgmm": ("clusterer", 3),
    "ellipticenvelope": ("outlier_detector", 3),
    "featureagglomeration": ("clusterer", 3),
    "gaussianprocess": ("regressor", 3),
    "gmm": ("clusterer", 3),
    "gridsearchcv": ("classifier", 3),
    "onehotencoder": ("transformer", 3),
    "randomizedpca": ("transformer", 3),
}


@pytest.mark.parametrize("kind", REMOVED)
def test_estimators_that_scikit_learn_has_removed_are_described(kind):
    spec = inspect(DATA / f"{kind}-sklearn-0.18.2.pkl")
    assert (spec.task, len(spec.signature.inputs)) == REMOVED[kind]
    assert spec.requirements["scikit-learn"] == "==0.18.2"


GAUSSIAN = "sklearn.gaussian_process.gaussian_process:GaussianProcess"
FUNCTIONS = "sklearn.gaussian_process"


@pytest.mark.parametrize(
    ("regr", "corr", "expected"),
    [
        ("regression_models:linear", "correlation_models:cubic", set()),
        ("correlation_models:cubic", "correlation_models:cubic", {"bad-callable"}),
        ("regression_models:linear", "regression_models:linear", {"bad-callable"}),
        (
            "regression_models:l1_cross_distances",
            "correlation_models:cubic",
            {"bad-callable", "banned-global"},
        ),
    ],
)
def test_functions_of_a_gaussian_process_have_their_positions(tmp_path, regr, corr, expected):
    state = {"regr": name(f"{FUNCTIONS}.{regr}"), "corr": name(f"{FUNCTIONS}.{corr}")}
    assert codes(tmp_path, pickled(new(GAUSSIAN, **state))) - NOTES == expected


@pytest.mark.parametrize("arguments", [
    (text("/tmp"), NONE, FALSE, number(0)),
    (NONE, text("x"), FALSE, number(0)),
    (NONE, NONE, text("x"), number(0)),
    (NONE, NONE, FALSE, number(0), NONE),
])  # fmt: skip
def test_a_called_cache_has_no_folder(tmp_path, arguments):
    key = "sklearn.externals.joblib.memory:Memory"
    for values, expected in (((NONE, NONE, FALSE, number(0)), set()),
                             (arguments, {"bad-arguments"})):  # fmt: skip
        memory = call(key, *values)
        assert codes(tmp_path, pickled(new(SCALER, memory=memory))) == expected
    outside = new(SCALER, other=call(key, NONE, NONE, FALSE, number(0)))
    assert codes(tmp_path, pickled(outside))


def test_an_old_layout_does_not_hide_an_attack(tmp_path):
    data = (DATA / "tree-sklearn-0.17.1.old").read_bytes()
    path = tmp_path / "model.pkl"
    path.write_bytes(data[:-1] + pickled(SYSTEM)[2:-1] + b"\x86.")
    assert "do not load this file" in hint(path)


def test_an_old_layout_does_not_hide_an_unknown_function(tmp_path):
    data = (DATA / "tree-sklearn-0.17.1.old").read_bytes()
    path = tmp_path / "model.pkl"
    path.write_bytes(data[:-1] + pickled(call("numexpr:evaluate", text("1")))[2:-1] + b"\x86.")
    with pytest.raises(ModelRefusedError):
        require_servable(inspect(path))


EARLIER = {
    "baggingclassifier": ("classifier", "<0.22"),
    "ellipticenvelope": ("outlier_detector", "<0.20"),
}


@pytest.mark.parametrize("kind", EARLIER)
def test_estimators_of_scikit_learn_0_17_are_described(kind):
    spec = inspect(DATA / f"{kind}-sklearn-0.17.1.pkl")
    require_servable(spec)
    assert (spec.task, spec.requirements["scikit-learn"]) == EARLIER[kind]
    assert spec.safety.findings == ()


def test_a_moved_ellipse_needs_the_number_of_its_features(tmp_path):
    data = (DATA / "ellipticenvelope-sklearn-0.17.1.pkl").read_bytes()
    newer = data.replace(b".outlier_detection\n", b"._elliptic_envelope\n")
    assert codes(tmp_path, data) == set()
    assert "broken-invariant" in codes(tmp_path, newer)


def test_the_number_of_features_is_needed_since_it_is_compared(tmp_path):
    """The module of the class shows its age if the file records no release."""
    data = (DATA / "kmeans-sklearn-0.17.1.pkl").read_bytes()
    newer = data.replace(b"csklearn.cluster.k_means_\n", b"csklearn.cluster._kmeans\n")
    assert codes(tmp_path, data) == set()
    assert codes(tmp_path, newer) == {"broken-invariant"}


@pytest.mark.parametrize("release", ["0.72", "0.90"])
def test_poisson_models_of_old_releases_need_such_a_release(release):
    spec = inspect(DATA / f"poisson-xgboost-{release}.model")
    assert spec.requirements["xgboost"] == "<1"


@pytest.mark.parametrize(
    ("file", "layout"),
    [
        ("bare-xgboost-0.90.pkl", "array"),
        ("frame-xgboost-0.90.pkl", "frame"),
        ("frame-xgboost-1.2.1.pkl", "frame"),
    ],
)
def test_estimators_of_xgboost_before_1_4_get_the_names_of_their_features(file, layout):
    signature = inspect(DATA / file).signature
    assert [field.name for field in signature.inputs] == ["a", "b", "c", "d"]
    assert signature.layout == layout


def test_a_linear_model_of_xgboost_gets_the_names_of_its_features(tmp_path):
    frame = pd.DataFrame(X, columns=["a", "b"])
    for booster, layout in (("gblinear", "frame"), ("gbtree", "array")):
        model = xgboost.XGBRegressor(n_estimators=2, booster=booster).fit(frame, Y)
        assert save_and_inspect(model, tmp_path / booster, 4).signature.layout == layout


def test_metrics_that_the_flag_declares_may_be_absent_only_at_the_end(tmp_path):
    data = (DATA / "metrics-xgboost-1.0.2.model").read_bytes()
    assert codes(tmp_path, data) == set()
    assert codes(tmp_path, data + b"\x01") == {"truncated"}
    assert codes(tmp_path, data + struct.pack("<QQ", 1, 3) + b"mae") == set()
    assert codes(tmp_path, data + struct.pack("<QQ", 2, 3) + b"mae") == {"truncated"}


def test_the_label_encoder_of_xgboost_keeps_its_methods(tmp_path):
    assert codes(tmp_path, pickled(new("xgboost.compat:XGBoostLabelEncoder", to_json=NONE))) == {
        "replaced-method"
    }


def test_trees_with_importances_behind_them(tmp_path):
    data = (DATA / "importances-lightgbm-2.1.2.txt").read_bytes()
    assert codes(tmp_path, data.replace(b"left_child=-1", b"left_child=7", 1)) == {
        "broken-invariant"
    }


@pytest.mark.parametrize("end", [b"feature importances:", b"end of trees"])
def test_trees_behind_the_end_of_the_trees(tmp_path, end):
    """LightGBM takes an end in the head for one more line of it, and reads the trees."""
    data = (DATA / "importances-lightgbm-2.1.2.txt").read_bytes()
    head, _, rest = data.partition(b"\n\n")
    lines = [line for line in head.split(b"\n") if not line.startswith(b"tree_sizes")]
    hidden = b"\n".join([*lines, b"", end, b"", rest])
    assert codes(tmp_path, hidden) == {"broken-invariant"}


# --- skops --------------------------------------------------------------------------------------


def test_an_iterative_imputer_of_skops(tmp_path):
    holed = X.copy()
    holed[::7, 1] = np.nan
    model = make_pipeline(IterativeImputer(max_iter=2), LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it does not converge so soon
        model.fit(holed, Y)
    skops.io.dump(model, tmp_path / "model.skops")
    spec = inspect(tmp_path / "model.skops")
    assert spec.safety.findings == ()
    require_servable(spec)


# --- words --------------------------------------------------------------------------------------

SAFETENSORS = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
# fmt: off
HARMLESS = {
    "savedmodel": (b"\x08\x01\x12\xd2\x05\n\xb0\x01\x12\x0e\n\x0cSaveV2" + bytes(40), "savedmodel"),
    "coreml": (b"\x08\x05\x12\x1c\n\x1a\n\x05input\x12\x06length\x1a\x02*\0" + bytes(20), "coreml"),
    "safetensors": (struct.pack("<Q", len(SAFETENSORS)) + SAFETENSORS + bytes(8), "safetensors"),
    "joblib 0.9": (b"ZF0x14               " + zlib.compress(pickle.dumps([1])), "joblib-zf"),
    "several pickles": (pickle.dumps([1, 2]) + pickle.dumps({"a": 1}), "pickles"),
    "Python 2": (b"(dp0\nS'a'\np1\nI1\ns.", "pickle"),
    "an old class of Python 2": (b"(imodel\nModel\np0\n(dp1\nb.", "pickle"),
    "pmml": (b'<?xml version="1.0"?>\n<PMML version="4.4"><Header/></PMML>', "pmml"),
    "cut": (pickle.dumps({"a": "b" * 50})[:-20], "unknown"),
    "cut gzip": (gzip.compress(pickle.dumps({"a": "b" * 50}))[:-20], "unknown"),
    "any bytes": (bytes(range(256)) * 4, "unknown"),
    "empty": (b"", "unknown"),
}
# fmt: on


@pytest.mark.parametrize(("data", "format_"), HARMLESS.values(), ids=HARMLESS)
def test_harmless_files_are_not_reported_as_dangerous(tmp_path, data, format_):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    assert inspect(path).format in {format_, "unknown"}
    if format_ not in {"pickle", "unknown"}:
        assert inspect(path).format == format_
    assert "do not load" not in hint(path)


# fmt: off
HARMFUL = {
    "a command": pickled(SYSTEM),
    "a command behind a cut": pickled(SYSTEM)[:-1] + b"X\xff\xff\0\0",
    "a method that is replaced": pickled(new(SCALER, transform=NONE)),
    "an array that is too short": pickled(many(
        call("numpy.core.multiarray:_reconstruct", name("numpy:ndarray"), number(0) + TUPLE1,
             raw(b"b"))
        + many(number(1), number(9) + TUPLE1, dtype("f8"), b"\x89", raw(b"")) + BUILD)),
    "a computed call": pickled(name("own:f") + EMPTY_TUPLE + REDUCE + EMPTY_TUPLE + REDUCE),
    "an old call": b"(S'true'\nios\nsystem\n.",
}
# fmt: on


@pytest.mark.parametrize("data", HARMFUL.values(), ids=HARMFUL)
def test_attacks_are_reported_as_dangerous(tmp_path, data):
    path = tmp_path / "model.pkl"
    path.write_bytes(data)
    assert "do not load this file" in hint(path)


def test_onnx_with_a_description_before_the_graph(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x08\x07\x12\x04test\x32\x05words" + bytes(9))
    assert inspect(path).format == "onnx"
