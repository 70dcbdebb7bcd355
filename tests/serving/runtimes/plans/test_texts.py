"""Texts and dicts by their plans."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from plan_checks import compare, compile_plan, falls_back
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer, OneHotEncoder, StandardScaler

from modelpack.serving.runtimes.estimator import Chain
from modelpack.serving.runtimes.plans import UnplannedError

SYLLABLES = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "lo",
    "su",
    "é",
    "ñ",
    "ü",
    "東",
    "京",
    "x1",
    "42",
    "İs",
]
ODD = [
    "",
    " ",
    "\n\t",
    "...",
    "a b c d",
    "É",
    "e\u0301",
    "\ud83d",
    "ba \ud83d\ud83d",
    "BA ba Ba bA",
    "ba" * 5000,
]


def texts(count: int, seed: int = 0) -> list[str]:
    generator = random.Random(seed)

    def word() -> str:
        return "".join(generator.choices(SYLLABLES, k=generator.choice([1, 1, 1, 2])))

    def text() -> str:
        words = [word() for _ in range(generator.choice([0, 1, 5, 30, 60]))]
        return generator.choice([" ", ", ", "-", "\n"]).join(words).title()

    return [text() for _ in range(count)]


TRAINING = texts(300)
CLASSES = [len(text) % 2 for text in TRAINING]

VECTORIZERS: dict[str, Any] = {
    "counts": CountVectorizer,
    "binary": lambda: CountVectorizer(binary=True, min_df=2, max_df=0.9),
    "vocabulary": lambda: CountVectorizer(vocabulary=["fo", "ba", "東", "su lo", "lo"]),
    "n-grams": lambda: CountVectorizer(ngram_range=(1, 3), stop_words=["fo", "ba"]),
    "letters": lambda: CountVectorizer(analyzer="char", ngram_range=(2, 3), lowercase=False),
    "letters in words": lambda: TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)),
    "tf-idf": TfidfVectorizer,
    "sublinear": lambda: TfidfVectorizer(sublinear_tf=True, norm="l1", strip_accents="unicode"),
    "unweighted": lambda: TfidfVectorizer(use_idf=False, strip_accents="ascii"),
    "unnormed": lambda: TfidfVectorizer(norm=None, token_pattern=r"\w", max_features=7),
    "two steps": lambda: make_pipeline(CountVectorizer(), TfidfTransformer()),
    "sublinear steps": lambda: make_pipeline(
        CountVectorizer(ngram_range=(1, 2)), TfidfTransformer(norm=None, sublinear_tf=True)
    ),
    "hashed": HashingVectorizer,
    "hashed signs": lambda: HashingVectorizer(n_features=50, norm=None),
    "hashed counts": lambda: HashingVectorizer(n_features=64, alternate_sign=False, norm="l1"),
    "hashed and binary": lambda: HashingVectorizer(n_features=32, binary=True),
    "hashed and weighted": lambda: make_pipeline(
        HashingVectorizer(n_features=64, alternate_sign=False, norm=None), TfidfTransformer()
    ),
    "best": lambda: make_pipeline(TfidfVectorizer(), SelectKBest(chi2, k=20)),
    "scaled": lambda: make_pipeline(CountVectorizer(), StandardScaler(with_mean=False)),
    "by maximum": lambda: make_pipeline(TfidfVectorizer(), MaxAbsScaler()),
    "normed": lambda: make_pipeline(CountVectorizer(), Normalizer()),
    "union": lambda: FeatureUnion(
        [("words", TfidfVectorizer()), ("letters", TfidfVectorizer(analyzer="char_wb"))],
        transformer_weights={"letters": 0.4},
    ),
}


@pytest.mark.parametrize("name", VECTORIZERS)
def test_texts(name):
    model = VECTORIZERS[name]().fit(TRAINING, CLASSES)
    planned = compile_plan(model, ["text"], "text").batch["transform"]
    several = texts(200, 1)
    for documents in (
        several,
        TRAINING,
        ["nothing known"],
        *([text] for text in several[:50] + ODD),
    ):
        try:
            expected = model.transform(documents)
        except ValueError:
            assert falls_back(planned, documents)
            continue
        compare(planned(documents), expected, "transform")


def test_a_chain_of_two_objects():
    first = CountVectorizer().fit(TRAINING)
    model = Chain([first, TfidfTransformer().fit(first.transform(TRAINING))])
    planned = compile_plan(model, ["text"], "text").batch["transform"]
    compare(planned(texts(20, 3)), model.transform(texts(20, 3)), "transform")


def test_a_column_of_texts():
    pd = pytest.importorskip("pandas")
    column, kinds = np.array(TRAINING, object), np.array(["a", "b", "c"] * 100, object)
    table = pd.DataFrame({"kind": kinds, "text": column, "size": np.arange(300.0)})
    model = ColumnTransformer(
        [
            ("text", make_pipeline(TfidfVectorizer(), SelectKBest(chi2, k=30)), "text"),
            ("kind", OneHotEncoder(), ["kind"]),
            ("size", "passthrough", ["size"]),
        ]
    ).fit(table, CLASSES)
    planned = compile_plan(model, list(table), "frame").batch["transform"]
    compare(planned([kinds, column, np.arange(300.0)]), model.transform(table), "transform")
    for row in range(20):
        one = slice(row, row + 1)
        rows = [kinds[one], column[one], np.arange(300.0)[one]]
        compare(planned(rows), model.transform(table[one]), "transform")
    missing = np.array([np.nan], object)
    assert falls_back(planned, [kinds[:1], missing, np.zeros(1)])


@pytest.mark.parametrize(
    "model",
    [
        CountVectorizer(tokenizer=str.split, token_pattern=None),
        TfidfVectorizer(analyzer=str.split),
        HashingVectorizer(preprocessor=str.upper),
        CountVectorizer(input="filename"),
        TfidfVectorizer(dtype=np.float32),
    ],
    ids=str,
)
def test_no_plan(model):
    if model.input == "content":
        model.fit(TRAINING)
    with pytest.raises(UnplannedError):
        compile_plan(model, ["text"], "text")


@pytest.mark.parametrize("count", [0, -1, 2**31, 16.0, "16", None])
def test_no_plan_for_hashes_without_columns(count):
    model = HashingVectorizer(n_features=16).fit(TRAINING)
    compile_plan(model, ["text"], "text")
    model.n_features = count
    with pytest.raises(UnplannedError, match="number of columns"):
        compile_plan(model, ["text"], "text")


def dicts(count: int, seed: int) -> list[dict[str, Any]]:
    generator = random.Random(seed)

    def row() -> dict[str, Any]:
        values = {
            "city": generator.choice(["Oslo", "Bonn", "Rome", f"town {generator.random()}"]),
            "size": generator.choice([0, -3, 7.5, 1e300, True]),
            f"more {generator.randint(0, 9)}": generator.random(),
            "old": generator.random() < 0.5,
        }
        return dict(generator.sample(sorted(values.items()), generator.randint(0, 4)))

    return [row() for _ in range(count)]


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("sort", [True, False])
def test_dicts(sparse, sort):
    model = DictVectorizer(sparse=sparse, sort=sort).fit(dicts(200, 0))
    planned = compile_plan(model, ["row"], "dicts").batch["transform"]
    rows = dicts(500, 1)
    for batch in (rows, *([row] for row in rows[:100])):
        compare(planned(batch), model.transform(batch), "transform")


def test_dicts_that_are_doubted():
    model = DictVectorizer().fit([{"a": "b", "c": 2}, {"a=b": 1, "c": 1}])
    planned = compile_plan(model, ["row"], "dicts").batch["transform"]
    for row in (
        {"a": ["b"]},
        {"c": None},
        {"a": "b", "a=b": 1},
        {"c": float("nan")},
        {"c": 10**400},
    ):
        assert falls_back(planned, [row]), row
