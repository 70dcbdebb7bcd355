"""One or two fitted models of each library, and other values that people save with them."""

import io
import pickle
import warnings
from functools import cache

import joblib
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from scipy import stats
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import make_scorer, mean_squared_error
from sklearn.model_selection import RandomizedSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    SplineTransformer,
    StandardScaler,
)
from sklearn.svm import SVC

X, Y = load_iris(return_X_y=True)
X, Y = X[::3], Y[::3]
TEXTS = ["good red wine", "bad green wine", "good white wine", "bad old beer"] * 5
TIME = pd.Timestamp("2024-01-02")
FRAME = pd.DataFrame({"size": X[:, 0], "kind": np.array(["a", "b", "c"])[Y]})

# fmt: off
_UNFITTED = {
    "scaled logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "forest": RandomForestClassifier(3),
    "gradient boosting": GradientBoostingClassifier(n_estimators=2),
    "histograms": HistGradientBoostingClassifier(max_iter=2),
    "neighbours": KNeighborsClassifier(algorithm="kd_tree"),
    "balls": KNeighborsClassifier(algorithm="ball_tree", metric="minkowski", p=3),
    "support vectors": SVC(probability=False),
    "perceptron": MLPClassifier((3,), max_iter=2),
    "stack": StackingClassifier([("a", GaussianNB()), ("b", SVC())], cv=2),
    "calibrated": CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=2),
    "descent": SGDClassifier(loss="log_loss"),
    "search": RandomizedSearchCV(
        Ridge(), {"alpha": stats.loguniform(1, 9), "max_iter": stats.randint(5, 9)}, n_iter=2,
        cv=2, scoring=make_scorer(mean_squared_error, greater_is_better=False)),
    "process": GaussianProcessRegressor(RBF() + WhiteKernel()),
    "splines": make_pipeline(SplineTransformer(3), Ridge()),
    "function": make_pipeline(FunctionTransformer(np.log1p), Ridge()),
    "xgboost": xgboost.XGBClassifier(n_estimators=2),
    "lightgbm": lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, min_child_samples=2),
}
# fmt: on
MODELS = (*_UNFITTED, "isotonic", "text", "columns")
OTHERS = ("bundle", "tuple", "frame", "series", "timestamps", "random", "records")
NAMES = (*MODELS, *OTHERS)


@cache
def models():
    """Return name -> fitted model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = {name: model.fit(X, Y) for name, model in _UNFITTED.items()}
        fitted["isotonic"] = IsotonicRegression().fit(X[:, 0], Y)
        fitted["text"] = make_pipeline(TfidfVectorizer(), Ridge()).fit(TEXTS, [1, 0, 1, 0] * 5)
        fitted["columns"] = make_pipeline(_columns(), LogisticRegression()).fit(FRAME, Y)
    return fitted


def _columns():
    numbers = make_pipeline(SimpleImputer(), StandardScaler()).set_output(transform="pandas")
    return ColumnTransformer(
        [
            ("n", numbers, make_column_selector(dtype_include="number")),
            ("k", OneHotEncoder(), ["kind"]),
        ]
    )


@cache
def other_values():
    """Return name -> value that files contain next to a model."""
    return {
        "bundle": {"model": models()["forest"], "features": ["a", "b"], "made": TIME},
        "tuple": (models()["text"][0], models()["text"][1]),
        "frame": FRAME,
        "series": FRAME["kind"],
        "timestamps": [TIME, TIME.to_pydatetime()],
        "random": [np.random.RandomState(0), np.random.default_rng(0)],
        "records": np.array([(1, "x")], [("a", "i1"), ("b", "O")]),
    }


def value_by_name(name):
    return models()[name] if name in MODELS else other_values()[name]


class PurePickler(pickle._Pickler):
    """The pickler in Python, which frames and memoizes differently from the one in C."""

    def memoize(self, obj):
        if id(obj) not in self.memo:  # it fails at a second empty buffer of protocol 5
            super().memoize(obj)


def pickled_by_python(value, protocol):
    stream = io.BytesIO()
    PurePickler(stream, protocol).dump(value)
    return stream.getvalue()


def dumped_by_joblib(value, compress=0, protocol=None):
    stream = io.BytesIO()
    joblib.dump(value, stream, compress=compress, protocol=protocol)
    return stream.getvalue()
