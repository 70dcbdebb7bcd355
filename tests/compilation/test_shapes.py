"""Compiled models whose arrays have other shapes: the service does not start.

The models are those of the corpus of the oldest and the newest release of scikit-learn. Every
attribute with arrays of every class is changed in every way once; MODELPACK_ALL_SHAPES=1 changes
those of all models of all four releases.
"""

from __future__ import annotations

import io
import json
import logging
import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import xgboost
from shape_changes import STOPPED, Model, models
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelpack.compilation.compile import compiled_content
from modelpack.errors import NoCompiledFormError
from modelpack.inspection import inspector, limits
from modelpack.inspection.recording import record_files
from modelpack.serving.errors import StartupError
from modelpack.types import Member

CORPUS = Path(__file__).parents[1] / "data" / "compiled"
LEAST = 250
"""Attributes with arrays."""

TARGET_AS_COLUMN = "one target as a column is another model"
OTHER_SIZE = "other components, clusters, categories or members are another model"
SPARE = "the answers are the same"

ACCEPTED: dict[str, str] = {
    "Kernel* dual_coef_ trail": TARGET_AS_COLUMN,
    "KNeighborsRegressor _y trail": TARGET_AS_COLUMN,
    "RadiusNeighborsRegressor _y trail": TARGET_AS_COLUMN,
    **dict.fromkeys(
        (
            *("* components_ [ad]* 0", "* cluster_centers_ [ad]* 0", "csr_matrix indptr append 0"),
            *(
                "KNeighborsRegressor _y [ad]* 1",
                "*Encoder categories_ one",
                "* x_rotations_ [ad]* 1",
                "* scalings_ [ad]* 1",
                "* coef_ [ad]* 0",
            ),
            *("* categories_ [ad]* 0", "CategoricalNB feature_log_prob_ [ad]* 1"),
            *(
                "MissingIndicator features_ [ad]* 0",
                "KNNImputer _fit_X [ad]* 0",
                "* estimators_ [ad]* item",
            ),
            "CalibratedClassifierCV calibrated_classifiers_ [ad]* item",
        ),
        OTHER_SIZE,
    ),
    **dict.fromkeys(
        (
            *("*SVR *n_support* *", "OneClassSVM *n_support* *"),
            *(
                "RidgeClassifier* coef_ flatten",
                "RidgeClassifier* coef_ lead",
                "RidgeClassifier* intercept_ scalar",
            ),
            *("* intercept_ one", "* intercept_ trail", "DummyRegressor constant_ *"),
            "HistGradientBoostingRegressor _baseline_prediction scalar",
        ),
        SPARE,
    ),
}
"""Pattern of class, attribute and change -> why nothing in the file contradicts it."""


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("KEPT_BYTES", "KEPT_TOTAL"):  # as for `--compiled`
        monkeypatch.setattr(limits, name, limits.STREAM_BYTES)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_changed_shapes_stop_the_start(tmp_path: Path) -> None:
    seen: set[tuple[str, str]] = set()
    outcomes: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    everything = bool(os.environ.get("MODELPACK_ALL_SHAPES"))
    for archive_path in sorted(CORPUS.glob("*.zip")):
        if not everything and archive_path.stem not in ("0.20", "1.9"):
            continue
        folder = tmp_path / archive_path.stem
        with zipfile.ZipFile(archive_path) as archive:
            archive.extractall(folder)
        for _, path, rows in models(folder):
            model = compiled_model(path, rows)
            if model is None:
                continue
            for place in model.places():
                key = (model.class_name(place), str(place.keys[0]))
                if key in seen and not everything:
                    continue
                seen.add(key)
                for change, content in model.changes(place):
                    outcome, error = model.outcome(content)
                    outcomes[outcome] += 1
                    if outcome == STOPPED:
                        assert "\n" not in error
                    else:
                        accepted[f"{outcome}: {' '.join(key)} {change}"] += 1
    assert len(seen) >= LEAST
    print(dict(outcomes))
    unknown = {
        each: number
        for each, number in accepted.items()
        if not any(fnmatch(each, f"*: {pattern}") for pattern in ACCEPTED)
    }
    assert unknown == {}


def compiled_model(path: Path, rows: Any) -> Model | None:
    """Return the compiled form of a model that starts; None if it has no form."""
    spec = inspector.inspect(path)
    try:
        content = compiled_content(spec, record_files([str(path)], [Member()]))
    except NoCompiledFormError:
        return None
    return Model(content, spec.signature, spec.method, rows)


GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(100, 4)) + 3
LABELS = (ROWS[:, 0] > 3).astype(int)

BOOSTED = {
    "* set_starts append 0": "a set of categories that no node refers to",
    "* base_scores one": "one base score is that of all outputs",
}
"""Like ACCEPTED, for LightGBM and XGBoost."""


def boosters() -> Iterator[Any]:
    """Yield boosters of every kind of table, of one output and of several."""
    three = LABELS + (ROWS[:, 1] > 3)
    number, few = ROWS[:, 0], {"n_estimators": 5}
    light: dict[str, Any] = {**few, "min_child_samples": 2, "verbose": -1}
    yield lightgbm.LGBMClassifier(**light).fit(ROWS, three)
    yield lightgbm.LGBMRegressor(boosting_type="dart", **light).fit(ROWS, number)
    yield xgboost.XGBClassifier(**few).fit(ROWS, three)
    yield xgboost.XGBRegressor(booster="dart", rate_drop=0.5, **few).fit(ROWS, number)
    yield xgboost.XGBRegressor(booster="gblinear", **few).fit(ROWS, number)


def test_changed_shapes_of_boosters_stop_the_start(tmp_path: Path) -> None:
    accepted: list[str] = []
    for estimator in boosters():
        joblib.dump(estimator, tmp_path / "model.joblib")
        model = compiled_model(tmp_path / "model.joblib", ROWS)
        assert model is not None
        for place in model.places():
            for change, content in model.changes(place):
                outcome, error = model.outcome(content)
                if outcome != STOPPED:
                    accepted.append(f"{model.class_name(place)} {place.keys[0]} {change}")
                else:
                    assert "\n" not in error
    assert accepted
    assert [each for each in accepted if not any(fnmatch(each, known) for known in BOOSTED)] == []


def test_trees_of_several_outputs_have_no_compiled_form(tmp_path: Path) -> None:
    estimator = xgboost.XGBRegressor(n_estimators=2, multi_strategy="multi_output_tree")
    joblib.dump(estimator.fit(ROWS, ROWS[:, :2]), tmp_path / "model.joblib")
    spec = inspector.inspect(tmp_path / "model.joblib")
    with pytest.raises(NoCompiledFormError, match="a Booster with several outputs per tree"):
        compiled_content(spec, record_files([spec.file.path], [Member()]))


def sample(tmp_path: Path, estimator: Any, labels: Any = LABELS) -> Model:
    joblib.dump(estimator.fit(ROWS, labels), tmp_path / "model.joblib")
    found = compiled_model(tmp_path / "model.joblib", ROWS)
    assert found is not None
    return found


def written(model: Model) -> bytes:
    """Return the file after its document was changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model.json", json.dumps(model.document))
        for number, content in enumerate(model.contents):
            archive.writestr(f"arrays/{number}.npy", content)
    return stream.getvalue()


def attributes(model: Model, name: str) -> dict[str, Any]:
    records = model.document["records"]
    found: dict[str, Any] = next(r["attributes"] for r in records if r["class"].endswith(name))
    return found


def test_setting_without_its_array_stops_the_start(tmp_path: Path) -> None:
    model = sample(tmp_path, make_pipeline(StandardScaler(), LogisticRegression()))
    attributes(model, ":StandardScaler")["mean_"] = None
    reason = r"ValueError\(.mean_ of StandardScaler is None instead of \(n,\)"
    with pytest.raises(StartupError, match=reason):
        model.service(written(model))


def test_array_is_named_with_its_shape(tmp_path: Path) -> None:
    model = sample(tmp_path, LogisticRegression())
    [(number, place)] = [
        (model.value(place)["array"], place)
        for place in model.places()
        if place.keys == ("intercept_",)
    ]
    content = dict(model.changes(place))["append 0"]
    reason = (
        r"intercept_ of LogisticRegression is of shape \(2,\) instead of \(k,\) or 0 with c = 2"
    )
    assert model.document["arrays"][number]["shape"] == [1]
    with pytest.raises(StartupError, match=reason):
        model.service(content)


def test_other_columns_than_those_of_the_rows_stop_the_start(tmp_path: Path) -> None:
    model = sample(tmp_path, LinearRegression(), ROWS[:, 0])
    [place] = model.places()
    reason = "does not answer its own example: .*LinearRegression gets 4 columns instead of 3"
    with pytest.raises(StartupError, match=reason):
        model.service(dict(model.changes(place))["drop 0"])


@pytest.mark.parametrize("labels", [["no"], ["no", "yes", "perhaps"]])
def test_other_number_of_labels_stops_the_start(labels: list[str], tmp_path: Path) -> None:
    model = sample(tmp_path, LogisticRegression())
    model.document["labels"] = labels
    with pytest.raises(StartupError, match=f"has {len(labels)} classes, but the bundle names 2"):
        model.service(written(model))


@pytest.mark.parametrize("release", [[10**20, 1], [1, 100]])
def test_absurd_release_stops_the_start(release: list[int], tmp_path: Path) -> None:
    model = sample(tmp_path, LogisticRegression())
    model.document["release"] = release
    with pytest.raises(StartupError, match="its versions are invalid"):
        model.service(written(model))


def test_model_with_wrong_shapes_is_not_compiled(tmp_path: Path) -> None:
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)
    estimator[0].scale_ = estimator[0].scale_[:1]
    joblib.dump(estimator, tmp_path / "model.joblib")
    spec = inspector.inspect(tmp_path / "model.joblib")
    with pytest.raises(NoCompiledFormError, match="scale_ of StandardScaler"):
        compiled_content(spec, record_files([spec.file.path], [Member()]))
