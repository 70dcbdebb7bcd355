"""Models that are several objects: tuples, lists, dicts, files."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from opcodes import SYSTEM, pickled
from saving import save_and_inspect
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    LabelEncoder,
    MinMaxScaler,
    MultiLabelBinarizer,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from modelpack.errors import ModelNotSupportedError, ModelRefusedError, UsageError
from modelpack.inspection import record, require_servable
from modelpack.inspection.inspector import inspect
from modelpack.types import Member, ModelSpec, from_json, to_json

TEXTS = ["red green blue", "green blue sky", "money cash offer", "cash offer now"] * 3
LABELS = ["colour", "colour", "spam", "spam"] * 3
X = np.arange(24.0).reshape(12, 2)
Y = np.array(["a", "b"] * 6)


@pytest.fixture(scope="module")
def vectorizer():
    return TfidfVectorizer().fit(TEXTS)


@pytest.fixture(scope="module")
def classifier(vectorizer):
    return LogisticRegression().fit(vectorizer.transform(TEXTS), LABELS)


@pytest.fixture(scope="module")
def scaler():
    return StandardScaler().fit(X)


@pytest.fixture(scope="module")
def model(scaler):
    return GaussianNB().fit(scaler.transform(X), Y)


@pytest.fixture(scope="module")
def other(scaler):
    return LogisticRegression().fit(scaler.transform(X), Y)


@pytest.fixture
def files(tmp_path, vectorizer, classifier):
    joblib.dump(vectorizer, tmp_path / "vectorizer.joblib")
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(classifier))
    return tmp_path / "vectorizer.joblib", tmp_path / "model.pkl"


def test_two_files_are_a_pipeline(files):
    spec = inspect(*files)
    require_servable(spec)
    assert spec.members == (Member(0), Member(1))
    assert [file.path for file in spec.files] == [str(path) for path in files]
    assert [file.format for file in spec.files] == ["joblib", "pickle"]
    assert [(step.name, step.type.rpartition(".")[2]) for step in spec.steps] == [
        ("vectorizer", "TfidfVectorizer"),
        ("model", "LogisticRegression"),
    ]
    assert (spec.task, spec.method) == ("classifier", "predict")
    assert spec.signature.layout == "text"
    assert spec.signature.classes == ("colour", "spam")
    assert spec.signature.probabilities
    assert {"joblib", "scikit-learn"} <= set(spec.requirements)
    assert from_json(ModelSpec, to_json(spec)) == spec


def test_files_in_the_wrong_order(files):
    spec = inspect(*reversed(files))
    with pytest.raises(ModelNotSupportedError, match="does not transform") as error:
        require_servable(spec)
    assert error.value.hint == f"Give the files in this order: {files[0]} {files[1]}"


@pytest.mark.parametrize("order", ["labels model", "labels scaler model", "model scaler labels"])
def test_order_of_the_hint_is_accepted(tmp_path, monkeypatch, scaler, order):
    monkeypatch.chdir(tmp_path)
    joblib.dump(scaler, "scaler")
    joblib.dump(GaussianNB().fit(scaler.transform(X), Y == "a"), "model")
    joblib.dump(LabelEncoder().fit(["no", "yes"]), "labels")
    with pytest.raises(ModelNotSupportedError, match="does not transform rows") as error:
        require_servable(inspect(*order.split()))
    expected = [name for name in ("scaler", "model", "labels") if name in order]
    assert error.value.hint == f"Give the files in this order: {' '.join(expected)}"
    require_servable(inspect(*expected))


@pytest.mark.parametrize("order", ["model other", "labels two model", "labels labels model"])
def test_no_order_is_named_if_none_fits(tmp_path, monkeypatch, model, order):
    monkeypatch.chdir(tmp_path)
    joblib.dump(model, "model")
    joblib.dump(model, "other")
    joblib.dump([model, model], "two")
    joblib.dump(LabelEncoder().fit(["no", "yes"]), "labels")
    with pytest.raises(ModelNotSupportedError) as error:
        require_servable(inspect(*order.split()))
    assert "in this order" not in error.value.hint


def test_unrelated_files_are_refused(files, tmp_path):
    other = tmp_path / "other.joblib"
    joblib.dump(GaussianNB().fit(X, Y), other)
    with pytest.raises(ModelNotSupportedError, match=r"returns 8 values per row, .* takes 2"):
        require_servable(inspect(files[0], other))


def test_each_file_has_its_verdict(files, tmp_path):
    evil = tmp_path / "evil.pkl"
    evil.write_bytes(pickled(SYSTEM))
    spec = inspect(files[0], evil)
    assert spec.safety.verdict == "refuse"
    with pytest.raises(ModelRefusedError, match=r"evil.pkl: .*posix.system"):
        require_servable(spec)


@pytest.mark.parametrize("how", [0, 2, 5, None])
@pytest.mark.parametrize("kind", [tuple, list])
def test_a_sequence_of_transformer_and_model_is_a_pipeline(tmp_path, scaler, model, how, kind):
    spec = save_and_inspect(kind([scaler, model]), tmp_path / "both", how)
    require_servable(spec)
    assert spec.members == (Member(0, (0,)), Member(0, (1,)))
    assert [step.name for step in spec.steps] == ["standardscaler", "gaussiannb"]
    assert spec.signature.inputs[0].example == pytest.approx(X[:, 0].mean())
    assert spec.signature.classes == ("a", "b")


def test_the_only_estimator_among_other_things_is_the_model(tmp_path, model):
    bundle = {"model": model, "features": ["p", "q"], "trained": pd.Timestamp("2026-01-02")}
    spec = save_and_inspect(bundle, tmp_path / "m", 5)
    require_servable(spec)
    assert spec.members == (Member(0, ("model",)),)
    assert spec.estimator == "sklearn.naive_bayes.GaussianNB"
    assert not spec.choices


def test_a_dict_of_models_offers_its_keys(tmp_path, model):
    models = {"churn": model, 2024: LinearRegression().fit(X, X[:, 0]), "by": {"age": model}}
    spec = save_and_inspect(models, tmp_path / "m", None)
    assert spec.safety.verdict == "pass"
    assert spec.choices == ("churn", "2024", "by.age")
    with pytest.raises(
        ModelNotSupportedError, match=r"3 estimators: churn \(GaussianNB\)"
    ) as error:
        require_servable(spec)
    assert "--select churn" in error.value.hint


@pytest.mark.parametrize(
    ("key", "path", "task"),
    [
        ("churn", ("churn",), "classifier"),
        ("2024", (2024,), "regressor"),
        ("by.age", ("by", "age"), "classifier"),
    ],
)
def test_select(tmp_path, model, key, path, task):
    models = {"churn": model, 2024: LinearRegression().fit(X, X[:, 0]), "by": {"age": model}}
    joblib.dump(models, tmp_path / "m")
    spec = inspect(tmp_path / "m", select=[key])
    require_servable(spec)
    assert spec.members == (Member(0, path),)
    assert spec.task == task


def test_one_of_several_files_that_holds_several(tmp_path, scaler, model, other):
    joblib.dump({"a": model, "b": other}, tmp_path / "both")
    joblib.dump(scaler, tmp_path / "scaler")
    with pytest.raises(ModelNotSupportedError, match="2 estimators") as error:
        require_servable(inspect(tmp_path / "scaler", tmp_path / "both"))
    assert error.value.hint == "Give files with one estimator each, or one file and --select."


def test_select_several_for_a_pipeline(tmp_path, scaler, model):
    joblib.dump({"model": model, "scaler": scaler}, tmp_path / "m")
    spec = inspect(tmp_path / "m", select=["scaler", "model"])
    require_servable(spec)
    assert spec.members == (Member(0, ("scaler",)), Member(0, ("model",)))
    assert [step.name for step in spec.steps] == ["scaler", "model"]


def test_missing_selection_is_an_error(tmp_path, model, files):
    joblib.dump({"a": model, "b": model}, tmp_path / "m")
    with pytest.raises(UsageError, match="no estimator at 'c'") as error:
        inspect(tmp_path / "m", select=["c"])
    assert error.value.hint.endswith(": a, b.")
    with pytest.raises(UsageError, match="several files"):
        inspect(*files, select=["a"])


def test_an_encoder_of_labels_is_no_step(tmp_path, model):
    spec = save_and_inspect((LabelEncoder().fit(Y), model), tmp_path / "m", 5)
    require_servable(spec)
    assert spec.members == (Member(0, (1,)),)
    assert spec.signature.classes == ("a", "b"), "the labels of the model are its own"


def test_frames_go_through_the_first(tmp_path):
    frame = pd.DataFrame({"city": ["Bonn", "Rome"] * 6, "size": range(12)})
    columns = ColumnTransformer([("c", OneHotEncoder(), ["city"]), ("s", "passthrough", ["size"])])
    last = LogisticRegression().fit(columns.fit_transform(frame), Y)
    spec = save_and_inspect((columns, last), tmp_path / "m", None)
    require_servable(spec)
    assert spec.signature.layout == "frame"
    assert [field.name for field in spec.signature.inputs] == ["city", "size"]


def test_hostile_names_in_a_collection_are_escaped(tmp_path, scaler, model, other):
    key = "\x1b[2Ja'; rm -rf"
    (notice,) = save_and_inspect({key: model, "s": scaler}, tmp_path / "m", 5).notices
    assert "\x1b" not in notice
    spec = save_and_inspect({key: model, "b": other}, tmp_path / "m", 5)
    with pytest.raises(ModelNotSupportedError) as error:
        require_servable(spec)
    assert "\x1b" not in error.value.hint


def test_letters_of_names_stay_as_they_are(tmp_path, model, other):
    spec = save_and_inspect({"Köln": model, "Süd": other}, tmp_path / "m", 5)
    with pytest.raises(ModelNotSupportedError, match="Köln") as error:
        require_servable(spec)
    assert "--select Köln" in error.value.hint.replace("'", "")
    require_servable(inspect(tmp_path / "m", select=["Köln"]))


def test_an_estimator_behind_very_many_values(tmp_path, model):
    spec = save_and_inspect([*range(100_000), model], tmp_path / "m", 5)
    assert spec.members == (Member(0, (100_000,)),)


def test_collections_that_hold_themselves_end(tmp_path, model, other):
    loop = {"a": model, "b": other}
    loop["loop"] = loop
    assert set(save_and_inspect(loop, tmp_path / "m", 5).choices) >= {"a", "b", "loop.a"}


NOISE = np.random.default_rng(3).normal([40.0, 3.0, 900.0], [9.0, 1.0, 80.0], (60, 3))
ANSWERS = np.where(NOISE[:, 0] + NOISE[:, 1] > 43, "yes", "no")
FRAME = pd.DataFrame(NOISE, columns=["age", "rooms", "price"])


@pytest.fixture(scope="module")
def chain():
    """Three transformers with the same width or less, and the model that they were fitted for."""
    imputer = SimpleImputer().fit(FRAME)
    scaler = StandardScaler().fit(imputer.transform(FRAME))
    pca = PCA(2).fit(scaler.transform(NOISE))
    model = GaussianNB().fit(pca.transform(scaler.transform(NOISE)), ANSWERS)
    return {"model": model, "scaler": scaler, "pca": pca, "imputer": imputer}


def understood(value, path):
    spec = save_and_inspect(value, path, None)
    require_servable(spec)
    return [".".join(map(str, member.path)) for member in spec.members], spec.notices


def rejected(value, path):
    spec = save_and_inspect(value, path, None)
    with pytest.raises(ModelNotSupportedError) as error:
        require_servable(spec)
    return error.value.message, spec.suggestion


@pytest.mark.parametrize("kind", [tuple, list, dict])
def test_only_order_needs_no_option(tmp_path, scaler, model, kind):
    value = {"model": model, "scaler": scaler, "params": {"C": 1.0}, "data": FRAME}
    value = value if kind is dict else kind(value.values())
    keys = ["scaler", "model"] if kind is dict else ["1", "0"]
    members, notices = understood(value, tmp_path / "m")
    assert members == keys
    assert notices == (
        f"Rows pass through {keys[0]} (StandardScaler), then {keys[1]} (GaussianNB): no other "
        "order fits. To choose other estimators, give --select.",
    )
    assert understood({"all": value}, tmp_path / "m")[0] == [f"all.{key}" for key in keys]


def test_names_or_values_of_columns_decide_between_several_orders(tmp_path, chain):
    assert understood(chain, tmp_path / "m")[0] == ["imputer", "scaler", "pca", "model"]
    by_values = {**chain, "imputer": SimpleImputer().fit(NOISE)}
    assert understood(by_values, tmp_path / "m")[0] == ["imputer", "scaler", "pca", "model"]
    centred = SimpleImputer().fit(NOISE - NOISE.mean(axis=0))
    message, suggestion = rejected({**chain, "imputer": centred}, tmp_path / "m")
    assert message.endswith("pca (PCA), imputer (SimpleImputer).")
    assert suggestion == ("scaler", "imputer", "pca", "model")


def test_parts_and_copies_of_a_model_are_left_out(tmp_path, scaler, model):
    whole = Pipeline([("s", scaler), ("m", model)])
    members, (notice,) = understood({"m": model, "s": scaler, "whole": whole}, tmp_path / "m")
    assert members == ["whole"]
    assert notice == "The other estimators in the file are parts or copies of whole (Pipeline)."
    copies = {"model": model, "scaler": scaler, "best": model}
    assert understood(copies, tmp_path / "m")[0] == ["scaler", "model"]


def test_transformer_of_the_target_is_not_of_the_rows(tmp_path, scaler, model):
    target = StandardScaler().fit(X[:, :1])
    value = {"model": model, "scaler_x": scaler, "scaler_y": target}  # a classifier
    message, _ = rejected(value, tmp_path / "m")
    assert "by its key, scaler_y (StandardScaler) transforms the target" in message
    assert rejected(value, tmp_path / "m")[1] == ("scaler_x", "model")
    encoder = TargetEncoder().fit(X[:, :1], Y)
    model = LogisticRegression().fit(encoder.transform(X[:, :1]), Y)
    assert understood({"m": model, "target_encoder": encoder}, tmp_path / "m")[0] == [
        "target_encoder",
        "m",
    ]


@pytest.mark.parametrize("key", ["scaler_y", "y_scaler", "targetScaler", "sc_output"])
@pytest.mark.parametrize("targets", [X[:, 1], X[:, :1], X])
def test_predictions_pass_through_the_inverse_of_a_transformer_of_the_target(
    tmp_path, scaler, key, targets
):
    target = StandardScaler().fit(targets.reshape(len(X), -1))
    regressor = LinearRegression().fit(scaler.transform(X), targets)
    value = {"model": regressor, "scaler": scaler, key: target}
    joblib.dump(value, tmp_path / "m")
    spec = inspect(tmp_path / "m")
    require_servable(spec)
    assert [member.path for member in spec.members] == [("scaler",), ("model",)]
    assert spec.target == Member(0, (key,))
    assert spec.notices[0] == (
        f"Predictions are converted back by the inverse of {key} (StandardScaler)."
    )
    assert "no compiled form" in spec.not_compilable
    with pytest.raises(ModelNotSupportedError, match="the inverse of a transformer"):
        record(spec)
    assert from_json(ModelSpec, to_json(spec)) == spec


def test_an_uncertain_transformer_of_the_target_needs_select(tmp_path, scaler):
    target, other = StandardScaler().fit(X[:, :1]), MinMaxScaler().fit(X[:, :1])
    regressor = LinearRegression().fit(scaler.transform(X), X[:, 1])
    inverting = TransformedTargetRegressor(LinearRegression()).fit(scaler.transform(X), X[:, 1])
    for value in (
        {"model": regressor, "scaler": scaler, "y_scaler": StandardScaler().fit(X[::-1])},
        {"model": regressor, "scaler": scaler, "y_scaler": target, "y_range": other},
        {"model": inverting, "scaler": scaler, "y_scaler": target},
        {"model": regressor, "scaler": scaler, "y_encoder": OneHotEncoder().fit(X[:, :1])},
    ):
        rejected(value, tmp_path / "m")
    value = {"model": regressor, "scaler": scaler, "second": target}
    joblib.dump(value, tmp_path / "m")
    spec = inspect(tmp_path / "m", select=["scaler", "model", "second"])
    require_servable(spec)
    assert spec.target == Member(0, ("second",))
    alone = inspect(tmp_path / "m", select=["scaler", "model"])
    assert alone.target is None
    assert "second (StandardScaler) is not selected" in alone.notices[0]


@pytest.mark.parametrize("key", ["mlb", None])
def test_binarizer_of_labels_names_the_outputs(tmp_path, scaler, key):
    binarizer = MultiLabelBinarizer()
    targets = binarizer.fit_transform([["a"], ["a", "b"], ["c"]] * 4)
    model = RandomForestClassifier(2).fit(scaler.transform(X), targets)
    value = (scaler, model, binarizer) if key is None else {"m": model, "s": scaler, key: binarizer}
    joblib.dump(value, tmp_path / "m")
    spec = inspect(tmp_path / "m")
    require_servable(spec)
    assert len(spec.members) == 2
    assert spec.notices[-1] == (
        f"A prediction has one value for each label of '{key or 2}', in this order: 'a', 'b', 'c'."
    )


@pytest.mark.parametrize("kind", [StandardScaler, RobustScaler, MinMaxScaler])
@pytest.mark.parametrize("scales", [True, False])
def test_model_of_other_values_does_not_follow_a_scaler(tmp_path, kind, scales):
    scaler = kind().fit(NOISE)
    rows = scaler.transform(NOISE) if scales else NOISE
    forest = RandomForestClassifier(1, max_depth=1, max_features=None).fit(rows, NOISE[:, 0] > 41)
    value = {"forest": forest, "scaler": scaler}
    if scales:
        assert understood(value, tmp_path / "m")[0] == ["scaler", "forest"]
    else:
        message, suggestion = rejected(value, tmp_path / "m")
        assert message.endswith(
            "; RandomForestClassifier was trained on values of 'x0' that "
            f"{kind.__name__} does not return."
        )
        assert suggestion == ("forest",)


@pytest.mark.parametrize("kind", [StandardScaler, RobustScaler, MinMaxScaler])
def test_rows_are_not_scaled_twice(tmp_path, kind):
    outer = kind().fit(NOISE)
    raw = Pipeline([("s", kind()), ("m", GaussianNB())]).fit(NOISE[5:], ANSWERS[5:])
    message, suggestion = rejected({"model": raw, "scaler": outer}, tmp_path / "m")
    assert message.endswith(
        f"; Pipeline was trained on values of 'x0' that {kind.__name__} does not return."
    )
    assert suggestion == ("model",)
    twice = Pipeline([("s", kind()), ("m", GaussianNB())]).fit(outer.transform(NOISE), ANSWERS)
    assert understood({"model": twice, "scaler": outer}, tmp_path / "m")[0] == ["scaler", "model"]


def test_other_order_of_columns_is_a_misfit(tmp_path):
    scaler = StandardScaler().fit(FRAME)
    scaled = pd.DataFrame(scaler.transform(FRAME), columns=list(FRAME))
    value = {"model": GaussianNB().fit(scaled, ANSWERS), "scaler": scaler}
    assert understood(value, tmp_path / "m")[0] == ["scaler", "model"]
    value["model"] = GaussianNB().fit(scaled[["price", "age", "rooms"]], ANSWERS)
    assert "on the same columns in different orders" in rejected(value, tmp_path / "m")[0]
    spec = inspect(tmp_path / "m", select=["scaler", "model"])
    with pytest.raises(ModelNotSupportedError, match="in different orders"):
        require_servable(spec)


def test_clusterer_before_a_model_needs_the_option(tmp_path):
    clusters = KMeans(2, n_init=1, random_state=0).fit(X)
    model = GaussianNB().fit(clusters.transform(X), Y)
    rejected({"clusters": clusters, "model": model}, tmp_path / "m")


@pytest.mark.parametrize(
    "others",
    [
        {"old": GaussianNB().fit(X, Y)},
        {"partial": StandardScaler().fit(X[:, :1])},
        {"mlb": MultiLabelBinarizer().fit([["a"], ["b"]])},
        {str(index): StandardScaler().fit(X) for index in range(5)},
        {str(index): StandardScaler().fit(X) for index in range(40)},
    ],
)
def test_more_than_one_reading_needs_the_option(tmp_path, scaler, model, others):
    assert (
        "estimators: model (GaussianNB)" in rejected({"model": model, **others}, tmp_path / "m")[0]
    )
