"""Plans of records: the bits of the estimator, without its libraries."""

from __future__ import annotations

import io
import math
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frame_models import frame_cases
from plan_checks import random_rows
from plan_records import to_record
from record_checks import as_array, check_record, largest_difference, record_plan, same
from record_models import cases
from scipy import special
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.utils import murmurhash3_32
from text_models import dict_cases, text_cases, texts

from modelpack.serving.runtimes.plans import UnplannedError, arithmetic, distributions, hashes
from modelpack.serving.runtimes.plans.records import Record, make_record
from modelpack.serving.runtimes.plans.runtime import installed_release

ROOT = Path(__file__).parents[4]
METHODS = ("predict", "predict_proba", "decision_function", "transform")


@pytest.fixture(scope="module")
def numeric():
    return list(cases())


@pytest.fixture(scope="module")
def textual():
    return [*text_cases(), *dict_cases()]


@pytest.fixture(scope="module")
def framed():
    return list(frame_cases())


def test_numeric_estimators(numeric):
    checked = set()
    for model, rows, ulps in numeric:
        check_record(model, rows, planned=(), ulps=ulps)
        checked.add(type(model).__name__)
    assert len(checked) > 60


def test_texts_and_dicts(textual):
    for model, rows, _ in textual:
        plan = record_plan(model, layout="text")
        for method in plan.batch:
            same(plan.batch[method](rows), getattr(model, method)(rows), method)
            for row in rows[:10]:
                same(plan.row_by_row[method]([row]), getattr(model, method)([row]), method)


def columns_of_frame(frame: Any) -> list[np.ndarray]:
    return [frame[name].to_numpy() for name in frame]


@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_frames(framed):
    for model, rows, _ in framed:
        plan = record_plan(model, list(rows), "frame")
        for method in plan.batch:
            same(plan.batch[method](columns_of_frame(rows)), getattr(model, method)(rows), method)
            for n in range(5):
                row = rows[n : n + 1]
                got = plan.row_by_row[method](columns_of_frame(row))
                same(got, getattr(model, method)(row), method)


def test_entries_of_sparse_rows_have_the_order_of_scipy():
    for model, rows, _ in text_cases():
        if not hasattr(model, "transform"):
            continue
        got = record_plan(model, layout="text").batch["transform"](rows)
        expected = model.transform(rows)
        for name in ("indptr", "indices", "data") if hasattr(expected, "indptr") else ():
            assert np.array_equal(getattr(got, name), getattr(expected, name))
            assert getattr(got, name).dtype == getattr(expected, name).dtype


class Plain(pickle.Pickler):
    """Saves records as data, without the objects of scikit-learn and scipy in them."""

    def reducer_override(self, value):
        if isinstance(value, Record):
            kind = type(value)
            return make_record, (kind.__module__, kind.__name__, vars(value))
        module = getattr(value, "__module__", None) or type(value).__module__
        if isinstance(value, np.ufunc) and value is not getattr(np, value.__name__, None):
            module = "scipy"
        if str(module).startswith(("sklearn", "scipy")):
            return str, ("left out",)
        return NotImplemented


SCRIPT = """
import pickle, sys
sys.modules["sklearn"] = sys.modules["scipy"] = None
sys.path.insert(0, {root!r})
import numpy as np
from modelpack.serving.runtimes.plans import Context, compile_model
np.seterr(all="ignore")
results = []
for record, layout, names, release, rows, methods in pickle.load(open({cases!r}, "rb")):
    plan = compile_model(record, Context(layout, names, release))
    got = [plan.batch[method](rows) for method in methods]
    results.append([each.toarray() if hasattr(each, "toarray") else each for each in got])
assert not any(name.partition(".")[0] in ("joblib", "pandas") for name in sys.modules)
pickle.dump(results, open({results!r}, "wb"))
"""


def test_plans_of_records_need_no_library(tmp_path, numeric, textual, framed):
    layouts = {"array": numeric, "text": textual, "frame": framed}
    saved, expected = [], []
    for layout, (model, rows, ulps) in ((name, case) for name in layouts for case in layouts[name]):
        names = list(rows) if layout == "frame" else []
        methods = [each for each in METHODS if each in record_plan(model, names, layout).batch]
        methods = [each for each in methods if hasattr(model, each)]
        block = columns_of_frame(rows) if layout == "frame" else rows
        saved.append((to_record(model), layout, names, installed_release(), block, methods))
        expected.append((model, rows, methods, ulps))
    buffer = io.BytesIO()
    Plain(buffer).dump(saved)
    (tmp_path / "cases").write_bytes(buffer.getvalue())
    paths = {"cases": str(tmp_path / "cases"), "results": str(tmp_path / "results")}
    script = SCRIPT.format(root=str(ROOT), **paths)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
    results = pickle.loads((tmp_path / "results").read_bytes())
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for got, (model, rows, methods, ulps) in zip(results, expected, strict=True):
            for result, method in zip(got, methods, strict=True):
                same(result, as_array(getattr(model, method)(rows)), method, ulps)


def test_logistic_function_has_the_bits_of_scipy():
    generator = np.random.default_rng(0)
    ends = np.array([0.0, -0.0, 709.0, -709.5, 745.2, -745.2, 1e300, -1e300, math.inf, -math.inf])
    scores = np.concatenate([generator.normal(size=200_000) * 5, ends])
    scores = np.concatenate([scores, generator.uniform(-800, 800, 50_000), [math.nan]])
    got, expected = arithmetic.expit(scores), special.expit(scores)
    assert np.array_equal(got, expected, equal_nan=True)


def test_quantiles_of_the_normal_distribution_differ_by_some_ulp():
    generator = np.random.default_rng(0)
    small = 10 ** -generator.uniform(0, 9, 20_000)
    shares = np.concatenate([generator.random(50_000), small, 1 - small])
    shares = shares[(shares > 0) & (shares < 1)]
    got = distributions.normal_quantile(shares)
    assert largest_difference(got, special.ndtri(shares)) <= 8
    ends = distributions.normal_quantile(np.array([0.0, 1.0, math.nan]))
    assert np.array_equal(ends, special.ndtri([0.0, 1.0, math.nan]), equal_nan=True)


@pytest.mark.parametrize("power", [-3, -0.7, 0, 1e-20, 0.3, 1, 5, 100.0])
def test_box_cox_has_the_bits_of_scipy(power):
    values = 10 ** np.random.default_rng(0).uniform(-12, 12, 20_000)
    assert np.array_equal(distributions.box_cox(values, power), special.boxcox(values, power))


def test_hashes_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    for _ in range(5000):
        token = generator.bytes(int(generator.integers(0, 20)))
        assert hashes.murmurhash3_32(token) == murmurhash3_32(token, 0)


def test_columns_selected_by_thresholds():
    rows = np.random.default_rng(0).normal(size=(300, 8))
    numbers = rows @ np.array([3.0, 2, 1, 0.5, 0, 0, 0, 0])
    for estimator in (Lasso(0.1), Ridge(), LogisticRegression()):
        target = numbers > 0 if isinstance(estimator, LogisticRegression) else numbers
        for threshold in (None, "mean", "median", "1.25*mean", 0.7):
            if threshold is None and hasattr(estimator, "l1_ratio"):
                continue
            model = SelectFromModel(estimator, threshold=threshold).fit(rows, target)
            check_record(model, random_rows(8, 50), ("transform",))


def test_english_stop_words_must_be_in_the_record():
    words = {"stop_words": "english", "ngram_range": (1, 2)}
    for model in (
        CountVectorizer(**words).fit(texts(50, 0)),
        HashingVectorizer(n_features=500, **words),
    ):
        with pytest.raises(UnplannedError, match="no list of English stop words"):
            record_plan(model, layout="text")
        record: Any = to_record(model)
        record.stop_word_list = sorted(model.get_stop_words())
        got = record_plan(record, layout="text").batch["transform"](texts(500, 1))
        same(got, model.transform(texts(500, 1)), "transform")
