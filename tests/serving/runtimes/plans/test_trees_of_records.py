"""Plans of records of decision trees, forests of them and boosting, without scikit-learn."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import plan_trees
import pytest
from plan_checks import compare, falls_back, random_rows
from plan_trees import check_record, plain_record, plan_of_record
from record_data import to_data
from sklearn.datasets import load_iris, make_classification, make_regression
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
from sklearn.linear_model import LinearRegression
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)
from threadpoolctl import threadpool_limits

from modelpack.serving.runtimes.plans import UnplannedError, traversal
from modelpack.serving.runtimes.plans.runtime import installed_release

WIDTH = 9
CHOSEN = ("predict", "predict_proba")
SCORED = (*CHOSEN, "decision_function")
FITTED_ROWS = 400

CLASSIFIERS = [
    DecisionTreeClassifier(random_state=0),
    DecisionTreeClassifier(random_state=0, max_depth=4, criterion="entropy"),
    ExtraTreeClassifier(random_state=0, min_samples_leaf=4),
    RandomForestClassifier(23, random_state=0, max_depth=4, n_jobs=1),
    RandomForestClassifier(23, random_state=0, n_jobs=1),
    RandomForestClassifier(140, random_state=0, max_leaf_nodes=7, n_jobs=1),
    ExtraTreesClassifier(9, random_state=0, min_samples_leaf=2, n_jobs=1),
    GradientBoostingClassifier(n_estimators=12, random_state=0),
    GradientBoostingClassifier(n_estimators=4, init="zero", max_depth=None, random_state=0),
    HistGradientBoostingClassifier(max_iter=12, random_state=0),
    HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=80, min_samples_leaf=1),
    AdaBoostClassifier(n_estimators=9, random_state=0),
    AdaBoostClassifier(RandomForestClassifier(3, max_depth=2, n_jobs=1), n_estimators=3),
]
REGRESSORS = [
    DecisionTreeRegressor(random_state=0),
    DecisionTreeRegressor(random_state=0, max_depth=3, criterion="absolute_error"),
    ExtraTreeRegressor(random_state=0),
    RandomForestRegressor(23, random_state=0, n_jobs=1),
    RandomForestRegressor(140, random_state=0, max_depth=3, n_jobs=1),
    ExtraTreesRegressor(9, random_state=0, max_leaf_nodes=40, n_jobs=1),
    *(
        GradientBoostingRegressor(n_estimators=9, loss=loss, random_state=0)
        for loss in ("squared_error", "absolute_error", "huber", "quantile")
    ),
    GradientBoostingRegressor(n_estimators=9, init="zero", random_state=0),
    *(
        HistGradientBoostingRegressor(max_iter=9, loss=loss, quantile=0.4, random_state=0)
        for loss in ("squared_error", "absolute_error", "poisson", "gamma", "quantile")
    ),
    AdaBoostRegressor(n_estimators=9, random_state=0),
]
WITH_NAN = [
    DecisionTreeClassifier(random_state=0),
    DecisionTreeClassifier(random_state=0, max_depth=3, splitter="random"),
    ExtraTreeClassifier(random_state=0),
    RandomForestClassifier(9, random_state=0, n_jobs=1),
    RandomForestClassifier(9, random_state=0, max_depth=4, n_jobs=1),
    ExtraTreesClassifier(9, random_state=0, n_jobs=1),
    HistGradientBoostingClassifier(max_iter=9, random_state=0),
    HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=90, min_samples_leaf=1),
]


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other are slow where others run, too."""
    with threadpool_limits(1, "openmp"):
        yield


def titled(models):
    return pytest.mark.parametrize("model", models, ids=lambda model: str(model)[:70])


def labelled(count, width=WIDTH):
    rows, classes = make_classification(
        FITTED_ROWS, width, n_informative=7, n_classes=count, random_state=0
    )
    return rows, np.array([f"class {each}" for each in classes])


def measured():
    rows, values = make_regression(FITTED_ROWS, WIDTH, noise=3, random_state=0)
    return rows, np.abs(values) + 0.1


def edges(record, width=WIDTH):
    """Rows whose every value is a threshold of the trees, or next to one."""
    thresholds = [[0.0] for _ in range(width)]
    for feature, threshold in splits(record):
        thresholds[feature].append(threshold)
    count = max(map(len, thresholds))
    exact = np.array([np.resize(each, count) for each in thresholds]).T
    single = exact.astype(np.float32)
    neighbours = [np.nextafter(single, np.float32(way)) for way in (-np.inf, np.inf)]
    doubles = [np.nextafter(exact, way) for way in (-np.inf, np.inf)]
    return np.vstack([exact, single, *neighbours, *doubles]).astype(np.float64)


def splits(record):
    """Yield feature and threshold of each split of all trees."""
    for tree in getattr(record, "_predictors", []):
        for nodes in (each.nodes for each in tree):
            inner = nodes[(nodes["is_leaf"] == 0) & np.isfinite(nodes["num_threshold"])]
            yield from zip(inner["feature_idx"], inner["num_threshold"], strict=True)
    if hasattr(record, "tree_"):
        nodes = record.tree_.nodes
        inner = nodes[(nodes["left_child"] >= 0) & np.isfinite(nodes["threshold"])]
        yield from zip(inner["feature"], inner["threshold"], strict=True)
    for each in np.ravel(getattr(record, "estimators_", [])):
        yield from splits(each)


def every_row(model, width=WIDTH):
    at_thresholds = edges(plain_record(model), width)
    values = [0.0, -0.0, 5e-324, -1e-310, 1e-42, 1e-30, 1e30, -1e30, 3.4028234e38, -3.4028234e38]
    far = np.array([np.roll(np.resize(values, width), step) for step in range(20)])
    return np.vstack([random_rows(width, 2000), at_thresholds, far])


def with_nan(rows):
    rows = rows.copy()
    rows[np.random.default_rng(1).random(rows.shape) < 0.2] = np.nan
    return rows


@titled(CLASSIFIERS)
@pytest.mark.parametrize("count", [2, 3, 9])
def test_classifier(model, count):
    rows, classes = labelled(count)
    model.fit(rows, classes, sample_weight=np.linspace(0.1, 2, len(rows)))
    check_record(model, every_row(model), SCORED if hasattr(model, "decision_function") else CHOSEN)


@titled(REGRESSORS)
def test_regressor(model):
    model.fit(*measured())
    check_record(model, every_row(model), ("predict",))


@titled(
    [
        GradientBoostingClassifier(loss="exponential", n_estimators=9, random_state=0),
        GradientBoostingClassifier(loss="exponential", init="zero", n_estimators=2),
    ]
)
def test_exponential_loss(model):
    model.fit(*labelled(2))
    check_record(model, every_row(model), SCORED)


@pytest.mark.parametrize("share", [0.02, 0.31, 0.5, 0.64, 0.97])
def test_initial_value_has_the_logit_of_scipy(share):
    rows = random_rows(WIDTH, 200)
    model = GradientBoostingClassifier(n_estimators=1, random_state=0)
    model.fit(rows, np.arange(200) < 200 * share)
    check_record(model, random_rows(WIDTH, 100, seed=1), SCORED)


@titled(
    [
        IsolationForest(n_estimators=12, random_state=0),
        IsolationForest(n_estimators=12, max_features=0.5, contamination=0.1, random_state=0),
    ]
)
def test_isolation_forest(model):
    model.fit(random_rows(WIDTH, 300, seed=1))
    rows = every_row(model)
    check_record(model, rows, ("predict", "decision_function"))
    infinite = with_nan(rows)
    infinite[::5, 2], infinite[::7, 3] = np.inf, -1e39
    with np.errstate(over="ignore"):
        check_record(model, infinite, ("predict", "decision_function"))


@titled([*CLASSIFIERS[:7:2], AdaBoostClassifier(n_estimators=3), *REGRESSORS])
def test_trees_of_one_leaf(model):
    rows = random_rows(WIDTH, 60)
    model.fit(rows, np.ones(len(rows)))
    is_classifier = hasattr(model, "classes_")
    planned = SCORED if hasattr(model, "decision_function") else CHOSEN if is_classifier else ()
    check_record(model, rows, planned or ("predict",))


@titled(WITH_NAN)
@pytest.mark.parametrize("known", [True, False], ids=["met in training", "new"])
def test_missing_values(model, known):
    rows, classes = labelled(3)
    model.fit(with_nan(rows) if known else rows, classes)
    planned = SCORED if hasattr(model, "decision_function") else CHOSEN
    check_record(model, with_nan(every_row(model)), planned)


def test_missing_values_of_regressors():
    rows, values = measured()
    for model in (DecisionTreeRegressor(max_depth=5), RandomForestRegressor(9, n_jobs=1)):
        model.fit(with_nan(rows), values)
        check_record(model, with_nan(every_row(model)), ("predict",))


@titled(
    [
        DecisionTreeRegressor(random_state=0),
        RandomForestRegressor(9, random_state=0, n_jobs=1),
        ExtraTreesRegressor(9, random_state=0, max_depth=4, n_jobs=1),
    ]
)
def test_several_outputs(model):
    rows, values = measured()
    model.fit(rows, np.stack([values, values**2, rows[:, 1]], axis=1))
    check_record(model, every_row(model), ("predict",))


def test_infinite_values_of_histograms():
    model = HistGradientBoostingClassifier(max_iter=9, random_state=0).fit(*labelled(2))
    rows = random_rows(WIDTH, 300)
    rows[::2, 3], rows[::3, 5], rows[::5, 1] = np.inf, -np.inf, 1e300
    check_record(model, rows, SCORED)


def categorical(count):
    rows = random_rows(WIDTH, FITTED_ROWS)
    for feature, size in ((1, 3), (4, 12), (7, 60)):
        rows[:, feature] = np.arange(FITTED_ROWS) * 7 % size
    rows[::11, 4] = np.nan
    return rows, (rows[:, 7] % 5 + rows[:, 1] * 2 + rows[:, 0]).astype(int) % count


@pytest.mark.parametrize("leaves", [31, 90])
@pytest.mark.parametrize("count", [2, 3])
def test_categories_of_histograms(leaves, count):
    rows, classes = categorical(count)
    model = HistGradientBoostingClassifier(
        max_iter=9, categorical_features=[1, 4, 7], max_leaf_nodes=leaves, min_samples_leaf=2
    ).fit(rows, classes)
    assert any(
        tree.nodes["is_categorical"].any() for several in model._predictors for tree in several
    )
    tested = np.vstack([with_nan(rows), rows[:, ::-1], np.round(random_rows(WIDTH, 2000))])
    check_record(model, tested, SCORED)


def test_categories_in_a_frame():
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": generator.normal(size=FITTED_ROWS),
            "city": generator.choice(["Ulm", "Bonn", "Kiel"], FITTED_ROWS),
            "rooms": generator.integers(0, 9, FITTED_ROWS),
        }
    )
    classes = (frame["size"] > 0).astype(int) + (frame["city"] == "Ulm")
    model = HistGradientBoostingClassifier(max_iter=9, categorical_features=["city", "rooms"])
    model.fit(frame, classes)
    frame.loc[::7, "size"] = np.nan
    frame.loc[::5, "city"] = "Rome"
    frame.loc[::9, "rooms"] = 99
    block = [frame[name].to_numpy(object if name == "city" else None) for name in frame]
    plan = plan_of_record(plain_record(model), "frame")
    for method in SCORED:
        compare(plan.batch[method](block), getattr(model, method)(frame), method)


@titled(
    [
        DecisionTreeClassifier(),
        RandomForestClassifier(3, n_jobs=1),
        GradientBoostingClassifier(n_estimators=3),
        AdaBoostClassifier(n_estimators=3),
        GradientBoostingRegressor(n_estimators=3),
        AdaBoostRegressor(n_estimators=3),
    ]
)
def test_rows_that_the_estimator_rejects(model):
    model.fit(*make_classification(200, WIDTH, random_state=0))
    predict = plan_of_record(plain_record(model)).batch["predict"]
    huge, endless = random_rows(WIDTH, 5), random_rows(WIDTH, 5)
    huge[3, 2], endless[4, 1] = 1e39, -np.inf
    assert not falls_back(predict, random_rows(WIDTH, 5))
    for rows in (huge, endless, random_rows(WIDTH - 1, 5), random_rows(WIDTH + 1, 5)):
        assert falls_back(predict, rows)
    if not model.__sklearn_tags__().input_tags.allow_nan:
        assert falls_back(predict, with_nan(random_rows(WIDTH, 5)))


def test_boosting_that_starts_with_another_estimator_has_no_plan():
    model = GradientBoostingRegressor(n_estimators=3, init=LinearRegression()).fit(*measured())
    with pytest.raises(UnplannedError, match="starts with another"):
        plan_of_record(plain_record(model))


RULES = [
    (DecisionTreeClassifier(), (1, 2), False),
    (DecisionTreeClassifier(), (1, 3), True),
    (DecisionTreeClassifier(splitter="random"), (1, 5), False),
    (DecisionTreeClassifier(splitter="random"), (1, 6), True),
    (DecisionTreeClassifier(monotonic_cst=[1] * WIDTH), (1, 8), False),
    (DecisionTreeRegressor(criterion="absolute_error"), (1, 8), False),
    (DecisionTreeRegressor(criterion="absolute_error"), (1, 9), True),
    (ExtraTreeClassifier(), (1, 5), False),
    (ExtraTreeClassifier(), (1, 6), True),
    (ExtraTreeClassifier(splitter="best"), (1, 6), False),
    (RandomForestClassifier(3, n_jobs=1), (1, 3), False),
    (RandomForestClassifier(3, n_jobs=1), (1, 4), True),
    (ExtraTreesRegressor(3, n_jobs=1), (1, 5), False),
    (ExtraTreesRegressor(3, n_jobs=1), (1, 6), True),
]


@pytest.mark.parametrize(("model", "release", "accepts"), RULES)
def test_releases_decide_about_missing_values(model, release, accepts):
    model.fit(*make_classification(200, WIDTH, random_state=0))
    predict = plan_of_record(plain_record(model), release=release).batch["predict"]
    assert falls_back(predict, with_nan(random_rows(WIDTH, 50))) is not accepts


@pytest.mark.parametrize(
    ("node", "field", "value"),
    [
        (0, "left_child", 0),
        (1, "left_child", 1),
        (0, "right_child", 1 << 40),
        (0, "right_child", -2),
        (0, "right_child", -1),
        (0, "right_child", 1),
        (2, "left_child", 1),
        (0, "feature", WIDTH),
        (0, "feature", -1),
        (0, "threshold", np.nan),
        (0, "threshold", -np.inf),
    ],
)
@titled([DecisionTreeClassifier(max_depth=3), RandomForestClassifier(2, n_jobs=1)])
def test_broken_nodes(model, node, field, value):
    record = plain_record(model.fit(*labelled(2)))
    tree = getattr(record, "estimators_", [record])[0].tree_
    tree.nodes = tree.nodes.copy()
    inner = np.flatnonzero(tree.nodes["left_child"] >= 0)[node]
    tree.nodes[field][inner] = value
    with pytest.raises(ValueError, match=r"^a |^the "):
        traversal.tree_of(getattr(record, "estimators_", [record])[0])
    with pytest.raises(UnplannedError, match="has no compiled form"):
        plan_of_record(record)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nodes", np.zeros(3)),
        ("nodes", np.zeros(0, [("left_child", "i8")])),
        ("values", np.zeros((2, 1, 2))),
        ("values", np.zeros((5, 1, 2), np.float32)),
        ("values", np.zeros(5)),
    ],
)
def test_broken_arrays(name, value):
    record = plain_record(DecisionTreeClassifier(max_leaf_nodes=3).fit(*labelled(2)))
    setattr(record.tree_, name, value)
    with pytest.raises(UnplannedError, match="has no compiled form"):
        plan_of_record(record)


def test_broken_histograms():
    record = plain_record(HistGradientBoostingRegressor(max_iter=2).fit(*measured()))
    nodes = record._predictors[0][0].nodes = record._predictors[0][0].nodes.copy()
    nodes["right"][0] = nodes["left"][0]
    with pytest.raises(UnplannedError, match="has no compiled form"):
        plan_of_record(record)


def test_traversals_agree(monkeypatch):
    """Trees of few leaves have the same leaves by masks as level by level."""
    rows, classes = load_iris(return_X_y=True)
    model = RandomForestClassifier(150, random_state=0, n_jobs=1).fit(rows, classes)
    tested = with_nan(edges(plain_record(model), 4)).astype(np.float32)
    trees = [traversal.tree_of(each).splits for each in plain_record(model).estimators_]
    by_masks = traversal.Traversal(trees, np.float32)
    assert len(by_masks._masks) == 2
    monkeypatch.setattr(traversal, "MAX_TABLES", 0)
    by_level = traversal.Traversal(trees, np.float32)
    assert not by_level._masks
    for chosen in (tested, tested[:1], tested[:3]):
        assert np.array_equal(by_masks.leaves(chosen), by_level.leaves(chosen))


def test_sums_do_not_depend_on_the_number_of_rows_at_once(monkeypatch):
    model = RandomForestRegressor(30, random_state=0, n_jobs=1).fit(*measured())
    rows = random_rows(WIDTH, 500)
    expected = model.predict(rows)
    monkeypatch.setattr(traversal, "MAX_PAIRS", 70)
    assert np.array_equal(plan_of_record(plain_record(model)).batch["predict"](rows), expected)


WITHOUT_LIBRARIES = """
import pickle, sys
sys.modules["sklearn"] = sys.modules["scipy"] = sys.modules["pandas"] = None
from modelpack.serving.runtimes.plans import Context, compile_model
from record_data import from_data
with open(sys.argv[1], "rb") as file:
    cases = pickle.load(file)
for data, release, rows, expected in cases:
    plan = compile_model(from_data(data), Context("array", [], release))
    for method, values in expected.items():
        for got in (plan.batch[method](rows), plan.row_by_row[method](rows)):
            assert got.dtype == values.dtype and got.tobytes() == values.tobytes(), (data, method)
print(len(cases), "models")
"""


def test_predictions_without_libraries(tmp_path):
    cases = []
    rows, classes = labelled(3)
    for model in [*CLASSIFIERS, IsolationForest(n_estimators=5)]:
        model.fit(rows, classes)
        methods = [method for method in SCORED if hasattr(model, method)]
        cases.append(case(model, random_rows(WIDTH, 300), methods))
    for model in REGRESSORS:
        cases.append(case(model.fit(*measured()), random_rows(WIDTH, 300), ["predict"]))
    path = tmp_path / "cases"
    path.write_bytes(pickle.dumps(cases))
    root = Path(plan_trees.__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBRARIES, path],
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests' / 'support'}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, f"{len(cases)} models\n"), run.stderr


def case(model, rows, methods):
    """Return the record of a model as plain data, and what the model predicts."""
    expected = {method: np.ascontiguousarray(getattr(model, method)(rows)) for method in methods}
    return to_data(plain_record(model)), installed_release(), rows, expected
