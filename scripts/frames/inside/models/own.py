"""The author's own classes and functions, from the folder `own` by `--code`."""

from data import amounts, frame, labels
from own_steps import Dummies, GroupMeans, NamedPipeline, Ratios, Selector, family_size
from registry import Trained, model
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from .columns import FOREST, encoder, prepared

CODE = ("--code", "own")


@model("own transformer that takes X.columns")
def own_transformer():
    X, y = frame("age", "fare", "pclass"), amounts()
    return Trained(make_pipeline(Ratios(), Ridge()).fit(X, y), X, y, options=CODE)


@model("own transformer before a ColumnTransformer, with strings and booleans")
def own_before_columns():
    X, y = frame("age", "fare", "port", "member"), labels()
    columns = prepared(["port"], ["age", "fare", "fare_per_year"], remainder="passthrough")
    pipeline = make_pipeline(Ratios(), columns, LogisticRegression())
    return Trained(pipeline.fit(X, y), X, y, options=CODE)


@model("FeatureUnion of own selectors")
def own_selectors():
    X, y = frame("age", "fare", "port"), labels()
    numbers = make_pipeline(Selector(["age", "fare"]), StandardScaler())
    texts = make_pipeline(Selector(["port"]), encoder())
    union = FeatureUnion([("numbers", numbers), ("texts", texts)])
    pipeline = make_pipeline(union, LogisticRegression())
    return Trained(pipeline.fit(X, y), X, y, options=CODE)


@model("own transformer around pandas.get_dummies")
def own_dummies():
    X, y = frame("age", "port", "city", "member"), labels()
    pipeline = make_pipeline(Dummies(), RandomForestClassifier(**FOREST))
    return Trained(pipeline.fit(X, y), X, y, options=CODE)


@model("own classifier that reads columns by name")
def own_classifier():
    X, y = frame("port", "age"), labels()
    return Trained(GroupMeans("port").fit(X, y), X, y, options=CODE)


@model("subclass of Pipeline, as PMMLPipeline")
def own_pipeline():
    X, y = frame("age", "fare", "port", "member"), labels()
    steps = [("columns", prepared(["port"], ["age", "fare"])), ("model", LogisticRegression())]
    return Trained(NamedPipeline(steps).fit(X, y), X, y, options=CODE)


@model("FunctionTransformer of an own function on columns")
def own_function():
    X, y = frame("age", "pclass", "fare", "port"), labels()
    columns = prepared(["port"], ["age", "fare", "weight"])
    pipeline = make_pipeline(FunctionTransformer(family_size), columns, LogisticRegression())
    return Trained(pipeline.fit(X, y), X, y, options=CODE)


@model("own transformer, saved by cloudpickle")
def own_cloudpickle():
    import cloudpickle

    X, y = frame("age", "fare", "port"), labels()
    columns = prepared(["port"], ["age", "fare_per_year"])
    pipeline = make_pipeline(Ratios(), columns, LogisticRegression()).fit(X, y)

    def save(folder):
        (folder / "model.pkl").write_bytes(cloudpickle.dumps(pipeline, protocol=4))
        return ["model.pkl"]

    return Trained(pipeline, X, y, save=save, options=CODE)
