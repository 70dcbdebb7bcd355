"""Trains trees behind transformers, with skl2onnx 1.20 and scikit-learn 1.6."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer as columns
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

TEXTS = ["red green blue", "cash offer now", "green cash"] * 6
TARGET = [0, 1, 1] * 6
TABLE = pd.DataFrame(
    {
        "town": ["a", "b", "c"] * 6,
        "kind": ["x", "y"] * 9,
        "rooms": np.arange(18.0),
        "area": np.arange(18.0)[::-1].copy(),
    }
)
ROWS = np.random.default_rng(0).normal(size=(18, 4)).astype("f4")
NUMBERS, WORDS = ["rooms", "area"], ["town", "kind"]
TEXT_TYPES = [("text", StringTensorType([None, 1]))]
ROW_TYPES = [("X", FloatTensorType([None, 4]))]
TABLE_TYPES = [(name, StringTensorType([None, 1])) for name in WORDS]
TABLE_TYPES += [(name, FloatTensorType([None, 1])) for name in NUMBERS]
SCALED = make_pipeline(SimpleImputer(), MinMaxScaler())
MODELS = {
    "tfidf": (TfidfVectorizer(), TEXTS, TEXT_TYPES),
    "count2": (CountVectorizer(ngram_range=(1, 2)), TEXTS, TEXT_TYPES),
    "onehot": (columns((OneHotEncoder(), WORDS), (StandardScaler(), NUMBERS)), TABLE, TABLE_TYPES),
    "onehot1": (columns((OneHotEncoder(), ["town"]), (SCALED, NUMBERS)), TABLE, TABLE_TYPES),
    "ordinal": (
        columns((OrdinalEncoder(), WORDS), ("passthrough", ["rooms"])), TABLE, TABLE_TYPES,
    ),
    "select": (SelectKBest(k=2), ROWS, ROW_TYPES),
    "columns": (columns((StandardScaler(), [2, 0]), ("passthrough", [1])), ROWS, ROW_TYPES),
}  # fmt: skip
for name, (transformer, rows, types) in MODELS.items():
    last = RandomForestClassifier(3)
    if name == "columns":
        last = GradientBoostingRegressor(n_estimators=3)
    model = make_pipeline(transformer, last).fit(rows, TARGET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = to_onnx(model, initial_types=types)
    Path(__file__).with_name(f"{name}.onnx").write_bytes(written.SerializeToString())
