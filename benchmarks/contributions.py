"""The time of POST /contributions next to that of POST /predict with the same row.

    python -m benchmarks.contributions [--requests N] [--markdown] [MODEL...]

Each model is fitted, packaged without an image, and served by gunicorn with one worker. Over one
connection, N requests (200) of each kind take turns. Shown are medians in milliseconds, and the
first request of contributions, at which the model is read. The load of the machine before and after
is printed to stderr.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import joblib
import numpy as np
from lightgbm import LGBMClassifier
from sklearn.ensemble import (
    BaggingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelpack
from benchmarks import tables
from modelpack.engines.local.engine import LocalRunner

INPUTS, ROWS, TREES = 20, 2_000, 100
TERMS, WORDS, TEXTS = 20_000, 100, 2_000
"""Different words, words of a text, and texts."""
HEADS = ("model", "contributions", "prediction", "first request")

Fit = Callable[[], "tuple[Any, list[Any]]"]
"""Function that returns a fitted model and one row."""


def fit_table(model: Any) -> tuple[Any, list[Any]]:
    random = np.random.default_rng(0)
    rows = random.normal(size=(ROWS, INPUTS))
    amounts = rows[:, 0] + rows[:, 1] * rows[:, 2] + random.normal(0, 0.3, ROWS)
    is_classifier = hasattr(model, "predict_proba")
    return model.fit(rows, amounts > 0 if is_classifier else amounts), rows[0].tolist()


def fit_texts(model: Any) -> tuple[Any, list[Any]]:
    random = np.random.default_rng(0)
    numbers = random.zipf(1.3, size=(TEXTS, WORDS)) % TERMS
    texts = [" ".join(f"word{number}" for number in row) for row in numbers]
    return model.fit(texts, numbers[:, 0] % 2 == 0), [texts[0]]


MODELS: dict[str, Fit] = {
    f"StandardScaler, LogisticRegression, {INPUTS} inputs": lambda: fit_table(
        make_pipeline(StandardScaler(), LogisticRegression())
    ),
    f"RandomForestClassifier, {TREES} trees": lambda: fit_table(
        RandomForestClassifier(TREES, random_state=0)
    ),
    f"BaggingRegressor, {TREES} trees": lambda: fit_table(BaggingRegressor(n_estimators=TREES)),
    f"HistGradientBoostingRegressor, {TREES} trees": lambda: fit_table(
        HistGradientBoostingRegressor(max_iter=TREES)
    ),
    f"LGBMClassifier, {TREES} trees": lambda: fit_table(LGBMClassifier(n_estimators=TREES)),
    f"TfidfVectorizer, LogisticRegression, a text of {WORDS} words": lambda: fit_texts(
        make_pipeline(TfidfVectorizer(), LogisticRegression())
    ),
    f"TfidfVectorizer, RandomForestClassifier, a text of {WORDS} words": lambda: fit_texts(
        make_pipeline(TfidfVectorizer(), RandomForestClassifier(TREES, random_state=0))
    ),
}


class Client:
    """One connection to a service."""

    def __init__(self, url: str, row: list[Any]) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._body = json.dumps({"instances": [row]})

    def send(self, path: str) -> tuple[float, Any]:
        """Return the milliseconds of a request, and the response."""
        started = time.perf_counter()
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", path, self._body, headers)
        response = self._connection.getresponse()
        content = response.read()
        spent = (time.perf_counter() - started) * 1e3
        if response.status != 200:
            raise SystemExit(f"{path}: {content.decode()}")
        return spent, json.loads(content)


def measure(fit: Fit, count: int) -> tuple[float, float, float]:
    """Return the medians of contributions and predictions, and the first request."""
    with tempfile.TemporaryDirectory() as folder:
        model, row = fit()
        path, bundle = Path(folder) / "model.joblib", Path(folder) / "bundle"
        joblib.dump(model, path)
        modelpack.package(path, engine="process", output=bundle, smoke=False)
        with LocalRunner().run(str(bundle)) as service:
            client = Client(service.url, row)
            client.send("/predict")
            first, document = client.send("/contributions")
            if document["method"] is None:
                raise SystemExit(document["reason"])
            pairs = [
                (client.send("/contributions")[0], client.send("/predict")[0]) for _ in range(count)
            ]
    contributions, predictions = zip(*pairs, strict=True)
    return statistics.median(contributions), statistics.median(predictions), first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help="beginnings of names")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    os.environ["WEB_CONCURRENCY"] = "1"
    chosen = [name for name in MODELS if name.startswith(tuple(options.models) or "")]
    print(f"load before: {os.getloadavg()}", file=sys.stderr)
    rows = []
    for name in chosen:
        figures = measure(MODELS[name], options.requests)
        rows.append((name, *(f"{each:.1f}" for each in figures)))
    print(f"load after: {os.getloadavg()}", file=sys.stderr)
    tables.show(HEADS, rows, markdown=options.markdown)


if __name__ == "__main__":
    main()
