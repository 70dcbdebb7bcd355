"""modelpack.record() in a training script, and the sidecar as packaging finds it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler

import modelpack
from modelpack.errors import UsageError
from modelpack.inspection import inspect
from modelpack.parity import ReferenceSources, prepare
from modelpack.pipeline.options import Options
from modelpack.pipeline.stages import Pipeline
from modelpack.types import ModelSpec, Reference

FRAME = pd.DataFrame({"size": np.linspace(0.1, 3, 30), "kind": ["a", "b", None] * 10})
LABELS = ["yes" if size > 1 else "no" for size in FRAME["size"]]


def saved(model: Any, folder: Path) -> Path:
    joblib.dump(model, folder / "model.joblib")
    return folder / "model.joblib"


def prepared(path: Path) -> tuple[ModelSpec, Reference]:
    return prepare(inspect(str(path)), ReferenceSources((path,)))


class Rounded(LinearRegression):
    """Another model after loading."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "coef_": self.coef_.round(1)}


@pytest.mark.parametrize("is_small", [True, False])
def test_the_model_answers_as_it_was_saved(
    is_small: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading may change the order of an array in memory, and so the last bits of a prediction."""
    if not is_small:
        monkeypatch.setattr("modelpack.parity.record.MAX_COPIED_BYTES", 0)
    frame = FRAME[["size"]]
    model = Rounded().fit(frame, 1.234 * frame["size"])
    path = saved(model, tmp_path)
    document = json.loads(modelpack.record(model, frame, path).read_text())
    expected = joblib.load(path) if is_small else model
    assert document["together"]["predictions"] == expected.predict(frame.head(20)).tolist()


def test_a_model_that_cannot_be_pickled_is_recorded_as_it_is(tmp_path: Path) -> None:
    path = saved(None, tmp_path)
    model = FunctionTransformer(lambda rows: rows * 2).fit(FRAME[["size"]])
    document = json.loads(modelpack.record(model, FRAME[["size"]], path).read_text())
    assert document["together"]["predictions"][1] == [FRAME["size"][1] * 2]


def test_recorded_answers_read_back_to_the_last_bit(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME[["size"]], LABELS)
    path = saved(model, tmp_path)
    assert modelpack.record(model, FRAME[["size"]], path) == Path(f"{path}.record.json")
    spec, reference = prepared(path)
    head = FRAME[["size"]].head(20)
    assert reference.source == "record"
    assert reference.rows == tuple((size,) for size in head["size"].tolist())
    assert reference.answers is not None
    assert reference.answers.predictions == tuple(model.predict(head).tolist())
    assert reference.answers.probabilities == tuple(model.predict_proba(head).tolist())
    assert reference.alone is not None
    assert reference.alone.predictions == tuple(
        model.predict(head.iloc[[row]])[0] for row in range(20)
    )
    assert spec.signature.inputs[0].example == 0.1
    assert spec.trained_on == "{}.{}".format(*sys.version_info[:2])
    assert spec.recorded["scikit-learn"] == sklearn.__version__


@pytest.mark.parametrize(
    ("rows", "first"),
    [
        (FRAME, [0.1, "a"]),
        (np.array([[1, 2], [3, 4]]), [1, 2]),
        (np.array([[np.nan, 2.5]]), [None, 2.5]),
        (sparse.csr_matrix([[0, 1.5]]), [0.0, 1.5]),
        (["a text", "another"], "a text"),
        ([{"b": np.int64(1), "a": "x"}], {"b": 1, "a": "x"}),
        (FRAME["kind"], "a"),
        (
            pd.DataFrame({"n": pd.array([None, 2], "Int64"), "s": pd.array(["x", None])}),
            [None, "x"],
        ),
    ],
)
def test_rows_of_every_kind_are_kept(rows: Any, first: Any, tmp_path: Path) -> None:
    class Echo:
        def predict(self, X: Any) -> np.ndarray:
            return np.arange(X.shape[0] if hasattr(X, "shape") else len(X))

    path = tmp_path / "model.pkl"
    path.write_bytes(b"model")
    document = json.loads(modelpack.record(Echo(), rows, path).read_text())
    assert document["instances"][0] == first
    assert document["files"] == [hashlib.sha256(b"model").hexdigest()]
    assert document["versions"]["numpy"] == np.__version__
    assert document["together"]["probabilities"] is None


def test_several_outputs_have_a_list_of_probabilities_a_row(tmp_path: Path) -> None:
    y = np.array([[0, 1], [1, 0], [0, 0]] * 10)
    forest = RandomForestClassifier(3, random_state=0)
    model = MultiOutputClassifier(forest).fit(FRAME[["size"]].to_numpy(), y)
    path = saved(model, tmp_path)
    document = json.loads(modelpack.record(model, FRAME[["size"]].to_numpy(), path).read_text())
    assert np.shape(document["together"]["probabilities"]) == (20, 2, 2)
    assert np.shape(document["together"]["predictions"]) == (20, 2)


def test_output_of_a_transformer_is_recorded(tmp_path: Path) -> None:
    model = TfidfVectorizer().fit(["one text", "two texts"])
    document = json.loads(modelpack.record(model, ["one text"], saved(model, tmp_path)).read_text())
    assert document["together"]["predictions"] == model.transform(["one text"]).toarray().tolist()


def test_a_model_in_two_files_is_recorded_as_one(tmp_path: Path) -> None:
    rows = [{"a": 1.0}, {"b": 2.0}]
    vectorizer = DictVectorizer().fit(rows)
    model = LinearRegression().fit(vectorizer.transform(rows), [1.0, 2.0])
    paths = [tmp_path / "vectorizer.joblib", tmp_path / "model.joblib"]
    joblib.dump(vectorizer, paths[0])
    joblib.dump(model, paths[1])
    modelpack.record([vectorizer, model], rows, paths)
    spec = inspect(*map(str, paths))
    _, reference = prepare(spec, ReferenceSources(paths))
    assert reference.rows == ((1.0, None), (None, 2.0))
    assert reference.answers is not None
    assert reference.answers.predictions == tuple(
        model.predict(vectorizer.transform(rows)).tolist()
    )


def test_a_model_that_was_saved_again_is_not_compared_with_an_old_record(tmp_path: Path) -> None:
    model = LinearRegression().fit(FRAME[["size"]], FRAME["size"])
    path = saved(model, tmp_path)
    modelpack.record(model, FRAME[["size"]], path)
    saved(LinearRegression().fit(FRAME[["size"]], -FRAME["size"]), tmp_path)
    with pytest.raises(UsageError, match="recorded for another file"):
        prepared(path)


@pytest.mark.parametrize("change", ["{", '{"schema": 9}', '{"schema": 1}', "[]"])
def test_malformed_record_is_reported(change: str, tmp_path: Path) -> None:
    path = saved(LinearRegression().fit([[1.0]], [1.0]), tmp_path)
    Path(f"{path}.record.json").write_text(change)
    with pytest.raises(UsageError, match="not a valid record"):
        prepared(path)


def test_record_needs_a_file_and_a_row(tmp_path: Path) -> None:
    model = OrdinalEncoder().fit(FRAME[["kind"]])
    with pytest.raises(UsageError, match=r"The model file .* cannot be read"):
        modelpack.record(model, FRAME[["kind"]], tmp_path / "model.joblib")
    with pytest.raises(UsageError, match="no rows"):
        modelpack.record(model, FRAME[["kind"]].head(0), saved(model, tmp_path))
    with pytest.raises(UsageError, match="OrdinalEncoder contains no rows"):  # swapped
        modelpack.record(FRAME[["kind"]], model, saved(model, tmp_path))


def test_values_outside_of_json_are_an_error_and_leave_no_file(tmp_path: Path) -> None:
    class Echo:
        def predict(self, X: pd.DataFrame) -> np.ndarray:
            return np.zeros(len(X))

    path = tmp_path / "model.pkl"
    path.write_bytes(b"model")
    images = pd.DataFrame({"size": [1.0], "image": [b"png"]})
    with pytest.raises(UsageError, match=r"of the column image cannot be recorded: .* a bytes"):
        modelpack.record(Echo(), images, path)
    assert list(tmp_path.iterdir()) == [path]
    document = json.loads(modelpack.record(Echo(), images, path, rows=0).read_text())
    assert [field["type"] for field in document["fields"]] == ["number", "any"]


def test_row_files_precede_a_record(tmp_path: Path, make_spec: Callable[..., ModelSpec]) -> None:
    model = LinearRegression().fit(FRAME[["size"]], FRAME["size"])
    path = saved(model, tmp_path)
    modelpack.record(model, FRAME[["size"]], path)
    (tmp_path / "rows.csv").write_text("size\n0.75\n")
    (tmp_path / "y.json").write_text("[1.5]")
    spec = inspect(str(path))
    both = ReferenceSources((path,), tmp_path / "rows.csv", tmp_path / "y.json", 0.5)
    _, reference = prepare(spec, both)
    assert (reference.source, reference.rows, reference.tolerance) == ("expected", ((0.75,),), 0.5)
    _, reference = prepare(spec, replace(both, example=tmp_path / "rows.csv", expected=None))
    assert reference.source == "record"
    Path(f"{path}.record.json").unlink()
    _, reference = prepare(spec, replace(both, expected=None))
    assert (reference.source, reference.answers, reference.made_up) == ("model", None, False)
    with pytest.raises(UsageError, match="no file contains their rows"):
        prepare(spec, replace(both, example=None))


def test_title_description_and_names_of_rows_are_recorded(tmp_path: Path) -> None:
    model = LinearRegression().fit(FRAME[["size"]], FRAME["size"])
    path = saved(model, tmp_path)
    frame = FRAME[["size"]].copy()
    frame.loc[1, "size"] = np.inf  # is left out, with its name
    modelpack.record(
        model, frame, path, title=" Size ", description="For tailors.\nNot for shoes.",
        names=["a child", "an infinite person", "a pupil"],
    )  # fmt: skip
    spec, _ = prepared(path)
    assert (spec.title, spec.description) == ("Size", "For tailors.\nNot for shoes.")
    assert spec.signature.sample_names == ("a child", "a pupil", "", "", "")
    run = Pipeline(Options(title="Sizes", description=""))
    spec, _ = run.reference(inspect(str(path)), [path])
    assert (spec.title, spec.description) == ("Sizes", "")


@pytest.mark.parametrize(
    "texts",
    [
        {"title": "a" * 101},
        {"title": "two\nlines"},
        {"description": "a" * 1001},
        {"description": "\x1b[31m"},
        {"description": "\ud800"},
        {"names": ["a\u2028b"]},
        {"names": [1]},
    ],
)
def test_text_that_a_page_cannot_show_is_an_error(texts: dict[str, Any], tmp_path: Path) -> None:
    model = LinearRegression().fit(FRAME[["size"]], FRAME["size"])
    path = saved(model, tmp_path)
    with pytest.raises(UsageError):
        modelpack.record(model, FRAME[["size"]], path, **texts)
    record = modelpack.record(model, FRAME[["size"]], path)
    record.write_text(json.dumps({**json.loads(record.read_text()), **texts}))
    with pytest.raises(UsageError, match=r"is not a valid record: its (title|desc|name)"):
        prepared(path)


def test_dict_of_models_is_an_error_with_the_way_out(tmp_path):
    path = tmp_path / "model.joblib"
    joblib.dump({"model": LinearRegression().fit([[1], [2]], [1, 2])}, path)
    with pytest.raises(UsageError, match="dict has no predictions") as caught:
        modelpack.record(joblib.load(path), [[1], [2]], path)
    assert "record(saved['model'], X, path)" in caught.value.hint
    assert not path.with_name("model.joblib.record.json").exists()


def test_frame_for_a_model_of_texts_is_an_error(tmp_path):
    texts = pd.Series(["good", "bad", "good one", "bad one"], name="review")
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0])
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    with pytest.raises(UsageError, match="1 predictions for 4 rows") as caught:
        modelpack.record(model, texts.to_frame(), path)
    assert "df['review']" in caught.value.hint
    assert modelpack.record(model, texts, path).exists()
