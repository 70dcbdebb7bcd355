"""The classes that the inspection shows are those that `predict` returns, also of crafted files."""

import inspect as signatures
import pickle

import catboost
import imblearn.ensemble
import lightgbm
import numpy as np
import pytest
import xgboost
from saving import save_and_inspect
from sklearn import feature_selection, model_selection
from sklearn.datasets import make_blobs
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import RadiusNeighborsClassifier
from sklearn.preprocessing import LabelBinarizer, LabelEncoder
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

from modelpack.inspection import limits
from modelpack.inspection.inspector import inspect

POINTS, NUMBERS = make_blobs(60, centers=3, n_features=4, random_state=0)
ROWS = POINTS - POINTS.mean(axis=0)
KNOWN = np.array(["a", "b", "c"], object)
OTHERS = {"a": "x", "b": "y", "c": "z", 0: 5, 1: 6, 2: 7}
ENCODERS = ("_le", "le_", "_label_encoder", "label_encoder_", "_label_binarizer",
            "label_binarizer_")  # fmt: skip
LISTS = ("classes_", "_classes")
PREDICTORS = ("best_estimator_", "estimator_", "base_estimator_", "estimator", "regressor_")
BOOSTERS = {
    "LGBMClassifier": lambda: lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1),
    "XGBClassifier": lambda: xgboost.XGBClassifier(n_estimators=2, n_jobs=1),
    "XGBRFClassifier": lambda: xgboost.XGBRFClassifier(n_estimators=2, n_jobs=1),
    "CatBoostClassifier": lambda: catboost.CatBoostClassifier(
        iterations=2, verbose=0, allow_writing_files=False, thread_count=1
    ),
    "FrozenEstimator": lambda: FrozenEstimator(LogisticRegression().fit(ROWS, KNOWN[NUMBERS % 2])),
}
CLASSES = {
    **dict(all_estimators("classifier")),
    **{name: getattr(feature_selection, name) for name in ("RFE", "RFECV")},
    **{name: getattr(model_selection, name) for name in ("GridSearchCV", "RandomizedSearchCV")},
    **{name: getattr(imblearn.ensemble, name) for name in imblearn.ensemble.__all__},
}
SEVERAL = {"ClassifierChain", "MultiOutputClassifier"}
COUNT_MODELS = {"CategoricalNB", "ComplementNB", "MultinomialNB"}


@pytest.fixture(autouse=True)
def one_thread():
    """Threads would wait for each other longer than such small models take."""
    with threadpool_limits(1):
        yield


def rows(name):
    return ROWS - ROWS.min(axis=0) if name in COUNT_MODELS else ROWS


def build_model(name):
    if name in BOOSTERS:
        return BOOSTERS[name]()
    linear = LogisticRegression()
    tree = DecisionTreeClassifier(max_depth=2)
    chosen = {
        "estimators": [("l", linear), ("t", tree)],
        "param_grid": {"C": [1.0]},
        "param_distributions": {"C": [1.0]},
        "n_iter": 1,
        "n_estimators": 2,
        "cv": 2,
        "max_iter": 50,
    }
    accepted = signatures.signature(CLASSES[name]).parameters
    values = {key: value for key, value in chosen.items() if key in accepted}
    if getattr(accepted.get("estimator"), "default", 0) is signatures.Parameter.empty or (
        name == "SelfTrainingClassifier"
    ):
        values["estimator"] = linear
    return CLASSES[name](**values)


def fitted(name, count):
    if name in {"FrozenEstimator", "FixedThresholdClassifier", "TunedThresholdClassifierCV"}:
        count = 2
    numbers = NUMBERS % count
    labels = numbers if name.startswith("XGB") else KNOWN[numbers]
    if name in SEVERAL:
        labels = np.c_[NUMBERS % 2, NUMBERS % 2] if name == "ClassifierChain" else np.c_[labels]
        labels = np.c_[labels, labels] if name == "MultiOutputClassifier" else labels
    model = build_model(name)
    return model if name == "FrozenEstimator" else model.fit(rows(name), labels)


def other(labels):
    kind = labels.dtype if isinstance(labels, np.ndarray) else object
    return np.array([OTHERS[each] for each in labels], kind)


def label_paths(held, path=(), depth=4):
    """Find the lists of labels in an estimator, and in the first two members of its lists."""
    if isinstance(held, dict):
        pairs = list(held.items())
    elif isinstance(held, list | tuple) or (isinstance(held, np.ndarray) and held.dtype == object):
        pairs = list(enumerate(held))[:2]
    else:
        pairs = list(getattr(held, "__dict__", {}).items())
    for key, value in pairs if depth else ():
        if is_labels(value):
            yield (*path, key)
        elif not isinstance(value, str):
            yield from label_paths(value, (*path, key), depth - 1)


def is_labels(value):
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "OUi":
        return False
    return value.size in (2, 3) and set(value.tolist()) <= OTHERS.keys()


def within(held, key):
    return held[key] if isinstance(held, dict | list | tuple | np.ndarray) else vars(held)[key]


def replaced(model, path):
    copy = pickle.loads(pickle.dumps(model))
    held = copy
    for key in path[:-1]:
        held = within(held, key)
    target = held if isinstance(held, dict | list | np.ndarray) else vars(held)
    target[path[-1]] = other(within(held, path[-1]))
    return copy


def added(model, labels):
    """Yield the model with one more attribute, which contains other labels."""
    new = other(np.asarray(labels))
    numbers = np.arange(len(ROWS)) % len(new)
    for key in LISTS:
        yield key, new
    for key in ENCODERS:
        yield key, LabelEncoder().fit(new)
        yield key, LabelBinarizer().fit(new)
        several = LabelBinarizer().fit(new)
        several.y_type_ = "multilabel-indicator"
        yield key, several
    for key in PREDICTORS:
        yield key, LogisticRegression().fit(ROWS, new[numbers])


def answers(model, name):
    """Return the predictions of the loaded model, or None if it raises an error."""
    try:
        loaded = pickle.loads(pickle.dumps(model))
        return set(np.ravel(loaded.predict(rows(name)[:9])).tolist())
    except Exception:
        return None


def contradiction(model, name, path):
    """Return the labels of the inspection if `predict` contradicts them, or None."""
    spec = save_and_inspect(model, path, 4)
    predicted = answers(model, name)
    if spec.safety.verdict != "pass" or predicted is None:
        return None
    (output,) = spec.signature.outputs
    shown = [each for each in (spec.signature.classes, output.categories) if each is not None]
    kinds = {"string": str, "integer": int, "number": (int, float)}
    kind = kinds.get(output.type, object)
    fits = all(predicted <= set(each) for each in shown)
    fits = fits and all(isinstance(each, kind) for each in predicted)
    return None if fits else (shown, output.type, predicted)


@pytest.mark.filterwarnings("ignore")  # scikit-learn warns of models of few rows and old classes
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", [*CLASSES, *BOOSTERS])
def test_no_attribute_shows_classes_that_predict_does_not_return(name, count, tmp_path):
    model = fitted(name, count)
    path = tmp_path / "m"
    classes = save_and_inspect(model, path, 4).signature.classes
    if name in SEVERAL:
        assert classes is None
    else:
        assert answers(model, name) <= set(classes)
        assert list(classes) == list(model.classes_)
    for label_path in label_paths(model):
        wrong = contradiction(replaced(model, label_path), name, path)
        assert wrong is None, label_path
    for key, value in added(model, classes or KNOWN[:2]) if count == 2 else ():
        copy = pickle.loads(pickle.dumps(model))
        # A state sets attributes where `setattr` would find a property.
        vars(copy)[key] = value
        wrong = contradiction(copy, name, path)
        assert wrong is None, (key, value)


def test_constant_of_a_dummy_that_is_no_class(tmp_path):
    model = DummyClassifier(strategy="constant", constant="a").fit(ROWS, KNOWN[NUMBERS])
    assert save_and_inspect(model, tmp_path / "m", 4).signature.classes == ("a", "b", "c")
    model.constant = "x"
    assert contradiction(model, "DummyClassifier", tmp_path / "m") is None


def test_label_of_rows_without_neighbours(tmp_path):
    model = RadiusNeighborsClassifier(radius=3, outlier_label="none").fit(ROWS, KNOWN[NUMBERS])
    signature = save_and_inspect(model, tmp_path / "m", 4).signature
    assert signature.classes == ("a", "b", "c")
    assert signature.outputs[0].categories == ("a", "b", "c", "none")
    with pytest.warns(UserWarning, match="not in training classes"):
        assert model.predict(ROWS[:1] + 100).tolist() == ["none"]


def test_numbers_of_classes_of_xgboost(tmp_path):
    model = fitted("XGBClassifier", 3)
    model.n_classes_ = 5
    assert save_and_inspect(model, tmp_path / "m", 4).signature.classes is None


def catboost_models():
    """A model of a, b and c with other classes among the options of training, and as labels."""
    data = fitted("CatBoostClassifier", 3).__getstate__()["__model"]
    old, new = b'"class_names":["a","b","c"]', b'"class_names":["x","y","z"]'
    head, middle, tail = data.split(old)
    for classes, parts in (
        (("a", "b", "c"), (head, new, middle, old, tail)),
        (("x", "y", "z"), (head, old, middle, new, tail)),
    ):
        model = catboost.CatBoostClassifier()
        model.load_model(blob=b"".join(parts))
        yield model, classes


@pytest.mark.parametrize("native", [True, False])
def test_catboost_has_the_classes_that_it_predicts(native, tmp_path):
    path = tmp_path / "m"
    for model, classes in catboost_models():
        model.save_model(str(path)) if native else path.write_bytes(pickle.dumps(model))
        assert answers(model, "CatBoostClassifier") <= set(classes)
        assert inspect(path).signature.classes == classes


def test_catboost_model_that_is_too_large_to_be_kept(tmp_path, monkeypatch):
    sound = save_and_inspect(fitted("CatBoostClassifier", 3), tmp_path / "m", 4)
    for limit in ("KEPT_BYTES", "HEAD_BYTES", "SMALL_BYTES", "MODEL_BYTES"):
        monkeypatch.setattr(limits, limit, 100)
    monkeypatch.setattr(limits, "MODEL_HEAD_BYTES", 3_000)
    spec = save_and_inspect(fitted("CatBoostClassifier", 3), tmp_path / "m", 4)
    assert (spec.safety.verdict, spec.signature.classes) == ("pass", sound.signature.classes)
    for model, _ in catboost_models():
        spec = save_and_inspect(model, tmp_path / "m", 4)
        assert [f.code for f in spec.safety.findings] == ["broken-invariant"]


@pytest.mark.parametrize("labels", [["p]", 'q"', "\u00e4"], [2, 0, 1]])
def test_catboost_labels_in_the_order_of_the_model(labels, tmp_path):
    model = catboost.CatBoostClassifier(
        iterations=2, verbose=0, allow_writing_files=False, class_names=labels
    ).fit(ROWS, np.array(labels, object)[NUMBERS])
    assert save_and_inspect(model, tmp_path / "m", 4).signature.classes == tuple(model.classes_)
