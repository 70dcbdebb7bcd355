"""Values that are saved next to the model, or around it: dicts, tuples, two files, skops."""

import joblib
import numpy as np
import pandas as pd
from data import amounts, codes, frame, labels
from registry import Trained, model
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler

from .columns import FOREST, prepared


def dumped(value):
    """Return a `save` for `Trained` that writes a value in place of the model."""

    def write(folder):
        joblib.dump(value, str(folder / "model.joblib"))
        return ["model.joblib"]

    return write


@model("dict of model and scaler")
def scaler_in_dict():
    X, y = frame("age", "fare", "income"), amounts()
    scaler = StandardScaler().fit(X)
    fitted = LinearRegression().fit(scaler.transform(X), y)
    return Trained(
        fitted,
        X,
        y,
        save=dumped({"model": fitted, "scaler": scaler}),
        predict=lambda rows: fitted.predict(scaler.transform(rows)),
        members=[scaler, fitted],
        options=("--select", "scaler", "--select", "model"),
    )


@model("dict of model, scaler, columns and label encoder")
def artefacts():
    X, y = frame("age", "fare", "income"), labels()
    scaler, encoder = StandardScaler().fit(X.to_numpy()), LabelEncoder().fit(y)
    fitted = LogisticRegression().fit(scaler.transform(X.to_numpy()), encoder.transform(y))
    value = {
        "model": fitted,
        "scaler": scaler,
        "columns": list(X.columns),
        "label_encoder": encoder,
    }

    def scaled(rows):
        return scaler.transform(rows[value["columns"]].to_numpy())

    return Trained(
        fitted,
        X,
        y,
        save=dumped(value),
        predict=lambda rows: encoder.inverse_transform(fitted.predict(scaled(rows))),
        probabilities=lambda rows: fitted.predict_proba(scaled(rows)),
        classes=encoder.classes_,
        members=None,
        options=("--select", "scaler", "--select", "model"),
    )


@model("dict of a model and the columns of get_dummies")
def dummies_and_columns():
    X, y = pd.get_dummies(frame("age", "port", "sex")), codes()
    fitted = RandomForestClassifier(**FOREST).fit(X.to_numpy(dtype=float), y)
    return Trained(
        fitted,
        X,
        y,
        save=dumped({"model": fitted, "columns": list(X.columns)}),
        predict=lambda rows: fitted.predict(rows.to_numpy(dtype=float)),
        probabilities=lambda rows: fitted.predict_proba(rows.to_numpy(dtype=float)),
        members=None,
    )


@model("tuple of scaler and model")
def scaler_in_tuple():
    X, y = frame("age", "fare", "income"), labels()
    scaler = StandardScaler().fit(X)
    fitted = LogisticRegression().fit(scaler.transform(X), y)
    return Trained(
        fitted,
        X,
        y,
        save=dumped((scaler, fitted)),
        predict=lambda rows: fitted.predict(scaler.transform(rows)),
        probabilities=lambda rows: fitted.predict_proba(scaler.transform(rows)),
        members=[scaler, fitted],
    )


@model("preprocessor and model in two files")
def two_files():
    X, y = frame("age", "fare", "port", "member"), labels()
    columns = prepared(["port"], ["age", "fare"], remainder="passthrough").fit(X)
    fitted = LogisticRegression().fit(columns.transform(X), y)

    def save(folder):
        joblib.dump(columns, str(folder / "columns.joblib"))
        joblib.dump(fitted, str(folder / "model.joblib"))
        return ["columns.joblib", "model.joblib"]

    return Trained(
        fitted,
        X,
        y,
        save=save,
        predict=lambda rows: fitted.predict(columns.transform(rows)),
        probabilities=lambda rows: fitted.predict_proba(columns.transform(rows)),
        members=[columns, fitted],
    )


@model("skops file of a pipeline with a boolean", skops="0.9")
def skops_file():
    import skops.io

    X, y = frame("age", "fare", "port", "member"), labels()
    columns = prepared(["port"], ["age", "fare"], remainder="passthrough")
    pipeline = make_pipeline(columns, RandomForestClassifier(**FOREST)).fit(X, y)

    def save(folder):
        skops.io.dump(pipeline, str(folder / "model.skops"))
        return ["model.skops"]

    return Trained(pipeline, X, y, save=save)


@model("DictVectorizer on records")
def records():
    X, y = frame("age", "port", "pclass"), labels()

    def to_records(data):
        return data.to_dict("records")

    pipeline = make_pipeline(DictVectorizer(), LogisticRegression()).fit(to_records(X), y)
    return Trained(
        pipeline,
        X,
        y,
        predict=lambda rows: pipeline.predict(to_records(rows)),
        probabilities=lambda rows: pipeline.predict_proba(to_records(rows)),
        members=None,
    )


@model("pipeline pickled with protocol 2, numpy labels")
def old_protocol():
    import pickle

    X, y = frame("age", "fare", "port"), np.where(codes() > 0, 1.5, -1.5).astype(str)
    pipeline = make_pipeline(prepared(["port"], ["age", "fare"]), LogisticRegression()).fit(X, y)

    def save(folder):
        (folder / "model.pkl").write_bytes(pickle.dumps(pipeline, protocol=2))
        return ["model.pkl"]

    return Trained(pipeline, X, save=save)
