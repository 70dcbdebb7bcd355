"""Folders that MLflow wrote, and hostile ones. `tests/data/mlflow/train.py` made the former."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from pathlib import Path

import joblib
import numpy as np
import pytest
from flask_clients import client_for_bundle, post
from opcodes import SYSTEM, pickled
from serving_models import BASE, ENVIRONMENT

from modelpack.bundle.render import render
from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import inspect as inspect_in_child
from modelpack.inspection import require_servable
from modelpack.inspection.formats import mlflow
from modelpack.inspection.inspector import inspect
from modelpack.parity import ReferenceSources, prepare
from modelpack.pipeline.inspect import inspect_with_code
from modelpack.pipeline.options import Options

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "mlflow"
FOLDERS = sorted(path.with_suffix("") for path in DATA.glob("*/*.json"))
PYTHON = {"artifacts", "code", "context", "no-context", "script"}  # see test_mlflow_python.py
SERVED = [path for path in FOLDERS if path.name not in {"keras", *PYTHON}]
FRAME, NUMBERS, TENSOR = ("age", "rooms", "town"), ("age", "rooms"), ("x0", "x1")
INPUTS = {"frame": FRAME, "catboost": FRAME, "probabilities": TENSOR, "onnx": TENSOR}
FRAME_3, PROBABILITIES_3 = DATA / "3" / "frame", DATA / "3" / "probabilities"


def name(path):
    return f"{path.parent.name}/{path.name}"


def copy(source: Path, folder: Path) -> Path:
    return Path(shutil.copytree(source, folder / "copied"))


def edit(folder: Path, pattern: str, new: str, flags: int = 0) -> Path:
    """Replace what a pattern matches in MLmodel once."""
    path = folder / "MLmodel"
    text, count = re.subn(pattern, lambda _: new, path.read_text(), count=1, flags=flags)
    assert count == 1
    path.write_text(text)
    return folder


def refusal(folder: Path, error=ModelRefusedError) -> str:
    with pytest.raises(error) as raised:
        require_servable(inspect(folder))
    return raised.value.message


@pytest.mark.parametrize("folder", SERVED, ids=name)
@pytest.mark.filterwarnings("ignore")  # another release of scikit-learn saved the model
def test_service_returns_what_pyfunc_returns(folder, tmp_path):
    spec = inspect(folder)
    require_servable(spec)
    assert tuple(field.name for field in spec.signature.inputs) == INPUTS.get(folder.name, NUMBERS)
    assert spec.trained_on == "3.11"
    spec, _ = prepare(spec, ReferenceSources((folder,)))
    bundle = render(spec, ENVIRONMENT, BASE, tmp_path / "bundle").directory
    assert not [path for path in bundle.rglob("*") if "mlflow" in path.name.lower()]
    recorded = json.loads(folder.with_suffix(".json").read_text())
    answer = post(client_for_bundle(bundle), {"instances": recorded["rows"]}).json
    expected = recorded["predictions"]
    if isinstance(expected[0], str):
        assert answer["predictions"] == expected
    else:
        # Releases of BLAS differ in the last bits, and CatBoost and LightGBM return columns.
        predictions = np.array(answer["predictions"], float)
        expected = np.array(expected, float).reshape(predictions.shape)
        np.testing.assert_allclose(predictions, expected, rtol=1e-6)


def test_file_of_keras_is_found_in_its_folder():
    spec = inspect(DATA / "3" / "keras")
    require_servable(spec)
    assert (spec.format, spec.framework_version, spec.notices) == ("keras", "3.15.1", ())
    assert [field.name for field in spec.signature.inputs] == ["x0", "x1"]


def test_description_completes_the_file():
    spec = inspect_in_child(FRAME_3)
    assert Path(spec.file.path) == FRAME_3 / "model.pkl"
    assert spec.signature.samples == tuple(
        tuple(row) for row in json.loads((FRAME_3 / "input_example.json").read_text())["data"]
    )
    assert [f.example for f in spec.signature.inputs] == list(spec.signature.samples[0])
    assert not {"mlflow", "pip", "pytest"} & spec.recorded.keys()
    assert spec.recorded["scikit-learn"] == "1.7.2"
    spec = inspect(DATA / "3" / "skops")
    assert spec.notices[0] == "The names of the inputs come from MLmodel."
    bare = inspect(DATA / "3" / "lightgbm" / "model.lgb")
    assert not bare.recorded
    assert inspect(DATA / "3" / "lightgbm").recorded["lightgbm"]


def test_method_of_the_description_is_served(tmp_path):
    spec = inspect(PROBABILITIES_3)
    assert (spec.method, spec.signature.outputs[0].shape) == ("predict_proba", (2,))
    assert spec.notices == ("MLmodel names predict_proba: a prediction is the probabilities of '0',"
                            " '1'.",)  # fmt: skip
    assert spec.not_compilable == "its prediction is that of predict_proba"
    folder = edit(copy(PROBABILITIES_3, tmp_path), "predict_proba", "predict_log_proba")
    message = refusal(folder, ModelNotSupportedError)
    assert "MLmodel names the method predict_log_proba for predictions" in message


def test_contradictions_are_reported(tmp_path):
    folder = edit(copy(FRAME_3, tmp_path), "sklearn_version: 1.7.2", "sklearn_version: 1.5.0")
    edit(folder, '"name": "town"', '"name": "city"')
    edit(folder, "python_version: 3.11", "python_version: '2.7'\n    other: 3.11")
    spec = inspect(folder)
    require_servable(spec)
    assert spec.notices == (
        "MLmodel names scikit-learn 1.5.0, but the file records 1.7.2, which is used.",
        "The signature in MLmodel has 3 columns ('age', 'rooms', 'city'), but the model has 3 "
        "('age', 'rooms', 'town'), which are used.",
    )
    assert spec.trained_on is None
    (folder / "input_example.json").write_text(
        '{"columns": ["age", "rooms", "town"], "data": [[1, 2, "Paris"]]}'
    )
    spec = inspect(folder)
    assert spec.notices[-1] == (
        "The input example of MLflow does not fit the model, and is not used."
    )
    assert not spec.signature.samples


def test_other_flavours_are_named(tmp_path):
    folder = edit(copy(PROBABILITIES_3, tmp_path), "  sklearn:", "  spacy:")
    message = refusal(folder, ModelNotSupportedError)
    assert "the MLflow model has the flavour spacy; modelpack reads sklearn, xgboost" in message


MODEL = "pickled_model: model.pkl"
PROBLEMS = {
    "path": (MODEL, "pickled_model: ../secret.pkl", "the path ../secret.pkl leaves the folder"),
    "absolute": (MODEL, "pickled_model: /etc/passwd", "the path /etc/passwd leaves the folder"),
    "inner": (MODEL, "pickled_model: a/../../x", "leaves the folder"),
    "backslash": (MODEL, r"pickled_model: ..\x", "leaves the folder"),
    "zero": (MODEL, 'pickled_model: "a\\0b"', "leaves the folder"),
    "itself": (MODEL, "pickled_model: .", "leaves the folder"),
    "missing": (MODEL, "pickled_model: other.pkl", "other.pkl, which does not exist"),
    "long": (MODEL, f"pickled_model: {'x' * 5_000}", "which does not exist"),
    "escape": (MODEL, 'pickled_model: "\\e[2J"', r"\\x1b\[2J, which does not exist"),
    "list": (MODEL, "pickled_model:\n    - a", "does not name|model.pkl"),
    "example": ("artifact_path: .*", "artifact_path: ../x.json", "the path ../x.json leaves"),
    "anchor": ("flavors:", "flavors: &f", "contains an anchor"),
    "alias": ("run_id: .*|mlflow_version: .*", "other: *f", "contains an alias"),
    "tag": ("flavors:", "flavors: !!python/object/apply:os.system", "contains a tag"),
    "signature": ("inputs: '", "inputs: 'x", "the signature in MLmodel is not valid JSON"),
    "deep": ("inputs: '", f"inputs: '{'[' * 100_000}", "is not valid JSON"),
    "flavours": ("flavors:", "flavours:", "names no flavour"),
}


PYTORCH = """\
flavors:
  python_function:
    data: data
    loader_module: mlflow.pytorch
    python_version: 3.11.7
  pytorch:
    code: null
    model_data: data
    pytorch_version: 2.13.0+cpu
mlflow_version: 3.17.2
"""
"""As mlflow.pytorch.save_model writes it."""


def pytorch_folder(tmp_path, name, content):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(content)
    (tmp_path / "MLmodel").write_text(PYTORCH)
    (tmp_path / "requirements.txt").write_text("torch==2.13.0+cpu\nnumpy==2.3.4\n")
    return tmp_path


def test_program_of_pytorch_is_found_in_its_folder(tmp_path):
    program = (ROOT / "sample_models" / "torch-export" / "model.pt2").read_bytes()
    spec = inspect(pytorch_folder(tmp_path, "model.pt2", program))
    require_servable(spec)
    assert spec.file.path == str(tmp_path / "data" / "model.pt2")
    assert (spec.format, spec.framework_version, spec.notices) == ("torch-export", "2.13.0", ())
    assert spec.recorded == {"numpy": "2.3.4", "torch": "2.13.0"}


def test_torchscript_gets_the_version_of_its_folder(tmp_path):
    script = ROOT / "tests" / "data" / "formats" / "torchscript.pt.gz"
    spec = inspect(pytorch_folder(tmp_path, "model.pth", gzip.decompress(script.read_bytes())))
    require_servable(spec)
    assert (spec.format, spec.recorded["torch"]) == ("torchscript", "2.13.0")


def test_folder_without_a_file_of_pytorch_names_the_missing_one(tmp_path):
    folder = pytorch_folder(tmp_path, "other.bin", b"x")
    assert "data/model.pt2, which does not exist" in refusal(folder)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_hostile_description_is_malformed(problem, tmp_path):
    pattern, new, expected = PROBLEMS[problem]
    (tmp_path / "secret.pkl").write_bytes(pickled(SYSTEM))
    folder = edit(copy(PROBABILITIES_3, tmp_path), pattern, new)
    spec = inspect(folder)
    if problem == "list":
        assert spec.file.path.endswith("model.pkl"), "the path of python_function"
        return
    assert spec.format == "mlflow"
    assert re.search(expected, refusal(folder))
    assert "\x1b" not in refusal(folder)


def link(folder, name):
    (folder / name).rename(folder.parent / "target")
    (folder / name).symlink_to(folder.parent / "target")


def make_fifo(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)


def make_folder(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()


def enlarge(folder, name):
    with (folder / name).open("ab") as file:
        file.truncate(2**40)


HOSTILE_FILES = [
    (link, "MLmodel", "is a symbolic link"),
    (link, "model.pkl", "model.pkl in the folder is a symbolic link"),
    (link, "input_example.json", "is a symbolic link"),
    (link, "requirements.txt", "is a symbolic link"),
    (make_fifo, "MLmodel", "is not a regular file"),
    (make_folder, "model.pkl", "is not a regular file"),
    (enlarge, "MLmodel", "larger than 4 MiB"),
    (enlarge, "input_example.json", "larger than 4 MiB"),
    (enlarge, "requirements.txt", "larger than 4 MiB"),
]


@pytest.mark.parametrize(("change", "file", "expected"), HOSTILE_FILES)
def test_hostile_files_are_refused(change, file, expected, tmp_path):
    folder = copy(PROBABILITIES_3, tmp_path)
    change(folder, file)
    assert expected in refusal(folder)


def test_linked_folder_in_the_path_is_refused(tmp_path):
    folder = edit(copy(PROBABILITIES_3, tmp_path), MODEL, "pickled_model: data/model.pkl")
    (tmp_path / "outside").mkdir()
    (folder / "model.pkl").rename(tmp_path / "outside" / "model.pkl")
    (folder / "data").symlink_to(tmp_path / "outside")
    assert "is a symbolic link" in refusal(folder)


def test_file_in_the_folder_is_judged_as_any_file(tmp_path):
    folder = copy(PROBABILITIES_3, tmp_path)
    (folder / "model.pkl").write_bytes(pickled(SYSTEM))
    assert "posix.system" in refusal(folder)


def test_trusted_types_of_the_description_are_no_trust(tmp_path):
    folder = copy(PROBABILITIES_3, tmp_path)
    edit(folder, "skops_trusted_types: null", "skops_trusted_types:\n    - own_module.Own")
    (folder / "model.pkl").write_bytes(b"\x80\x02cown_module\nOwn\n)\x81}b.")
    assert "own_module.Own" in refusal(folder)


def test_code_of_the_folder_is_found_and_not_trusted(tmp_path, monkeypatch):
    folder = copy(FRAME_3, tmp_path)
    monkeypatch.chdir(folder)
    (folder / "model.pkl").write_bytes(b"\x80\x02cown_module\nOwn\n)\x81}U\x01aK\x01sb.")
    (folder / "code").mkdir()
    (folder / "code" / "own_module.py").write_text("class Own:\n    def predict(self, X): ...\n")
    _, code, problem = inspect_with_code(inspect(folder), Options())
    assert [file.path for file in code.files] == ["own_module.py"]
    assert isinstance(problem, ModelRefusedError)
    assert problem.hint.endswith("classes and functions of the code found: --code code")
    assert inspect_with_code(inspect(folder), Options(code=(folder / "code",)))[2] is None


def test_requirements_are_read_as_data(tmp_path):
    folder = copy(PROBABILITIES_3, tmp_path)
    (folder / "requirements.txt").write_bytes(
        b"-r /etc/passwd\nnumpy==2.0.0\nevil @ file:///x\nmlflow==3.1\npytest==8.1\n\xff==1\n"
        b"pandas==2.2.2; python_version > '3'\nscipy==1.x\n--index-url http://x\njoblib==1.0+cpu\n"
    )
    assert inspect(folder).recorded == {
        "numpy": "2.0.0", "pandas": "2.2.2", "scikit-learn": "1.7.2",
    }  # fmt: skip


@pytest.mark.parametrize(
    "example",
    ["[[1.0]]", "[[1.0, [2]]]", "{}", '{"columns": 3, "data": 4}', '[{"a": 1}]', "3",
     "[[1, 2], [3]]", '[["' + "x" * 20_000 + '", 1]]', "[[true, 1]]",
     '{"columns": ["a", "b"], "data": [[1, 2]]}'],
)  # fmt: skip
def test_example_of_another_form_is_not_used(example, tmp_path):
    folder = copy(PROBABILITIES_3, tmp_path)
    (folder / "input_example.json").write_text(example)
    spec = inspect(folder)
    require_servable(spec)
    assert not spec.signature.samples


def test_missing_values_of_an_example_are_missing(tmp_path):
    folder = copy(DATA / "3" / "lightgbm", tmp_path)
    (folder / "input_example.json").write_text("[[NaN, 2.0], [Infinity, 1.0]]")
    assert inspect(folder).signature.samples == ((None, 2.0), (None, 1.0))


def test_description_is_found_only_in_folders(tmp_path):
    assert mlflow.is_folder(FRAME_3)
    assert not mlflow.is_folder(FRAME_3 / "MLmodel")
    assert not mlflow.is_folder(tmp_path)
    assert not mlflow.is_folder(tmp_path / "\0")


def own_folder(path, inputs):
    """Write a folder whose model, of a class of its author, records no inputs."""
    folder = copy(FRAME_3, path)
    (folder / "model.pkl").write_bytes(b"\x80\x02cown_module\nOwn\n)\x81}U\x01aK\x01sb.")
    return edit(folder, r"inputs: '.*?\]'", f"inputs: '{json.dumps(inputs)}'", flags=re.DOTALL)


def column(name, kind, **more):
    return {"type": kind, "name": name, **more}


def test_optional_columns_may_be_missing(tmp_path):
    inputs = [column("a", "double", required=False), column("b", "string", required=True),
              column("c", "long", optional=True), column("d", "long")]  # fmt: skip
    spec = inspect(own_folder(tmp_path, inputs), trust=("own_module:Own",))
    assert [(f.name, f.nullable) for f in spec.signature.inputs] == [
        ("a", True), ("b", False), ("c", True), ("d", False),
    ]  # fmt: skip


def test_types_that_differ_from_the_file_are_reported(tmp_path):
    folder = edit(copy(FRAME_3, tmp_path), '"string", "name": "town"', '"long", "name": "town"')
    edit(folder, '"name": "age", "required": true', '"name": "age", "required": false')
    spec = inspect(folder)
    require_servable(spec)
    by_name = {field.name: field for field in spec.signature.inputs}
    assert (by_name["town"].type, by_name["age"].nullable) == ("string", False)
    assert spec.notices == (
        "MLmodel has other types than the model for 'town' (integer, in the model string). The "
        "model is used. MLmodel allows missing values of 'age', but the model has none.",
    )


@pytest.mark.filterwarnings("ignore")  # another release of scikit-learn saved the model
def test_folder_among_several_files_adds_its_facts(tmp_path):
    scaled = joblib.load(DATA / "3" / "probabilities" / "model.pkl")
    joblib.dump(scaled[0], tmp_path / "scaler.joblib")
    folder = copy(PROBABILITIES_3, tmp_path)
    joblib.dump(scaled[1], folder / "model.pkl")
    spec = inspect(tmp_path / "scaler.joblib", folder)
    require_servable(spec)
    assert spec.method == "predict_proba", "the folder has the last file"
    assert not spec.signature.samples, "its example is not of the rows"
    assert spec.recorded["scikit-learn"] == "1.7.2"
    joblib.dump(scaled[0], folder / "model.pkl")
    joblib.dump(scaled[1], tmp_path / "model.joblib")
    spec = inspect(folder, tmp_path / "model.joblib")
    require_servable(spec)
    assert spec.method == "predict", "the folder has the first file"
    assert len(spec.signature.samples) == 2
