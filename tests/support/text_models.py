"""Fitted vectorizers with many settings, and texts for them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from record_models import Case
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

WORDS = (
    *("the", "\u00e9a", "cat", "DOG", "and", "\u00dcber", "12", "x", "na\u00efve", "not", "runs"),
    *("\u00e9", "a-b", "zoo", "\ufb01ne", "o'k", "\u4e2d\u6587", "  ", "\n", "cafe\u0301"),
)
SETTINGS: list[dict[str, Any]] = [
    {},
    {"ngram_range": (1, 2)},
    {"analyzer": "char", "ngram_range": (1, 3)},
    {"analyzer": "char_wb", "ngram_range": (2, 5)},
    {"stop_words": ["cat", "x"], "ngram_range": (2, 3)},
    {"lowercase": False, "strip_accents": "unicode"},
    {"strip_accents": "ascii", "binary": True},
    {"token_pattern": r"(?u)\b(\w)\w*\b"},
]
WEIGHTS: list[dict[str, Any]] = [{}, {"norm": "l1"}, {"norm": None}, {"sublinear_tf": True}]
VOCABULARY = {"vocabulary": ["cat", "dog", "zoo", "cat dog"], "ngram_range": (1, 2)}
TRAINED, COUNT = 200, 2000


def texts(count: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, generator.integers(0, 12))) for _ in range(count)]


def vectorizers() -> list[Any]:
    return [
        *(CountVectorizer(**each) for each in (*SETTINGS, VOCABULARY, {"stop_words": "english"})),
        *(TfidfVectorizer(**each) for each in SETTINGS),
        *(TfidfVectorizer(ngram_range=(1, 2), **each) for each in WEIGHTS),
        *(HashingVectorizer(n_features=50, **each) for each in SETTINGS),
        HashingVectorizer(n_features=1000, norm="l1", alternate_sign=False),
    ]


def text_cases() -> Iterator[Case]:
    trained, tested = texts(TRAINED, 1), texts(COUNT, 2)
    for vectorizer in vectorizers():
        yield Case(vectorizer.fit(trained), tested)
    classes = np.random.default_rng(0).integers(0, 3, TRAINED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in classifiers():
            yield Case(model.fit(trained, classes), tested)


def classifiers() -> list[Any]:
    words = TfidfVectorizer(ngram_range=(1, 2))
    return [
        make_pipeline(words, LogisticRegression()),
        make_pipeline(words, SGDClassifier(loss="log_loss", random_state=0)),
        make_pipeline(CountVectorizer(), MultinomialNB()),
        make_pipeline(CountVectorizer(binary=True), BernoulliNB()),
        make_pipeline(words, TruncatedSVD(3, random_state=0), LogisticRegression()),
        make_pipeline(words, MaxAbsScaler(), SelectKBest(k=5), ComplementNB()),
        make_pipeline(HashingVectorizer(n_features=50), LogisticRegression()),
    ]


def dict_cases() -> Iterator[Case]:
    rows: list[dict[str, Any]] = [{"a": 1.0, "b": "x"}, {"c": 2.5}, {"b": "y", "a": -1.0}, {}]
    for is_sparse in (True, False):
        yield Case(DictVectorizer(sparse=is_sparse).fit(rows), rows * 500)
