"""Models of Keras: facts of real files, and files that are hostile or not served."""

import json
import math
import random
import shutil
import subprocess
import sys
import zipfile
from copy import deepcopy
from itertools import islice
from pathlib import Path

import pytest
from keras_files import (
    CONFIG,
    DATA,
    MEMBERS,
    MODEL,
    archive,
    contents,
    keras_file,
    layer,
    with_layer,
)
from mutations import mutants
from watching import WATCH

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import formats, limits, require_servable
from modelpack.inspection.formats import keras_config, keras_layers
from modelpack.inspection.inspector import inspect
from modelpack.inspection.nodes import Malformed
from modelpack.types import Field, ModelSpec, from_json, to_json

REAL = (DATA / "sequential.keras").read_bytes()
LEGACY = (DATA / "sequential.h5").read_bytes()


def inspected(path, data=None):
    if data is not None:
        path.write_bytes(data)
    spec = inspect(path)
    assert from_json(ModelSpec, to_json(spec)) == spec
    return spec


def served(name):
    spec = inspected(DATA / name)
    require_servable(spec)
    return spec


def refusal(data, reader="keras"):
    """Return the code of the finding for the data, or None."""
    try:
        formats.read(reader, iter([data]))
    except Malformed as problem:
        return problem.code
    return None


@pytest.mark.parametrize(("name", "form"), [("sequential.keras", "keras"),
                                            ("sequential.h5", "keras-h5")])  # fmt: skip
def test_a_sequential_model_of_vectors(name, form):
    spec = served(name)
    assert (spec.format, spec.framework, spec.framework_version) == (form, "keras", "3.15.1")
    assert (spec.estimator, spec.task, spec.method) == ("keras.Model", "classifier", "predict")
    assert spec.requirements == {"keras": "==3.15.1", "torch": "", "numpy": ""}
    assert [field.name for field in spec.signature.inputs] == ["x0", "x1", "x2", "x3"]
    assert {field.type for field in spec.signature.inputs} == {"number"}
    assert not spec.signature.named
    assert spec.signature.outputs == (
        Field("prediction", "number", (3,), minimum=0.0, maximum=1.0),
    )
    assert spec.globals == ()


@pytest.mark.parametrize("name", ["columns.keras", "columns.h5"])
def test_named_inputs_are_columns(name):
    signature = served(name).signature
    age, code, income = signature.inputs  # a dict of inputs is in the order of its keys
    assert (age.name, code.name, income.name) == ("age", "code", "income")
    assert (age.type, code.type, income.type) == ("number", "integer", "number")
    assert (code.minimum, code.maximum, code.example) == (0, 4, 0)
    assert signature.named
    assert signature.outputs[0].shape == ()


def test_a_list_of_inputs_of_several_columns():
    signature = served("listed.keras").signature
    assert [field.name for field in signature.inputs] == ["one_0", "one_1", "two"]
    assert signature.outputs[0].shape == (2,)


def test_indices_of_an_embedding():
    signature = served("texts_as_numbers.keras").signature
    assert [field.name for field in signature.inputs] == [f"x{n}" for n in range(5)]
    assert {(f.type, f.minimum, f.maximum) for f in signature.inputs} == {("integer", 0, 19)}


def test_operations_and_inner_models():
    spec = served("operations.keras")
    assert [field.name for field in spec.signature.inputs] == ["x0", "x1", "x2"]
    assert spec.task == "unknown"


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([None, None, None, 3], r"has sizes that the file does not fix: \(any, any, any, 3\)"),
        ([None, 300, 300, 3], "its rows have 270,000 values, and modelpack serves 100,000"),
    ],
)
def test_inputs_of_other_sizes_are_not_supported(shape, words, tmp_path):
    members = contents(DATA / "image.keras")
    model = json.loads(members[CONFIG])
    model["config"]["layers"][0]["config"]["batch_shape"] = shape
    path = tmp_path / "image.keras"
    path.write_bytes(archive({**members, CONFIG: json.dumps(model).encode()}))
    with pytest.raises(ModelNotSupportedError, match=words) as error:
        require_servable(inspect(path))
    assert "at most 100,000 values in a row" in error.value.hint


def test_inputs_of_several_dimensions_are_the_values_of_a_tensor():
    signature = served("image.keras").signature
    (tensor,) = signature.tensors
    assert len(tensor.shape) == 3
    assert [field.name for field in signature.inputs] == [
        f"x{index}" for index in range(math.prod(tensor.shape))
    ]  # fmt: skip


def test_outputs_are_named_in_their_order():
    spec = served("two_outputs.keras")
    assert spec.signature.outputs[0].shape == (-1,)
    (notice,) = spec.notices
    assert notice.startswith("A prediction has the values of 2 outputs, in this order: ")


def test_the_number_of_rows_in_training_does_not_matter():
    assert len(served("batch_of_two.keras").signature.inputs) == 3


def test_layers_that_keep_their_state_are_not_supported(tmp_path):
    changed = with_layer(layer("LSTM", units=1, stateful=True))
    with pytest.raises(ModelNotSupportedError, match="depend on earlier ones"):
        require_servable(inspected(tmp_path / "m", keras_file(changed)))


def test_older_releases_are_replaced_by_one_with_a_complete_safe_mode(tmp_path):
    old = keras_file(metadata=b'{"keras_version": "3.3.3"}')
    spec = inspected(tmp_path / "m", old)
    assert (spec.requirements["keras"], spec.framework_version) == (">=3.15", None)
    assert "safe mode is incomplete" in spec.reasons["keras"]
    spec = inspected(tmp_path / "m", keras_file(metadata=b'{"keras_version": "x; import os"}'))
    assert spec.requirements["keras"] == ">=3.15"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("with_lambda.keras", "keras-code"), ("with_lambda_inside.keras", "keras-code"),
        ("with_lambda.h5", "keras-code"),
        ("with-lambda-2.h5", "keras-code"), ("own_class.keras", "keras-class"),
    ],
)  # fmt: skip
def test_code_of_the_author_is_refused_with_a_way_out(name, code):
    spec = inspected(DATA / name)
    assert [finding.code for finding in spec.safety.findings] == [code]
    with pytest.raises(ModelRefusedError) as error:
        require_servable(spec)
    assert "model.export('model.onnx', format='onnx')" in error.value.hint


@pytest.mark.parametrize("name", ["sequential-2.h5", "functional-2.h5"])
def test_models_of_keras_2_that_keras_3_loads(name):
    spec = served(name)
    assert spec.requirements["keras"] == ">=3.15"
    assert len(spec.signature.inputs) == (4 if name == "sequential-2.h5" else 3)


def test_models_of_keras_2_that_keras_3_does_not_load():
    """Or of which it computes another activation: hard_sigmoid of Keras 2 is steeper."""
    for path, words in ((DATA / "recurrent-2.h5", "layer LSTM"), (DATA / "sequential-2.keras",
                        "Keras 2.15.0 wrote the archive")):  # fmt: skip
        with pytest.raises(ModelNotSupportedError, match=words) as error:
            require_servable(inspect(path))
        assert "tf2onnx.convert --keras" in error.value.hint
    model = {"class_name": "Sequential", "config": {"layers": [
        {"class_name": "Dense", "config": {"activation": "hard_sigmoid"}}]}}  # fmt: skip
    assert keras_layers.not_of_keras_3(model) == "the activation hard_sigmoid"
    inner = {"class_name": "Functional", "config": {"layers": [model]}}
    assert "inside a Functional" in keras_layers.not_of_keras_3(inner)
    assert not keras_layers.not_of_keras_3(
        {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config": {}}]}}
    )


def test_weights_alone_are_named_with_a_way_out(tmp_path):
    legacy = LEGACY.replace(b"model_config", b"model_xonfig")
    for path, data in ((DATA / "only.weights.h5", None), (tmp_path / "m", legacy)):
        with pytest.raises(ModelNotSupportedError, match="weights of a Keras model") as error:
            require_servable(inspected(path, data))
        assert "model.load_weights" in error.value.hint


def test_folders_of_mlflow_with_an_exported_model_are_not_supported(tmp_path):
    folder = Path(shutil.copytree(DATA.parent / "mlflow" / "3" / "keras", tmp_path / "exported"))
    require_servable(inspected(folder))
    text = (folder / "MLmodel").read_text()
    assert "exported_model: false" in text
    text = text.replace("exported_model: false", "exported_model: true")
    (folder / "MLmodel").write_text(text)
    with pytest.raises(ModelNotSupportedError, match="save_exported_model=True"):
        require_servable(inspect(folder))


@pytest.mark.parametrize("name", ["StringLookup", "TextVectorization"])
def test_layers_of_texts_are_not_supported(tmp_path, name):
    changed = with_layer(layer(name, vocabulary=["a", "b"]))
    with pytest.raises(ModelNotSupportedError, match="only TensorFlow computes"):
        require_servable(inspected(tmp_path / "m", keras_file(changed)))


SYSTEM = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
LAMBDA = layer("Lambda", function={"class_name": "__lambda__", "config": {"value": ["4wE=", None]}})
OLD_LAMBDA = {"class_name": "Lambda", "config": {"name": "l", "function": ["4wE=", None, None]}}
DENSE = layer("Dense", units=1)
NAMES = {
    "a lambda": (LAMBDA, "keras-code"),
    "a lambda of Keras 2": (OLD_LAMBDA, "keras-code"),
    "a lambda in Bidirectional": (layer("Bidirectional", layer=LAMBDA), "keras-code"),
    "a lambda in its other direction": (
        layer("Bidirectional", layer=DENSE, backward_layer=LAMBDA), "keras-code"),
    "a lambda in TimeDistributed": (
        layer("TimeDistributed", layer=layer("TimeDistributed", layer=LAMBDA)), "keras-code"),
    "a lambda as a cell": (layer("RNN", cell=[LAMBDA]), "keras-code"),
    "a lambda in a model": (
        layer("Sequential", "keras", layers=[DENSE, LAMBDA]), "keras-code"),
    "a lambda in a functional model": (
        layer("Functional", "keras.src.models.functional", layers=[OLD_LAMBDA]), "keras-code"),
    "a lambda in a list of dicts": (layer("Dense", units=1, other=[{"a": [LAMBDA]}]), "keras-code"),
    "a lambda as a name alone": (layer("lambda"), "keras-class"),
    "a lambda elsewhere": (layer("Lambda", "keras.src.layers.core.lambda_layer"), "keras-code"),
    "code as an activation": (
        layer("Dense", units=1, activation=LAMBDA["config"]["function"]), "keras-code"),
    "a saved model": (layer("TFSMLayer", filepath="/tmp/a"), "keras-code"),
    "a module of PyTorch": (layer("TorchModuleWrapper", module=SYSTEM), "keras-class"),
    "a layer of JAX": (layer("JaxLayer", call_fn=None), "keras-code"),
    "a function of os": (layer("Dense", units=1, activation=SYSTEM), "keras-class"),
    "a function in kwargs": (
        {**DENSE, "inbound_nodes": [{"args": [], "kwargs": {"inputs": SYSTEM}}]}, "keras-class"),
    "a function in build_config": ({**DENSE, "build_config": {"a": SYSTEM}}, "keras-class"),
    "a function in an inner compile_config": (
        {**layer("Sequential", "keras", layers=[DENSE]), "compile_config": {"loss": SYSTEM}},
        "keras-class"),
    "a function that loads": (
        layer("Dense", units=1, activation={**SYSTEM, "module": "keras.models", "config":
              "load_model", "registered_name": "load_model"}), "keras-class"),
    "a function that downloads": (
        layer("Dense", units=1, activation={**SYSTEM, "module": "keras.utils", "config":
              "get_file", "registered_name": "get_file"}), "keras-class"),
    "a switch of the safe mode": (
        layer("enable_unsafe_deserialization", "keras.config"), "keras-class"),
    "a built-in function": (
        layer("Dense", units=1, activation={**SYSTEM, "module": "builtins", "config": "exec"}),
        "keras-class"),
    "another name of a function": (
        layer("Dense", units=1, activation={"module": "builtins", "class_name": "function",
              "config": "relu", "registered_name": "mine>relu"}), "keras-class"),
    "a class of os": (layer("system", "os"), "keras-class"),
    "a class of subprocess": (layer("Popen", "subprocess", args="true"), "keras-class"),
    "a path as a class": (layer("layers.Dense", "keras"), "keras-class"),
    "a module with a space": (layer("Dense", "keras.layers "), "keras-class"),
    "an import of Keras": (layer("os", "keras.src.saving.saving_lib"), "keras-class"),
    "no module": (layer("Dense", None, units=1), "keras-class"),
    "a list as a module": ({**DENSE, "module": ["keras.layers"]}, "keras-class"),
    "a registered class": ({**DENSE, "registered_name": "mine>Dense"}, "keras-class"),
    "a list as a class": ({**DENSE, "class_name": ["Dense"]}, "malformed"),
    "a dict as a class": ({**DENSE, "class_name": {"a": 1}}, "malformed"),
    "a type of TensorFlow": (
        {"class_name": "__typespec__", "spec_name": "TensorSpec", "module": "os", "config": [],
         "registered_name": None}, "keras-class"),
    "an array of objects": (
        layer("Normalization", mean={"class_name": "__numpy__", "config": {"value": [1],
              "dtype": "O"}}), "malformed"),
    "an array of a long type": (
        layer("Normalization", mean={"class_name": "__tensor__", "config": {"value": [1],
              "dtype": "S999999999"}}), "malformed"),
    "a vocabulary in a file": (layer("IntegerLookup", vocabulary="/etc/passwd"), "keras-code"),
    "more units than the file has numbers": (layer("Dense", units=10**9), "broken-array"),
    "inputs that the file has no weights for": (
        {**DENSE, "build_config": {"input_shape": [None, 9_999_999]}}, "broken-array"),
    "inputs of a convolution": (
        {**layer("Conv1D", filters=4, kernel_size=1, groups=2, data_format="channels_first"),
         "build_config": {"input_shape": [None, 999, None]}}, "broken-array"),
    "inputs by name": (
        {**layer("Dense", units=4), "build_config": {"shapes_dict": {"input_shape": [1, 999]}}},
        "broken-array"),
    "a large adaptation": (layer("Dense", units=1, lora_rank=10**9), "broken-array"),
    "an embedding larger than the file": (
        layer("Embedding", input_dim=10**12, output_dim=8), "broken-array"),
    "a result of any size": (layer("RepeatVector", n=10**12), "limit"),
    "a wide encoding": (layer("CategoryEncoding", num_tokens=10**12), "limit"),
}  # fmt: skip


@pytest.mark.parametrize(("hostile", "code"), NAMES.values(), ids=NAMES)
def test_configurations_that_name_what_is_not_allowed(hostile, code):
    assert refusal(keras_file(with_layer(hostile))) == code


@pytest.mark.parametrize(
    ("config", "code"),
    [
        (b"", "malformed"), (b"[]", "malformed"), (b"null", "malformed"), (b"{", "malformed"),
        (b'{"class_name": "Sequential", "config": {}, "module": "keras"}', None),
        (b'{"class_name": "Dense", "config": {}, "module": "keras.layers"}', "malformed"),
        (b"\xff", "malformed"), (b'{"a": 1, "a": 2}', "malformed"),
        (b'{"a":' * 100_000, "limit"), (b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}", "limit"),
        (json.dumps({**MODEL, "class_name": "Model"}).encode(), "keras-class"),
        (json.dumps({**MODEL, "module": "os", "class_name": "Sequential"}).encode(), "keras-class"),
        (json.dumps({**MODEL, "compile_config": {"loss": SYSTEM}}).encode(), None),  # not used
    ],
)  # fmt: skip
def test_configurations_that_are_not_of_a_model(config, code):
    assert refusal(keras_file(config)) == code


def test_shapes_of_inputs_that_no_row_has():
    for shape, code in (([None, -1], "malformed"), ([None, 0], "malformed"), ("abc", None),
                        ([None, 10**12], "limit"), ([None, None], None), ([None, "4"], None),
                        ([], None), ([None, True], None)):  # fmt: skip
        model = deepcopy(MODEL)
        model["config"]["layers"][0]["config"]["batch_shape"] = shape
        model["config"].pop("build_input_shape", None)
        model.pop("build_config", None)
        assert refusal(keras_file(model)) == code


def bomb():
    members = {**MEMBERS, CONFIG: b" " * (200 * limits.MIB)}
    return archive(members, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (archive({**MEMBERS, "../evil": b""}), "broken-zip"),
        (archive({**MEMBERS, "/etc/evil.txt": b""}), "broken-zip"),
        (archive({**MEMBERS, "other.json": b""}), "broken-zip"),
        (archive({**MEMBERS, "assets/vocabulary.txt": b""}), "broken-zip"),
        (archive({n: c for n, c in MEMBERS.items() if n != CONFIG}), "malformed"),
        (archive({n: c for n, c in MEMBERS.items() if not n.endswith("h5")}), "malformed"),
        (REAL + b"\0", "trailing-data"),
        (b"\0" + REAL, "truncated"),
        (keras_file(model=b""), "malformed"),
        (keras_file(model=REAL), "malformed"),
        (keras_file(metadata=b"[]"), "malformed"),
        (REAL.replace(b"Adam", b"Bdam"), "broken-zip"),  # its checksum
    ],
)  # fmt: skip
def test_archives_that_keras_does_not_write(data, code):
    assert refusal(data) in {code, "broken-zip"}


def test_an_archive_that_grows():
    assert refusal(bomb()) in {"decompression-bomb", "limit"}


@pytest.mark.parametrize(("data", "reader"), [(REAL, "keras"), (LEGACY, "keras-h5")])
def test_truncated_files_are_refused(data, reader):
    ends = {*range(0, len(data), max(1, len(data) // 300)), *range(len(data) - 40, len(data))}
    assert all(refusal(data[:end], reader) for end in sorted(ends))


def test_random_changes_cause_no_bug():
    chance = random.Random(1)
    weights, config = MEMBERS["model.weights.h5"], MEMBERS[CONFIG]
    codes = [refusal(keras_file(model=data)) for data in islice(mutants(weights, chance), 300)]
    codes += [refusal(data, "keras-h5") for data in islice(mutants(LEGACY, chance), 300)]
    codes += [refusal(keras_file(data)) for data in islice(mutants(config, chance), 100)]
    assert sum(code is not None for code in codes) > len(codes) / 20


def test_nothing_is_imported_opened_or_run(tmp_path):
    hostile = [keras_file(with_layer(each)) for each, _ in NAMES.values()]
    hostile += [path.read_bytes() for path in sorted(DATA.glob("*.*[5s]"))]
    paths = [DATA / "sequential.keras"]
    for number, data in enumerate(hostile):
        paths.append(tmp_path / f"{number}")
        paths[-1].write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_the_names_are_those_of_keras_alone():
    table = keras_config.names()
    modules = {*table["classes"], *table["functions"]} - {"builtins"}
    assert all(module == "keras" or module.startswith("keras.") for module in modules)
    named = {name for names in table["classes"].values() for name in names}
    assert {"Dense", "LSTM", "Sequential", "Functional", "GlorotUniform", "Adam"} <= named
    assert not named & {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
    functions = {name for names in table["functions"].values() for name in names}
    assert not functions & {"get_file", "load_model", "enable_unsafe_deserialization", "exec"}
    assert Path(keras_config.__file__).with_name("keras_names.json").stat().st_size < 100_000
