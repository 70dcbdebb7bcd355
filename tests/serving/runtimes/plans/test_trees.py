"""Decision trees, forests of them and gradient boosting by their plans."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from plan_checks import check, compare, compile_plan, falls_back, random_rows
from sklearn.datasets import make_classification, make_regression
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)
from threadpoolctl import threadpool_limits

from modelpack.serving.runtimes.plans import UnplannedError, ensembles, histograms

WIDTH = 9
CHOSEN = ("predict", "predict_proba")
SCORED = (*CHOSEN, "decision_function")

CLASSIFIERS = [
    DecisionTreeClassifier(random_state=0, min_samples_leaf=4),
    ExtraTreeClassifier(random_state=0, min_samples_leaf=4),
    RandomForestClassifier(23, random_state=0, min_samples_leaf=2, n_jobs=1),
    ExtraTreesClassifier(23, random_state=0, min_samples_leaf=2, n_jobs=1),
    RandomForestClassifier(1, random_state=0, n_jobs=1),
]
BOOSTED = [
    GradientBoostingClassifier(n_estimators=12, random_state=0),
    GradientBoostingClassifier(n_estimators=3, init="zero", random_state=0),
    HistGradientBoostingClassifier(max_iter=12, random_state=0),
    AdaBoostClassifier(n_estimators=4, random_state=0),
]
REGRESSORS = [
    DecisionTreeRegressor(random_state=0),
    ExtraTreeRegressor(random_state=0),
    RandomForestRegressor(23, random_state=0, n_jobs=1),
    ExtraTreesRegressor(23, random_state=0, n_jobs=1),
    GradientBoostingRegressor(n_estimators=12, random_state=0),
    GradientBoostingRegressor(n_estimators=12, loss="quantile", random_state=0),
    HistGradientBoostingRegressor(max_iter=12, random_state=0),
    HistGradientBoostingRegressor(max_iter=12, loss="poisson", random_state=0),
    AdaBoostRegressor(n_estimators=9, random_state=0),
]
WITH_NAN = [
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(9, random_state=0, n_jobs=1),
    HistGradientBoostingClassifier(max_iter=9, random_state=0),
]


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other are slow where others run, too."""
    with threadpool_limits(1, "openmp"):
        yield


def titled(models):
    return pytest.mark.parametrize("model", models, ids=lambda model: str(model)[:60])


@pytest.fixture(params=[2, 3, 9])
def labelled(request):
    rows, classes = make_classification(
        360, WIDTH, n_informative=7, n_classes=request.param, random_state=0
    )
    return rows, np.array([f"class {c}" for c in classes]), np.linspace(0.1, 2, len(rows))


@pytest.fixture
def measured():
    rows, values = make_regression(360, WIDTH, noise=3, random_state=0)
    return rows, np.abs(values)


def edges(model):
    """Rows whose every value is a threshold of the model's trees, or next to one."""
    thresholds = [[0.0] for _ in range(WIDTH)]
    for feature, threshold in splits(model):
        thresholds[feature].append(threshold)
    exact = np.array([np.resize(each, 200) for each in thresholds]).T
    single = exact.astype(np.float32)
    neighbours = [np.nextafter(single, np.float32(way)) for way in (-np.inf, np.inf)]
    doubles = [np.nextafter(exact, way) for way in (-np.inf, np.inf)]
    return np.vstack([exact, single, *neighbours, *doubles]).astype(np.float64)


def splits(model):
    """Yield feature and threshold of each split of all trees."""
    if hasattr(model, "_predictors"):
        for nodes in (tree.nodes for several in model._predictors for tree in several):
            inner = nodes[(nodes["is_leaf"] == 0) & np.isfinite(nodes["num_threshold"])]
            yield from zip(inner["feature_idx"], inner["num_threshold"], strict=True)
        return
    estimators = getattr(model, "estimators_", [model])
    drawn = getattr(model, "estimators_features_", [np.arange(WIDTH)] * np.size(estimators))
    for tree, used in zip(np.ravel(estimators), drawn, strict=True):
        inner = tree.tree_.children_left >= 0
        yield from zip(used[tree.tree_.feature[inner]], tree.tree_.threshold[inner], strict=True)


def far():
    """Rows of values that float32 just holds, or rounds away."""
    values = [0.0, -0.0, 5e-324, -1e-310, 1e-42, 1e-30, 1e30, -1e30, 3.4028234e38, -3.4028234e38]
    return np.array([np.roll(np.resize(values, WIDTH), n) for n in range(20)])


def every_row(model):
    return np.vstack([random_rows(WIDTH, 1000), edges(model), far()])


@titled(CLASSIFIERS + BOOSTED)
def test_classifier(model, labelled):
    rows, classes, weights = labelled
    model.fit(rows, classes, sample_weight=weights)
    check(model, every_row(model), SCORED if hasattr(model, "decision_function") else CHOSEN)


@titled(REGRESSORS)
def test_regressor(model, measured):
    model.fit(*measured)
    check(model, every_row(model), ("predict",))


@titled([*CLASSIFIERS[::2], *REGRESSORS])
def test_trees_of_one_leaf(model):
    rows = random_rows(WIDTH, 60)
    model.fit(rows, np.ones(len(rows)))
    check(model, rows, ("predict",))


@titled(
    [
        IsolationForest(n_estimators=12, random_state=0),
        IsolationForest(n_estimators=12, max_features=0.5, contamination=0.1, random_state=0),
    ]
)
def test_isolation_forest(model):
    model.fit(random_rows(WIDTH, 300, seed=1))
    check(model, every_row(model), ("predict", "decision_function"))


def test_exponential_loss():
    model = GradientBoostingClassifier(loss="exponential", n_estimators=9, random_state=0)
    model.fit(*make_classification(300, WIDTH, random_state=0))
    check(model, every_row(model), SCORED)


@titled([*CLASSIFIERS, *BOOSTED[:2], BOOSTED[3]])
def test_rows_that_the_estimator_refuses_have_no_plan_result(model):
    model.fit(*make_classification(200, WIDTH, random_state=0))
    predict = compile_plan(model).batch["predict"]
    huge, endless = random_rows(WIDTH, 5), random_rows(WIDTH, 5)
    huge[3, 2], endless[4, 1] = 1e39, -np.inf
    assert not falls_back(predict, random_rows(WIDTH, 5))
    for rows in (huge, endless, random_rows(WIDTH - 1, 5), random_rows(WIDTH + 1, 5)):
        with pytest.raises(ValueError, match=r"infinity|features"), np.errstate(over="ignore"):
            model.predict(rows)
        assert falls_back(predict, rows)


@titled([BOOSTED[0], BOOSTED[3]])
def test_missing_values_that_boosting_refuses(model):
    model.fit(*make_classification(200, WIDTH, random_state=0))
    assert falls_back(compile_plan(model).batch["predict"], with_nan(random_rows(WIDTH, 5)))


def with_nan(rows):
    rows = rows.copy()
    rows[np.random.default_rng(1).random(rows.shape) < 0.2] = np.nan
    return rows


@titled(WITH_NAN)
@pytest.mark.parametrize("known", [True, False], ids=["met in training", "new"])
def test_missing_values(model, known):
    rows, classes = make_classification(400, WIDTH, n_classes=3, n_informative=7, random_state=0)
    model.fit(with_nan(rows) if known else rows, classes)
    check(model, with_nan(random_rows(WIDTH, 700)), CHOSEN)


def test_infinite_values_of_histograms():
    model = BOOSTED[2].fit(*make_classification(200, WIDTH, random_state=0))
    rows = random_rows(WIDTH, 300)
    rows[::2, 3], rows[::3, 5], rows[::5, 1] = np.inf, -np.inf, 1e300
    check(model, rows, SCORED)


def test_categories_of_histograms():
    rows, classes = make_classification(300, WIDTH, random_state=0)
    rows[:, 2], rows[:, 5] = np.arange(300) % 5, np.arange(300) % 40
    model = HistGradientBoostingClassifier(
        max_iter=9, categorical_features=[2, 5], min_samples_leaf=2
    ).fit(rows, (classes + rows[:, 5]) % 3)
    assert any(tree.nodes["is_categorical"].any() for tree in np.ravel(model._predictors))
    check(model, with_nan(np.vstack([rows, np.round(random_rows(WIDTH, 700))])), SCORED)


def test_forests_too_large_to_be_copied(monkeypatch, labelled):
    monkeypatch.setattr(ensembles, "MAX_COPIED", 0)
    rows, classes, weights = labelled
    model = CLASSIFIERS[2].fit(rows, classes, sample_weight=weights)
    check(model, random_rows(WIDTH, 300), CHOSEN)


def test_histograms_too_large_to_be_copied(monkeypatch):
    monkeypatch.setattr(histograms, "MAX_COPIED", 0)
    model = BOOSTED[2].fit(*make_classification(200, WIDTH, random_state=0))
    with pytest.raises(UnplannedError, match="too large"):
        compile_plan(model)


def test_estimators_without_a_plan():
    rows, classes = make_classification(200, WIDTH, random_state=0)
    whole = np.column_stack([np.arange(len(rows)) % 5, rows])
    for model, target in (
        (RandomForestClassifier(3), np.column_stack([classes, classes])),
        (DecisionTreeRegressor(), rows),
        (GradientBoostingClassifier(init=DummyClassifier(), n_estimators=3), classes),
    ):
        with pytest.raises(UnplannedError):
            compile_plan(model.fit(whole, target))


@titled([CLASSIFIERS[0], CLASSIFIERS[2], *BOOSTED[1:], *REGRESSORS[2::2]])
def test_trees_on_frames(model):
    """Their columns may come as a list, of integers too."""
    rows, values = make_classification(200, 3, n_informative=3, n_redundant=0, random_state=0)
    columns = [np.arange(200) % 7, rows[:, 1], rows[:, 2] > 0]
    frame = pd.DataFrame(dict(zip("abc", columns, strict=True)))
    model.fit(frame, values)
    for method, function in compile_plan(model, "abc", "frame").batch.items():
        compare(function(columns), getattr(model, method)(frame), method)
        assert falls_back(function, [columns[0] + 2**53, *columns[1:]])
        assert falls_back(function, [columns[0].astype(object), *columns[1:]])


def test_model_is_not_changed(labelled):
    rows, classes, weights = labelled
    for model in (CLASSIFIERS[2], *BOOSTED):
        model.fit(rows, classes, sample_weight=weights)
        before, held = model.predict_proba(rows), set(vars(model))
        compile_plan(model).batch["predict_proba"](rows)
        assert set(vars(model)) == held
        compare(model.predict_proba(rows), before, "predict_proba")
