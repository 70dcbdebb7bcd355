"""Models trained here: they pass, and the facts equal those of the estimator that was saved."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from saving import save_and_inspect
from scipy import special, stats
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import chi2, f_classif, mutual_info_regression
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import get_scorer, make_scorer, mean_squared_error
from sklearn.metrics.pairwise import cosine_similarity, rbf_kernel
from sklearn.model_selection import GridSearchCV, PredefinedSplit, TimeSeriesSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC

from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])
FLOWERS = pd.DataFrame(X, columns=["a", "b", "c", "d"])

MODELS = {
    "logistic": LogisticRegression(max_iter=1000),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "search": GridSearchCV(make_pipeline(MinMaxScaler(), SVC()), {"svc__C": [1, 2]}, cv=2),
    "svc": SVC(),
    "linear svc": LinearSVC(),
    "forest": RandomForestClassifier(5),
    "gradient": GradientBoostingClassifier(n_estimators=3),
    "hist": HistGradientBoostingClassifier(max_iter=3),
    "bayes": GaussianNB(),
    "neighbours": KNeighborsClassifier(),
    "log loss": SGDClassifier(loss="log_loss"),
    "hinge": SGDClassifier(),
    "stack": StackingClassifier([("a", GaussianNB()), ("b", SVC())], cv=2),
    "soft vote": VotingClassifier([("a", GaussianNB()), ("b", LinearSVC())]),
    "calibrated": CalibratedClassifierCV(LinearSVC(), cv=2),
    "one by one": OneVsRestClassifier(LinearSVC()),
    "linear": LinearRegression(),
    "ridge": make_pipeline(StandardScaler(), Ridge()),
    "forest of numbers": RandomForestRegressor(5),
    "hist of numbers": HistGradientBoostingRegressor(max_iter=3),
    "perceptron": MLPRegressor(hidden_layer_sizes=(5,), max_iter=5),
    "target": TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
    "clusters": KMeans(3, n_init=1),
    "outliers": IsolationForest(n_estimators=5),
    "scaler": StandardScaler(),
    "imputed": make_pipeline(SimpleImputer(), StandardScaler(), GaussianNB()),
}


@pytest.fixture(scope="module", params=MODELS)
def fitted(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MODELS[request.param].fit(X, Y)


@pytest.mark.parametrize("how", [0, 2, 4, 5, None])
def test_facts_equal_those_of_the_model(fitted, how, tmp_path):
    spec = save_and_inspect(fitted, tmp_path / "m", how)
    require_servable(spec)
    assert spec.safety.findings == ()
    assert spec.estimator == f"{type(fitted).__module__}.{type(fitted).__name__}"
    signature = spec.signature
    assert len(signature.inputs) == fitted.n_features_in_
    assert signature.probabilities == hasattr(fitted, "predict_proba")
    if spec.task == "classifier":
        assert signature.classes == tuple(fitted.classes_.tolist())
    row = [[field.example for field in signature.inputs]]
    answer = getattr(fitted, spec.method)(np.array(row))
    assert answer.shape[1:] == signature.outputs[0].shape


@pytest.mark.parametrize("how", [0, 1, 2, 3, 4, 5])
def test_protocols(tmp_path, how):
    spec = save_and_inspect(
        make_pipeline(StandardScaler(), SVC()).fit(X, Y), tmp_path / "m.pkl", how
    )
    assert (spec.format, spec.file.container, spec.file.protocol) == ("pickle", "raw", how)
    assert spec.safety.verdict == "pass"
    assert len(spec.signature.inputs) == 4


@pytest.mark.parametrize("how", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("container", [0, "zlib"])
def test_protocols_of_joblib(tmp_path, how, container):
    path = tmp_path / "m.joblib"
    joblib.dump(SVC().fit(X, Y), path, compress=container, protocol=how)
    spec = inspect(path)
    assert (spec.format, spec.file.protocol, spec.safety.findings) == ("joblib", how, ())
    assert spec.signature.classes == (0, 1, 2)


@pytest.mark.parametrize("container", ["zlib", "gzip", "bz2", "xz", "lzma", "lz4"])
def test_containers(tmp_path, container):
    spec = save_and_inspect(SVC().fit(X, Y), tmp_path / "m.pkl", (container, 3))
    assert (spec.format, spec.file.container) == ("joblib", container)
    assert spec.safety.verdict == "pass"
    assert spec.signature.classes == (0, 1, 2)
    assert "joblib" in spec.requirements
    assert ("lz4" in spec.requirements) == (container == "lz4")


def test_a_pickle_that_is_compressed_is_a_pickle_still(tmp_path):
    import gzip  # noqa: PLC0415

    path = tmp_path / "m.pkl"
    path.write_bytes(gzip.compress(pickle.dumps(SVC().fit(X, Y))))
    spec = inspect(path)
    assert (spec.format, spec.file.container) == ("pickle", "gzip")
    assert "joblib" not in spec.requirements


def test_size_and_digest(tmp_path):
    import hashlib  # noqa: PLC0415

    path = tmp_path / "m.joblib"
    spec = save_and_inspect(RandomForestClassifier(5).fit(X, Y), path, ("gzip", 3))
    assert spec.file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert spec.file.size == path.stat().st_size


def test_recorded_versions(tmp_path):
    import sklearn  # noqa: PLC0415

    spec = save_and_inspect(SVC().fit(X, Y), tmp_path / "m", 5)
    assert spec.framework_version == sklearn.__version__
    assert spec.requirements == {"scikit-learn": f"=={sklearn.__version__}", "numpy": ">=2"}
    assert spec.python == ">=3.8"


def test_names_without_a_column_transformer(tmp_path):
    spec = save_and_inspect(
        make_pipeline(StandardScaler(), SVC()).fit(FLOWERS, NAMES[Y]), tmp_path / "m", 4
    )
    assert [field.name for field in spec.signature.inputs] == ["a", "b", "c", "d"]
    assert spec.signature.named
    assert spec.signature.layout == "array"
    assert spec.signature.classes == ("setosa", "versicolor", "virginica")
    assert spec.signature.outputs[0].type == "string"


@pytest.mark.parametrize(
    ("labels", "kind", "classes"),
    [
        (Y == 0, "boolean", (False, True)),
        (Y.astype("i2"), "integer", (0, 1, 2)),
        (Y + 0.0, "number", (0.0, 1.0, 2.0)),
        (NAMES.astype(object)[Y], "string", tuple(NAMES.tolist())),
    ],
)
@pytest.mark.parametrize("how", [0, 4, None])
def test_labels(tmp_path, labels, kind, classes, how):
    model = GaussianNB().fit(X, labels)
    spec = save_and_inspect(model, tmp_path / "m", how)
    assert spec.signature.classes == classes
    assert spec.signature.outputs[0].type == kind
    assert [type(c) for c in spec.signature.classes] == [type(c) for c in classes]


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(TfidfVectorizer(), MultinomialNB()),
        make_pipeline(CountVectorizer(), LinearSVC()),
        make_pipeline(FeatureUnion([("a", TfidfVectorizer()), ("b", CountVectorizer())]), SVC()),
        GridSearchCV(make_pipeline(TfidfVectorizer(), MultinomialNB()), {}, cv=2),
    ],
    ids=["tfidf", "count", "union", "search"],
)
def test_text(tmp_path, model):
    texts = ["good red wine", "bad green wine", "good white wine", "bad old beer"]
    spec = save_and_inspect(model.fit(texts, [1, 0, 1, 0]), tmp_path / "m", 4)
    require_servable(spec)
    (field,) = spec.signature.inputs
    assert (spec.signature.layout, field.name, field.type) == ("text", "text", "string")
    assert set(field.example.split()) <= set(" ".join(texts).split())
    assert model.predict([field.example])[0] in spec.signature.classes


@pytest.mark.parametrize(
    "model", [LinearRegression(), RandomForestRegressor(3), MultiOutputRegressor(Ridge())]
)
def test_several_outputs(tmp_path, model):
    spec = save_and_inspect(model.fit(X, np.c_[Y, Y, Y]), tmp_path / "m", 4)
    assert spec.signature.outputs[0].shape == (3,)


@pytest.mark.parametrize("model", [OneVsRestClassifier(LogisticRegression()), MLPClassifier((2,))])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_several_labels_at_a_time(tmp_path, model):
    labels = np.c_[Y == 0, Y == 1, Y < 2].astype(int)
    signature = save_and_inspect(model.fit(X, labels), tmp_path / "m", 4).signature
    assert (signature.classes, signature.probabilities) == (None, True)
    (output,) = signature.outputs
    assert (output.type, output.shape, output.categories) == ("integer", (3,), (0, 1))


def test_missing_values(tmp_path):
    accepts = save_and_inspect(
        HistGradientBoostingRegressor(max_iter=2).fit(X, Y), tmp_path / "a", 4
    )
    refuses = save_and_inspect(Ridge().fit(X, Y), tmp_path / "b", 4)
    assert all(field.nullable for field in accepts.signature.inputs)
    assert not any(field.nullable for field in refuses.signature.inputs)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), SimpleImputer(), Ridge()),
        make_pipeline(MinMaxScaler(), HistGradientBoostingRegressor(max_iter=2)),
        make_pipeline(KNNImputer(), Ridge()),
    ],
)
def test_missing_values_pass_a_scaler_and_are_filled_in(tmp_path, model):
    holes = X.copy()
    holes[::5, 0] = np.nan
    spec = save_and_inspect(model.fit(holes, Y), tmp_path / "m", 4)
    assert all(field.nullable for field in spec.signature.inputs)


def test_example_is_a_row_of_training_where_the_model_keeps_them(tmp_path):
    spec = save_and_inspect(KNeighborsClassifier().fit(X, Y), tmp_path / "m", None)
    assert [field.example for field in spec.signature.inputs] == X[0].tolist()


@pytest.mark.parametrize("func", [np.log1p, np.sqrt, np.nan_to_num, special.expit])
def test_functions_of_numpy_and_scipy_in_a_transformer(tmp_path, func):
    model = make_pipeline(FunctionTransformer(func), StandardScaler(), Ridge()).fit(X, Y)
    assert save_and_inspect(model, tmp_path / "m", 4).safety.verdict == "pass"


# fmt: off
PARAMETERS = {
    "range": range(1, 5),
    "distributions": [stats.uniform(0, 1), stats.norm(), stats.gamma(2), stats.truncnorm(0, 1),
                      stats.loguniform(1, 2), stats.randint(1, 5), stats.hypergeom(20, 7, 12)],
    "scorer": make_scorer(mean_squared_error, greater_is_better=False),
    "scorer by name": get_scorer("roc_auc"),
    "scores": [chi2, f_classif, mutual_info_regression],
    "kernels": [rbf_kernel, cosine_similarity],
    "splits": [PredefinedSplit([0, 1]), TimeSeriesSplit()],
    "types": [int, str, float, np.longdouble, np.uint8],
}
# fmt: on


@pytest.mark.parametrize("value", PARAMETERS.values(), ids=PARAMETERS)
@pytest.mark.parametrize("how", [0, 1, 2, 4, None])
def test_common_arguments_of_estimators_are_accepted(tmp_path, value, how):
    model = GridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=2).fit(X, Y)
    model.param_grid = {"alpha": value}
    assert save_and_inspect(model, tmp_path / "m", how).safety.findings == ()


@pytest.mark.parametrize("metric", ["chebyshev", "canberra", "braycurtis", "hamming", "haversine"])
def test_distances(tmp_path, metric):
    model = KNeighborsClassifier(metric=metric, algorithm="ball_tree").fit(X[:, :2], Y)
    assert save_and_inspect(model, tmp_path / "m", 4).safety.findings == ()


def test_text_that_would_break_others_stays_data(tmp_path):
    evil = ['"; rm -rf /', "{{ 7*7 }}", "\x1b[31m", "$(true)"]
    frame = pd.DataFrame(X, columns=evil)
    spec = save_and_inspect(GaussianNB().fit(frame, Y), tmp_path / "m", 4)
    assert [field.name for field in spec.signature.inputs] == evil


def test_version_that_looks_like_an_option_is_dropped(tmp_path):
    model = GaussianNB().fit(X, Y)
    data = pickle.dumps(model, 4)
    import sklearn  # noqa: PLC0415

    old = sklearn.__version__.encode()
    for new in (b"1 -ix", b"0.2.d"):
        assert len(new) == len(old)
        (tmp_path / "m").write_bytes(data.replace(old, new))
        spec = inspect(tmp_path / "m")
        assert spec.framework_version is None
        assert spec.requirements["scikit-learn"] == ""
