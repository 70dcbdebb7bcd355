"""The statements of docs/upstream.md on libraries, shown on the installed releases without harm.

The objects are created in memory. No test uses a file, or does more than count calls or check what
a library accepts.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from category_encoders import HashingEncoder
from patsy.eval import EvalEnvironment
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier

ROOT = Path(__file__).parents[2]
X = np.arange(40.0).reshape(20, 2) % 7
Y = np.arange(20) % 2


class Member(ClassifierMixin, BaseEstimator):
    """A member of an ensemble with a method of another name than any model predicts by."""

    classes_ = np.array([0, 1])
    called = 0

    def fit(self, _rows: Any, _labels: Any) -> Member:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def other(self, rows: Any) -> Any:
        self.called += 1
        return np.zeros(len(rows))

    @property
    def path(self) -> Any:
        self.called += 1
        return np.ones(2)


def test_a_stack_calls_the_method_that_its_state_names() -> None:
    model = StackingClassifier([("a", LogisticRegression())], cv=2).fit(X, Y)
    member = Member()
    model.estimators_, model.stack_method_ = [member], ["other"]
    model.predict(X)
    assert member.called == 1


def test_a_chain_calls_the_method_that_its_state_names() -> None:
    model = ClassifierChain(LogisticRegression()).fit(X, np.c_[Y, 1 - Y])
    member = Member()
    model.estimators_, model.chain_method_ = [member, member], "other"
    with pytest.raises(AttributeError, match="predict"):
        model.predict(X)
    assert member.called == 1


def test_a_threshold_calls_the_method_that_its_state_names() -> None:
    model = FixedThresholdClassifier(LogisticRegression()).fit(X, Y)
    member = Member()
    model.estimator_, model.response_method = member, "other"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.predict(X)
    assert member.called == 1


def test_a_selection_reads_the_path_that_its_state_names() -> None:
    model = SelectFromModel(LogisticRegression()).fit(X, Y)
    member = Member()
    model.estimator_, model.importance_getter = member, "path"
    model.transform(X)
    assert member.called == 1


def test_a_type_is_called_with_rows() -> None:
    step = FunctionTransformer(np.ndarray)
    assert step.transform([2, 3]).shape == (2, 3)  # rows were taken for a shape


def test_a_state_replaces_a_method() -> None:
    model = LogisticRegression().fit(X, Y)
    again = copy.copy(model)
    again.__setstate__({**model.__getstate__(), "predict": len})
    assert again.predict(X) == 20


def test_a_tree_accepts_children_and_features_that_do_not_exist() -> None:
    tree = DecisionTreeClassifier().fit(X, Y).tree_
    make, arguments, state = tree.__reduce__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["left_child"][0] = state["nodes"]["feature"][0] = 10**6
    again = make(*arguments)
    again.__setstate__(state)
    assert (again.children_left[0], again.feature[0]) == (10**6, 10**6)


def test_a_sparse_matrix_is_loaded_without_a_check() -> None:
    matrix = sparse.csr_matrix(np.eye(3))
    matrix.indices = np.array([0, 1, 900], np.int32)
    again = pickle.loads(pickle.dumps(matrix))
    with pytest.raises(ValueError, match="indices"):
        again.check_format(full_check=True)


def test_a_categorical_is_loaded_with_codes_beyond_its_categories() -> None:
    values = pd.Categorical(["a", "b"])
    values._ndarray[0] = 100
    assert pickle.loads(pickle.dumps(values)).codes.tolist() == [100, 1]


def test_a_frame_is_loaded_with_blocks_outside_its_axis() -> None:
    frame = pd.DataFrame({"a": [1.0], "b": [2.0]})
    (block,) = frame._mgr.blocks
    block.mgr_locs = type(block.mgr_locs)(np.array([0, 900]))
    again = pickle.loads(pickle.dumps(frame))
    assert list(again._mgr.blocks[0].mgr_locs) == [0, 900]
    assert len(again._mgr.items) == 2


def test_a_generator_is_loaded_at_a_position_outside_its_buffer() -> None:
    generator = np.random.MT19937(0)
    state = generator.state
    state["state"]["pos"] = 10**6
    generator.state = state
    assert generator.state["state"]["pos"] == 10**6


def test_a_formula_is_evaluated_when_results_are_loaded_and_when_they_predict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [1.0, 2.0, 3.0]})
    data = pickle.dumps(smf.ols("y ~ np.multiply(x, [3][0])", rows).fit())
    evaluated: list[str] = []
    evaluate = EvalEnvironment.eval

    def counted(self: Any, code: str, **options: Any) -> Any:
        evaluated.append(code)
        return evaluate(self, code, **options)

    monkeypatch.setattr(EvalEnvironment, "eval", counted)
    results = pickle.loads(data.replace(b"[3][0]", b"[5][0]"))
    assert "np.multiply(x, [5][0])" in evaluated
    evaluated.clear()
    results.predict(rows)
    assert "np.multiply(x, [5][0])" in evaluated


def test_catboost_takes_text_for_the_name_of_a_file(tmp_path: Path) -> None:
    """In a process of its own: others of these tests have the service's guard against it."""
    np.savetxt(tmp_path / "rows.csv", X[:5], delimiter=",")
    program = "import catboost; print(catboost.Pool('rows.csv', delimiter=',').num_row())"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.strip() == b"5"


def test_joblib_has_no_option_to_restrict_names() -> None:
    parameters = set(inspect.signature(joblib.load).parameters)
    assert parameters <= {"filename", "mmap_mode", "ensure_native_byte_order"}


def test_each_test_that_the_document_names_exists() -> None:
    document = (ROOT / "docs" / "upstream.md").read_text()
    named = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", document))
    assert len(named) > 10
    for path, test in named:
        assert f"def {test}" in (ROOT / path).read_text() if test else (ROOT / path).is_file()


def test_polynomials_answer_with_columns_that_they_do_not_compute() -> None:
    estimator = PolynomialFeatures(2).fit(X)
    estimator._n_out_full = 20
    assert estimator.transform(X[:1]).shape == (1, 20)
    assert len(estimator.powers_) == 6


def test_hashes_and_clusters_are_loaded_with_any_number() -> None:
    hasher, clusters = FeatureHasher(), KMeans(2, random_state=0).fit(X)
    hasher.n_features, clusters._n_threads = 0, -1
    loaded = pickle.loads(pickle.dumps([hasher, clusters]))
    assert (loaded[0].n_features, loaded[1]._n_threads) == (0, -1)


def test_a_transformer_formats_names_with_the_width_of_its_state() -> None:
    frame = pd.DataFrame(X, columns=["a", "b"])
    estimator = ColumnTransformer([("c", StandardScaler(), ["a"])]).fit(frame)
    estimator.verbose_feature_names_out = "{feature_name:>30}"
    assert [len(name) for name in estimator.get_feature_names_out()] == [30]


def test_an_encoder_starts_the_processes_of_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def executor(max_workers: int, mp_context: Any) -> Any:
        counts.append(max_workers)
        raise RuntimeError(mp_context.get_start_method())

    frame = pd.DataFrame({"a": ["x", "y"]})
    estimator = HashingEncoder(max_process=1).fit(frame)
    estimator.max_process, estimator.process_creation_method = 10**6, "spawn"
    monkeypatch.setattr("category_encoders.hashing.ProcessPoolExecutor", executor)
    with pytest.raises(RuntimeError, match="spawn"):
        estimator.transform(frame)
    assert counts == [10**6]
