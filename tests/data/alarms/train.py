"""Legitimate files that the inspector once refused, each saved by the release that its name tells.

python train.py NAME..., with an interpreter and releases such as these:

memory    3.6  scikit-learn==0.19.2 joblib==0.13.2; then 3.8 scikit-learn==1.0.2 pandas==1.3.5 and
               joblib 0.17.0, 1.1.1, 1.2.0, 1.3.2, 1.4.2; then 3.11 and joblib 1.5.3, 1.6.0
vectors   3.6  scikit-learn==0.19.2
classes   2.7  scikit-learn==0.17.1 numpy==1.11.3 (kmeans, tree.old), scikit-learn==0.19.2
               numpy==1.14.6 (ufunc of Python 2); 3.6 scikit-learn==0.18.2 numpy==1.12.1 (boosting),
               scikit-learn==0.19.2 numpy==1.14.6 (pooling, neighbours.old)
earlier   2.7  scikit-learn==0.17.1 numpy==1.11.3
first     3.6  scikit-learn==0.16.1 (built from its sdist) numpy==1.12.1 scipy==0.19.1
removed   3.6  scikit-learn==0.18.2 numpy==1.12.1
frame     3.8  pandas==1.3.5 scikit-learn==1.0.2
reconstruct, importances  3.7  numpy==1.16.0 scikit-learn==0.20.4 lightgbm==2.1.2
headless  3.6  xgboost==0.90; metrics, labels  3.8  xgboost==1.0.2, 1.3.3 scikit-learn==0.24.2
poisson   3.6  xgboost==0.72.1, 0.90; booster  3.6  xgboost==0.90 dill==0.3.4
named     3.6  xgboost==0.90 pandas==0.25.3; 3.8  xgboost==1.2.1 pandas==1.1.5
dill      3.8  scikit-learn==1.0.2 pandas==1.3.5 and dill 0.3.4, 0.3.9; then as the following
ngboost   3.7  ngboost==0.3.10; then as the following
callbacks, crf, dill, ngboost  3.11  scikit-learn==1.9.1 xgboost sklearn-crfsuite dill ngboost
pycaret   3.11 pycaret==3.3.2 six; 3.8 pycaret==2.3.10 scikit-learn==0.23.2 numpy==1.21.6
"""

import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
X = np.random.RandomState(0).rand(30, 3)
Y = (X[:, 0] > 0.5) * 1


def save(name, library, model, protocol=2):
    data = pickle.dumps(model, protocol)
    (HERE / f"{name}-{library.__name__}-{library.__version__}.pkl").write_bytes(data)


def save_of(distribution, model):
    from importlib.metadata import version

    name = f"{distribution}-{version(distribution)}.pkl"
    (HERE / name).write_bytes(pickle.dumps(model, 4))


def logistic():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(solver="liblinear")


def memory():
    import joblib
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with tempfile.TemporaryDirectory() as folder:
        caches = joblib.Memory(folder, verbose=0), joblib.Memory(None, verbose=0)
        found = [make_pipeline(StandardScaler(), logistic()).set_params(memory=m) for m in caches]
        save("memory", joblib, found[0].fit(X, Y))
        save("nowhere", joblib, found[1].fit(X, Y))


def vectors():
    import sklearn
    from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

    for model in (SVC(probability=True), NuSVC(), SVR(), NuSVR(), OneClassSVM()):
        save(type(model).__name__.lower(), sklearn, model.fit(X, Y))


def classes():
    """Each was moved to its name by hand; those of a layout that is not supported end with .old."""
    import sklearn
    from sklearn.cluster import FeatureAgglomeration, KMeans
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.tree import DecisionTreeRegressor

    for model in (FeatureAgglomeration(), KMeans(n_init=1), KNeighborsRegressor(),
                  GradientBoostingRegressor(n_estimators=3, max_depth=2),
                  DecisionTreeRegressor(max_depth=2)):  # fmt: skip
        save(type(model).__name__.lower(), sklearn, model.fit(X, X[:, 1]))
    for function in (np.log1p, np.sqrt):
        save("ufunc", np, FunctionTransformer(function, validate=False).fit(X))


def earlier():
    import sklearn
    from sklearn.covariance import EllipticEnvelope
    from sklearn.ensemble import BaggingClassifier
    from sklearn.naive_bayes import GaussianNB

    for model in (BaggingClassifier(GaussianNB(), 3), EllipticEnvelope()):
        save(type(model).__name__.lower(), sklearn, model.fit(X, Y))


def first():
    """The scaler was moved to the name of a layout that is not supported."""
    import sklearn
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    texts = ["good film", "bad film", "nice story", "awful story"] * 10
    labels = ["pos", "neg"] * 20
    pipeline = make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(texts, labels)
    save("text", sklearn, pipeline)
    save("scaler", sklearn, StandardScaler().fit(X))


def removed():
    """Estimators and parameters that scikit-learn 0.20 has no more, or in another module."""
    import sklearn
    from sklearn import grid_search, mixture
    from sklearn.cluster import FeatureAgglomeration
    from sklearn.covariance import EllipticEnvelope
    from sklearn.decomposition import RandomizedPCA
    from sklearn.gaussian_process import GaussianProcess
    from sklearn.lda import LDA
    from sklearn.preprocessing import OneHotEncoder

    search = grid_search.GridSearchCV(logistic(), {"C": [1, 2]}, cv=2)
    for model in (GaussianProcess(corr="cubic", regr="linear"), FeatureAgglomeration(), LDA(),
                  mixture.GMM(2), mixture.DPGMM(2), EllipticEnvelope(), RandomizedPCA(2),
                  OneHotEncoder(), search):  # fmt: skip
        rows = (X * 3).astype(int) if isinstance(model, OneHotEncoder) else X
        count = 8 if isinstance(model, GaussianProcess) else None  # it keeps each pair of rows
        save(type(model).__name__.lower(), sklearn, model.fit(rows[:count], Y[:count]))


def frame():
    import pandas as pd

    columns = {"size": [1.0, 2, 3], "n": [1, 2, 3], "kind": ["x", "y", "z"], "half": [0.5, 1, 2],
               "group": pd.Categorical(["u", "v", "u"]), "day": pd.date_range("2020", periods=3),
               "whole": pd.array([1, None, 3], dtype="Int64")}  # fmt: skip
    found = pd.DataFrame(columns)
    model = logistic().fit(X, Y)
    for protocol in (0, 2, 4):
        value = {"model": model, "data": found, "column": found["size"]}
        save(f"frame-{protocol}", pd, value, protocol)


def reconstruct():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    forest = RandomForestClassifier(n_estimators=2, max_depth=2)
    logs = FunctionTransformer(np.log1p, validate=False)
    save("reconstruct", np, make_pipeline(logs, forest).fit(X, Y))


def importances():
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=5).fit(X, Y)
    save("importances", lightgbm, model)
    model.booster_.save_model(str(HERE / "importances-lightgbm-2.1.2.txt"))


def headless():
    import xgboost

    rows = xgboost.DMatrix(X, Y)
    for name in ("gbtree", "dart", "gblinear"):
        model = xgboost.train({"objective": "binary:logistic", "booster": name}, rows, 2)
        model.save_model(str(HERE / f"{name}-xgboost-{xgboost.__version__}.model"))


def poisson():
    import xgboost

    model = xgboost.train({"objective": "count:poisson", "max_depth": 3}, xgboost.DMatrix(X, Y), 4)
    model.save_model(str(HERE / f"poisson-xgboost-{xgboost.__version__}.model"))


def metrics():
    import xgboost

    rows = xgboost.DMatrix(X, Y)
    options = {"objective": "binary:logistic", "booster": "gblinear", "eval_metric": "mae"}
    model = xgboost.train(options, rows, 4)
    model.save_model(str(HERE / f"metrics-xgboost-{xgboost.__version__}.model"))


def labels():
    import xgboost

    save("labels", xgboost, xgboost.XGBClassifier(n_estimators=4, booster="gblinear").fit(X, Y))


def named():
    import pandas as pd
    import xgboost

    rows = pd.DataFrame(np.random.RandomState(0).rand(60, 4), columns=list("abcd"))
    model = xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(rows, (rows.a > 0.5) * 1)
    save("frame", xgboost, model)
    save("bare", xgboost, model.get_booster())


def booster():
    import dill as library
    import xgboost

    model = xgboost.XGBRegressor(n_estimators=4, max_depth=3).fit(X, X[:, 1])
    (HERE / f"booster-dill-{library.__version__}.pkl").write_bytes(library.dumps(model))


def callbacks():
    import xgboost

    found = [xgboost.callback.EarlyStopping(rounds=2), xgboost.callback.EvaluationMonitor(),
             xgboost.callback.TrainingCheckPoint(tempfile.mkdtemp())]  # fmt: skip
    model = xgboost.XGBClassifier(n_estimators=3, max_depth=2, callbacks=found)
    save("callbacks", xgboost, model.fit(X, Y, eval_set=[(X, Y)], verbose=False), 4)


def crf():
    import sklearn_crfsuite

    model = sklearn_crfsuite.CRF(max_iterations=5)
    save_of("sklearn-crfsuite", model.fit([[{"a": "x"}, {"a": "y"}]] * 5, [["A", "B"]] * 5))


def ngboost():
    from ngboost import NGBRegressor
    from sklearn.tree import DecisionTreeRegressor

    base = DecisionTreeRegressor(max_depth=2)
    model = NGBRegressor(n_estimators=2, Base=base, verbose=False).fit(X, X[:, 1])
    save_of("ngboost", model)


def dill():
    import dill as library
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    columns = make_column_transformer(
        (StandardScaler(), [0, 1]), (FunctionTransformer(np.log1p), [2])
    )
    model = make_pipeline(columns, RandomForestClassifier(2, max_depth=2)).fit(X, Y)
    (HERE / f"pipeline-dill-{library.__version__}.pkl").write_bytes(library.dumps(model))
    data = {"model": logistic().fit(X, Y), "data": pd.DataFrame(X)}
    (HERE / f"frame-dill-{library.__version__}.pkl").write_bytes(library.dumps(data))


def pycaret():
    import pandas as pd
    import pycaret as library
    from pycaret.classification import create_model, save_model, setup

    data = pd.DataFrame(X, columns=list("abc")).assign(t=Y)
    more = {} if library.__version__ > "3" else {"silent": True}
    setup(data, target="t", session_id=1, verbose=False, html=False, n_jobs=1, **more)
    model = create_model("lr", verbose=False, fold=2)
    save_model(model, str(HERE / f"lr-pycaret-{library.__version__}"))


for name in sys.argv[1:]:
    globals()[name]()
