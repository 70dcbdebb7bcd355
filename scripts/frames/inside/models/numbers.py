"""Frames of numbers alone, where the memory layout of the array decides about the last bits."""

import numpy as np
from data import amounts, codes, frame, labels
from registry import Trained, model
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingRegressor, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVC

NUMBERS = ("age", "fare", "income", "pclass")


@model("LinearRegression")
def linear():
    X, y = frame(*NUMBERS), amounts()
    return Trained(LinearRegression().fit(X, y), X, y)


@model("Ridge on many scaled columns")
def ridge():
    X, y = frame(*NUMBERS), amounts()
    for power in (2, 3, 4):
        for name in NUMBERS:
            X["{}^{}".format(name, power)] = X[name].astype(float) ** (1 / power)
    return Trained(make_pipeline(StandardScaler(), Ridge()).fit(X, y), X, y)


@model("LogisticRegression, three classes")
def logistic():
    X, y = frame(*NUMBERS), codes()
    return Trained(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X, y)


@model("GaussianNB")
def bayes():
    X, y = frame(*NUMBERS), labels()
    return Trained(GaussianNB().fit(X, y), X, y)


@model("PCA and LogisticRegression")
def pca():
    X, y = frame(*NUMBERS), labels()
    pipeline = make_pipeline(StandardScaler(), PCA(n_components=2), LogisticRegression())
    return Trained(pipeline.fit(X, y), X, y)


@model("SVC with probabilities")
def svc():
    X, y = frame(*NUMBERS), labels()
    pipeline = make_pipeline(StandardScaler(), SVC(probability=True, random_state=0))
    return Trained(pipeline.fit(X, y), X, y)


@model("MLPRegressor")
def mlp():
    X, y = frame(*NUMBERS), amounts()
    network = MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, random_state=0)
    return Trained(make_pipeline(StandardScaler(), network).fit(X, y), X, y)


@model("KNeighborsClassifier")
def neighbors():
    X, y = frame(*NUMBERS), labels()
    return Trained(make_pipeline(StandardScaler(), KNeighborsClassifier()).fit(X, y), X, y)


@model("IsolationForest")
def isolation():
    X = frame(*NUMBERS)
    return Trained(IsolationForest(n_estimators=8, random_state=0).fit(X), X)


@model("KMeans")
def kmeans():
    X = frame(*NUMBERS)
    return Trained(make_pipeline(StandardScaler(), KMeans(3, n_init=2, random_state=0)).fit(X), X)


@model("float32 columns, LinearRegression")
def float32_linear():
    X, y = frame("fare32", "income32"), amounts()
    return Trained(LinearRegression().fit(X, y.astype(np.float32)), X, y)


@model("float32 and float64 columns, scaled")
def float32_mixed():
    X, y = frame("fare32", "income32", "age"), labels()
    return Trained(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X, y)


@model("FeatureUnion of PolynomialFeatures and PCA")
def union():
    X, y = frame("age", "fare", "income"), amounts()
    union = FeatureUnion([("squares", PolynomialFeatures(2)), ("pca", PCA(1))])
    return Trained(make_pipeline(StandardScaler(), union, Ridge()).fit(X, y), X, y)


@model("QuantileTransformer and bagging")
def quantiles():
    X, y = frame("age", "fare", "income"), amounts()
    bagged = BaggingRegressor(n_estimators=4, random_state=0)
    pipeline = make_pipeline(QuantileTransformer(n_quantiles=20, random_state=0), bagged)
    return Trained(pipeline.fit(X, y), X, y)


@model("FunctionTransformer(numpy.log1p)")
def logarithm():
    X, y = frame("age", "fare", "income"), amounts()
    pipeline = make_pipeline(FunctionTransformer(np.log1p), LinearRegression())
    return Trained(pipeline.fit(X, y), X, y)


@model("OneVsRestClassifier")
def one_vs_rest():
    X, y = frame(*NUMBERS), codes()
    rest = OneVsRestClassifier(LogisticRegression())
    return Trained(make_pipeline(StandardScaler(), rest).fit(X, y), X, y)


@model("forest on an array without names")
def array():
    X, y = frame(*NUMBERS), labels()
    X.columns = ["x0", "x1", "x2", "x3"]
    forest = RandomForestClassifier(n_estimators=8, random_state=0).fit(X.to_numpy(), y)
    return Trained(
        forest,
        X,
        y,
        predict=lambda rows: forest.predict(rows.to_numpy()),
        probabilities=lambda rows: forest.predict_proba(rows.to_numpy()),
        members=None,
    )
