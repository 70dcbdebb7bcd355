"""The fitted models that the oracle mutates, by name, and some rows of each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import category_encoders
import lightgbm
import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
import xgboost
from catboost import CatBoostClassifier, CatBoostRegressor
from scipy import stats
from sklearn import (
    cluster,
    compose,
    decomposition,
    ensemble,
    feature_extraction,
    feature_selection,
    gaussian_process,
    impute,
    isotonic,
    kernel_approximation,
    linear_model,
    mixture,
    model_selection,
    multiclass,
    multioutput,
    naive_bayes,
    neighbors,
    neural_network,
    preprocessing,
    svm,
    tree,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union

pd.set_option("mode.string_storage", "python")  # as where pyarrow is not installed
RNG = np.random.default_rng(0)
X = RNG.random((48, 4)).round(3)
Y = (X[:, 0] * 3).astype(int)
TWO = (Y > 0).astype(int)
NAMES = np.array(["red", "green", "blue"])[Y]
FRAME = pd.DataFrame(X, columns=["a", "b", "c", "d"])
MIXED = FRAME[["a", "b"]].assign(kind=pd.Series(NAMES, dtype=object))
CODES = np.c_[X[:, :2], RNG.integers(0, 4, (48, 2))]
TEXTS = ["good red wine", "bad green wine", "good white wine", "bad old beer"] * 12
RECORDS = [{"city": "Bern", "rooms": 3}, {"city": "Rome", "rooms": 2.5}] * 24
logistic, Ridge = linear_model.LogisticRegression, linear_model.Ridge
Scaler = preprocessing.StandardScaler
BOOSTED = {"iterations": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
LIGHT = {"n_estimators": 3, "verbose": -1, "min_child_samples": 2, "n_jobs": 1}
SEVERAL = np.c_[TWO, 1 - TWO, Y > 1].astype(int)


def _fit(model: Any, rows: Any = X, target: Any = Y) -> Any:
    return model.fit(rows, target)


def _columns() -> Any:
    numbers = make_pipeline(impute.SimpleImputer(), Scaler())
    coded = preprocessing.OneHotEncoder(handle_unknown="ignore")
    return compose.ColumnTransformer([("n", numbers, ["a", "b"]), ("k", coded, ["kind"])])


def _encoded(encoder: Any) -> Any:
    return make_pipeline(encoder(cols=["kind"]), logistic()).fit(MIXED, TWO)


def _kernel() -> Any:
    return gaussian_process.kernels.RBF() + gaussian_process.kernels.WhiteKernel()


_PAIR = [("a", naive_bayes.GaussianNB()), ("b", logistic())]
# fmt: off
_CLASSIFIERS: dict[str, Any] = {
    "tree": tree.DecisionTreeClassifier(random_state=0),
    "forest": ensemble.RandomForestClassifier(3, random_state=0),
    "extra trees": ensemble.ExtraTreesClassifier(3, random_state=0),
    "gradient boosting": ensemble.GradientBoostingClassifier(n_estimators=2, random_state=0),
    "histograms": ensemble.HistGradientBoostingClassifier(max_iter=2, random_state=0),
    "adaboost": ensemble.AdaBoostClassifier(n_estimators=2, random_state=0),
    "bagging": ensemble.BaggingClassifier(n_estimators=2, random_state=0),
    "svc": svm.SVC(),
    "svc with probabilities": CalibratedClassifierCV(svm.SVC(), ensemble=False, cv=2),
    "nu svc": svm.NuSVC(nu=0.1, kernel="poly"),
    "linear svc": svm.LinearSVC(random_state=0),
    "logistic": logistic(),
    "scaled logistic": make_pipeline(Scaler(), logistic()),
    "descent": linear_model.SGDClassifier(loss="log_loss", random_state=0),
    "gaussian bayes": naive_bayes.GaussianNB(),
    "multinomial bayes": naive_bayes.MultinomialNB(),
    "bernoulli bayes": naive_bayes.BernoulliNB(),
    "kd tree": neighbors.KNeighborsClassifier(algorithm="kd_tree"),
    "ball tree": neighbors.KNeighborsClassifier(algorithm="ball_tree", p=3),
    "brute neighbours": neighbors.KNeighborsClassifier(algorithm="brute"),
    "radius": neighbors.RadiusNeighborsClassifier(0.9),
    "centroids": neighbors.NearestCentroid(),
    "discriminants": LinearDiscriminantAnalysis(),
    "quadratic": QuadraticDiscriminantAnalysis(),
    "perceptron": neural_network.MLPClassifier((3,), max_iter=2, random_state=0),
    "gaussian process classes": gaussian_process.GaussianProcessClassifier(random_state=0),
    "stack": ensemble.StackingClassifier(_PAIR, cv=2),
    "vote": ensemble.VotingClassifier(_PAIR, voting="soft"),
    "search": model_selection.GridSearchCV(logistic(), {"C": [1, 2]}, cv=2),
    "calibrated": CalibratedClassifierCV(naive_bayes.GaussianNB(), method="isotonic", cv=2),
    "one by one": multiclass.OneVsRestClassifier(svm.LinearSVC(random_state=0)),
    "pairs": multiclass.OneVsOneClassifier(logistic()),
    "codes of classes": multiclass.OutputCodeClassifier(logistic(), random_state=0),
    "selected": make_pipeline(feature_selection.SelectKBest(k=2), logistic()),
    "eliminated": feature_selection.RFE(logistic(), n_features_to_select=2),
    "union": make_pipeline(make_union(Scaler(), decomposition.PCA(2)), logistic()),
    "nystroem": make_pipeline(
        kernel_approximation.Nystroem(n_components=5, random_state=0), logistic()),
    "xgboost": xgboost.XGBClassifier(n_estimators=3, n_jobs=1),
    "lightgbm": lightgbm.LGBMClassifier(**LIGHT),
    "catboost": CatBoostClassifier(**BOOSTED),
}
_NUMBERS: dict[str, Any] = {
    "regression tree": tree.DecisionTreeRegressor(random_state=0),
    "regression forest": ensemble.RandomForestRegressor(3, random_state=0),
    "regression histograms": ensemble.HistGradientBoostingRegressor(max_iter=2, random_state=0),
    "svr": svm.SVR(),
    "ridge": Ridge(),
    "elastic net": linear_model.ElasticNet(),
    "poisson": linear_model.PoissonRegressor(),
    "nearest values": neighbors.KNeighborsRegressor(weights="distance"),
    "kernel ridge": gaussian_process.GaussianProcessRegressor(_kernel(), random_state=0),
    "stack of numbers": ensemble.StackingRegressor([("a", Ridge()), ("b", svm.SVR())], cv=2),
    "target": compose.TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
    "functions": make_pipeline(preprocessing.FunctionTransformer(np.log1p), Ridge()),
    "splines": make_pipeline(preprocessing.SplineTransformer(3), Ridge()),
    "polynomials": make_pipeline(preprocessing.PolynomialFeatures(2), Ridge()),
    "bins": make_pipeline(preprocessing.KBinsDiscretizer(3), Ridge()),
    "xgboost of numbers": xgboost.XGBRegressor(n_estimators=3, n_jobs=1),
    "lightgbm of numbers": lightgbm.LGBMRegressor(**LIGHT),
    "catboost of numbers": CatBoostRegressor(**BOOSTED),
}
_SINGLE: dict[str, Any] = {
    "isolation": ensemble.IsolationForest(n_estimators=3, random_state=0),
    "one class": svm.OneClassSVM(),
    "outliers": neighbors.LocalOutlierFactor(novelty=True),
    "means": cluster.KMeans(3, n_init=1, random_state=0),
    "batches of means": cluster.MiniBatchKMeans(3, n_init=1, random_state=0),
    "halves of means": cluster.BisectingKMeans(3, random_state=0),
    "birch": cluster.Birch(n_clusters=3),
    "mixture": mixture.GaussianMixture(2, random_state=0),
    "pca": decomposition.PCA(2),
    "nmf": decomposition.NMF(2, random_state=0, max_iter=50),
    "svd": decomposition.TruncatedSVD(2, random_state=0),
    "quantiles": preprocessing.QuantileTransformer(n_quantiles=10, random_state=0),
    "power": preprocessing.PowerTransformer(),
    "robust": preprocessing.RobustScaler(),
    "imputer": impute.SimpleImputer(add_indicator=True),
    "imputer by neighbours": impute.KNNImputer(),
    "ordinal": preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
}
# fmt: on
FITS: dict[str, Callable[[], Any]] = {
    **{name: partial(_fit, model) for name, model in _CLASSIFIERS.items()},
    **{name: partial(_fit, model, X, Y + 1.0) for name, model in _NUMBERS.items()},
    **{name: partial(_fit, model, X, None) for name, model in _SINGLE.items()},
    "isotonic": lambda: isotonic.IsotonicRegression(out_of_bounds="clip").fit(X[:, 0], Y),
    "one hot": lambda: preprocessing.OneHotEncoder(handle_unknown="ignore").fit(CODES[:, 2:]),
    "target encoding": lambda: preprocessing.TargetEncoder(cv=2, random_state=0).fit(CODES, TWO),
    "columns": lambda: make_pipeline(_columns(), logistic()).fit(MIXED, NAMES),
    "words": lambda: make_pipeline(TfidfVectorizer(), logistic()).fit(TEXTS, TWO),
    "characters": lambda: make_pipeline(
        CountVectorizer(analyzer="char"), naive_bayes.MultinomialNB()
    ).fit(TEXTS, TWO),
    "hashed words": lambda: make_pipeline(HashingVectorizer(n_features=64), logistic()).fit(
        TEXTS, TWO
    ),
    "dicts": lambda: make_pipeline(feature_extraction.DictVectorizer(), logistic()).fit(
        RECORDS, TWO
    ),
    "chain": lambda: multioutput.ClassifierChain(logistic(), random_state=0).fit(X, SEVERAL),
    "several outputs": lambda: multioutput.MultiOutputClassifier(logistic()).fit(X, SEVERAL),
    "forest of several": lambda: ensemble.RandomForestRegressor(2, random_state=0).fit(X, SEVERAL),
    "categories of histograms": lambda: ensemble.HistGradientBoostingClassifier(
        max_iter=2, categorical_features=[2, 3], random_state=0
    ).fit(CODES, Y),
    "categories of lightgbm": lambda: lightgbm.LGBMClassifier(**LIGHT).fit(
        CODES, Y, categorical_feature=[2, 3]
    ),
    "booster of lightgbm": lambda: lightgbm.LGBMRegressor(**LIGHT).fit(X, Y).booster_,
    "named xgboost": lambda: xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(FRAME, Y),
    "named forest": lambda: ensemble.RandomForestClassifier(2, random_state=0).fit(FRAME, NAMES),
    "categories of catboost": lambda: CatBoostClassifier(**BOOSTED, cat_features=["kind"]).fit(
        MIXED, TWO
    ),
    "target encoder": lambda: _encoded(category_encoders.TargetEncoder),
    "ordinal encoder": lambda: _encoded(category_encoders.OrdinalEncoder),
    "evidence encoder": lambda: _encoded(category_encoders.WOEEncoder),
    "binary encoder": lambda: _encoded(category_encoders.BinaryEncoder),
    "least squares": lambda: sm.OLS(Y, X).fit(),
    "generalized": lambda: sm.GLM(TWO, X, family=sm.families.Binomial()).fit(),
    "search at random": lambda: model_selection.RandomizedSearchCV(
        Ridge(),
        {"alpha": stats.loguniform(1, 9), "tol": stats.norm(1, 0.01)},
        n_iter=2,
        cv=2,
        random_state=0,
    ).fit(X, Y),
    "formula": lambda: smf.ols("d ~ a + np.log(b + 1) + C(kind)", _formula_frame()).fit(),
}
"""In the order of their numbers, so a model that is added belongs at the end."""


def _formula_frame() -> pd.DataFrame:
    return MIXED.assign(d=X[:, 3])


def fit(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return FITS[name]()


def rows(name: str) -> Sequence[Any]:
    """Return five rows, as JSON has them."""
    if name in {"words", "characters", "hashed words"}:
        return [[text] for text in TEXTS[:5]]
    if name == "dicts":
        return RECORDS[:5]
    if name == "isotonic":
        return X[:5, :1].tolist()
    if name in {"columns", "categories of catboost", "formula"} or "encoder" in name:
        return MIXED[:5].values.tolist()
    if name == "one hot":
        return CODES[:5, 2:].tolist()
    return (CODES if name.startswith("categories") or "encoding" in name else X)[:5].tolist()


NOT_IN_SKOPS = frozenset(
    ("birch", "target encoder", "ordinal encoder", "evidence encoder", "binary encoder", "formula")
)
"""Names of models that skops cannot save."""
