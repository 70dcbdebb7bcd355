"""Facts of models in the native formats of their libraries."""

import gzip
import json
import re
from pathlib import Path

import catboost
import onnx_models as onnx
import pytest

from modelpack.errors import ModelNotSupportedError, ModelRefusedError, UsageError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.types import Field, ModelSpec, from_json, to_json

ROOT = Path(__file__).parents[2]
SAMPLES, DATA = ROOT / "sample_models", ROOT / "tests" / "data" / "native"
IRIS = ("sepal length", "sepal width", "petal length", "petal width")


def inspected(path, data=None):
    if data is not None:
        path.write_bytes(data)
    spec = inspect(path)
    assert from_json(ModelSpec, to_json(spec)) == spec
    return spec


def served(path, data=None):
    spec = inspected(path, data)
    require_servable(spec)
    return spec


def test_a_text_of_lightgbm():
    spec = served(SAMPLES / "lightgbm-text" / "model.txt")
    assert (spec.format, spec.framework, spec.framework_version) == ("lightgbm", "lightgbm", None)
    assert (spec.estimator, spec.task) == ("lightgbm.basic.Booster", "regressor")
    assert spec.requirements == {"lightgbm": ">=4", "numpy": ""}
    metres, zone, rooms = spec.signature.inputs
    assert (metres.name, metres.minimum, metres.maximum) == ("square_metres", 20.0, 140.0)
    assert zone.categories == ("centre", "harbour", "hills")
    assert (zone.type, zone.example, rooms.example) == ("string", "centre", 3.0)
    assert all(field.nullable for field in spec.signature.inputs)
    assert spec.signature.named
    assert spec.signature.outputs == (Field("prediction", "number"),)


def test_several_outputs_of_lightgbm(tmp_path):
    text = (SAMPLES / "lightgbm-text" / "model.txt").read_bytes()
    tree = text.index(b"Tree=1\n")
    head = text[:tree].replace(b"objective=regression", b"objective=multiclass num_class:2")
    for name in (b"num_class", b"num_tree_per_iteration"):
        head = head.replace(name + b"=1\n", name + b"=2\n")
    two = text[tree : text.index(b"Tree=2\n")]
    sizes = head.index(b"tree_sizes=") + len(b"tree_sizes=")
    first, second = head[sizes:].split()[:2]
    kept = head[:sizes] + first + b" " + second + head[head.index(b"\n", sizes) :]
    end = text[text.index(b"end of trees") :]
    spec = served(tmp_path / "m", kept + two + end)
    assert spec.task == "classifier"
    assert spec.signature.outputs == (Field("prediction", "number", (2,)),)
    assert spec.signature.classes == (0, 1)


def test_numbers_of_lightgbm_categories(tmp_path):
    """The column has no categories of pandas. Its numbers begin at 0; -1 is "missing"."""
    text = (SAMPLES / "lightgbm-text" / "model.txt").read_bytes()
    text = re.sub(rb"(feature_infos=\S+) \S+", rb"\1 2:-1:0:1", text)
    text = re.sub(rb"pandas_categorical:.*", b"pandas_categorical:null", text)
    assert served(tmp_path / "m", text).signature.inputs[1].categories == (0, 1, 2)


def test_categories_without_their_columns_need_one_choice_that_fits(tmp_path):
    text = (SAMPLES / "lightgbm-text" / "model.txt").read_bytes()
    text = text.replace(b"[categorical_feature: 1]", b"")
    spec = served(tmp_path / "m", text)
    assert spec.signature.inputs[1].categories == ("centre", "harbour", "hills")
    spec = inspected(tmp_path / "m", re.sub(rb"(feature_infos)=.*", rb"\1=none none none", text))
    with pytest.raises(ModelNotSupportedError, match="the text does not record which") as caught:
        require_servable(spec)
    assert caught.value.hint == "Save an estimator that has predict or transform."


@pytest.mark.parametrize(
    ("name", "version", "requirement"),
    [
        ("kserve-xgboost.json", "2.0.3", "==2.0.3"),
        ("kserve-xgboost.ubj", "2.0.3", "==2.0.3"),
        ("kserve-xgboost-2.0.bst", None, ">=2.0,<2.1"),
        ("kserve-xgboost-1.1.bst", None, ">=1.1,<2.1"),
    ],
)
def test_the_formats_of_xgboost(name, version, requirement):
    spec = served(DATA / name)
    assert (spec.format, spec.framework, spec.framework_version) == ("xgboost", "xgboost", version)
    assert spec.requirements == {"xgboost": requirement, "numpy": ""}
    assert (spec.estimator, spec.task) == ("xgboost.core.Booster", "classifier")
    inputs = spec.signature.inputs
    assert [field.name for field in inputs] == ["x0", "x1", "x2", "x3"]
    assert all(field.nullable and 0 < field.example < 8 for field in inputs)
    assert not spec.signature.named
    assert spec.signature.outputs[0].shape == ()  # multi:softmax gives labels
    assert spec.signature.classes == tuple(range(10))


def test_names_and_probabilities_of_xgboost():
    spec = served(SAMPLES / "xgboost-json" / "model.json")
    assert tuple(field.name for field in spec.signature.inputs) == IRIS
    assert spec.signature.named
    assert spec.signature.outputs == (Field("prediction", "number", (3,)),)
    assert spec.signature.classes == (0, 1, 2)


def test_an_xgboost_that_imports_what_it_does_not_require(tmp_path):
    document = json.loads((DATA / "kserve-xgboost.json").read_text())
    document["version"] = [1, 6, 0]
    spec = served(tmp_path / "m", json.dumps(document).encode())
    assert spec.requirements == {"xgboost": "==1.6.0", "setuptools": "<81", "numpy": ""}
    assert "pkg_resources" in spec.reasons["setuptools"]


def test_categories_of_xgboost(tmp_path):
    document = json.loads((DATA / "kserve-xgboost.json").read_text())
    model = document["learner"]["gradient_booster"]["model"]
    document["learner"]["feature_types"] = ["c", "c", "float", "c"]
    words = {"offsets": [0, 3, 6], "values": [*b"redsun"]}
    model["cats"] = {"enc": [words, {"type": 15, "values": [10, 20]}]}
    first, second, third, last = served(
        tmp_path / "m", json.dumps(document).encode()
    ).signature.inputs
    assert (first.type, first.categories, first.example) == ("string", ("red", "sun"), "red")
    assert (second.type, second.categories, second.example) == ("integer", (10, 20), 10)
    assert third.type == "number"
    assert (last.type, last.categories) == ("integer", None)  # numbers of categories


def test_a_classifier_of_catboost():
    spec = served(SAMPLES / "catboost-cbm" / "model.cbm")
    assert (spec.format, spec.framework, spec.framework_version) == (
        "catboost", "catboost", "1.2.8")  # fmt: skip
    assert spec.estimator == "catboost.core.CatBoostClassifier"
    assert spec.globals == ("catboost.core:CatBoostClassifier",)
    found = [(field.name, field.type, field.nullable) for field in spec.signature.inputs]
    assert found == [
        ("months", "number", True), ("charge", "number", True),
        ("contract", "string", False), ("paid by", "string", False),
    ]  # fmt: skip
    assert spec.signature.classes == ("no", "yes")
    assert spec.signature.probabilities


def test_named_columns_of_onnx():
    spec = served(SAMPLES / "onnx" / "model.onnx")
    assert (spec.format, spec.framework, spec.file.protocol) == ("onnx", "onnx", 10)
    assert spec.requirements == {"onnxruntime": "", "numpy": ""}
    months, charge, contract = spec.signature.inputs
    assert 20 < months.example < 40 < charge.example < 60
    assert contract.categories == ("monthly", "yearly")
    assert spec.signature.named
    assert spec.signature.classes == ("no", "yes")
    assert spec.signature.probabilities
    assert spec.locales == ()


def test_a_tensor_of_onnx():
    signature = served(DATA / "logreg_iris.onnx").signature
    assert [(field.name, field.type) for field in signature.inputs] == [
        ("x0", "number"), ("x1", "number")]  # fmt: skip
    assert (signature.named, signature.layout, signature.classes) == (False, "array", (0, 1, 2))


def test_texts_and_locale_of_onnx(tmp_path):
    spec = served(tmp_path / "m", onnx.lowercase())
    assert spec.locales == ("en_US.UTF-8",)
    assert spec.signature.layout == "text"
    assert [field.type for field in spec.signature.inputs] == ["string"]


def test_trees_of_onnx(tmp_path):
    spec = served(tmp_path / "m", onnx.forest([2, 0, 0]))
    assert spec.task == "regressor"
    assert spec.signature.outputs == (Field("prediction", "number", (1,)),)


def test_missing_values_that_onnx_replaces(tmp_path):
    assert all(field.nullable for field in served(tmp_path / "m", onnx.imputer()).signature.inputs)


def test_model_without_recorded_inputs(tmp_path):
    data = onnx.model(
        [onnx.node("Abs", ["x"], ["y"])],
        [onnx.tensor("x", onnx.FLOAT, [None, None])],
        [onnx.tensor("y", onnx.FLOAT, [None, None])],
    )
    signature = served(tmp_path / "m", data).signature
    assert (signature.inputs, signature.outputs[0].shape) == ((), (-1,))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (onnx.lowercase("en_US; rm -rf /"), "uses the locale"),
        (
            onnx.model(
                [onnx.node("Mine", ["x"], ["y"], domain="com.mine")],
                [onnx.tensor("x", onnx.FLOAT, [None, 2])],
                [onnx.tensor("y", onnx.FLOAT, [None, 2])],
                domains=("com.mine",),
            ),
            "operators of com.mine",
        ),
        (
            onnx.model(
                [onnx.node("Relu", ["picture"], ["y"])],
                [onnx.tensor("picture", onnx.FLOAT, [None, 3, None, 8])],
                [onnx.tensor("y", onnx.FLOAT, [None, 3, None, 8])],
            ),
            "its input 'picture' has sizes that the graph does not fix",
        ),
        (
            onnx.model(
                [onnx.node("Relu", ["picture"], ["y"])],
                [onnx.tensor("picture", onnx.FLOAT, [None, 3, 200, 200])],
                [onnx.tensor("y", onnx.FLOAT, [None, 3, 200, 200])],
            ),
            "its rows have 120,000 values, and modelpack serves 100,000",
        ),
    ],
)
def test_onnx_inputs_other_than_tables_are_not_supported(tmp_path, data, reason):
    spec = inspected(tmp_path / "m", data)
    assert spec.safety.verdict == "pass"
    assert spec.locales == ()
    with pytest.raises(ModelNotSupportedError, match=reason) as error:
        require_servable(spec)
    assert error.value.hint


def test_weights_in_other_files_are_refused(tmp_path):
    outside = onnx.field(13, onnx.field(1, "location") + onnx.field(2, "/etc/passwd"))
    weights = onnx.field(5, onnx.field(8, "w") + onnx.field(2, 1) + outside + onnx.field(14, 1))
    data = onnx.model(
        [onnx.node("Add", ["x", "w"], ["y"])],
        [onnx.tensor("x", onnx.FLOAT, [None, 2])],
        [onnx.tensor("y", onnx.FLOAT, [None, 2])],
        weights,
    )
    spec = inspected(tmp_path / "m", data)
    assert [finding.code for finding in spec.safety.findings] == ["external-data"]
    with pytest.raises(ModelRefusedError, match="are in other files"):
        require_servable(spec)


def test_a_file_that_is_compressed(tmp_path):
    data = (SAMPLES / "lightgbm-text" / "model.txt").read_bytes()
    spec = served(tmp_path / "m.gz", gzip.compress(data))
    assert (spec.format, spec.file.container) == ("lightgbm", "gzip")


def test_native_model_takes_no_model_before_it_and_no_selection(tmp_path):
    text, other = SAMPLES / "lightgbm-text" / "model.txt", SAMPLES / "iris" / "model.joblib"
    with pytest.raises(ModelNotSupportedError, match=r"comes before a LightGBM model .* does not"):
        require_servable(inspect(other, text))
    with pytest.raises(UsageError, match="the file contains a single model"):
        inspect(text, select=["model"])


def test_catboost_text_features_are_reported_as_not_supported(tmp_path):
    """Their dictionaries follow the trees in place of counters, in a part of their own."""
    rows = [[n / 20, ("good film", "bad film")[n % 2]] for n in range(20)]
    model = catboost.CatBoostClassifier(
        iterations=2, verbose=0, thread_count=1, allow_writing_files=False, text_features=[1]
    )
    model.fit(rows, [n % 2 for n in range(20)]).save_model(tmp_path / "model.cbm")
    with pytest.raises(ModelNotSupportedError, match="text or embedding features"):
        served(tmp_path / "model.cbm")
