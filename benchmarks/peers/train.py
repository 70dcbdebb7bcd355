"""Trains the model that PEER_TRAIN names, by the scikit-learn that all servers have.

Into PEER_FOLDER: `model.joblib`, and `questions.json` with 1,000 rows and what the model itself
predicts for them.
"""

import json
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_iris, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROWS = 1000
SEED = 6
TOPICS = ("billing", "delivery", "returns", "support", "praise")
WORDS, LENGTHS = 8000, (20, 120)  # of the vocabulary; of a text


def iris():
    data, classes = load_iris(return_X_y=True)
    noise = np.random.default_rng(SEED).normal(0, 0.1, (ROWS, 4))
    rows = np.round(np.resize(data, (ROWS, 4)) + noise, 2)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(data, classes), rows


def forest():
    """A forest that is trained and predicts on all cores, as most are."""
    data, classes, rows = numbers()
    model = RandomForestClassifier(100, max_depth=11, n_jobs=-1, random_state=SEED)
    return model.fit(data, classes), rows


def forest_alone():
    """The same forest, saved to predict in one thread."""
    model, rows = forest()
    return model.set_params(n_jobs=1), rows


def hgb():
    data, classes, rows = numbers()
    model = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=SEED)
    return model.fit(data, classes), rows


def numbers():
    """Data and classes to train on, and rows to predict: 24 numbers each, of two classes."""
    data, classes = make_classification(
        5000 + ROWS, 24, n_informative=12, n_redundant=4, class_sep=0.8, random_state=SEED
    )
    data = np.round(data, 4)
    return data[:-ROWS], classes[:-ROWS], data[-ROWS:]


def text():
    """Texts of 20 to 120 words; which words are frequent follows Zipf's law and the topic."""
    texts, topics = mail(np.random.default_rng(SEED), 4000 + ROWS)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    return model.fit(texts[:-ROWS], topics[:-ROWS]), texts[-ROWS:]


def mail(random, count):
    words = vocabulary(random)
    usual = 1 / np.arange(1, WORDS + 1)
    shares = {}
    for topic in TOPICS:
        shares[topic] = usual.copy()
        shares[topic][random.choice(np.arange(50, WORDS), 150, replace=False)] *= 8
        shares[topic] /= shares[topic].sum()
    topics = random.choice(TOPICS, count)
    lengths = random.integers(*LENGTHS, count)
    texts = []
    for topic, length in zip(topics, lengths, strict=True):
        chosen = random.choice(words, length, p=shares[topic])
        texts.append(" ".join(chosen).capitalize() + ".")
    return texts, topics.tolist()


def vocabulary(random):
    syllables = np.array([f"{first}{second}" for first in "bdfgklmnprstvz" for second in "aeiou"])
    words = set()
    while len(words) < WORDS:
        words.add("".join(random.choice(syllables, random.integers(1, 5))))
    return random.permutation(sorted(words))


def mixed():
    """Named columns, four of numbers and three of texts; some values are missing in training."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    random = np.random.default_rng(SEED)
    count = 5000 + ROWS
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, count).astype(float),
            "income": random.lognormal(10, 0.5, count).round(2),
            "balance": random.normal(800, 1200, count).round(2),
            "months": random.integers(0, 240, count).astype(float),
            "city": random.choice([f"city {number}" for number in range(40)], count),
            "plan": random.choice(["basic", "plus", "family", "company"], count),
            "device": random.choice(["phone", "tablet", "laptop", "desktop", "other"], count),
        }
    )
    odds = frame["income"] / 40_000 - frame["age"] / 50 + (frame["plan"] == "family")
    leaves = np.where(odds + random.normal(0, 0.5, count) > 0, "stays", "leaves")
    rows = frame[-ROWS:].to_dict("records")
    trained = frame[:-ROWS].copy()
    numeric, texts = ["age", "income", "balance", "months"], ["city", "plan", "device"]
    trained.loc[random.choice(len(trained), 300, replace=False), "income"] = np.nan
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numeric),
        (OneHotEncoder(handle_unknown="ignore"), texts),
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1000))
    return model.fit(trained, leaves[:-ROWS]), rows


def predicted(model, rows):
    if isinstance(rows[0], dict):
        import pandas as pd

        rows = pd.DataFrame(rows)
    return model.predict(rows).tolist()


MODELS = {builder.__name__: builder for builder in (iris, forest, forest_alone, hgb, text, mixed)}

if __name__ == "__main__":
    folder = Path(os.environ["PEER_FOLDER"])
    model, rows = MODELS[os.environ["PEER_TRAIN"]]()
    joblib.dump(model, folder / "model.joblib")
    questions = {"rows": np.asarray(rows).tolist(), "predictions": predicted(model, rows)}
    (folder / "questions.json").write_text(json.dumps(questions))
