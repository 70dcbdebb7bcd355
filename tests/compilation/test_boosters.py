"""Models of LightGBM and XGBoost, compiled from their files: the bits of the library."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingRegressor
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelpack.compilation.compile import compiled_content
from modelpack.compilation.proof import make_rows
from modelpack.errors import NoCompiledFormError
from modelpack.inspection import inspector, limits
from modelpack.inspection.recording import record_files
from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.runtimes.compiled import read
from modelpack.serving.runtimes.plans import Context, Plan, UnplannedError, compile_model
from modelpack.types import Reference

GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(400, 5))
ROWS[:, 3] = GENERATOR.integers(0, 9, 400)
ROWS[:, 4] *= GENERATOR.random(400) < 0.5
NUMBERS = ROWS[:, 0] * ROWS[:, 1] + ROWS[:, 2] + np.isin(ROWS[:, 3], [2, 5]) + (ROWS[:, 4] == 0)
ROWS[GENERATOR.random((400, 5)) < 0.1] = np.nan
POSITIVE = np.abs(NUMBERS) + 0.1
FLAGS = (NUMBERS > 0.5).astype(int)
CLASSES = np.digitize(NUMBERS, [0, 1])
GROUPS = [50] * 8


def unseen_rows() -> np.ndarray:
    """Return rows around those of the training, with zeros, missing and extreme values."""
    rows = GENERATOR.normal(size=(2_000, 5))
    rows[:, 3] = GENERATOR.integers(-2, 14, 2_000)
    zero = float(np.float32(1e-35))  # the largest that LightGBM takes for 0
    for value in (np.nan, 0.0, 1e-36, -1e-36, zero, -zero, -0.5, 3e9, -1e12):
        rows[GENERATOR.random(rows.shape) < 0.03] = value
    seen = GENERATOR.random(rows.shape) < 0.2
    rows[seen] = ROWS[GENERATOR.integers(0, 400, 2_000)][seen]
    return rows


UNSEEN = unseen_rows()


@pytest.fixture(autouse=True)
def whole_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEPT_BYTES", "KEPT_TOTAL", "MODEL_BYTES"):
        monkeypatch.setattr(limits, name, limits.STREAM_BYTES)


def save(model: Any, path: Path) -> Path:
    if path.suffix in (".pkl", ".joblib"):
        joblib.dump(model, path)
    else:
        model.save_model(path)
    return path


def spec_and_content(path: Path) -> tuple[Any, bytes]:
    spec = inspector.inspect(path)
    assert spec.not_compilable == ""
    return spec, compiled_content(spec, record_files([str(path)], spec.members))


def compiled(model: Any, path: Path) -> Plan:
    """Return the plan of a model that was saved, compiled and read."""
    spec, content = spec_and_content(save(model, path))
    found = read(io.BytesIO(content))
    names = [field.name for field in spec.signature.inputs]
    return compile_model(found.root, Context(spec.signature.layout, names, found.release))


def require_same(plan: Plan, expected: dict[str, Any], rows: Any, own: Any) -> None:
    """Compare methods in one call and row by row; `own`: the rows for the library."""
    for name, method in expected.items():
        answer = np.asarray(method(own))
        np.testing.assert_array_equal(plan.batch[name](rows), answer, err_msg=name)
        for number in range(0, len(answer), 97):
            alone = plan.row_by_row[name](split(rows, number))
            np.testing.assert_array_equal(alone, method(own[number : number + 1]), err_msg=name)


def split(rows: Any, number: int) -> Any:
    if isinstance(rows, list):
        return [column[number : number + 1] for column in rows]
    return rows[number : number + 1]


LIGHTGBM = {
    "regression": ({}, NUMBERS),
    "sqrt": ({"objective": "regression", "reg_sqrt": True}, NUMBERS),
    "l1": ({"objective": "l1"}, NUMBERS),
    "quantile": ({"objective": "quantile", "alpha": 0.3}, NUMBERS),
    "poisson": ({"objective": "poisson"}, POSITIVE),
    "tweedie": ({"objective": "tweedie"}, POSITIVE),
    "binary": ({"objective": "binary", "sigmoid": 1.7}, FLAGS),
    "multiclass": ({"objective": "multiclass", "num_class": 3}, CLASSES),
    "ova": ({"objective": "multiclassova", "num_class": 3, "sigmoid": 0.8}, CLASSES),
    "xentropy": ({"objective": "cross_entropy"}, FLAGS),
    "xentlambda": ({"objective": "cross_entropy_lambda"}, FLAGS),
    "lambdarank": ({"objective": "lambdarank"}, FLAGS),
    "zero": ({"zero_as_missing": True}, NUMBERS),
    "no missing": ({"use_missing": False}, NUMBERS),
    "random forest": (
        {"objective": "multiclass", "num_class": 3, "boosting": "rf", "bagging_freq": 1,
         "bagging_fraction": 0.6}, CLASSES,
    ),
    "dart": ({"boosting": "dart", "drop_rate": 0.5}, NUMBERS),
    "deep": ({"num_leaves": 120, "min_data_in_leaf": 1}, NUMBERS),
    "one hot": ({"max_cat_to_onehot": 100}, NUMBERS),
    "one leaf": ({"min_data_in_leaf": 399}, NUMBERS),
}  # fmt: skip


def lightgbm_booster(name: str, categories: list[int]) -> lightgbm.Booster:
    own, target = LIGHTGBM[name]
    parameters = {
        "objective": "regression", "verbose": -1, "num_leaves": 8, "min_data_in_leaf": 5,
        "num_threads": 1, "max_cat_to_onehot": 1, "min_data_per_group": 5, "cat_smooth": 1, **own,
    }  # fmt: skip
    group = GROUPS if name == "lambdarank" else None
    data = lightgbm.Dataset(ROWS, target, categorical_feature=categories, group=group)
    return lightgbm.train(parameters, data, 8)


@pytest.mark.parametrize("name", LIGHTGBM)
def test_text_of_lightgbm_has_the_bits_of_the_library(name: str, tmp_path: Path) -> None:
    model = lightgbm_booster(name, [3] if len(name) % 2 else [])
    plan = compiled(model, tmp_path / "m.txt")
    require_same(plan, {"predict": model.predict}, UNSEEN, UNSEEN)


XGBOOST = {
    "squarederror": ({}, NUMBERS),
    "base score": ({"base_score": 2.3}, NUMBERS),
    "absoluteerror": ({"objective": "reg:absoluteerror"}, NUMBERS),
    "quantiles": ({"objective": "reg:quantileerror", "quantile_alpha": [0.3, 0.7]}, NUMBERS),
    "logistic": ({"objective": "binary:logistic"}, FLAGS),
    "base probability": ({"objective": "binary:logistic", "base_score": 0.37}, FLAGS),
    "logitraw": ({"objective": "binary:logitraw"}, FLAGS),
    "hinge": ({"objective": "binary:hinge"}, FLAGS),
    "poisson": ({"objective": "count:poisson"}, POSITIVE),
    "gamma": ({"objective": "reg:gamma"}, POSITIVE),
    "tweedie": ({"objective": "reg:tweedie"}, POSITIVE),
    "cox": ({"objective": "survival:cox"}, POSITIVE),
    "aft": ({"objective": "survival:aft"}, POSITIVE),
    "softmax": ({"objective": "multi:softmax", "num_class": 3}, CLASSES),
    "softprob": ({"objective": "multi:softprob", "num_class": 3}, CLASSES),
    "rank": ({"objective": "rank:ndcg"}, FLAGS),
    "dart": (
        {"objective": "multi:softprob", "num_class": 3, "booster": "dart", "rate_drop": 0.5},
        CLASSES,
    ),
    "parallel": (
        {"objective": "multi:softprob", "num_class": 3, "num_parallel_tree": 3, "subsample": 0.6},
        CLASSES,
    ),
    "gblinear": ({"objective": "multi:softprob", "num_class": 3, "booster": "gblinear"}, CLASSES),
    "deep": ({"max_depth": 9, "tree_method": "exact", "gamma": 0.05}, NUMBERS),
}


def xgboost_booster(name: str) -> xgboost.Booster:
    own, target = XGBOOST[name]
    data = xgboost.DMatrix(ROWS, target)
    if name == "rank":
        data.set_group(GROUPS)
    if name == "aft":
        data.set_float_info("label_lower_bound", POSITIVE)
        data.set_float_info("label_upper_bound", POSITIVE + 0.2)
    parameters = {"objective": "reg:squarederror", "max_depth": 4, "nthread": 1, "verbosity": 0}
    return xgboost.train({**parameters, **own}, data, 8)


@pytest.mark.parametrize("name", XGBOOST)
def test_file_of_xgboost_has_the_bits_of_the_library(name: str, tmp_path: Path) -> None:
    model = xgboost_booster(name)
    plan = compiled(model, tmp_path / f"m.{'json' if len(name) % 2 else 'ubj'}")

    def predict(rows: np.ndarray) -> Any:
        return model.predict(xgboost.DMatrix(rows, nthread=1))

    require_same(plan, {"predict": predict}, UNSEEN, UNSEEN)
    with pytest.raises(FallbackRequiredError):  # as XGBoost itself
        plan.batch["predict"](np.full((1, 5), 1e300))


@pytest.mark.parametrize("most", [1, 100])
def test_sets_of_categories_of_xgboost(most: int, tmp_path: Path) -> None:
    kinds, rows = ["q", "q", "q", "c", "q"], UNSEEN.copy()
    parameters = {"max_depth": 4, "tree_method": "hist", "max_cat_to_onehot": most, "nthread": 1}
    own = {"feature_types": kinds, "enable_categorical": True, "nthread": 1}
    model = xgboost.train(parameters, xgboost.DMatrix(ROWS, NUMBERS, **own), 8)
    plan = compiled(model, tmp_path / "m.json")

    def predict(rows: np.ndarray) -> Any:
        return model.predict(xgboost.DMatrix(rows, **own))

    require_same(plan, {"predict": predict}, rows, rows)
    spec, content = spec_and_content(tmp_path / "m.json")
    (tmp_path / "m.compiled").write_bytes(content)
    proved = make_rows(spec, Reference(((1.0, 1.0, 1.0, 0, 1.0),)), tmp_path / "m.compiled")
    codes = set(map(int, read(io.BytesIO(content)).root.categories))
    assert codes | {max(codes) + 1} <= {row[3] for row in proved}


def early(model: Any, labels: np.ndarray, **options: Any) -> Any:
    """Fit a classifier that stops early."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LightGBM 4.7 renames `eval_set`
        held_out = [(ROWS[200:], labels[200:])]
        return model.fit(ROWS[:200], labels[:200], eval_set=held_out, **options)


def wrappers() -> Iterator[tuple[str, Any]]:
    texts = np.array(["a", "b", "c"])[CLASSES]
    own = {"n_estimators": 8, "num_leaves": 8, "min_child_samples": 5, "n_jobs": 1, "verbose": -1}
    yield "binary", lightgbm.LGBMClassifier(**own).fit(ROWS, texts == "a")
    yield "texts", lightgbm.LGBMClassifier(**own).fit(ROWS, texts)
    yield "regressor", lightgbm.LGBMRegressor(objective="gamma", **own).fit(ROWS, POSITIVE)
    yield "ranker", lightgbm.LGBMRanker(**own).fit(ROWS, FLAGS, group=GROUPS)
    many = {**own, "n_estimators": 100, "learning_rate": 0.5}
    stop = lightgbm.early_stopping(2, verbose=False)
    yield "early", early(lightgbm.LGBMClassifier(**many), texts, callbacks=[stop])
    own = {"n_estimators": 8, "max_depth": 4, "n_jobs": 1}
    yield "xgb binary", xgboost.XGBClassifier(**own).fit(ROWS, FLAGS)
    yield "xgb classes", xgboost.XGBClassifier(**own).fit(ROWS, CLASSES)
    yield "xgb dart", xgboost.XGBClassifier(booster="dart", rate_drop=0.5, **own).fit(ROWS, FLAGS)
    yield "xgb zeros", xgboost.XGBRegressor(missing=0.0, **own).fit(ROWS, NUMBERS)
    yield "xgb forest", xgboost.XGBRFClassifier(**own).fit(ROWS, CLASSES)
    yield "xgb regressor", xgboost.XGBRFRegressor(**own).fit(ROWS, NUMBERS)
    yield "xgb ranker", xgboost.XGBRanker(**own).fit(ROWS, FLAGS, group=GROUPS)
    many = {**own, "n_estimators": 100, "early_stopping_rounds": 2}
    yield "xgb early", early(xgboost.XGBClassifier(**many), CLASSES, verbose=False)


def extreme() -> Any:
    return xgboost.XGBClassifier(n_estimators=5, n_jobs=1)


def compositions() -> Iterator[tuple[str, Any]]:
    own = {"n_estimators": 5, "num_leaves": 8, "min_child_samples": 5, "n_jobs": 1, "verbose": -1}
    light = lightgbm.LGBMClassifier(**own)
    rows = np.nan_to_num(ROWS)
    yield "pipeline", make_pipeline(StandardScaler(), extreme()).fit(rows, CLASSES)
    yield "search", GridSearchCV(light, {"num_leaves": [4, 8]}, cv=2).fit(rows, CLASSES)
    yield "calibration", CalibratedClassifierCV(light, cv=2).fit(rows, CLASSES)
    yield "calibration of xgboost", CalibratedClassifierCV(extreme(), cv=2).fit(rows, FLAGS)
    several = [("one", light), ("two", extreme())]
    yield "stacking", StackingClassifier(several, LogisticRegression(), cv=2).fit(rows, CLASSES)
    regressors = [
        ("one", lightgbm.LGBMRegressor(**own)),
        ("two", xgboost.XGBRegressor(n_estimators=5, n_jobs=1)),
        ("three", LinearRegression()),
    ]
    yield "voting", VotingRegressor(regressors).fit(rows, NUMBERS)


@pytest.mark.parametrize("make", [wrappers, compositions])
def test_estimators_have_the_bits_of_the_library(make: Any, tmp_path: Path) -> None:
    finite = np.nan_to_num(UNSEEN)
    for number, (name, model) in enumerate(make()):
        rows = UNSEEN if make is wrappers else finite
        plan = compiled(model, tmp_path / f"{number}.joblib")
        names = [each for each in ("predict", "predict_proba") if hasattr(model, each)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            require_same(plan, {each: getattr(model, each) for each in names}, rows, rows)
        assert set(names) <= plan.batch.keys(), name


def test_categories_of_a_frame_are_encoded(tmp_path: Path) -> None:
    colours = np.array(["red", "green", "blue", None], object)
    seen, unseen = (GENERATOR.integers(0, 4, count) for count in (400, 300))
    kind = pd.CategoricalDtype(["blue", "green", "red"])
    frame = pd.DataFrame({"size": ROWS[:, 0], "colour": pd.Series(colours[seen], dtype=kind)})
    target = (NUMBERS + (seen == 1) > 0.5).astype(int)
    light = lightgbm.LGBMClassifier(n_estimators=8, min_data_per_group=5, cat_smooth=1, verbose=-1)
    other = xgboost.XGBClassifier(n_estimators=8, enable_categorical=True, n_jobs=1)
    sizes, column = UNSEEN[:300, 0], colours[unseen]
    rows = pd.DataFrame({"size": sizes, "colour": pd.Series(column, dtype=kind)})
    values = [sizes, np.where(unseen == 3, np.nan, column)]
    for model in (light.fit(frame, target), other.fit(frame, target)):
        plan = compiled(model, tmp_path / "m.joblib")
        require_same(plan, {"predict_proba": model.predict_proba}, values, rows)
    unknown = [np.array([1.0]), np.array(["pink"], object)]
    missing = [np.array([1.0]), np.array([np.nan], object)]
    plan = compiled(light, tmp_path / "m.joblib")
    np.testing.assert_array_equal(
        plan.batch["predict_proba"](unknown), plan.batch["predict_proba"](missing)
    )
    with pytest.raises(FallbackRequiredError):  # the service rejects them
        compiled(other, tmp_path / "m.joblib").batch["predict"](unknown)
    for name, library in (("xgboost", other), ("lightgbm", light)):
        (tmp_path / name).mkdir()
        spec, content = spec_and_content(save(library, tmp_path / name / "m.joblib"))
        (tmp_path / name / "m.compiled").write_bytes(content)
        rows_of_proof = make_rows(spec, Reference(((1.0, "red"),)), tmp_path / name / "m.compiled")
        proved = {colour for _, colour in rows_of_proof}
        known = {"blue", "green", "red", None}
        assert proved == (known if name == "xgboost" else known | {"never met"})


def test_sparse_rows_lack_values_for_xgboost_alone(tmp_path: Path) -> None:
    words = np.array(["red car", "blue car", "green bike car", "red bike", "old green car"])
    texts, target = words[GENERATOR.integers(0, 5, 200)].tolist(), GENERATOR.integers(0, 2, 200)
    more = [*words.tolist(), "nothing", "old old car"]
    own = {"n_estimators": 5, "n_jobs": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for last in (xgboost.XGBClassifier(**own), lightgbm.LGBMClassifier(verbose=-1, **own)):
            model = make_pipeline(CountVectorizer(dtype=np.float64), last).fit(texts, target)
            plan = compiled(model, tmp_path / "m.pkl")
            np.testing.assert_array_equal(
                plan.batch["predict_proba"](more), model.predict_proba(more)
            )


def test_rows_of_the_proof_contain_thresholds_and_categories(tmp_path: Path) -> None:
    spec, content = spec_and_content(save(lightgbm_booster("deep", [3]), tmp_path / "m.txt"))
    (tmp_path / "m.compiled").write_bytes(content)
    model = read(io.BytesIO(content)).root
    rows = make_rows(spec, Reference((tuple(ROWS[0].tolist()),)), tmp_path / "m.compiled")
    columns = [set(column) for column in zip(*rows, strict=True)]
    compared = model.nodes[(model.nodes["feature"] >= 0) & (model.nodes["set"] < 0)]
    for feature, threshold in zip(compared["feature"], compared["threshold"], strict=True):
        assert {threshold, np.nextafter(threshold, np.inf)} <= columns[feature]
    assert set(map(float, model.categories)) <= columns[3]
    assert all(None in column for column in columns)


def test_model_without_a_compiled_form_is_named(tmp_path: Path) -> None:
    model = lightgbm.LGBMRegressor(linear_tree=True, n_estimators=2, verbose=-1)
    with pytest.raises(NoCompiledFormError, match="a linear tree of LightGBM"):
        compiled(model.fit(np.nan_to_num(ROWS), NUMBERS), tmp_path / "m.joblib")


def child_out_of_range(model: Any, nodes: np.ndarray) -> None:
    nodes["left_child"][0] = len(nodes) + 5


def cycle(model: Any, nodes: np.ndarray) -> None:
    nodes["left_child"][1] = 0


def shared_child(model: Any, nodes: np.ndarray) -> None:
    nodes["right_child"][0] = nodes["left_child"][0]


def unknown_feature(model: Any, nodes: np.ndarray) -> None:
    nodes["feature"][0] = 99


def unknown_set(model: Any, nodes: np.ndarray) -> None:
    nodes["set"][nodes["set"] >= 0] = 2**30


def unknown_missing(model: Any, nodes: np.ndarray) -> None:
    nodes["missing"][0] = 8


def infinite_leaf(model: Any, nodes: np.ndarray) -> None:
    nodes["value"][nodes["left_child"] < 0] = np.inf


def threshold_that_is_no_number(model: Any, nodes: np.ndarray) -> None:
    nodes["threshold"][nodes["set"] < 0] = np.nan


def truncated_sets(model: Any, _: np.ndarray) -> None:
    model.categories = model.categories[:1]


def negative_categories(model: Any, _: np.ndarray) -> None:
    model.categories = -1 - model.categories


def decreasing_trees(model: Any, _: np.ndarray) -> None:
    model.tree_starts = model.tree_starts[::-1]


def trees_beyond_the_end(model: Any, _: np.ndarray) -> None:
    model.tree_starts = model.tree_starts * 2


def other_fields(model: Any, _: np.ndarray) -> None:
    model.nodes = model.nodes[["left_child", "right_child"]]


def no_features(model: Any, _: np.ndarray) -> None:
    model.n_features = 0


def outputs_without_trees(model: Any, _: np.ndarray) -> None:
    model.trees_per_round = 3


def absurd_features(model: Any, nodes: np.ndarray) -> None:
    model.n_features = 2**45
    model.category_values = {2**46: ["a"]}


def absurd_outputs(model: Any, _: np.ndarray) -> None:
    model.trees_per_round = 2**45


@pytest.fixture(scope="module")
def hostile_base() -> bytes:
    return pickle.dumps(lightgbm_booster("one hot", [3]))


@pytest.mark.parametrize(
    "change",
    [
        child_out_of_range, cycle, shared_child, unknown_feature, unknown_set, unknown_missing,
        infinite_leaf, threshold_that_is_no_number, truncated_sets, negative_categories,
        decreasing_trees, trees_beyond_the_end, other_fields, no_features, outputs_without_trees,
        absurd_features,
        absurd_outputs,
    ],
)  # fmt: skip
def test_hostile_trees_stop_the_start(change: Any, hostile_base: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(hostile_base)
    model = read(io.BytesIO(spec_and_content(tmp_path / "m.pkl")[1])).root
    model.nodes = model.nodes.copy()
    assert compile_model(model, Context("array", list("abcde"), (0, 0)))
    change(model, model.nodes)
    with pytest.raises(UnplannedError):
        compile_model(model, Context("array", list("abcde"), (0, 0)))
