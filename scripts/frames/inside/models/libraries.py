"""imbalanced-learn, category_encoders, feature-engine and statsmodels on DataFrames."""

from data import amounts, frame, labels
from registry import Trained, model
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from .columns import FOREST, prepared


@model("imbalanced-learn pipeline with RandomOverSampler")
def oversampled():
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.pipeline import make_pipeline as make_sampled

    X, y = frame("age", "fare", "port", "member"), labels()
    pipeline = make_sampled(
        prepared(["port"], ["age", "fare"], remainder="passthrough"),
        RandomOverSampler(random_state=0),
        LogisticRegression(),
    )
    return Trained(pipeline.fit(X, y), X, y)


@model("imbalanced-learn pipeline with SMOTE, booleans")
def smote():
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline as make_sampled

    X, y = frame("age", "fare", "member"), labels()
    pipeline = make_sampled(SMOTE(random_state=0), RandomForestClassifier(**FOREST))
    return Trained(pipeline.fit(X.astype({"member": int}), y), X.astype({"member": int}), y)


@model("category_encoders.TargetEncoder")
def encoders_target():
    from category_encoders import TargetEncoder

    X, y = frame("port", "sex", "age"), amounts()
    pipeline = make_pipeline(TargetEncoder(cols=["port", "sex"]), LinearRegression())
    return Trained(pipeline.fit(X, y), X, y)


@model("category_encoders.OrdinalEncoder of categories")
def encoders_ordinal():
    from category_encoders import OrdinalEncoder

    X, y = frame("city", "port", "age"), labels()
    pipeline = make_pipeline(OrdinalEncoder(), RandomForestClassifier(**FOREST))
    return Trained(pipeline.fit(X, y), X, y)


@model("feature-engine: imputer and one-hot encoder")
def engine_encoders():
    from feature_engine.encoding import OneHotEncoder
    from feature_engine.imputation import MeanMedianImputer

    X, y = frame("income_missing", "port", "age"), labels()
    pipeline = make_pipeline(
        MeanMedianImputer(variables=["income_missing"]),
        OneHotEncoder(variables=["port"]),
        RandomForestClassifier(**FOREST),
    )
    return Trained(pipeline.fit(X, y), X, y)


@model("feature-engine: parts of dates", feature_engine="1.6")
def engine_dates():
    from feature_engine.datetime import DatetimeFeatures

    X, y = frame("seen", "age", "fare"), amounts()
    pipeline = make_pipeline(
        DatetimeFeatures(variables=["seen"], features_to_extract=["month", "weekend", "hour"]),
        LinearRegression(),
    )
    return Trained(pipeline.fit(X, y), X, y)


@model("statsmodels OLS of named columns")
def statsmodels_ols():
    import statsmodels.api as sm

    X, y = sm.add_constant(frame("age", "fare").astype(float)), amounts()
    return Trained(sm.OLS(y, X).fit(), X, y, members=None)


@model("statsmodels OLS of a formula")
def statsmodels_formula():
    import statsmodels.formula.api as smf

    X, y = frame("age", "fare", "port"), amounts()
    fitted = smf.ols("amount ~ age + fare + C(port)", X.assign(amount=y)).fit()
    return Trained(fitted, X, y, members=None)
