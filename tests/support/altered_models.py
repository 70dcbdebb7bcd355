"""Saved models, DataFrames and sparse matrices with one changed value, and their findings."""

import copyreg
import io
import pickle
import re
import warnings
from functools import cache

import catboost
import joblib
import lightgbm
import numpy as np
import pandas as pd
import skops.io
import xgboost
from pandas._libs.internals import _unpickle_block
from pandas.core.internals.managers import BlockManager
from scipy import sparse
from sklearn.cluster import BisectingKMeans, KMeans
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.neighbors import BallTree, KDTree, KernelDensity, KNeighborsClassifier
from sklearn.preprocessing import OneHotEncoder, SplineTransformer
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelpack.inspection.inspector import inspect

CODE = "broken-invariant"


RNG = np.random.default_rng(0)


X = RNG.random((300, 4))


Y = (X[:, 0] * 3).astype(int)


MANY = RNG.random((30_000, 4))


CODES = np.c_[X, RNG.integers(0, 7, 300)]


WORDS = ["one two three", "two three four", "four five"]


MODELS = {
    "tree": lambda: DecisionTreeClassifier().fit(X, Y),
    "large tree": lambda: DecisionTreeRegressor().fit(MANY, MANY[:, 0]),
    "best first": lambda: DecisionTreeRegressor(max_leaf_nodes=50).fit(MANY, MANY[:, 0]),
    "forest of two": lambda: RandomForestClassifier(3).fit(X, np.c_[Y, Y > 1]),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=3).fit(X, Y),
    "boosting of two": lambda: GradientBoostingClassifier(n_estimators=3).fit(X, Y > 1),
    "boosting from zero": lambda: GradientBoostingClassifier(n_estimators=3, init="zero").fit(X, Y),
    "isolation": lambda: IsolationForest(n_estimators=5).fit(X),
    "large isolation": lambda: IsolationForest(n_estimators=1, max_samples=1.0).fit(MANY),
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=3).fit(X, Y),
    "categories": lambda: HistGradientBoostingClassifier(max_iter=3, categorical_features=[4]).fit(
        CODES, CODES[:, 4] % 3 > 0
    ),
    "kd tree": lambda: KNeighborsClassifier(algorithm="kd_tree", p=3).fit(X, Y),
    "ball tree": lambda: KNeighborsClassifier(algorithm="ball_tree").fit(X, Y),
    "large kd tree": lambda: KDTree(np.r_[MANY, MANY, MANY, MANY, MANY], leaf_size=2),
    "kd tree of 32 bits": lambda: KNeighborsClassifier(algorithm="kd_tree").fit(
        X.astype(np.float32), Y
    ),
    "density": lambda: KernelDensity().fit(X, sample_weight=X[:, 0]),
    "mahalanobis": lambda: BallTree(X, metric="mahalanobis", V=np.cov(X.T)),
    "brute force": lambda: KNeighborsClassifier(algorithm="brute").fit(X, Y),
    "neighbours of two": lambda: KNeighborsClassifier().fit(X, np.c_[Y, Y]),
    "sparse neighbours": lambda: KNeighborsClassifier().fit(sparse.csr_matrix(X), Y),
    "rows": lambda: sparse.csr_matrix(X > 0.5, dtype=float),
    "columns": lambda: sparse.csc_array(X > 0.5, dtype=float),
    "a row": lambda: sparse.csr_array(X[0] > 0.5, dtype=float),
    "large rows": lambda: sparse.csr_matrix(np.kron(MANY, np.ones((2, 2))) > 0.2, dtype=np.float32),
    "svc": lambda: SVC().fit(X, Y),
    "svc of two": lambda: SVC().fit(X, Y > 1),
    "sparse svc": lambda: NuSVC(nu=0.1).fit(sparse.csr_matrix(X), Y),
    "kernel svc": lambda: SVC(kernel="precomputed").fit(X @ X.T, Y),
    "svr": lambda: SVR().fit(X, Y),
    "sparse svr": lambda: SVR().fit(sparse.csr_matrix(X), Y),
    "one class": lambda: OneClassSVM().fit(X),
    "words": lambda: CountVectorizer().fit(WORDS),
    "frequent words": lambda: TfidfVectorizer(max_features=3).fit(WORDS),
    "dicts": lambda: DictVectorizer().fit([{"a": 1, "b": "c"}, {"b": "d"}]),
    "one hot": lambda: OneHotEncoder().fit(CODES[:, 4:]),
    "one hot without one": lambda: OneHotEncoder(drop="first").fit(CODES[:, 4:]),
    "one hot with the rest": lambda: OneHotEncoder(
        max_categories=3, drop="first", handle_unknown="infrequent_if_exist"
    ).fit(CODES[:, 4:]),
    "clusters": lambda: KMeans(3, n_init=1).fit(X),
    "parts of clusters": lambda: BisectingKMeans(3).fit(X),
    "spline": lambda: SplineTransformer().fit(X),
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(X, Y),
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(X, Y),
    "categories of lightgbm": lambda: lightgbm.LGBMClassifier(
        n_estimators=3, verbose=-1, n_jobs=1
    ).fit(CODES, CODES[:, 4] % 3 > 0, categorical_feature=[4]),
    "stump of lightgbm": lambda: lightgbm.LGBMRegressor(n_estimators=1, verbose=-1, n_jobs=1).fit(
        X, np.ones(300)
    ),
    "linear lightgbm": lambda: lightgbm.LGBMRegressor(
        n_estimators=2, linear_tree=True, verbose=-1, n_jobs=1
    ).fit(X, X[:, 0]),
    "catboost": lambda: catboost.CatBoostClassifier(
        iterations=2, silent=True, thread_count=1, allow_writing_files=False
    ).fit(X, Y),
}


@cache
def fitted_bytes(name):
    """Return the bytes of a fitted model; every test loads a copy that it may change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pickle.dumps(MODELS[name](), 5)


def model(name):
    return pickle.loads(fitted_bytes(name))


def findings(altered, folder, how="raw", reductions=()):
    path = folder / "model"
    if isinstance(how, int):
        pickler = pickle.Pickler(buffer := io.BytesIO(), how)
        pickler.dispatch_table = copyreg.dispatch_table | dict(reductions)
        pickler.dump(altered)
        path.write_bytes(buffer.getvalue())
    else:
        joblib.dump(altered, path, compress=0 if how == "raw" else how)
    return [f for f in inspect(path).safety.findings if f.code not in NOTES]


NOTES = {"not-a-model", "no-prediction"}


def assert_refused(altered, folder, message, how="raw", reductions=()):
    found = findings(altered, folder, how, reductions)
    assert [f.code for f in found] == [CODE]
    assert re.search(message, found[0].message), found[0].message
    assert found[0].global_
    assert found[0].offset is not None
    return found[0]


def tree_nodes(tree):
    return tree.__getstate__()["nodes"]  # the memory of the tree itself


def inner_node(nodes, where):
    """Return the first, middle or last node that has children."""
    inner_nodes = np.flatnonzero(nodes["left_child"] != -1)
    return inner_nodes[{"first": 0, "middle": len(inner_nodes) // 2, "last": -1}[where]]


class Reduced:
    """An object that is pickled as a call of `function`, with an optional state."""

    def __init__(self, function, *args, state=None):
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.reduced


def instance(cls, state):
    return Reduced(copyreg._reconstructor, cls, object, None, state=state)


def block(values, positions, dimensions=2):
    return Reduced(_unpickle_block, values, positions, dimensions)


def block_manager(blocks, axes):
    return Reduced(BlockManager, tuple(altered for altered in blocks), axes)


def frame(manager, cls=pd.DataFrame, key="_mgr"):
    return instance(cls, {key: manager, "_typ": cls.__name__.lower(), "_metadata": []})


def numbers(columns, rows=4):
    return np.ones((columns, rows))


def axes(columns, rows=4):
    return [pd.RangeIndex(columns), pd.RangeIndex(rows)]


DENSE = np.arange(24.0).reshape(4, 6)


def in_format(name, kind="matrix", content=DENSE):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(sparse, f"{name}_{kind}")(content)


ARCHIVE_NOTES = {"not-a-model", "no-prediction"}


def skops_findings(altered, folder):
    skops.io.dump(altered, folder / "model")
    return [f for f in inspect(folder / "model").safety.findings if f.code not in ARCHIVE_NOTES]


def assert_refused_in_both(altered, folder, message):
    assert_refused(altered, folder, message, 5)
    found = skops_findings(altered, folder)
    assert [f.code for f in found] == [CODE]
    assert re.search(message, found[0].message)
