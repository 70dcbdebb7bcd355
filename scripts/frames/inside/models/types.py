"""Columns that are neither floats nor strings: booleans, categories, dates, Decimals."""

import numpy as np
import pandas as pd
from data import amounts, codes, frame, labels
from registry import Trained, model
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from .columns import FOREST, encoder


@model("pandas.get_dummies, forest")
def dummies():
    X, y = pd.get_dummies(frame("age", "fare", "port", "sex", "member")), labels()
    return Trained(RandomForestClassifier(**FOREST).fit(X, y), X, y)


@model("booleans and floats, LogisticRegression")
def booleans():
    X, y = frame("age", "fare", "member").assign(adult=lambda f: f["age"] > 30), labels()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    return Trained(pipeline.fit(X, y), X, y)


@model("booleans alone, tree")
def only_booleans():
    data = frame("age", "fare", "member", "sex")
    X = pd.DataFrame({
        "member": data["member"],
        "adult": data["age"] > 30,
        "female": data["sex"] == "female",
        "rich": data["fare"] > 40,
    })  # fmt: skip
    y = codes()
    return Trained(DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y), X, y)


@model("nullable Int64 and boolean, imputed", sklearn="1.3")
def nullable():
    X, y = frame("visits_missing", "opted", "fare"), labels()
    columns = make_column_transformer(
        (SimpleImputer(), ["visits_missing"]), ("passthrough", ["opted", "fare"])
    )
    return Trained(make_pipeline(columns, RandomForestClassifier(**FOREST)).fit(X, y), X, y)


@model("nullable integers without a missing one, forest", sklearn="1.0")
def nullable_full():
    X, y = frame("visits", "fare", "age"), amounts()
    return Trained(RandomForestRegressor(**FOREST).fit(X, y), X, y)


@model("categories of strings, OneHotEncoder")
def string_categories():
    X, y = frame("city", "age", "grade"), labels()
    columns = make_column_transformer((encoder(), ["city", "grade"]), remainder="passthrough")
    return Trained(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y)


@model("categories of integers, OneHotEncoder")
def integer_categories():
    X, y = frame("tier", "age", "fare"), amounts()
    columns = make_column_transformer((encoder(), ["tier"]), remainder="passthrough")
    return Trained(make_pipeline(columns, Ridge()).fit(X, y), X, y)


@model("categories of booleans, OrdinalEncoder")
def boolean_categories():
    X, y = frame("vip", "port", "fare"), labels()
    columns = make_column_transformer((OrdinalEncoder(), ["vip", "port"]), remainder="passthrough")
    return Trained(make_pipeline(columns, RandomForestClassifier(**FOREST)).fit(X, y), X, y)


@model("booleans through OneHotEncoder")
def encoded_booleans():
    X, y = frame("member", "port", "fare"), labels()
    columns = make_column_transformer((encoder(), ["member", "port"]), remainder="passthrough")
    return Trained(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y)


@model("integers through OneHotEncoder")
def encoded_integers():
    X, y = frame("pclass", "age"), labels()
    columns = make_column_transformer((OneHotEncoder(), ["pclass"]), remainder="passthrough")
    return Trained(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y)


@model("HistGradientBoosting, categories by dtype", sklearn="1.4")
def histogram_dtype():
    from sklearn.ensemble import HistGradientBoostingClassifier

    X, y = frame("city", "age", "fare", "member", "grade"), labels()
    booster = HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=10, random_state=0
    )
    return Trained(booster.fit(X, y), X, y)


@model("HistGradientBoosting with missing numbers", sklearn="1.0")
def histogram():
    from sklearn.ensemble import HistGradientBoostingRegressor

    X, y = frame("income_missing", "age", "member", "pclass"), amounts()
    booster = HistGradientBoostingRegressor(max_iter=10, random_state=0)
    return Trained(booster.fit(X, y), X, y)


@model("dates by the author's own transformer")
def dates():
    from own_steps import DateParts

    X, y = frame("joined", "seen", "fare"), amounts()
    pipeline = make_pipeline(DateParts(["joined", "seen"]), RandomForestRegressor(**FOREST))
    return Trained(pipeline.fit(X, y), X, y, options=("--code", "own"))


@model("dates in a ColumnTransformer, own function")
def date_column():
    from own_steps import DateParts

    X, y = frame("joined", "port", "fare"), labels()
    columns = make_column_transformer(
        (DateParts(["joined"]), ["joined"]), (encoder(), ["port"]), remainder="passthrough"
    )
    pipeline = make_pipeline(columns, RandomForestClassifier(**FOREST))
    return Trained(pipeline.fit(X, y), X, y, options=("--code", "own"))


@model("Decimals in a ColumnTransformer")
def decimals():
    X, y = frame("price", "age", "port"), amounts()
    columns = make_column_transformer((SimpleImputer(), ["price", "age"]), (encoder(), ["port"]))
    data = X.assign(price=X["price"].astype(float))
    return Trained(make_pipeline(columns, Ridge()).fit(data, y), X, y)


@model("int64 columns only, LogisticRegression")
def integers():
    X, y = frame("age", "pclass").assign(visits=frame("visits")["visits"].astype("int64")), labels()
    return Trained(LogisticRegression(max_iter=500).fit(X, y), X, y)


@model("int8 and int64 columns, Ridge")
def small_integers():
    X, y = frame("count8", "age"), amounts()
    return Trained(Ridge().fit(X, y), X, y)


@model("odd names: spaces, unicode, dots, leading digits")
def odd_names():
    X, y = frame("age", "fare", "income", "pclass", "port"), labels()
    X.columns = [
        "Age (years)",
        "fare.usd",
        "1st income",
        "Klasse \u00e4\u00f6\u4e2d",
        "port, of departure",
    ]
    columns = make_column_transformer(
        (encoder(), ["port, of departure"]), remainder=StandardScaler()
    )
    return Trained(make_pipeline(columns, LogisticRegression()).fit(X, y), X, y)


@model("columns named by integers")
def integer_names():
    X, y = frame("age", "fare", "income"), labels()
    X.columns = range(3)
    return Trained(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X, y)


@model(
    "two columns of one name",
    may_be_refused="two columns have the same name",
    before={"sklearn": "1.9"},
)
def duplicate_names():
    X, y = frame("age", "fare", "income"), labels()
    X.columns = ["age", "fare", "fare"]
    return Trained(RandomForestClassifier(**FOREST).fit(X, y), X, y)


@model("names of methods and of Python: predict, index, None, class")
def reserved_names():
    X, y = frame("age", "fare", "income", "port"), labels()
    X.columns = ["predict", "index", "None", "class"]
    columns = make_column_transformer((encoder(), ["class"]), remainder="passthrough")
    return Trained(make_pipeline(columns, RandomForestClassifier(**FOREST)).fit(X, y), X, y)


@model("a frame of float32 and a category by code, forest")
def floats_and_codes():
    X = frame("fare32", "tier").assign(city=frame("city")["city"].cat.codes)
    y = amounts()
    X["tier"] = X["tier"].astype(np.int64)
    return Trained(RandomForestRegressor(**FOREST).fit(X, y), X, y)
