"""The file of every scikit-learn estimator passes, and its facts are those of the loaded model."""

import copy
import pickle
import sys
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import sklearn
from answers import assert_declared, predict_example
from saving import save_and_inspect
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor
from zoo import CLASSES, fitted_model

from modelpack.inspection import require_servable

pytestmark = pytest.mark.filterwarnings("ignore:Class .* is deprecated:FutureWarning")

NO_ROWS = {"FeatureHasher", "LabelBinarizer", "LabelEncoder", "LocalOutlierFactor",
           "MultiLabelBinarizer", "PatchExtractor"}  # fmt: skip
# scikit-learn computes the width of their result again at each call.
UNTOLD_WIDTH = {"GenericUnivariateSelect", "SelectFdr", "SelectFpr", "SelectFromModel", "SelectFwe",
                "SelectPercentile"}  # fmt: skip
SQUEEZED = {"MiniBatchSparsePCA", "SparsePCA"}
"""For one row, scikit-learn 1.9 returns (n_components,) instead of (1, n_components)."""

OLD = ["LogisticRegression", "RandomForestClassifier", "OneHotEncoder", "KNeighborsRegressor",
       "TfidfVectorizer", "GridSearchCV"]  # fmt: skip

TASKS = {
    "classifier": is_classifier,
    "regressor": is_regressor,
    "clusterer": is_clusterer,
    "outlier_detector": is_outlier_detector,
}


def predicts(name, model):
    return name not in NO_ROWS and (hasattr(model, "predict") or hasattr(model, "transform"))


@pytest.mark.parametrize("name", CLASSES)
def test_facts_are_those_of_the_loaded_model(name, tmp_path):
    path = tmp_path / "m"
    spec = save_and_inspect(fitted_model(name), path, 4)
    model = pickle.loads(path.read_bytes())
    assert spec.safety.verdict == "pass"
    assert spec.estimator == f"{type(model).__module__}.{type(model).__name__}"
    if not predicts(name, model):
        assert [finding.code for finding in spec.safety.findings] == ["no-prediction"]
        return
    require_servable(spec)
    assert_same_task(spec, model)
    assert_same_inputs(spec.signature, model)
    assert_same_classes(spec, model)
    if name not in SQUEEZED:
        found = predict_example(model, spec.method, spec.signature)
        assert_declared(found, spec.signature)
        assert (-1 in spec.signature.outputs[0].shape) == (name in UNTOLD_WIDTH)


def assert_same_task(spec, model):
    assert spec.method == ("predict" if hasattr(model, "predict") else "transform")
    for task, is_task in TASKS.items():
        if is_task(model):
            assert spec.task == task
    if spec.task == "classifier":
        assert is_classifier(model)


def assert_same_inputs(signature, model):
    if signature.layout in {"array", "frame"}:
        assert len(signature.inputs) == getattr(model, "n_features_in_", len(signature.inputs)) > 0
        names = getattr(model, "feature_names_in_", None)
        assert signature.named == (names is not None)
        if signature.named:
            assert [field.name for field in signature.inputs] == names.tolist()


def assert_same_classes(spec, model):
    signature = spec.signature
    assert signature.probabilities == hasattr(model, "predict_proba")
    if spec.task != "classifier":
        return
    if isinstance(model.classes_, list):  # one array for each of several outputs
        assert signature.classes is None
        assert signature.outputs[0].shape == (len(model.classes_),)
    else:
        assert signature.classes == tuple(model.classes_.tolist())


@pytest.mark.parametrize("name", CLASSES)
def test_facts_do_not_depend_on_how_the_model_is_saved(name, tmp_path):
    model = fitted_model(name)
    plain = save_and_inspect(model, tmp_path / "m", 4)
    for how in (2, 5, None):
        spec = save_and_inspect(model, tmp_path / "m", how)
        assert spec.safety == plain.safety, how
        assert spec.signature == plain.signature, how
        assert (spec.task, spec.method, spec.steps) == (plain.task, plain.method, plain.steps)
        assert spec.framework_version == plain.framework_version
        assert spec.requirements.keys() - {"joblib"} == plain.requirements.keys()
    assert repr(joblib.load(tmp_path / "m")) == repr(model)


@pytest.mark.parametrize("name", OLD)
@pytest.mark.parametrize("how", [0, 1, 3])
def test_facts_in_old_protocols(name, how, tmp_path):
    model = fitted_model(name)
    spec = save_and_inspect(model, tmp_path / "m", how)
    assert spec.safety.findings == ()
    assert spec.signature == save_and_inspect(model, tmp_path / "m", 4).signature


@pytest.mark.parametrize("name", ["GaussianNB", "KMeans", "KNeighborsClassifier", "MLPClassifier",
    "MinMaxScaler", "OneHotEncoder", "PCA", "RandomForestRegressor", "Ridge", "SVC",
    "SimpleImputer", "SparseCoder", "StandardScaler"])  # fmt: skip
def test_number_of_features_where_the_release_did_not_record_it(name, tmp_path):
    model = copy.deepcopy(fitted_model(name))
    for attribute in ("n_features_in_", "feature_names_in_"):
        vars(model).pop(attribute, None)
    for tree in getattr(model, "estimators_", ()):
        del tree.n_features_in_
    assert len(save_and_inspect(model, tmp_path / "m", 4).signature.inputs) == 4


class LinearGAM:
    """Has a coefficient for each spline of its two columns."""

    def __init__(self, **statistics):
        self.coef_ = np.zeros(11)
        if statistics:
            self.statistics_ = statistics

    def predict(self, X):
        return X @ self.coef_


@pytest.mark.parametrize(
    ("module", "statistics", "width"),
    [("pygam", {"m_features": 2}, 2), ("pygam", {}, 0), ("shop", {}, 0)],
)
def test_coefficients_of_unknown_classes_are_not_those_of_columns(
    module, statistics, width, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(LinearGAM=LinearGAM))
    monkeypatch.setattr(LinearGAM, "__module__", module)
    spec = save_and_inspect(LinearGAM(**statistics), tmp_path / "m", 4)
    assert spec.estimator == f"{module}.LinearGAM"
    assert len(spec.signature.inputs) == width


def test_labels_of_a_classifier_that_kept_only_its_binarizer(tmp_path):
    model = copy.deepcopy(fitted_model("RidgeClassifier"))
    labels = tuple(model.classes_.tolist())
    vars(model).pop("classes_", None)
    assert save_and_inspect(model, tmp_path / "m", 4).signature.classes == labels


def test_capabilities_of_later_releases_do_not_count(tmp_path, monkeypatch):
    model = fitted_model("NearestCentroid")
    assert save_and_inspect(model, tmp_path / "m", 4).signature.probabilities
    monkeypatch.setattr(sklearn.base, "__version__", "1.5.2")
    assert not save_and_inspect(model, tmp_path / "m", 4).signature.probabilities
