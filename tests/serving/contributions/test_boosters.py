"""The contributions of LightGBM, XGBoost and CatBoost are the Shapley values of the library."""

from __future__ import annotations

from typing import Any

import catboost
import explained
import lightgbm
import numpy as np
import pytest
import xgboost
from explained import AMOUNT, GAPS, LEVEL, NUMBERS, SCORE, YES, build_service
from serving_models import NATIVE_MODELS, render_native_bundle
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelpack.serving.contributions import Explainer
from modelpack.serving.service import Service

SMALL: dict[str, Any] = {"n_estimators": 8, "random_state": 0, "n_jobs": 1}
LIGHT = {**SMALL, "verbose": -1, "min_child_samples": 3}
CAT = {"iterations": 8, "verbose": False, "thread_count": 1, "allow_writing_files": False}
CLASSES = {
    "lightgbm": (lightgbm.LGBMRegressor, lightgbm.LGBMClassifier, LIGHT),
    "xgboost": (xgboost.XGBRegressor, xgboost.XGBClassifier, SMALL),
    "catboost": (catboost.CatBoostRegressor, catboost.CatBoostClassifier, CAT),
}
CODES = {"no": 0, "yes": 1, "high": 0, "low": 1, "mid": 2}


def codes(labels: Any) -> np.ndarray:
    return np.array([CODES[label] for label in labels])


@pytest.mark.parametrize("kind", ["number", "two", "three"])
@pytest.mark.parametrize("library", CLASSES)
def test_shapley_values_add_up(library, kind):
    regressor, classifier, settings = CLASSES[library]
    model = (regressor if kind == "number" else classifier)(**settings)
    target = {"number": SCORE, "two": codes(YES), "three": codes(LEVEL)}[kind]
    model.fit(NUMBERS.to_numpy(), target)
    found = explained.explained(build_service(model, NUMBERS), NUMBERS)
    output = {"number": "prediction", "two": "log_odds", "three": "score"}[kind]
    assert {(each.method, each.output) for each in found} == {("shapley", output)}
    for index, each in enumerate(found):
        row = NUMBERS.iloc[[index]].to_numpy()
        assert each.base + sum(each.values) == pytest.approx(each.total, rel=1e-9)
        assert any(each.values)
        if kind == "number":
            assert each.total == pytest.approx(float(model.predict(row)[0]), rel=1e-5, abs=1e-5)
        if kind == "two":
            chance = model.predict_proba(row)[0, each.label]
            assert 1 / (1 + np.exp(-each.total)) == pytest.approx(chance, rel=1e-5)
    if kind == "three":
        sizes = {each.label: each.total for each in found}
        assert len(sizes) > 1


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_poisson_models_have_logarithms(library):
    regressor, _, settings = CLASSES[library]
    objective = {"lightgbm": "poisson", "xgboost": "count:poisson"}[library]
    model = regressor(**settings, objective=objective).fit(NUMBERS.to_numpy(), AMOUNT)
    for each in explained.explained(build_service(model, NUMBERS), NUMBERS):
        assert each.output == "log_prediction"


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_categories_of_frames(library):
    frame = GAPS.astype({"city": "category", "plan": "category"})
    _, classifier, settings = CLASSES[library]
    more = {"enable_categorical": True} if library == "xgboost" else {"min_data_per_group": 2}
    model = classifier(**settings, **more).fit(frame, codes(YES))
    for each in explained.explained(build_service(model, frame, "frame"), frame):
        assert (each.method, each.output) == ("shapley", "log_odds")


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("library", CLASSES)
def test_booster_that_was_fitted_on_a_frame_of_numbers(library):
    regressor, _, settings = CLASSES[library]
    model = regressor(**settings).fit(NUMBERS, SCORE)
    for each in explained.explained(build_service(model, NUMBERS), NUMBERS):
        assert each.method == "shapley"


@pytest.mark.parametrize("library", CLASSES)
def test_steps_before_a_booster(library):
    _, classifier, settings = CLASSES[library]
    steps = make_pipeline(StandardScaler(), classifier(**settings))
    frame = NUMBERS[["d", "a"]]
    model = steps.fit(frame.to_numpy(), codes(YES))
    bare = classifier(**settings).fit(
        StandardScaler().fit_transform(NUMBERS[["d", "a"]]), codes(YES)
    )
    frame = NUMBERS[["d", "a"]]
    scaled = frame.copy()
    scaled[:] = StandardScaler().fit_transform(frame)
    found = explained.explained(build_service(model, frame), frame)
    expected = explained.explained(build_service(bare, scaled), scaled)
    for one, other in zip(found, expected, strict=True):
        assert one.values == pytest.approx(other.values, rel=1e-6)


def test_model_that_stopped_early_uses_its_best_trees():
    model = xgboost.XGBRegressor(**{**SMALL, "n_estimators": 40}, early_stopping_rounds=2)
    model.fit(NUMBERS.to_numpy()[:70], SCORE[:70],
              eval_set=[(NUMBERS.to_numpy()[70:], SCORE[70:])], verbose=False)  # fmt: skip
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    explained.explained(build_service(model, NUMBERS), NUMBERS)


@pytest.mark.parametrize("name", [n for n in NATIVE_MODELS if n not in ("onnx", "xgboost")])
def test_files_of_boosters(name, tmp_path):
    path, rows, _ = NATIVE_MODELS[name]
    service = Service.load(render_native_bundle(path, tmp_path))
    found = Explainer(service).explain(service.decode_rows(rows[:1]))
    assert found.method == "shapley"
    assert len(found.values) == len(service.manifest.inputs)
    assert any(found.values)


def test_probabilities_in_place_of_a_prediction_have_scores(tmp_path):
    path, rows, _ = NATIVE_MODELS["xgboost"]  # of multi:softprob
    service = Service.load(render_native_bundle(path, tmp_path))
    row = service.decode_rows(rows[:1])
    chances = np.ravel(service.runner.call("predict", row))
    results = [Explainer(service).explain(row, number) for number in range(len(chances))]
    assert {(each.method, each.output) for each in results} == {("shapley", "score")}
    assert [each.target for each in results] == [0, 1, 2]
    assert [each.label for each in results] == list(service.runner.classes)
    powers = np.exp([each.base + sum(each.values) for each in results])
    assert powers / powers.sum() == pytest.approx(chances, rel=1e-4)
    assert Explainer(service).explain(row).target == chances.argmax()


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax"])
def test_native_files_of_xgboost_classifiers(objective, suffix, tmp_path):
    model = xgboost.XGBClassifier(**SMALL, objective=objective)
    model.fit(NUMBERS.to_numpy(), codes(LEVEL))
    path = tmp_path / f"model.{suffix}"
    model.save_model(path)
    service = Service.load(render_native_bundle(path, tmp_path))
    for index in range(4):
        row = NUMBERS.iloc[[index]].to_numpy()
        result = Explainer(service).explain(service.decode_rows(row.tolist()))
        assert (result.method, result.output) == ("shapley", "score")
        assert result.label == model.predict(row)[0]
        margin = model.predict(row, output_margin=True)[0, int(result.label)]
        assert result.base + sum(result.values) == pytest.approx(margin, abs=1e-4)
