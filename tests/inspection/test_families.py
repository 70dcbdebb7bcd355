"""Models of the libraries around scikit-learn, and of several steps: facts as after a load."""

import pickle
from functools import cache

import category_encoders
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from answers import assert_declared, predict_example
from catboost import CatBoostClassifier, CatBoostRegressor
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from imblearn.under_sampling import RandomUnderSampler
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from saving import save_and_inspect
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from xgboost import XGBClassifier, XGBRanker, XGBRegressor, XGBRFClassifier
from zoo import FLOWERS, NAMES, RECORDS, TEXTS, X, Y

from modelpack.inspection import limits, require_servable

LABELS = NAMES[Y]
MIXED = FLOWERS.assign(kind=pd.Series(LABELS[::-1]), about=pd.Series(TEXTS[:1] * len(Y)))
GROUPS = [20, 20, 10]
BINARY = (Y > 0).astype(int)
SPAM = [0, 1, 0, 1] * 5
CATBOOST = {"iterations": 3, "verbose": 0, "allow_writing_files": False}


def _columns():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer(
        [
            ("numbers", numbers, list(FLOWERS.columns)),
            ("kinds", OneHotEncoder(handle_unknown="ignore"), ["kind"]),
            ("text", TfidfVectorizer(), "about"),
        ]
    )


def _encoded(encoder):
    return make_pipeline(encoder(cols=["kind"]), LogisticRegression()).fit(
        MIXED.drop(columns="about"), BINARY
    )


# fmt: off
MODELS = {
    "xgboost": lambda: XGBClassifier(n_estimators=3).fit(FLOWERS, Y),
    "xgboost of two classes": lambda: XGBClassifier(n_estimators=3).fit(X, BINARY),
    "xgboost of numbers": lambda: XGBRegressor(n_estimators=3).fit(X, Y),
    "xgboost of two outputs": lambda: XGBRegressor(n_estimators=3).fit(X, np.c_[Y, Y]),
    "xgboost's forest": lambda: XGBRFClassifier(n_estimators=3).fit(FLOWERS, Y),
    "xgboost's ranks": lambda: XGBRanker(n_estimators=3).fit(X, Y, group=GROUPS),
    "xgboost in a pipeline": lambda: make_pipeline(
        StandardScaler(), XGBClassifier(n_estimators=3)).fit(FLOWERS, Y),
    "lightgbm": lambda: LGBMClassifier(n_estimators=3, verbose=-1).fit(FLOWERS, LABELS),
    "lightgbm of numbers": lambda: LGBMRegressor(n_estimators=3, verbose=-1).fit(X, Y),
    "lightgbm's ranks": lambda: LGBMRanker(n_estimators=3, verbose=-1).fit(X, Y, group=GROUPS),
    "lightgbm's booster": lambda: LGBMClassifier(
        n_estimators=3, verbose=-1).fit(FLOWERS, Y).booster_,
    "lightgbm in a search": lambda: GridSearchCV(
        LGBMClassifier(n_estimators=3, verbose=-1), {"max_depth": [2, 3]}, cv=2).fit(FLOWERS, Y),
    "catboost": lambda: CatBoostClassifier(**CATBOOST).fit(FLOWERS, LABELS),
    "catboost of two classes": lambda: CatBoostClassifier(**CATBOOST).fit(X, BINARY > 0),
    "catboost of numbers": lambda: CatBoostRegressor(**CATBOOST).fit(X, Y),
    "catboost of two outputs": lambda: CatBoostRegressor(
        **CATBOOST, loss_function="MultiRMSE").fit(X, np.c_[Y, Y]),
    "catboost of mixed columns": lambda: CatBoostClassifier(
        **CATBOOST, cat_features=["kind"]).fit(MIXED.drop(columns="about"), BINARY),
    "sampling": lambda: make_sampling_pipeline(
        SMOTE(), StandardScaler(), LogisticRegression()).fit(FLOWERS, LABELS),
    "sampling of mixed columns": lambda: make_sampling_pipeline(
        RandomUnderSampler(), _columns(), LogisticRegression()).fit(MIXED, LABELS),
    "balanced forest": lambda: BalancedRandomForestClassifier(5).fit(FLOWERS, LABELS),
    "target encoder": lambda: _encoded(category_encoders.TargetEncoder),
    "ordinal encoder": lambda: _encoded(category_encoders.OrdinalEncoder),
    "evidence encoder": lambda: _encoded(category_encoders.WOEEncoder),
    "mixed columns": lambda: make_pipeline(_columns(), LogisticRegression()).fit(MIXED, LABELS),
    "mixed columns, boosted": lambda: make_pipeline(
        _columns(), GradientBoostingClassifier(n_estimators=2)).fit(MIXED, LABELS),
    "search over mixed columns": lambda: GridSearchCV(
        make_pipeline(_columns(), LogisticRegression()), {"logisticregression__C": [1, 2]},
        cv=2).fit(MIXED, LABELS),
    "stack of mixed columns": lambda: StackingClassifier(
        [("a", make_pipeline(_columns(), LogisticRegression()))], cv=2).fit(MIXED, LABELS),
    "calibrated search": lambda: CalibratedClassifierCV(
        GridSearchCV(make_pipeline(TfidfVectorizer(), LinearSVC()), {"linearsvc__C": [1, 2]},
                     cv=2), cv=2).fit(TEXTS, SPAM),
    "vote": lambda: VotingClassifier(
        [("a", LogisticRegression()), ("b", KNeighborsClassifier())],
        voting="soft").fit(FLOWERS, LABELS),
    "one by one": lambda: OneVsRestClassifier(LinearSVC()).fit(FLOWERS, LABELS),
    "chain": lambda: ClassifierChain(LogisticRegression()).fit(X, np.c_[BINARY, 1 - BINARY]),
    "several labels": lambda: MultiOutputClassifier(LogisticRegression()).fit(
        X, np.c_[LABELS, LABELS]),
    "target": lambda: TransformedTargetRegressor(
        make_pipeline(_columns(), Ridge()), func=np.log1p, inverse_func=np.expm1).fit(MIXED, Y),
    "functions": lambda: make_pipeline(
        FunctionTransformer(np.log1p), StandardScaler(), Ridge()).fit(FLOWERS, Y),
    "process": lambda: GaussianProcessRegressor(RBF() + WhiteKernel()).fit(FLOWERS, Y),
    "strings": lambda: make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(
        MIXED[["kind"]], LABELS),
    "text": lambda: make_pipeline(HashingVectorizer(), SGDClassifier()).fit(TEXTS, SPAM),
    "union of texts": lambda: make_pipeline(
        make_union(TfidfVectorizer(), TfidfVectorizer(analyzer="char")),
        LogisticRegression()).fit(TEXTS, SPAM),
    "dicts": lambda: make_pipeline(DictVectorizer(), LogisticRegression()).fit(RECORDS, SPAM),
    "several outputs": lambda: RandomForestRegressor(3).fit(FLOWERS, np.c_[Y, Y]),
    "kinds": lambda: HistGradientBoostingClassifier(max_iter=2).fit(
        MIXED[["kind"]].astype("category").join(FLOWERS), LABELS),
}
# fmt: on


@cache
def build_model(name):
    return MODELS[name]()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore")
def test_facts_are_those_of_the_loaded_model(name, tmp_path):
    path = tmp_path / "m"
    spec = save_and_inspect(build_model(name), path, 4)
    model = pickle.loads(path.read_bytes())
    require_servable(spec)
    assert spec.estimator == f"{type(model).__module__}.{type(model).__name__}"
    assert spec.method == ("predict" if hasattr(model, "predict") else "transform")
    assert_inputs(spec.signature, model)
    assert spec.signature.probabilities == hasattr(model, "predict_proba")
    if spec.task == "classifier" and not isinstance(model.classes_, list):
        assert spec.signature.classes == tuple(model.classes_.tolist())
    assert_declared(predict_example(model, spec.method, spec.signature), spec.signature)


def assert_inputs(signature, model):
    if signature.layout not in {"array", "frame"}:
        return
    names_of_inputs = [field.name for field in signature.inputs]
    if hasattr(model, "feature_names_"):  # of catboost, whose n_features_in_ a load forgets
        width, names = len(model.feature_names_), model.feature_names_
        names = None if names[0] == "0" else names
    elif hasattr(model, "num_feature"):
        width, names = model.num_feature(), model.feature_name()
    else:
        width, names = model.n_features_in_, getattr(model, "feature_names_in_", None)
    assert len(names_of_inputs) == width > 0
    assert signature.named == (names is not None)
    if names is not None:
        assert names_of_inputs == list(names)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("how", [2, 5, None])
@pytest.mark.filterwarnings("ignore")
def test_facts_do_not_depend_on_how_the_model_is_saved(name, how, tmp_path):
    plain = save_and_inspect(build_model(name), tmp_path / "m", 4)
    spec = save_and_inspect(build_model(name), tmp_path / "m", how)
    assert spec.safety == plain.safety
    assert spec.signature == plain.signature
    assert (spec.task, spec.steps) == (plain.task, plain.steps)
    assert spec.framework_version == plain.framework_version


def test_lightgbm_records_the_range_of_each_feature(tmp_path):
    fields = save_and_inspect(build_model("lightgbm"), tmp_path / "m", 4).signature.inputs
    assert [field.minimum for field in fields] == pytest.approx(X.min(axis=0), rel=1e-3)
    assert [field.maximum for field in fields] == pytest.approx(X.max(axis=0), rel=1e-3)
    assert all(field.nullable for field in fields)


@pytest.mark.parametrize("how", [2, 4])
def test_names_in_any_script(how, tmp_path):
    frame = FLOWERS.set_axis(["größe", "名前", "b", "🌸"], axis=1)
    for model in (LGBMRegressor(n_estimators=2, verbose=-1), XGBRegressor(n_estimators=2)):
        fields = save_and_inspect(model.fit(frame, Y), tmp_path / "m", how).signature.inputs
        assert [field.name for field in fields] == list(frame.columns)


def test_labels_of_an_encoder_of_another_library(tmp_path):
    *numbers, kind = save_and_inspect(
        build_model("target encoder"), tmp_path / "m", 4
    ).signature.inputs
    assert {field.type for field in numbers} == {"number"}
    assert (kind.type, set(kind.categories), kind.nullable) == ("string", {*NAMES}, True)


def test_keys_of_dicts(tmp_path):
    spec = save_and_inspect(build_model("dicts"), tmp_path / "m", 4)
    city, rooms = spec.signature.inputs
    assert (spec.signature.layout, spec.signature.named) == ("dicts", True)
    assert (city.name, city.type, city.categories) == ("city", "string", ("Bern", "Rome"))
    assert (rooms.name, rooms.type, rooms.categories) == ("rooms", "number", None)
    assert city.nullable
    assert rooms.nullable


def test_a_key_with_both_texts_and_numbers(tmp_path):
    records = [{"floor": 1}, {"floor": "attic"}] * 2
    model = make_pipeline(DictVectorizer(separator=" is "), Ridge()).fit(records, [1, 2, 1, 2])
    (floor,) = save_and_inspect(model, tmp_path / "m", 4).signature.inputs
    assert (floor.name, floor.type, floor.example) == ("floor", "any", "attic")


@pytest.mark.filterwarnings("ignore")
def test_results_of_statsmodels(tmp_path):
    model = sm.Logit(BINARY, sm.add_constant(X[:, 1:2])).fit(disp=0)
    signature = save_and_inspect(model, tmp_path / "m", 4).signature
    assert [field.example for field in signature.inputs] == [1.0, X[0, 1]]
    assert_declared(predict_example(model, "predict", signature), signature)


ROWS = sm.add_constant(X[:, 1:2])
NUMBERS = {
    "ols": lambda: sm.OLS(X[:, 0], ROWS),
    "wls": lambda: sm.WLS(X[:, 0], ROWS),
    "robust": lambda: sm.RLM(X[:, 0], ROWS),
    "gaussian": lambda: sm.GLM(X[:, 0], ROWS),
    "counts": lambda: sm.GLM(Y, ROWS, family=sm.families.Poisson()),
    "poisson": lambda: sm.Poisson(Y, ROWS),
}
BINOMIAL = sm.families.Binomial()
PROBABILITIES = {
    "logit": (
        lambda: sm.Logit(BINARY, ROWS),
        "The prediction is the probability of the outcome 1 (Logit), not a label.",
    ),
    "several": (
        lambda: sm.MNLogit(Y, ROWS),
        "The prediction is the probability of each outcome (MNLogit), not a label.",
    ),
    "binomial": (
        lambda: sm.GLM(BINARY, ROWS, family=BINOMIAL),
        "The prediction is a probability (GLM of the family Binomial), not a label.",
    ),
    "groups": (
        lambda: sm.GEE(BINARY, ROWS, np.arange(len(ROWS)) % 9, family=BINOMIAL),
        "The prediction is a probability (GEE of the family Binomial), not a label.",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", NUMBERS)
def test_results_of_statsmodels_predict_numbers(tmp_path, kind):
    spec = save_and_inspect(NUMBERS[kind]().fit(), tmp_path / "m", 4)
    assert (spec.task, spec.signature.outputs[0].type) == ("regressor", "number")
    assert spec.signature.outputs[0].shape == ()
    assert spec.notices == ()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", PROBABILITIES)
def test_probabilities_of_statsmodels_are_described(tmp_path, kind):
    model, notice = PROBABILITIES[kind]
    results = model().fit()
    spec = save_and_inspect(results, tmp_path / "m", 4)
    assert (spec.task, spec.notices) == ("regressor", (notice,))
    predicted = np.asarray(results.predict(ROWS))
    assert predicted.min() >= 0
    assert predicted.max() <= 1
    assert spec.signature.outputs[0].shape == predicted.shape[1:]


def test_pickled_booster_of_xgboost_takes_rows(tmp_path):
    spec = save_and_inspect(build_model("xgboost").get_booster(), tmp_path / "m", 4)
    assert spec.safety.findings == ()
    assert [field.name for field in spec.signature.inputs] == list(FLOWERS.columns)


def test_catboost_distinguishes_text_from_numbers(tmp_path):
    fields = save_and_inspect(
        build_model("catboost of mixed columns"), tmp_path / "m", 4
    ).signature.inputs
    assert [field.type for field in fields[:4]] == ["number"] * 4
    assert fields[4].type in {"string", "any"}, "unknown, where no tree asks for it"
    assert [field.nullable for field in fields] == [True] * 4 + [False]
    lows, highs = X.min(axis=0), X.max(axis=0)
    for field, low, high in zip(fields, lows, highs, strict=False):
        assert low <= field.example <= high


@pytest.mark.parametrize("name", ["catboost", "xgboost", "lightgbm"])
@pytest.mark.parametrize("kept", [5000, 2000, 200])
def test_a_booster_of_which_only_the_beginning_was_kept(name, kept, tmp_path, monkeypatch):
    whole = save_and_inspect(build_model(name), tmp_path / "m", 4)
    for limit in ("KEPT_BYTES", "HEAD_BYTES", "SMALL_BYTES"):
        monkeypatch.setattr(limits, limit, kept)
    spec = save_and_inspect(build_model(name), tmp_path / "m", 4)
    assert (spec.safety, spec.task) == (whole.safety, "classifier")
    assert len(spec.signature.inputs) in {0, len(whole.signature.inputs)}
