"""One small model of each library, and the formats in which only that library saves."""

from collections import namedtuple

import numpy as np
import pandas as pd

Trained = namedtuple("Trained", "module model inputs native")
"""The module with the version; a fitted model; what it predicts; file name -> function(path)."""

ROWS = 60
CITIES = ("Basel", "Bern", "Genf")
RANDOM = np.random.RandomState(0)
FRAME = pd.DataFrame(
    {
        "age": RANDOM.randint(18, 80, ROWS).astype(float),
        "income": RANDOM.normal(50.0, 10.0, ROWS).round(1),
        "city": [CITIES[i % 3] for i in range(ROWS)],
    }
)
ARRAY = RANDOM.normal(size=(ROWS, 3)).round(3)
TARGET = (FRAME["age"] / 10 - FRAME["income"] / 20 + ARRAY[:, 0]).values
LABELS = np.where(np.median(TARGET) > TARGET, "no", "yes")
NUMBERS = FRAME[["age", "income"]]


def scikit_learn():
    import sklearn
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["age", "income"]),
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]
    )
    model = make_pipeline(columns, LogisticRegression(solver="lbfgs"))
    return Trained(sklearn, model.fit(FRAME, LABELS), FRAME, {})


def xgboost():
    import xgboost

    model = xgboost.XGBRegressor(n_estimators=5, max_depth=3, n_jobs=1)
    model.fit(ARRAY, TARGET)
    release = tuple(map(int, xgboost.__version__.split(".")[:2]))
    # The suffix leaves the format to the release: binary at first, UBJSON since 2.1.
    native = {"xgboost-model.model": model.get_booster().save_model}
    if release >= (1, 0):
        native["xgboost-JSON.json"] = model.save_model
    if release >= (1, 6):
        native["xgboost-UBJSON.ubj"] = model.save_model
    return Trained(xgboost, model, ARRAY, native)


def lightgbm():
    import lightgbm

    model = lightgbm.LGBMRegressor(n_estimators=5, min_child_samples=3, n_jobs=1)
    model.fit(NUMBERS, TARGET)
    native = {"LightGBM-text.txt": model.booster_.save_model}
    return Trained(lightgbm, model, NUMBERS, native)


def catboost():
    import catboost

    model = catboost.CatBoostRegressor(
        iterations=5, depth=3, thread_count=1, logging_level="Silent", allow_writing_files=False
    )
    model.fit(FRAME, TARGET, cat_features=[2])
    pool = catboost.Pool(FRAME, TARGET, cat_features=[2])
    native = {
        "CatBoost-binary.cbm": model.save_model,
        "CatBoost-JSON.json": lambda path: model.save_model(path, format="json", pool=pool),
    }
    return Trained(catboost, model, FRAME, native)


def statsmodels():
    import statsmodels
    import statsmodels.formula.api as formulas

    data = FRAME.assign(target=TARGET)
    results = formulas.ols("target ~ age + np.log(income) + C(city)", data).fit()
    return Trained(statsmodels, results, FRAME, {"statsmodels-save.pickle": results.save})


def imbalanced_learn():
    import imblearn
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.pipeline import make_pipeline
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rare = (ARRAY[:, 0] > 0.8).astype(int)
    model = make_pipeline(
        StandardScaler(), RandomOverSampler(random_state=0), LogisticRegression(solver="lbfgs")
    )
    return Trained(imblearn, model.fit(ARRAY, rare), ARRAY, {})


def category_encoders():
    import category_encoders
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    encoder = category_encoders.TargetEncoder(cols=["city"])
    model = make_pipeline(encoder, LogisticRegression(solver="lbfgs"))
    model.fit(FRAME, (LABELS == "yes").astype(int))
    return Trained(category_encoders, model, FRAME, {})


def feature_engine():
    import feature_engine
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline

    try:
        from feature_engine.encoding import OneHotEncoder
        from feature_engine.imputation import MeanMedianImputer
    except ImportError:  # before 1.0
        from feature_engine.categorical_encoders import OneHotCategoricalEncoder as OneHotEncoder
        from feature_engine.missing_data_imputers import MeanMedianImputer
    imputer = MeanMedianImputer(imputation_method="median", variables=["age", "income"])
    model = make_pipeline(imputer, OneHotEncoder(variables=["city"]), LinearRegression())
    return Trained(feature_engine, model.fit(FRAME, TARGET), FRAME, {})


def sklearn_pandas():
    import sklearn_pandas
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import LabelBinarizer, StandardScaler

    mapper = sklearn_pandas.DataFrameMapper(
        [(["age", "income"], StandardScaler()), ("city", LabelBinarizer())]
    )
    model = make_pipeline(mapper, LogisticRegression(solver="lbfgs"))
    return Trained(sklearn_pandas, model.fit(FRAME, LABELS), FRAME, {})


def skl2onnx():
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(solver="lbfgs"))
    model.fit(ARRAY, LABELS)
    kind = [("rows", FloatTensorType([None, 3]))]

    def save(path):
        with open(path, "wb") as file:  # noqa: PTH123 - as in the documents of skl2onnx
            file.write(skl2onnx.convert_sklearn(model, "model", kind).SerializeToString())

    return Trained(skl2onnx, model, ARRAY, {"ONNX.onnx": save})


def pygam():
    import pygam

    model = pygam.LinearGAM(n_splines=6).fit(ARRAY, TARGET)
    return Trained(pygam, model, ARRAY, {})


def ngboost():
    import ngboost

    model = ngboost.NGBRegressor(n_estimators=5, verbose=False, random_state=0)
    return Trained(ngboost, model.fit(ARRAY, TARGET), ARRAY, {})


def interpret():
    import interpret
    from interpret.glassbox import ExplainableBoostingRegressor

    model = ExplainableBoostingRegressor(random_state=0, n_jobs=1, interactions=0)
    return Trained(interpret, model.fit(NUMBERS, TARGET), NUMBERS, {})
