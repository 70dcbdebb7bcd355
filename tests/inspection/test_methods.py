"""State keys that replace methods. Nothing here is loaded."""

import inspect as python
import json
import pickle
from pathlib import Path

import joblib
import pytest
import skops.io
from families import X, Y
from opcodes import (
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    FALSE,
    MARK,
    NEWOBJ,
    NONE,
    SETITEMS,
    TUPLE1,
    TUPLE2,
    call,
    dtype,
    many,
    name,
    new,
    number,
    old,
    pickled,
    raw,
    table,
    text,
)
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import all_estimators
from zips import json_state, object_state
from zips import skops as archive

from modelpack.inspection import allowlist, methods
from modelpack.inspection.inspector import inspect
from modelpack.inspection.nodes import DictNode, Global, ObjectNode
from modelpack.inspection.pickle.machine import Trace
from modelpack.inspection.policy import judge
from modelpack.inspection.verdicts import verdict

FOREST = "sklearn.ensemble._forest:RandomForestClassifier"
BOOSTING = "sklearn.ensemble._gb:GradientBoostingClassifier"
LOGISTIC = "sklearn.linear_model._logistic:LogisticRegression"
SCALER = "sklearn.preprocessing._data:StandardScaler"
CODE = "replaced-method"


def inspected(tmp_path, data):
    path = tmp_path / "m"
    path.write_bytes(data)
    return inspect(path).safety


def codes(tmp_path, data):
    safety = inspected(tmp_path, data)
    return safety.verdict, {finding.code for finding in safety.findings}


ARRAY = (
    call(
        "numpy._core.multiarray:_reconstruct", name("numpy:ndarray"), number(0) + TUPLE1, raw(b"b")
    )
    + many(number(1), number(1) + TUPLE1, dtype("f8"), FALSE, raw(bytes(8)))
    + BUILD
)
EXTENSION = call(
    "pandas._libs.arrays:__pyx_unpickle_NDArrayBacked",
    name("pandas.core.arrays.datetimes:DatetimeArray"),
    number(1),
    NONE,
)
PICKLES = {
    "class of scikit-learn": new(BOOSTING, _raw_predict_init=new(SCALER)),
    "method of a base": new(FOREST, _validate_X_predict=new(SCALER)),
    "public method": new(LOGISTIC, predict=new(SCALER)),
    "method of another library's base": new(
        "imblearn.ensemble._forest:BalancedRandomForestClassifier", _validate_y_class_weight=NONE
    ),
    "method of XGBoost": new("xgboost.sklearn:XGBClassifier", get_booster=new(SCALER)),
    "method of LightGBM": new("lightgbm.sklearn:LGBMClassifier", _process_params=new(SCALER)),
    "method of CatBoost": new("catboost.core:CatBoostClassifier", _predict=new(SCALER)),
    "vectoriser with a contract": new(
        "sklearn.feature_extraction.text:CountVectorizer", build_analyzer=new(SCALER)
    ),
    "distribution of scipy": new("scipy.stats._continuous_distns:norm_gen", _pdf=new(SCALER)),
    "sparse matrix": new("scipy.sparse._csr:csr_matrix", tocsc=new(SCALER)),
    "results of statsmodels": new(
        "statsmodels.regression.linear_model:RegressionResultsWrapper", predict=new(SCALER)
    ),
    "method that unpickling calls": new(
        "statsmodels.discrete.discrete_model:NegativeBinomial", _initialize=new(SCALER)
    ),
    "protocol 0": old(LOGISTIC) + table(decision_function=NONE) + BUILD,
    "property that hides the value": new("sklearn.pipeline:Pipeline", classes_=EMPTY_LIST),
    "attribute of a compiled base": EXTENSION
    + many(ARRAY, dtype("M8[ns]"), table(copy=NONE))
    + BUILD,
    "dict in a tuple": name("pandas.core.arrays.datetimes:DatetimeArray") + EMPTY_TUPLE + NEWOBJ
    + table(copy=NONE) + TUPLE1 + BUILD,
    "dict of collections": call("collections:OrderedDict") + table(items=new(SCALER)) + BUILD,
    "slots": name(LOGISTIC) + EMPTY_TUPLE + NEWOBJ + NONE + table(predict=NONE) + TUPLE2 + BUILD,
    "state of the reduced form": call(
        "copyreg:_reconstructor", name(FOREST), name("builtins:object"), NONE
    )
    + table(estimators_=EMPTY_LIST, predict_proba=EMPTY_DICT)
    + BUILD,
}  # fmt: skip


@pytest.mark.parametrize("key", PICKLES)
def test_pickle_is_refused(tmp_path, key):
    found, why = codes(tmp_path, pickled(PICKLES[key]))
    assert found == "refuse"
    assert why & {CODE, "bad-state"}, why
    if key != "slots":
        assert CODE in why


NOT_OF_DICTS = {
    "pairs in a list": EMPTY_LIST + many(text("predict"), NONE) + b"a",
    "pairs in a tuple": many(text("predict"), NONE) + TUPLE1,
    "object that holds pairs": call("collections:OrderedDict")
    + MARK + text("predict") + NONE + SETITEMS,
}  # fmt: skip


@pytest.mark.parametrize("key", NOT_OF_DICTS)
def test_state_that_is_no_dict_is_refused(tmp_path, key):
    estimator = name("imblearn.over_sampling._smote.base:SMOTE") + EMPTY_TUPLE + NEWOBJ
    assert codes(tmp_path, pickled(estimator + NOT_OF_DICTS[key] + BUILD)) == (
        "refuse",
        {"bad-state"},
    )


FITTED = {
    "_validate_X_predict": RandomForestClassifier(2),
    "predict_proba": LogisticRegression(),
    "kneighbors": KNeighborsClassifier(),
    "_transform": FunctionTransformer(),
}


@pytest.mark.parametrize("how", ["pickle", "joblib", "skops"])
@pytest.mark.parametrize("key", FITTED)
def test_fitted_model_is_refused(tmp_path, key, how):
    path = tmp_path / "m"
    model = clone(FITTED[key]).fit(X, Y)
    saved(model, path, how)
    assert inspect(path).safety.verdict == "pass"
    vars(model)[key] = StandardScaler().fit(X)
    saved({"model": model}, path, how)
    safety = inspect(path).safety
    (finding,) = safety.findings
    assert (finding.code, safety.verdict) == (CODE, "refuse")
    assert f"{type(model).__module__}.{type(model).__name__} is used" in finding.message
    assert f"replaces {key}," in finding.message


def saved(model, path, how):
    if how == "skops":
        skops.io.dump(model, path)
    elif how == "joblib":
        joblib.dump(model, path, compress=3)
    else:
        path.write_bytes(pickle.dumps(model))


def test_schema_is_refused(tmp_path):
    data = archive(object_state(LOGISTIC, predict=json_state(None)))
    assert codes(tmp_path, data) == ("refuse", {CODE})


def test_each_method_of_each_estimator_is_refused():
    counted = 0
    for _, cls in all_estimators():
        key = f"{cls.__module__}:{cls.__qualname__}"
        for attribute in computed_names(cls):
            state = DictNode([attribute], [None])
            found = judge(Trace(objects=[instance(key, state)]), None, ())
            assert verdict(found) == "refuse", (key, attribute)
            counted += 1
    assert counted > 5_000


def computed_names(cls):
    """Yield the names of methods and of computed attributes, without dunders, which have a check.

    A property precedes the state: replacing it has no effect.
    """
    for attribute in dir(cls):
        found = python.getattr_static(cls, attribute)
        has_get = hasattr(type(found), "__get__") and not python.isdatadescriptor(found)
        if has_get and not attribute.startswith("__"):
            yield attribute


def instance(key, *states):
    return ObjectNode("new", Global(key, 0, "GLOBAL"), (), 0, "NEWOBJ", states=list(states))


@pytest.mark.parametrize(
    ("key", "attribute"),
    [
        ("sklearn.svm._classes:SVC", "_impl"),  # set on objects before scikit-learn 0.20
        ("sklearn.svm._classes:SVC", "probA_"),
        ("sklearn.ensemble._forest:RandomForestClassifier", "n_features_"),
        ("sklearn.decomposition._dict_learning:SparseCoder", "n_features_in_"),
        ("sklearn.naive_bayes:GaussianNB", "sigma_"),
        ("sklearn.pipeline:Pipeline", "_estimator_type"),
        ("lightgbm.sklearn:LGBMClassifier", "_n_features"),
        ("xgboost.sklearn:XGBClassifier", "n_classes_"),
        ("pandas.core.series:Series", "name"),
        ("pandas.core.frame:DataFrame", "attrs"),
        ("numpy:poly1d", "coeffs"),
        ("statsmodels.regression.quantile_regression:QuantRegResults", "scale"),
        ("statsmodels.genmod.families.family:Binomial", "variance"),
        ("sklearn.cluster._agglomerative:FeatureAgglomeration", "pooling_func"),
    ],
)
def test_attributes_that_a_release_stores_are_not_methods(key, attribute):
    assert allowlist.is_known(key)
    assert attribute not in methods.reserved_names(key)


def test_old_names_of_a_class_are_known():
    assert "_validate_X_predict" in methods.reserved_names(
        "sklearn.ensemble.forest:RandomForestClassifier"
    )
    assert "_dense_predict" in methods.reserved_names("sklearn.svm.classes:SVC")


def test_every_constructed_class_has_methods():
    table = json.loads((Path(allowlist.__file__).parent / "allowlist.json").read_text())
    constructed = {key for key, entry in table.items() if "new" in entry["roles"]}
    without = {key for key in constructed if not methods.reserved_names(key)}
    # Tuples, which take no state, and classes that have no methods but those of Python.
    assert {key.partition(":")[2] for key in without} == {
        "DistributionBoundary", "Hyperparameter", "VCSpec", "_CVScoreTuple",
        "_DeprecationWrapper",
        "_ImputerTriplet", "make_column_selector", "object",
    }  # fmt: skip


def test_unknown_classes_have_none():
    """A class of the author is not looked into, whatever it inherits from."""
    assert methods.reserved_names("my.module:Model") == frozenset()
    constructed = instance("my.module:Model", DictNode(["predict"], [None]))
    found = judge(Trace(objects=[constructed]), None, ())
    assert CODE not in {finding.code for finding in found}
