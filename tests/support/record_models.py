"""Fitted estimators of the families whose plans need no library, with rows for each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from plan_checks import random_rows
from sklearn import discriminant_analysis, dummy, impute, linear_model, naive_bayes, svm
from sklearn import ensemble as ensembles
from sklearn import feature_selection as selection
from sklearn import preprocessing as scaling
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline

WIDTH, TRAINED, COUNT = 5, 300, 2000


class Case(NamedTuple):
    """A fitted estimator, rows to predict, and the largest difference in ulp."""

    model: Any
    rows: Any
    ulps: int = 0


def cases() -> Iterator[Case]:
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(TRAINED, WIDTH))
    numbers = rows @ generator.normal(size=WIDTH) + generator.normal(size=TRAINED)
    three = generator.integers(0, 3, TRAINED)
    two = (rows[:, 0] + rows[:, 1] > 0).astype(int)
    tested, counts = random_rows(WIDTH, COUNT), np.abs(random_rows(WIDTH, COUNT))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in regressors():
            yield Case(model.fit(rows, numbers), tested)
        for model in positive_regressors():
            yield Case(model.fit(rows, np.abs(numbers) + 0.1), tested)
        for model in several_targets():
            yield Case(model.fit(rows, np.c_[numbers, -numbers]), tested)
        for classes in (two, three):
            for model in classifiers():
                yield Case(model.fit(rows, classes), tested)
        for model in counting():
            yield Case(model.fit(np.abs(rows), three), counts)
        for model in transformers():
            is_normal = getattr(model, "output_distribution", "") == "normal"
            yield Case(model.fit(rows, two), tested, ulps=8 if is_normal else 0)
        yield from support_vector_machines(rows, numbers, two, three)
        yield Case(scaling.PowerTransformer("box-cox").fit(np.abs(rows) + 0.1), counts + 0.01)


def regressors() -> list[Any]:
    pair = [("a", Ridge()), ("b", linear_model.Lasso(0.01))]
    return [
        linear_model.LinearRegression(),
        Ridge(),
        linear_model.Lasso(alpha=0.01),
        linear_model.SGDRegressor(),
        linear_model.BayesianRidge(),
        linear_model.HuberRegressor(),
        linear_model.RANSACRegressor(random_state=0),
        MLPRegressor(hidden_layer_sizes=(8,), max_iter=50, random_state=0),
        MLPRegressor(hidden_layer_sizes=(8, 1), activation="tanh", max_iter=50, random_state=0),
        ensembles.VotingRegressor(pair, weights=[1, 2]),
        ensembles.StackingRegressor(pair),
        ensembles.BaggingRegressor(Ridge(), random_state=0),
        TransformedTargetRegressor(Ridge(), transformer=scaling.StandardScaler()),
        GridSearchCV(Ridge(), {"alpha": [1, 2]}),
        dummy.DummyRegressor(),
    ]


def positive_regressors() -> list[Any]:
    return [
        linear_model.PoissonRegressor(),
        linear_model.TweedieRegressor(power=0),
        TransformedTargetRegressor(Ridge(), func=np.log, inverse_func=np.exp),
    ]


def several_targets() -> list[Any]:
    return [MultiOutputRegressor(Ridge()), linear_model.MultiTaskLasso(0.01)]


def classifiers() -> list[Any]:
    scaled = make_pipeline(scaling.StandardScaler(), LogisticRegression())
    pair = [("a", LogisticRegression()), ("b", GaussianNB())]
    return [
        LogisticRegression(),
        SGDClassifier(loss="log_loss", random_state=0),
        SGDClassifier(loss="modified_huber", random_state=0),
        linear_model.Perceptron(),
        RidgeClassifier(),
        svm.LinearSVC(),
        discriminant_analysis.LinearDiscriminantAnalysis(),
        MLPClassifier((6,), activation="logistic", max_iter=40, random_state=0),
        MLPClassifier((6,), max_iter=40, random_state=0),
        GaussianNB(),
        naive_bayes.BernoulliNB(binarize=0.5),
        ensembles.VotingClassifier(pair, voting="soft"),
        ensembles.VotingClassifier([*pair, ("c", RidgeClassifier())], weights=[1, 1, 2]),
        ensembles.StackingClassifier([("a", LogisticRegression()), ("b", RidgeClassifier())]),
        CalibratedClassifierCV(RidgeClassifier()),
        CalibratedClassifierCV(GaussianNB(), method="isotonic"),
        CalibratedClassifierCV(scaled),
        ensembles.BaggingClassifier(LogisticRegression(), random_state=0),
        OneVsRestClassifier(LogisticRegression()),
        OneVsRestClassifier(GaussianNB()),
        dummy.DummyClassifier(),
        RandomizedSearchCV(scaled, {"logisticregression__C": [1, 2]}, n_iter=2),
    ]


def support_vector_machines(
    rows: np.ndarray, numbers: np.ndarray, two: np.ndarray, three: np.ndarray
) -> Iterator[Case]:
    tested = random_rows(WIDTH, COUNT)
    for kernel in ("linear", "poly", "rbf", "sigmoid"):
        for model, target in (
            (svm.SVC(kernel=kernel, probability=True, random_state=0), two),
            (svm.SVC(kernel=kernel, probability=True, random_state=0), three),
            (svm.SVC(kernel=kernel, coef0=0.3, break_ties=True), three),
            (svm.NuSVC(kernel=kernel, nu=0.1, decision_function_shape="ovo"), three),
            (svm.SVR(kernel=kernel, coef0=0.5), numbers),
            (svm.NuSVR(kernel=kernel), numbers),
            (svm.OneClassSVM(kernel=kernel), None),
        ):
            yield Case(model.fit(rows, target), tested)


def counting() -> list[Any]:
    return [naive_bayes.MultinomialNB(), naive_bayes.ComplementNB()]


def transformers() -> list[Any]:
    averaged = {"quantile_method": "averaged_inverted_cdf"}
    return [
        scaling.StandardScaler(),
        scaling.MinMaxScaler(clip=True),
        scaling.RobustScaler(),
        scaling.MaxAbsScaler(),
        *(scaling.Normalizer(norm) for norm in ("l1", "l2", "max")),
        scaling.Binarizer(threshold=-0.5),
        scaling.PowerTransformer(),
        scaling.PowerTransformer(standardize=False),
        scaling.QuantileTransformer(n_quantiles=50),
        scaling.QuantileTransformer(n_quantiles=50, output_distribution="normal"),
        scaling.PolynomialFeatures(3),
        scaling.PolynomialFeatures(2, interaction_only=True, include_bias=False, order="F"),
        scaling.KBinsDiscretizer(4, **averaged),
        scaling.KBinsDiscretizer(4, encode="ordinal", strategy="uniform"),
        scaling.FunctionTransformer(np.cbrt),
        scaling.FunctionTransformer(),
        PCA(3),
        PCA(3, whiten=True),
        TruncatedSVD(2, random_state=0),
        KMeans(4, random_state=0),
        MiniBatchKMeans(3, random_state=0),
        impute.SimpleImputer(),
        impute.SimpleImputer(add_indicator=True),
        impute.MissingIndicator(features="all"),
        selection.VarianceThreshold(0.5),
        selection.SelectKBest(k=2),
        selection.SelectPercentile(percentile=40),
        selection.SelectFpr(alpha=0.3),
        selection.SelectFdr(alpha=0.9),
        selection.SelectFwe(alpha=0.1),
        selection.GenericUnivariateSelect(mode="k_best", param=3),
        selection.RFE(LogisticRegression(), n_features_to_select=2),
        selection.SelectFromModel(LogisticRegression()),
        selection.SelectFromModel(LogisticRegression(), threshold="1.1*median", max_features=2),
        selection.SequentialFeatureSelector(LogisticRegression(), n_features_to_select=2),
        ColumnTransformer(
            [("a", scaling.StandardScaler(), [0, 1]), ("b", scaling.PowerTransformer(), [2])],
            remainder="passthrough",
        ),
        FeatureUnion(
            [("a", PCA(2)), ("b", scaling.StandardScaler())], transformer_weights={"a": 2.0}
        ),
    ]
