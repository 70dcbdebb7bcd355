"""The author's own classes and functions, as a project next to the model contains them."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.pipeline import Pipeline


class DateParts(BaseEstimator, TransformerMixin):
    """Replaces dates by month, weekday and days since the first of them."""

    def __init__(self, columns=()):
        self.columns = columns

    def fit(self, X, y=None):
        self.first_ = {name: X[name].min() for name in self.columns}
        return self

    def transform(self, X):
        X = X.copy()
        for name in self.columns:
            X[name + "_month"] = X[name].dt.month
            X[name + "_weekday"] = X[name].dt.weekday
            X[name + "_days"] = (X[name] - self.first_[name]).dt.total_seconds() / 86400
        return X.drop(columns=list(self.columns))


class Ratios(BaseEstimator, TransformerMixin):
    """Adds fare per year of age, by the names of columns."""

    def fit(self, X, y=None):
        self.columns_ = list(X.columns)
        return self

    def transform(self, X):
        X = X[self.columns_].copy()
        X["fare_per_year"] = X["fare"] / X["age"]
        return X

    def get_feature_names_out(self, names=None):
        return [*self.columns_, "fare_per_year"]


class Selector(BaseEstimator, TransformerMixin):
    """Takes columns by name, as tutorials before ColumnTransformer did."""

    def __init__(self, names):
        self.names = names

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[self.names].values


class Dummies(BaseEstimator, TransformerMixin):
    """Applies `pandas.get_dummies`, and gives the columns of training their order."""

    def fit(self, X, y=None):
        self.columns_ = list(pd.get_dummies(X).columns)
        return self

    def transform(self, X):
        return pd.get_dummies(X).reindex(columns=self.columns_, fill_value=0).astype(float)


class GroupMeans(BaseEstimator, ClassifierMixin):
    """A classifier that knows nothing but the mean of the target for each value of a column."""

    def __init__(self, column):
        self.column = column

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.means_ = (y == self.classes_[1]).groupby(X[self.column]).mean().to_dict()
        return self

    def predict_proba(self, X):
        chance = X[self.column].map(self.means_).fillna(0.5).to_numpy(dtype=float)
        return np.column_stack([1 - chance, chance])

    def predict(self, X):
        return self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(int)]


class NamedPipeline(Pipeline):
    """A subclass of Pipeline, like PMMLPipeline: it records the names of its inputs."""

    def fit(self, X, y=None, **params):
        self.active_fields = list(X.columns)
        return super().fit(X, y, **params)


def family_size(X):
    """Add a column, by the names of others; for FunctionTransformer."""
    X = X.copy()
    X["weight"] = X["age"] * X["pclass"]
    return X
