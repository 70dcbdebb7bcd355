"""Every estimator of the installed scikit-learn, fitted on a few rows."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - two more estimators
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import all_estimators

X, Y = load_iris(return_X_y=True)
X, Y = X[::3], Y[::3]
NAMES = np.array(["setosa", "versicolor", "virginica"])
FLOWERS = pd.DataFrame(X, columns=["sepal length", "sepal width", "petal length", "petal width"])
TEXTS = ["good red wine", "bad green wine", "good white wine", "bad old beer"] * 5
RECORDS = [{"city": "Bern", "rooms": 3}, {"city": "Rome", "rooms": 2.5}] * 10

_TWO = ("first", LogisticRegression()), ("second", LogisticRegression(C=0.1))
_NUMBERS = ("first", Ridge()), ("second", Ridge(2))
# fmt: off
ARGUMENTS = {
    "CCA": {"n_components": 1},
    "ClassifierChain": {"estimator": LogisticRegression()},
    "ColumnTransformer": {"transformers": [
        ("scaled", StandardScaler(), [0, 1]), ("coded", OneHotEncoder(), [3])]},
    "FeatureUnion": {"transformer_list": [("a", StandardScaler()), ("b", StandardScaler())]},
    "FixedThresholdClassifier": {"estimator": LogisticRegression()},
    "FrozenEstimator": {"estimator": LogisticRegression().fit(X, Y)},
    "GaussianRandomProjection": {"n_components": 2},
    "GridSearchCV": {"estimator": LogisticRegression(), "param_grid": {"C": [1, 2]}, "cv": 2},
    "HalvingGridSearchCV": {
        "estimator": LogisticRegression(), "param_grid": {"C": [1, 2]}, "cv": 2},
    "HalvingRandomSearchCV": {
        "estimator": Ridge(), "param_distributions": {"alpha": [1, 2]}, "cv": 2},
    "MultiOutputClassifier": {"estimator": LogisticRegression()},
    "MultiOutputRegressor": {"estimator": Ridge()},
    "OneVsOneClassifier": {"estimator": LogisticRegression()},
    "OneVsRestClassifier": {"estimator": LogisticRegression()},
    "OutputCodeClassifier": {"estimator": LogisticRegression()},
    "PLSCanonical": {"n_components": 1},
    "PLSSVD": {"n_components": 1},
    "Pipeline": {"steps": [("scale", StandardScaler()), ("model", LogisticRegression())]},
    "RFE": {"estimator": LogisticRegression()},
    "RFECV": {"estimator": LogisticRegression(), "cv": 2},
    "RandomizedSearchCV": {
        "estimator": Ridge(), "param_distributions": {"alpha": [1, 2]}, "n_iter": 2, "cv": 2},
    "RegressorChain": {"estimator": Ridge()},
    "SelectFromModel": {"estimator": LogisticRegression()},
    "SelfTrainingClassifier": {"estimator": LogisticRegression()},
    "SequentialFeatureSelector": {"estimator": LogisticRegression(), "cv": 2},
    "SparseCoder": {"dictionary": np.eye(4)},
    "SparseRandomProjection": {"n_components": 2},
    "StackingClassifier": {"estimators": list(_TWO), "cv": 2},
    "StackingRegressor": {"estimators": list(_NUMBERS), "cv": 2},
    "TunedThresholdClassifierCV": {"estimator": LogisticRegression(), "cv": 2},
    "VotingClassifier": {"estimators": list(_TWO)},
    "VotingRegressor": {"estimators": list(_NUMBERS)},
    # as many as these make by default would take a second each
    "DictionaryLearning": {"n_components": 2, "max_iter": 5},
    "MiniBatchDictionaryLearning": {"n_components": 2, "max_iter": 5},
    "LogisticRegressionCV": {"Cs": 2, "cv": 2},
    "GraphicalLassoCV": {"cv": 2},
    "TSNE": {"max_iter": 250},
    "GradientBoostingClassifier": {"n_estimators": 5},
    "GradientBoostingRegressor": {"n_estimators": 5},
    "HistGradientBoostingClassifier": {"max_iter": 5},
    "HistGradientBoostingRegressor": {"max_iter": 5},
}
TARGETS = {
    "ClassifierChain": np.c_[Y == 0, Y == 1].astype(int),
    "FixedThresholdClassifier": Y == 0,
    "GammaRegressor": Y + 1.0,
    "MultiOutputClassifier": np.c_[NAMES[Y], NAMES[Y][::-1]],
    "SelfTrainingClassifier": Y,
    "TunedThresholdClassifierCV": Y == 0,
}
_SEVERAL = np.c_[Y, Y, Y] + 0.0
TARGETS |= dict.fromkeys(
    ["MultiOutputRegressor", "MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso",
     "MultiTaskLassoCV", "RegressorChain"], _SEVERAL)
ROWS = {
    "CountVectorizer": TEXTS, "TfidfVectorizer": TEXTS, "HashingVectorizer": TEXTS,
    "DictVectorizer": RECORDS, "FeatureHasher": RECORDS,
    "IsotonicRegression": X[:, :1], "KernelCenterer": X @ X.T,
    "LabelBinarizer": Y, "LabelEncoder": Y, "MultiLabelBinarizer": [("a", "b"), ("b",)],
}
# fmt: on
UNSUPERVISED = ROWS.keys() - {"IsotonicRegression"}


@cache
def fitted(name, cls):
    """Return the fitted estimator; names of odd length are fitted on a DataFrame."""
    rows = ROWS.get(name)
    if rows is None:
        rows = FLOWERS if len(name) % 2 else X
    labels = NAMES[Y] if issubclass(cls, ClassifierMixin) and len(name) % 3 else Y
    target = TARGETS.get(name, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = cls(**ARGUMENTS.get(name, {}))
        return model.fit(rows) if name in UNSUPERVISED else model.fit(rows, target)


CLASSES = dict(all_estimators())


def fitted_model(name):
    return fitted(name, CLASSES[name])
