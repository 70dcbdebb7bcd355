"""Pipelines whose ColumnTransformer takes columns of a DataFrame by name or by dtype."""

import numpy as np
from data import amounts, codes, frame, labels
from registry import Trained, model
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.tree import DecisionTreeRegressor

FOREST = {"n_estimators": 8, "max_depth": 5, "random_state": 0}


def encoder(**options):
    return OneHotEncoder(handle_unknown="ignore", **options)


def prepared(texts, numbers, **options):
    """Return the ColumnTransformer of most tutorials."""
    imputed = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    strings = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder())
    return ColumnTransformer([("numbers", imputed, numbers), ("texts", strings, texts)], **options)


@model("ColumnTransformer by names, LogisticRegression")
def titanic():
    X, y = frame("age", "fare", "sex", "port_nan", "pclass"), labels()
    columns = prepared(["sex", "port_nan"], ["age", "fare", "pclass"])
    return Trained(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y)


@model("make_column_selector by dtype, forest")
def selectors():
    X, y = frame("age", "income_missing", "sex", "port", "pclass"), labels()
    columns = prepared(
        make_column_selector(dtype_exclude=np.number), make_column_selector(dtype_include=np.number)
    )
    return Trained(make_pipeline(columns, RandomForestClassifier(**FOREST)).fit(X, y), X, y)


@model("make_column_selector of booleans, passed through")
def selected_booleans():
    X, y = frame("age", "member", "fare"), amounts()
    columns = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include=np.number)),
        ("passthrough", make_column_selector(dtype_include=bool)),
    )
    return Trained(make_pipeline(columns, Ridge()).fit(X, y), X, y)


@model("remainder=passthrough with a boolean, forest")
def remainder():
    X, y = frame("port", "age", "member", "income", "sex"), labels()
    columns = make_column_transformer((encoder(), ["port", "sex"]), remainder="passthrough")
    return Trained(make_pipeline(columns, RandomForestClassifier(**FOREST)).fit(X, y), X, y)


@model("columns dropped by the ColumnTransformer")
def dropped_columns():
    X, y = frame("comment", "age", "fare", "port", "seen"), amounts()
    columns = make_column_transformer((encoder(), ["port"]), ("passthrough", ["age", "fare"]))
    return Trained(make_pipeline(columns, LinearRegression()).fit(X, y), X, y)


@model("missing strings as None, OneHotEncoder", sklearn="1.0")
def none_strings():
    X, y = frame("port_none", "age"), labels()
    columns = make_column_transformer((encoder(), ["port_none"]), remainder="passthrough")
    return Trained(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y)


@model("missing strings as NaN, OneHotEncoder", sklearn="1.0")
def nan_strings():
    X, y = frame("port_nan", "age"), labels()
    columns = make_column_transformer((encoder(), ["port_nan"]), remainder="passthrough")
    return Trained(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y)


@model("TfidfVectorizer of one column, with numbers")
def text_column():
    X, y = frame("comment", "age", "fare"), labels()
    columns = make_column_transformer(
        (TfidfVectorizer(), "comment"), (StandardScaler(), ["age", "fare"])
    )
    return Trained(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y)


@model("TfidfVectorizer on a Series")
def text_series():
    X, y = frame("comment")["comment"], labels()
    return Trained(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(X, y), X, y)


@model("OrdinalEncoder of integers, dtype int8, HistGradientBoosting", sklearn="1.0")
def ordinal_int8():
    from sklearn.ensemble import HistGradientBoostingClassifier

    X, y = frame("visits", "port", "fare").astype({"visits": "int64"}), labels()
    ordinal = OrdinalEncoder(dtype=np.int8)
    columns = make_column_transformer((ordinal, ["visits", "port"]), remainder="passthrough")
    booster = HistGradientBoostingClassifier(max_iter=8, random_state=0)
    return Trained(make_pipeline(columns, booster).fit(X, y), X, y)


@model("OrdinalEncoder of all strings, tree")
def ordinal_strings():
    X, y = frame("port", "sex", "comment"), amounts()
    tree = DecisionTreeRegressor(max_depth=4, random_state=0)
    return Trained(make_pipeline(OrdinalEncoder(), tree).fit(X, y), X, y)


@model("OneHotEncoder of all strings, unknown columns ignored")
def onehot_strings():
    X, y = frame("port", "sex"), labels()
    return Trained(make_pipeline(encoder(), LogisticRegression()).fit(X, y), X, y)


@model("TargetEncoder with a remainder", sklearn="1.3")
def target_encoder():
    from sklearn.preprocessing import TargetEncoder

    X, y = frame("port", "sex", "age"), labels()
    columns = make_column_transformer(
        (TargetEncoder(random_state=0), ["port", "sex"]), remainder="passthrough"
    )
    return Trained(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y)


@model("KBinsDiscretizer and Ridge")
def bins():
    X, y = frame("age", "fare", "port"), amounts()
    binned = KBinsDiscretizer(n_bins=4, encode="onehot", strategy="uniform")
    columns = make_column_transformer((binned, ["age", "fare"]), (encoder(), ["port"]))
    return Trained(make_pipeline(columns, Ridge()).fit(X, y), X, y)


@model("KNNImputer of selected columns, SelectKBest")
def knn_imputer():
    X, y = frame("income_missing", "age", "fare", "sex"), labels()
    numbers = make_pipeline(KNNImputer(n_neighbors=3), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["income_missing", "age", "fare"]), (encoder(), ["sex"])
    )
    pipeline = make_pipeline(columns, SelectKBest(k=4), LogisticRegression())
    return Trained(pipeline.fit(X, y), X, y)


@model("GridSearchCV of a pipeline")
def grid_search():
    X, y = frame("age", "fare", "sex", "member"), labels()
    columns = make_column_transformer(
        (encoder(), ["sex"]), (StandardScaler(), ["age", "fare"]), remainder="passthrough"
    )
    pipeline = make_pipeline(columns, LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=3)
    return Trained(search.fit(X, y), X, y)


@model("CalibratedClassifierCV over a pipeline", sklearn="1.0")
def calibrated():
    X, y = frame("age", "fare", "port"), labels()
    pipeline = make_pipeline(prepared(["port"], ["age", "fare"]), RandomForestClassifier(**FOREST))
    return Trained(CalibratedClassifierCV(pipeline, cv=3).fit(X, y), X, y)


@model("StackingClassifier of pipelines")
def stacking():
    X, y = frame("age", "fare", "port", "member"), labels()
    first = make_pipeline(prepared(["port"], ["age", "fare"]), LogisticRegression())
    second = make_pipeline(prepared(["port"], ["age"]), RandomForestClassifier(**FOREST))
    return Trained(StackingClassifier([("a", first), ("b", second)], cv=3).fit(X, y), X, y)


@model("VotingRegressor of pipelines")
def voting():
    X, y = frame("age", "fare", "port"), amounts()
    first = make_pipeline(prepared(["port"], ["age", "fare"]), Ridge())
    second = make_pipeline(prepared(["port"], ["fare"]), RandomForestRegressor(**FOREST))
    return Trained(VotingRegressor([("a", first), ("b", second)]).fit(X, y), X, y)


@model("TransformedTargetRegressor over a pipeline")
def transformed_target():
    X, y = frame("age", "fare", "port"), amounts() - amounts().min()
    pipeline = make_pipeline(prepared(["port"], ["age", "fare"]), Ridge())
    target = TransformedTargetRegressor(pipeline, func=np.log1p, inverse_func=np.expm1)
    return Trained(target.fit(X, y), X, y)


@model("three classes by number, boosted")
def three_classes():
    X, y = frame("age", "fare", "port", "pclass"), codes()
    booster = GradientBoostingClassifier(n_estimators=5, random_state=0)
    pipeline = make_pipeline(prepared(["port"], ["age", "fare", "pclass"]), booster)
    return Trained(pipeline.fit(X, y), X, y)


@model("several outputs, regressor")
def two_amounts():
    X = frame("age", "fare", "port", "member")
    y = np.column_stack([amounts(), X["fare"] * 2 + X["age"]])
    columns = make_column_transformer((encoder(), ["port"]), remainder="passthrough")
    return Trained(make_pipeline(columns, RandomForestRegressor(**FOREST)).fit(X, y), X)


@model("several outputs, classifier")
def two_labels():
    X = frame("age", "fare", "port")
    y = np.column_stack([labels(), np.where(X["age"] > 50, "old", "young")]).astype(object)
    pipeline = make_pipeline(
        prepared(["port"], ["age", "fare"]), MultiOutputClassifier(LogisticRegression())
    )
    return Trained(pipeline.fit(X, y), X)


@model('set_output(transform="pandas")', sklearn="1.2")
def set_output():
    from own_steps import Ratios

    X, y = frame("age", "fare", "port", "member"), labels()
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["port"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    pipeline = make_pipeline(columns, Ratios(), LogisticRegression())
    pipeline.set_output(transform="pandas")
    return Trained(pipeline.fit(X, y), X, y, options=("--code", "own"))


@model('set_config(transform_output="pandas")', sklearn="1.2")
def set_config():
    import sklearn

    X, y = frame("age", "income_missing", "port"), labels()
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    first = make_column_transformer(
        (numbers, ["age", "income_missing"]),
        (OneHotEncoder(sparse_output=False), ["port"]),
        verbose_feature_names_out=False,
    )
    second = make_column_transformer(
        (StandardScaler(), ["income_missing"]), remainder="passthrough"
    )
    pipeline = make_pipeline(first, second, LogisticRegression())
    with sklearn.config_context(transform_output="pandas"):
        pipeline.set_output(transform="pandas").fit(X, y)
        return Trained(pipeline, X, y)
