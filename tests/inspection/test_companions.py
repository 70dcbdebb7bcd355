"""Names of columns and labels of classes that a file contains next to its model."""

import json

import joblib
import numpy as np
import pandas as pd
import pytest
from flask_clients import client_for_bundle
from rich.console import Console
from serving_models import BASE, ENVIRONMENT
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import LabelEncoder, StandardScaler

from modelpack.bundle.render import render
from modelpack.cli.model_view import view
from modelpack.errors import ModelNotSupportedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.parity import sidecar
from modelpack.parity.record import record

X = np.random.default_rng(5).normal([40.0, 3.0], [12.0, 1.0], (60, 2))
COLUMNS = ["age", "rooms"]
TEXTS = np.where(X[:, 0] > 42, "yes", "no")


@pytest.fixture(scope="module")
def encoder():
    return LabelEncoder().fit(TEXTS)


@pytest.fixture(scope="module")
def scaler():
    return StandardScaler().fit(X)


@pytest.fixture(scope="module")
def model(scaler, encoder):
    return LogisticRegression().fit(scaler.transform(X), encoder.transform(TEXTS))


def inspected(value, tmp_path, **options):
    joblib.dump(value, tmp_path / "m")
    return inspect(tmp_path / "m", **options)


def refusal(spec):
    with pytest.raises(ModelNotSupportedError) as error:
        require_servable(spec)
    return error.value


def test_hint_selects_the_whole_pipeline_in_order(model, scaler, encoder, tmp_path):
    old = LogisticRegression().fit(X, encoder.transform(TEXTS))
    spec = inspected({"old": old, "model": model, "scaler": scaler, "le": encoder}, tmp_path)
    assert spec.suggestion == ("scaler", "model")
    assert refusal(spec).hint.endswith("--select scaler --select model")


def test_hint_omits_models_that_do_not_fit(model, tmp_path):
    other = StandardScaler().fit(np.c_[X, X])
    spec = inspected({"scaler": other, "note": "", "clf": model}, tmp_path)
    assert spec.suggestion == ("clf",)
    assert "such as --select clf." in refusal(spec).hint


def test_selected_model_alone_leaves_out_a_scaler_that_fits(model, scaler, tmp_path):
    value = {"model": model, "scaler": scaler}
    spec = inspected(value, tmp_path, select=["model"])
    require_servable(spec)
    (notice,) = spec.notices
    assert notice.startswith("scaler (StandardScaler) is not selected")
    assert notice.endswith("give --select scaler --select model.")
    assert not inspected(value, tmp_path, select=["scaler", "model"]).notices


@pytest.mark.parametrize("columns", [COLUMNS, tuple(COLUMNS), np.array(COLUMNS)])
@pytest.mark.parametrize("key", ["columns", "feature_names", "featureNames", "Features"])
def test_list_of_columns_names_the_inputs(model, columns, key, tmp_path):
    spec = inspected({"model": model, key: columns, "metrics": {"auc": 0.9}}, tmp_path)
    assert [field.name for field in spec.signature.inputs] == COLUMNS
    assert spec.signature.named
    assert spec.notices == (f"The names of the inputs come from {key!r} in the file.",)


@pytest.mark.parametrize(
    "companions",
    [{"columns": ["a", "b", "c"]}, {"columns": ["a", "a"]}, {"columns": ["a", 3]},
     {"columns": ["a", "b"], "features": ["b", "a"]}, {"towns": ["a", "b"]}, {"columns": "ab"}],
)  # fmt: skip
def test_list_that_does_not_fit_names_nothing(model, companions, tmp_path):
    signature = inspected({"model": model, **companions}, tmp_path).signature
    assert [field.name for field in signature.inputs] == ["x0", "x1"]
    assert not signature.named


def test_list_in_a_tuple_names_the_inputs_or_the_classes(model, scaler, encoder, tmp_path):
    spec = inspected((model, scaler, encoder, COLUMNS), tmp_path)
    assert [field.name for field in spec.signature.inputs] == ["x0", "x1"], "it may be the classes"
    wide = LogisticRegression().fit(np.c_[X, X[:, 0]], encoder.transform(TEXTS))
    names = [*COLUMNS, "age2"]
    for saved in [
        (wide, names, ["no", "yes"]),
        [wide, {"columns": names, "classes": ["no", "yes"]}],
    ]:
        spec = inspected(saved, tmp_path)
        assert [field.name for field in spec.signature.inputs] == names
        assert spec.labels == ("no", "yes")
    assert inspected((wide, pd.Index(names)), tmp_path).signature.named
    assert inspected((wide, names, [*names[1:], "z"]), tmp_path).signature.named is False


def test_names_that_the_model_recorded_are_its_own(tmp_path):
    model = LinearRegression().fit(pd.DataFrame(X, columns=COLUMNS), X[:, 0])
    spec = inspected({"model": model, "columns": ["a", "b"]}, tmp_path)
    assert [field.name for field in spec.signature.inputs] == COLUMNS


LABELS = [
    ("label_encoder", None),
    ("le", None),
    ("target_encoder", None),
    ("labels", ["no", "yes"]),
    ("class_names", np.array(["no", "yes"])),
    ("label_map", {0: "no", 1: "yes"}),
    ("label_map", {"yes": 1, "no": 0}),
]


@pytest.mark.parametrize(("key", "value"), LABELS)
def test_labels_decode_the_predictions(model, encoder, key, value, tmp_path):
    saved = {"model": model, key: encoder if value is None else value}
    spec = inspected(saved, tmp_path)
    require_servable(spec)
    assert spec.labels == ("no", "yes")
    assert spec.signature.classes == ("no", "yes")
    (output,) = spec.signature.outputs
    assert (output.type, output.categories) == ("string", ("no", "yes"))
    assert spec.notices == (f"Predictions are decoded to the labels of {key!r}: 'no', 'yes'.",)


@pytest.mark.parametrize(
    "companions",
    [
        {"labels": ["no", "yes", "perhaps"]},
        {"label_map": {0: "no", 2: "yes"}},
        {"label_map": {0: "no", 1: 3}},
        {"towns": ["no", "yes"]},
        {"encoder": LabelEncoder().fit(["a", "b", "c"])},
        {"labels": ["no", "yes"], "classes": ["yes", "no"]},
    ],
)
def test_values_that_do_not_fit_decode_nothing(model, companions, tmp_path):
    spec = inspected({"model": model, **companions}, tmp_path)
    assert (spec.labels, spec.signature.classes) == (None, (0, 1))


def test_encoder_of_an_input_is_not_that_of_the_target(model, tmp_path):
    input_encoder = LabelEncoder().fit(["female", "male"])
    named = {"model": model, "columns": ["age", "sex"], "le_sex": input_encoder}
    spec = inspected(named, tmp_path)
    assert (spec.labels, len(spec.notices)) == (None, 2)
    spec = inspected({**named, "le_target": LabelEncoder().fit(["no", "yes"])}, tmp_path)
    assert spec.labels == ("no", "yes")
    spec = inspected({"model": model, "le_sex": input_encoder}, tmp_path)
    assert spec.labels is None
    assert spec.notices[0].startswith("Predictions are not decoded")
    spec = inspected(
        {"model": model, "le_sex": input_encoder}, tmp_path, select=["model", "le_sex"]
    )
    assert spec.labels == ("female", "male"), "the user knows better"


NESTED = {
    "encoders": lambda e: {"encoders": {"gender": e}},
    "label encoders": lambda e: {"label_encoders": {"gender": e}},
    "le": lambda e: {"preprocessing": {"le": {"gender": e}}},
    "word": lambda e: {"preprocessing": {"le": e}},
    "list": lambda e: {"encoders": [e, e]},
}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("nested", NESTED)
def test_nested_encoders_are_those_of_inputs(model, nested, named, tmp_path):
    input_encoder = LabelEncoder().fit(["female", "male"])
    saved = {"model": model, **NESTED[nested](input_encoder)}
    saved |= {"columns": ["age", "gender"]} if named else {}
    assert inspected(saved, tmp_path).labels is None
    assert inspected((model, NESTED[nested](input_encoder)), tmp_path).labels is None


def test_codes_of_inputs_are_explained(model, encoder, tmp_path):
    encoders = {"sex": LabelEncoder().fit(["f", "m"]), "town": LabelEncoder().fit(["x", "y"])}
    saved = {"model": model, "columns": ["age", "sex"], "target_encoder": encoder}
    plain = inspected(saved, tmp_path).notices
    assert inspected({**saved, "encoders": encoders}, tmp_path).notices == (
        *plain,
        "The input 'sex' takes the codes of the LabelEncoder 'encoders.sex', which is not applied:"
        " 0 = 'f', 1 = 'm'.",
    )
    notices = inspected({**saved, "le_age": LabelEncoder().fit(list("gfedcba"))}, tmp_path).notices
    assert notices[-1].endswith(
        "'le_age', which is not applied: 0 = 'a', 1 = 'b', 2 = 'c', 3 = 'd', 4 = 'e', and 2 more."
    )
    unnamed = inspected({"model": model, "encoders": encoders}, tmp_path).notices
    assert not any("takes the codes" in notice for notice in unnamed)


@pytest.mark.parametrize("key", ["target", "label_encoder", "y_encoder"])
def test_nested_encoder_named_as_that_of_the_target_decodes(model, encoder, key, tmp_path):
    input_encoder = LabelEncoder().fit(["female", "male"])
    saved = {"model": model, "encoders": {"gender": input_encoder, key: encoder}}
    assert inspected(saved, tmp_path).labels == ("no", "yes")


def test_model_with_labels_of_its_own_is_not_decoded(scaler, encoder, tmp_path):
    model = LogisticRegression().fit(X, TEXTS)
    assert inspected((encoder, model), tmp_path).labels is None
    regressor = LinearRegression().fit(X, X[:, 0])
    assert inspected({"model": regressor, "le": encoder}, tmp_path).labels is None
    spec = inspected({"model": regressor, "le": encoder}, tmp_path, select=["model", "le"])
    assert "does not predict classes" in refusal(spec).message


def test_selected_encoder_of_another_model_is_refused(model, tmp_path):
    other = LabelEncoder().fit(["a", "b", "c"])
    spec = inspected({"model": model, "le": other}, tmp_path, select=["model", "le"])
    assert "does not have the 2 classes" in refusal(spec).message


def test_files_of_a_pipeline_may_end_with_an_encoder(model, scaler, encoder, tmp_path):
    paths = [tmp_path / name for name in ("scaler.pkl", "model.pkl", "sex.pkl")]
    for part, path in zip((scaler, model, encoder), paths, strict=True):
        joblib.dump(part, path)
    spec = inspect(*paths)
    require_servable(spec)
    assert (len(spec.members), spec.labels) == (2, ("no", "yes"))


def test_single_encoder_is_not_a_model(encoder, tmp_path):
    assert "not rows of a table" in refusal(inspected(encoder, tmp_path)).message
    assert "not rows of a table" in refusal(inspected({"le": encoder}, tmp_path)).message


@pytest.fixture
def bundle(model, scaler, encoder, tmp_path):
    saved = {"scaler": scaler, "model": model, "label_encoder": encoder, "columns": COLUMNS}
    spec = inspected(saved, tmp_path)
    return spec, render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory


def test_service_answers_with_labels(model, scaler, encoder, bundle):
    _, directory = bundle
    body = pd.DataFrame(X[:9], columns=COLUMNS).to_json(orient="records")
    response = client_for_bundle(directory).post(
        "/predict?probabilities=true", data=body, content_type="application/json"
    )
    scaled = scaler.transform(np.asfortranarray(X[:9]))
    assert response.json["predictions"] == encoder.inverse_transform(model.predict(scaled)).tolist()
    assert set(response.json["probabilities"][0]) == {"no", "yes"}
    assert [row["yes"] for row in response.json["probabilities"]] == pytest.approx(
        model.predict_proba(scaled)[:, 1]
    )


def test_record_of_the_bare_model_is_compared_by_labels(bundle, tmp_path):
    spec, _ = bundle
    document = {
        "schema": 1, "files": [spec.file.sha256], "python": "3.11", "versions": {},
        "columns": COLUMNS, "instances": X[:3].tolist(),
        "together": {"predictions": [0, 1, 1], "probabilities": None},
        "alone": {"predictions": [0, 1, 1], "probabilities": None},
    }  # fmt: skip
    (tmp_path / "m.record.json").write_text(json.dumps(document))
    recorded = sidecar.read(tmp_path / "m", spec)
    _, reference = sidecar.reference(spec, recorded, 0.0)
    assert reference.answers.predictions == ("no", "yes", "yes")
    assert reference.alone.predictions == ("no", "yes", "yes")


def test_text_output_shows_the_decoded_labels(bundle):
    console = Console(width=200, record=True)
    console.print(view(bundle[0]))
    assert "Predictions are decoded to the labels of 'label_encoder'" in console.export_text()


def test_record_with_the_encoder_has_labels(model, scaler, encoder, tmp_path):
    joblib.dump((scaler, model, encoder), tmp_path / "m")
    path = record([scaler, model, encoder], X, tmp_path / "m")
    document = json.loads(path.read_text())
    assert set(document["together"]["predictions"]) == {"no", "yes"}
    assert len(document["together"]["probabilities"][0]) == 2


@pytest.mark.parametrize(
    ("key", "value", "is_named"),
    [
        ("threshold", 0.35, True), ("best_threshold", np.float64(0.35), True),
        ("threshold", 0.5, False), ("variance_threshold", 0.35, False), ("threshold", 3, False),
    ],
)  # fmt: skip
def test_threshold_that_is_not_applied_is_named(tmp_path, key, value, is_named):
    model = LogisticRegression().fit(X, TEXTS)
    joblib.dump({"model": model, key: value}, tmp_path / "model.joblib")
    notices = [each for each in inspect(tmp_path / "model.joblib").notices if "applied" in each]
    assert (
        notices
        == [
            f"The '{key}' in the file, 0.35, is not applied: predictions are those of the model's "
            "predict. Compare the probabilities with it, or save the model in a "
            "FixedThresholdClassifier of scikit-learn."
        ]
        * is_named
    )
