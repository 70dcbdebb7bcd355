"""Versions, requirements and why, functions and jobs."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
import xgboost
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from lightgbm import LGBMRegressor
from saving import save_and_inspect
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from zoo import FLOWERS, TEXTS, X, Y

from modelpack.inspection.inspector import inspect
from modelpack.types import to_json

SPAM = [0, 1, 0, 1] * 5


def shout(texts):
    return texts


def test_each_requirement_has_a_reason(tmp_path):
    scaler = ColumnTransformer([("s", StandardScaler(), ["sepal length"])])
    model = make_sampling_pipeline(SMOTE(), scaler, LogisticRegression()).fit(FLOWERS, Y)
    spec = save_and_inspect(model, tmp_path / "m", ("lz4", 3))
    assert spec.requirements.keys() == spec.reasons.keys()
    reasons = spec.reasons
    assert reasons["imbalanced-learn"] == "the file names imblearn.pipeline.Pipeline"
    assert reasons["scikit-learn"] == f"the file records scikit-learn {sklearn.__version__}"
    assert reasons["pandas"] == "its rows are a DataFrame"
    assert reasons["lz4"] == "the file is compressed with lz4"
    assert reasons["joblib"] == "joblib wrote the file"
    assert reasons["numpy"].startswith("the file names numpy.")


def test_output_as_frames_needs_pandas(tmp_path):
    model = make_pipeline(StandardScaler(), Ridge()).set_output(transform="pandas").fit(X, Y)
    spec = save_and_inspect(model, tmp_path / "m", 4)
    assert spec.signature.layout == "array"
    assert spec.reasons["pandas"] == "its rows are a DataFrame"


def test_the_version_of_the_root_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(
        StandardScaler, "__getstate__", lambda self: {**vars(self), "_sklearn_version": "1.0.2"}
    )
    model = make_pipeline(StandardScaler(), Ridge()).fit(X, Y)
    spec = save_and_inspect(model, tmp_path / "m", 4)
    now = sklearn.__version__
    assert (spec.framework_version, spec.requirements["scikit-learn"]) == (now, f"=={now}")
    expected = f"the file records scikit-learn {now}, and 1.0.2 in parts of the model"
    assert spec.reasons["scikit-learn"] == expected
    assert spec.other_versions == {"scikit-learn": ("1.0.2",)}


@pytest.mark.parametrize(
    ("version", "specifier"),
    [
        ("0.20.dev0", ">=0.20,<0.21"),
        ("1.3.2+cpu", "==1.3.2"),
        ("1.4.0rc1", "==1.4.0rc1"),
        ("0.22.2.post1", "==0.22.2.post1"),
    ],
)
def test_unavailable_version_is_replaced_by_its_release(tmp_path, monkeypatch, version, specifier):
    monkeypatch.setattr("sklearn.base.__version__", version)
    spec = save_and_inspect(Ridge().fit(X, Y), tmp_path / "m", 4)
    assert spec.versions["scikit-learn"] == version
    assert spec.requirements["scikit-learn"] == specifier


def test_strings_that_pyarrow_holds_need_it(tmp_path):
    """A dtype alone names nothing of pyarrow."""
    (tmp_path / "m").write_bytes(b"cpandas\nStringDtype\n(Vpyarrow\nFnan\ntR.")
    spec = inspect(tmp_path / "m")
    assert spec.requirements["pyarrow"] == ""
    assert spec.reasons["pyarrow"] == "it contains strings that pandas stores in pyarrow"
    (tmp_path / "m").write_bytes(b"cpandas\nStringDtype\n(Vpython\nFnan\ntR.")
    assert "pyarrow" not in inspect(tmp_path / "m").requirements


def test_versions_of_boosters(tmp_path):
    spec = save_and_inspect(xgboost.XGBRegressor(n_estimators=2).fit(X, Y), tmp_path / "m", 4)
    assert spec.requirements["xgboost"] == f"=={xgboost.__version__}"
    assert (spec.framework, spec.framework_version) == ("xgboost", xgboost.__version__)
    spec = save_and_inspect(LGBMRegressor(n_estimators=2, verbose=-1).fit(X, Y), tmp_path / "m", 4)
    assert (spec.framework, spec.framework_version) == ("lightgbm", None)
    assert spec.requirements["lightgbm"] == ">=4"


def test_versions_that_the_layout_implies(tmp_path):
    held = {"frame": pd.DataFrame({"a": ["x"]}), "matrix": sparse.csr_matrix(X)}
    spec = save_and_inspect(held, tmp_path / "m", 4)
    assert spec.versions == {"numpy": ">=2", "pandas": ">=3", "scipy": ">=1.8"}
    tree = RandomForestClassifier(2).fit(X, Y).estimators_[0].tree_
    assert save_and_inspect(tree, tmp_path / "m", None).versions["scikit-learn"] == ">=1.3"


@pytest.mark.parametrize(
    ("jobs", "expected"), [([None, None], None), ([2, 3], 3), ([8, -1], -1), ([None, 1], 1)]
)
def test_jobs(jobs, expected, tmp_path):
    inner, outer = jobs
    tree = RandomForestClassifier(2).fit(X, Y).set_params(n_jobs=inner)
    model = VotingClassifier([("a", tree), ("b", tree)], n_jobs=outer)
    model.estimators_ = [tree, tree]
    assert save_and_inspect(model, tmp_path / "m", 4).n_jobs == expected


def test_functions_that_estimators_were_given(tmp_path):
    model = GridSearchCV(
        make_pipeline(FunctionTransformer(np.log1p), KNeighborsClassifier(weights=shout)),
        {"kneighborsclassifier__n_neighbors": [1, 2]},
        scoring=make_scorer(f1_score),
    )
    (tmp_path / "m").write_bytes(pickle.dumps(model, 4))
    spec = inspect(tmp_path / "m", trust=[f"{__name__}:shout"])
    assert set(spec.callables) == {
        "numpy:log1p",
        "sklearn.metrics._classification:f1_score",
        f"{__name__}:shout",
    }


def test_types_are_no_functions(tmp_path):
    model = make_pipeline(CountVectorizer(dtype=np.float32), LogisticRegression()).fit(TEXTS, SPAM)
    assert save_and_inspect(model, tmp_path / "m", 4).callables == ()


class Own(TransformerMixin, BaseEstimator):
    def fit(self, rows, _=None):
        self.fitted_ = True
        return self

    def transform(self, rows):
        return rows


@pytest.mark.parametrize("how", [0, 4, None])
def test_modules_of_the_author(how, tmp_path):
    model = make_pipeline(Own(), LogisticRegression()).fit(X, Y)
    spec = save_and_inspect(model, tmp_path / "m", how)
    assert spec.safety.verdict == "trust"
    assert spec.local_modules == (__name__.partition(".")[0],)
    assert spec.steps[0].type == f"{__name__}.Own"


def test_a_value_that_is_reached_many_times_is_looked_at_once(tmp_path):
    nested = [np.log1p]
    for _ in range(8):
        nested = [nested] * 50
    model = StandardScaler().fit(X)
    model.copy = nested
    assert save_and_inspect(model, tmp_path / "m", 4).callables == ()
    model.copy = [[np.log1p] * 50] * 50
    assert save_and_inspect(model, tmp_path / "m", 4).callables == ("numpy:log1p",)


class Stateless:
    """An author's transformer: it records nothing, and returns two columns for each."""

    def fit(self, rows, targets=None):
        return self

    def transform(self, rows):
        return np.hstack([rows, rows])


def test_inputs_of_a_user_step_are_not_guessed(tmp_path):
    """The next step determines only the outputs of the user step."""
    model = make_pipeline(Stateless(), Ridge()).fit([[1.0], [2.0]], [1, 2])
    spec = save_and_inspect(model, tmp_path / "m", 4)
    assert [step.name for step in spec.steps] == ["stateless", "ridge"]
    assert spec.signature.inputs == ()


class Chosen(BaseEstimator, TransformerMixin):
    """Takes columns by their names, and records nothing else."""

    def __init__(self, columns=()):
        self.columns = columns

    def fit(self, frame, targets=None):
        return self

    def transform(self, frame):
        return frame[list(self.columns)]


def test_a_step_of_the_author_that_hands_on_a_frame_takes_one(tmp_path):
    """Its successor has recorded the names of columns, which are not those that go in."""
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": [1, 3]})
    model = make_pipeline(Chosen(("a", "c")), StandardScaler(), Ridge()).fit(frame, [1, 2])
    spec = save_and_inspect(model, tmp_path / "m", 4)
    assert (spec.signature.layout, spec.signature.inputs) == ("frame", ())
    assert spec.reasons["pandas"] == "its rows are a DataFrame"


def test_categories_and_classes_of_bytes_are_texts(tmp_path):
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    model.classes_ = np.array([b"no", b"yes"])
    spec = save_and_inspect(model, tmp_path / "m", 4)
    assert spec.signature.classes == ("no", "yes")
    assert json.loads(json.dumps(to_json(spec)))["signature"]["classes"] == ["no", "yes"]
