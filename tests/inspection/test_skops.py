"""skops files of models trained here: the facts are those of the same model in joblib's file."""

import json
import warnings
import zipfile
from dataclasses import replace
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from scipy import sparse, special
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import make_scorer, mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils import all_estimators
from skops.io.exceptions import UntrustedTypesFoundException
from zoo import FLOWERS, NAMES, TEXTS, X, Y, fitted

from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.serving.runtimes import LOADERS
from modelpack.types import ModelSpec, from_json, to_json

pytestmark = [
    pytest.mark.filterwarnings("ignore:Class .* is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

CLASSES = dict(all_estimators())
REFUSED_BY_SKOPS = {"Birch"}
READERS = {"skops", "joblib", "numpy"}
"""Distributions that depend on how a model is saved."""

MIXED = pd.DataFrame({"town": ["Bern", "Rome", None] * 10, "rooms": [1.0, np.nan, 3.0] * 10})
COLUMNS = ColumnTransformer(
    [
        ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["rooms"]),
        ("c", make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["town"]),
    ]
)
SPARSE = sparse.csr_matrix(X * (X > 2))
# fmt: off
MODELS = {
    "columns": (make_pipeline(COLUMNS, RandomForestClassifier(3)), MIXED, [0, 1] * 15),
    "nested": (GridSearchCV(make_pipeline(FeatureUnion([("a", StandardScaler())]), SVC()),
                            {"svc__C": [1, 2]}, cv=2), FLOWERS, NAMES[Y]),
    "scorer": (GridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=2, scoring=make_scorer(
        mean_squared_error, greater_is_better=False)), X, Y),
    "calibrated": (CalibratedClassifierCV(LinearSVC(), cv=2), X, Y),
    "categories": (HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype"),
                   FLOWERS.assign(kind=pd.Categorical(NAMES[Y])), Y),
    "neighbours": (KNeighborsClassifier(algorithm="ball_tree", metric="chebyshev"), X, Y),
    "sparse": (KNeighborsClassifier(), SPARSE, Y),
    "tfidf": (make_pipeline(TfidfVectorizer(), SGDClassifier()), TEXTS, [1, 0] * 10),
    "bigrams": (make_pipeline(CountVectorizer(ngram_range=(1, 2)), MultinomialNB()),
                TEXTS, [1, 0] * 10),
    "weights": (LogisticRegression(class_weight={0: 1.0, 1: 2.0, 2: 0.5}), X, Y),
    "state": (RandomForestClassifier(3, random_state=np.random.RandomState(0)), X, Y),
    "generator": (HistGradientBoostingClassifier(max_iter=2, random_state=0), X, Y),
    "objects": (GaussianNB(), X, NAMES.astype(object)[Y]),
    "booleans": (GaussianNB(), X, Y == 0),
    "log": (make_pipeline(FunctionTransformer(np.log1p), Ridge()), X, Y),
    "expit": (make_pipeline(FunctionTransformer(special.expit), Ridge()), X, Y),
    "xgboost": (xgboost.XGBClassifier(n_estimators=2, n_jobs=1), X, Y),
}
# fmt: on


def saved_facts(spec):
    """The facts that do not depend on how the model is saved."""
    requirements = {k: v for k, v in spec.requirements.items() if k not in READERS}
    versions = {k: v for k, v in spec.versions.items() if k not in READERS}
    reasons = {k: v for k, v in spec.reasons.items() if k not in READERS}
    return replace(spec, file=None, format="", python=None, globals=(), requirements=requirements,
                   versions=versions, reasons=reasons, evidence=())  # fmt: skip


def both(model, folder, **options):
    """The specs of the model in skops' file and in joblib's."""
    skops.io.dump(model, folder / "m.skops", **options)
    joblib.dump(model, folder / "m.joblib")
    return inspect(folder / "m.skops"), inspect(folder / "m.joblib")


def dotted(spec):
    return {name.replace(":", ".") for name in spec.globals}


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - REFUSED_BY_SKOPS))
def test_facts_of_every_estimator_equal_those_of_its_pickle(name, tmp_path):
    model = fitted(name, CLASSES[name])
    spec, other = both(model, tmp_path)
    assert spec.safety.verdict == "pass"
    assert saved_facts(spec) == saved_facts(other)
    # All types that skops wants a user to review are in the list that loading gets.
    assert set(skops.io.get_untrusted_types(file=tmp_path / "m.skops")) <= dotted(spec)
    assert repr(skops.io.load(tmp_path / "m.skops", trusted=sorted(dotted(spec)))) == repr(model)


@pytest.fixture(params=MODELS)
def model(request):
    estimator, rows, target = MODELS[request.param]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(rows, target)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_facts_of_models(model, compression, tmp_path):
    spec, other = both(model, tmp_path, compression=compression)
    require_servable(spec)
    assert spec.safety.findings == ()
    assert saved_facts(spec) == saved_facts(other)
    assert set(skops.io.get_untrusted_types(file=tmp_path / "m.skops")) <= dotted(spec)
    skops.io.load(tmp_path / "m.skops", trusted=sorted(dotted(spec)))
    assert from_json(ModelSpec, to_json(spec)) == spec


def test_format_of_the_file_is_detected(tmp_path):
    path = tmp_path / "model.pkl"  # its content decides, never its name
    skops.io.dump(GaussianNB().fit(X, Y), path)
    spec = inspect(path)
    file = spec.file
    assert (spec.format, file.format, file.container, file.protocol) == ("skops", "skops", "zip", 2)
    assert file.size == path.stat().st_size
    assert spec.requirements["skops"] == spec.versions["skops"] == f">={skops.__version__}"
    assert set(spec.globals) == {
        "builtins:str",
        "numpy:float64",
        "sklearn.naive_bayes:GaussianNB",
    }
    assert spec.python is None


def test_a_class_of_the_author_has_to_be_trusted(tmp_path):
    class Own(GaussianNB):
        pass

    Own.__module__, Own.__qualname__ = "shop.models", "Own"
    skops.io.dump(Own().fit(X, Y), tmp_path / "m")
    spec = inspect(tmp_path / "m")
    assert spec.safety.verdict == "trust"
    assert [finding.global_ for finding in spec.safety.findings] == ["shop.models:Own"]
    assert spec.local_modules == ("shop",)
    assert inspect(tmp_path / "m", trust=["shop.models:Own"]).safety.verdict == "pass"


# fmt: off
VALUES = {
    "arrays": {"a": np.arange(6).reshape(2, 3), "f": np.asfortranarray(np.ones((2, 3)))},
    "scalars": [np.float64(1), np.bool_(True), np.str_("a"), np.datetime64("2020-01-01"), 2**70],
    "dtypes": [np.dtype("f8"), np.float32, np.dtype([("a", "<i4"), ("b", "<f8", (3,))])],
    "keys": {1: 2, np.int64(3): 4, 2.5: 1},
    "containers": [(1, 2), {"a"}, frozenset([1]), slice(1, None, 2), range(3), b"bytes", None],
    "generators": [np.random.default_rng(0), np.random.RandomState(1)],
    "one array twice": [X, X],
    "no array": np.zeros((0, 3)),
}
# fmt: on


@pytest.mark.parametrize("held", VALUES.values(), ids=VALUES)
def test_values_that_are_no_model(held, tmp_path):
    skops.io.dump(held, tmp_path / "m")
    spec = inspect(tmp_path / "m")
    assert [finding.code for finding in spec.safety.findings] == ["not-a-model"]


@pytest.mark.parametrize("held", [partial(np.mean, axis=1), len, np.matrix([[1]])])
def test_values_that_no_model_holds(held, tmp_path):
    skops.io.dump(held, tmp_path / "m")
    assert inspect(tmp_path / "m").safety.verdict == "refuse"


@pytest.mark.parametrize("version", ["1 --index-url x", "x", None, 3])
def test_invalid_version_is_dropped(version, tmp_path):
    skops.io.dump(GaussianNB().fit(X, Y), tmp_path / "m")
    with zipfile.ZipFile(tmp_path / "m") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = {**json.loads(members["schema.json"]), "_skops_version": version}
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        for name, data in {**members, "schema.json": json.dumps(schema)}.items():
            archive.writestr(name, data)
    spec = inspect(tmp_path / "m")
    assert spec.safety.verdict == "pass"
    assert spec.requirements["skops"] == ""


def served(path):
    """Return the model that the service loads from a file."""
    with path.open("rb") as stream:
        return LOADERS["skops"](stream, frozenset(inspect(path).globals))


def test_service_loads_the_inspected_model(model, tmp_path):
    skops.io.dump(model, tmp_path / "m")
    rows = next(rows for found, rows, _ in MODELS.values() if found is model)
    assert served(tmp_path / "m").predict(rows).tolist() == model.predict(rows).tolist()


def test_service_loads_no_other_types(tmp_path):
    skops.io.dump(RandomForestClassifier(2).fit(X, Y), tmp_path / "m")
    names = set(inspect(tmp_path / "m").globals) - {"sklearn.tree._tree:Tree"}
    with (tmp_path / "m").open("rb") as stream, pytest.raises(UntrustedTypesFoundException):
        LOADERS["skops"](stream, names)


def test_zip64(tmp_path, monkeypatch):
    # As zipfile writes archives of over 65,535 members, or of over 2 GiB.
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 0)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    skops.io.dump(GaussianNB().fit(X, Y), tmp_path / "m")
    assert b"PK\6\6" in (tmp_path / "m").read_bytes()
    assert inspect(tmp_path / "m").safety.findings == ()
