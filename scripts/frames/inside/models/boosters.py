"""LightGBM, XGBoost and CatBoost on DataFrames: pickled, in pipelines, and in their own formats."""

from data import amounts, codes, frame, labels
from registry import Trained, model
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .columns import encoder

SMALL = {"n_estimators": 8, "random_state": 0}
QUIET = {
    "iterations": 8,
    "depth": 3,
    "verbose": False,
    "random_seed": 0,
    "allow_writing_files": False,
}


def saved_as(name, save):
    """Return a `save` for `Trained` that writes one file of the library's own."""

    def write(folder):
        save(str(folder / name))
        return [name]

    return write


@model("LGBMRegressor, categories of strings and integers")
def lightgbm_categories():
    from lightgbm import LGBMRegressor

    X, y = frame("city", "tier", "age", "fare"), amounts()
    return Trained(LGBMRegressor(min_child_samples=5, **SMALL).fit(X, y), X, y)


@model("LGBMRegressor, categories of integers alone")
def lightgbm_integers():
    from lightgbm import LGBMRegressor

    X, y = frame("tier", "age", "fare"), amounts()
    return Trained(LGBMRegressor(min_child_samples=5, **SMALL).fit(X, y), X, y)


@model("LGBMClassifier with booleans and missing categories")
def lightgbm_booleans():
    from lightgbm import LGBMClassifier

    X, y = frame("member", "city_missing", "fare"), labels()
    return Trained(LGBMClassifier(min_child_samples=5, **SMALL).fit(X, y), X, y)


@model("LGBMClassifier on numbers, three classes")
def lightgbm_numbers():
    from lightgbm import LGBMClassifier

    X, y = frame("age", "fare", "income_missing"), codes()
    return Trained(LGBMClassifier(min_child_samples=5, **SMALL).fit(X, y), X, y)


@model("LGBMClassifier in a pipeline after a ColumnTransformer")
def lightgbm_pipeline():
    from lightgbm import LGBMClassifier

    X, y = frame("port", "age", "fare", "member"), labels()
    columns = make_column_transformer((encoder(), ["port"]), remainder="passthrough")
    booster = LGBMClassifier(min_child_samples=5, **SMALL)
    return Trained(make_pipeline(columns, booster).fit(X, y), X, y)


@model("LightGBM text file of a DataFrame with categories")
def lightgbm_text():
    import lightgbm

    X, y = frame("city", "tier", "fare", "member"), amounts()
    data = lightgbm.Dataset(X, y, free_raw_data=False)
    options = {"objective": "regression", "verbose": -1, "min_data_in_leaf": 5, "seed": 0}
    booster = lightgbm.train(options, data, 8)
    return Trained(booster, X, y, save=saved_as("model.txt", booster.save_model))


def _xgboost(kind, **options):
    import xgboost

    return getattr(xgboost, kind)(max_depth=3, n_jobs=1, **dict(SMALL, **options))


def _xgboost_categories(*names):
    X, y = frame(*names), amounts()
    booster = _xgboost("XGBRegressor", enable_categorical=True, tree_method="hist")
    return booster.fit(X, y), X, y


@model("XGBRegressor, categories of integers, pickled", xgboost="1.7")
def xgboost_integers():
    booster, X, y = _xgboost_categories("tier", "age", "fare")
    return Trained(booster, X, y)


@model("XGBRegressor, categories of strings, pickled", xgboost="1.7")
def xgboost_strings():
    booster, X, y = _xgboost_categories("city", "age", "fare", "member")
    return Trained(booster, X, y)


@model("XGBRegressor, categories of strings, JSON", xgboost="3.1")
def xgboost_categories_json():
    booster, X, y = _xgboost_categories("city", "tier", "fare")
    return Trained(booster, X, y, save=saved_as("model.json", booster.save_model))


@model("XGBRegressor, categories of strings, UBJSON", xgboost="3.1")
def xgboost_categories_ubj():
    booster, X, y = _xgboost_categories("city", "fare", "age")
    return Trained(booster, X, y, save=saved_as("model.ubj", booster.save_model))


@model("XGBClassifier with booleans, pickled")
def xgboost_booleans():
    X, y = frame("member", "age", "fare"), (labels() == "yes").astype(int)
    return Trained(_xgboost("XGBClassifier").fit(X, y), X, y)


@model("XGBClassifier, two classes, JSON")
def xgboost_json():
    X, y = frame("age", "fare", "income"), (labels() == "yes").astype(int)
    booster = _xgboost("XGBClassifier").fit(X, y)
    return Trained(booster, X, y, save=saved_as("model.json", booster.save_model))


@model("XGBClassifier, three classes, UBJSON", xgboost="1.7")
def xgboost_ubj():
    X, y = frame("age", "fare", "income_missing"), codes()
    booster = _xgboost("XGBClassifier").fit(X, y)
    return Trained(booster, X, y, save=saved_as("model.ubj", booster.save_model))


@model("XGBClassifier in a pipeline")
def xgboost_pipeline():
    X, y = frame("port", "age", "fare", "member"), codes()
    columns = make_column_transformer(
        (encoder(), ["port"]), (StandardScaler(), ["age", "fare"]), remainder="passthrough"
    )
    return Trained(make_pipeline(columns, _xgboost("XGBClassifier")).fit(X, y), X, y)


def _catboost(kind, X, y, texts):
    import catboost

    return getattr(catboost, kind)(cat_features=texts, **QUIET).fit(X, y)


@model("CatBoostClassifier, strings and integers as categories, pickled")
def catboost_pickle():
    X, y = frame("port", "pclass", "age", "fare"), labels()
    return Trained(_catboost("CatBoostClassifier", X, y, ["port", "pclass"]), X, y)


@model("CatBoostRegressor, strings and integers as categories, cbm")
def catboost_cbm():
    X, y = frame("port", "pclass", "age", "fare"), amounts()
    booster = _catboost("CatBoostRegressor", X, y, ["port", "pclass"])
    return Trained(booster, X, y, save=saved_as("model.cbm", booster.save_model))


@model("CatBoostClassifier with string labels and booleans, cbm")
def catboost_labels():
    X, y = frame("sex", "member", "fare"), labels()
    booster = _catboost("CatBoostClassifier", X, y, ["sex"])
    return Trained(booster, X, y, save=saved_as("model.cbm", booster.save_model))


@model("CatBoostRegressor, category dtype, pickled")
def catboost_dtype():
    X, y = frame("city", "tier", "age"), amounts()
    return Trained(_catboost("CatBoostRegressor", X, y, ["city", "tier"]), X, y)


@model("CatBoostClassifier on numbers, in a pipeline")
def catboost_pipeline():
    import catboost

    X, y = frame("port", "age", "fare"), codes()
    columns = make_column_transformer((encoder(), ["port"]), remainder="passthrough")
    booster = catboost.CatBoostClassifier(**QUIET)
    return Trained(make_pipeline(columns, booster).fit(X, y), X, y)
