"""Folders that are no models are named, with the way out."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from modelpack.errors import ModelNotSupportedError
from modelpack.inspection.inspector import inspect

SAMPLES = Path(__file__).parents[2] / "sample_models"

# fmt: off
FOLDERS = {
    "TensorFlow SavedModel": (["saved_model.pb", "variables/variables.index"], "--saved-model <> "),
    "SavedModel of a server": (["1/saved_model.pb"], "--saved-model '<>/1' "),
    "model of Transformers": (
        ["config.json", "model.safetensors", "tokenizer.json"], "vllm serve <> "),
    "sentence-transformers": (
        ["modules.json", "config_sentence_transformers.json", "config.json", "model.safetensors"],
        "text-embeddings-router --model-id <>"),
    "adapter": (["adapter_config.json", "adapter_model.safetensors"], "adapter=<>"),
    "diffusers": (["model_index.json", "unet/config.json"], "rows of tables"),
    "spaCy": (["meta.json", "config.cfg", "tokenizer", "vocab/strings.json"], "docs/formats.md"),
    "Spark ML": (["metadata/part-00000", "stages/0_x/metadata/_SUCCESS"], "convert_sparkml"),
    "AutoGluon": (["predictor.pkl", "learner.pkl", "models/LightGBM/model.pkl"], "LightGBM"),
    "Orbax": (["_CHECKPOINT_METADATA", "default/manifest.ocdbt"], "jax2onnx"),
    "Core ML": (["Manifest.json", "Data/com.apple.CoreML/model.mlmodel"], "converted from"),
    "PaddlePaddle": (["inference.pdmodel", "inference.pdiparams"], "paddle2onnx --model_dir <> "),
    "checkpoint of TensorFlow": (
        ["checkpoint", "ckpt-1.index", "ckpt-1.data-00000-of-00001"], "tf.saved_model.save"),
    "TensorFlow.js": (["model.json", "group1-shard1of1.bin"], "--tfjs <>/model.json"),
    "MOJO of H2O": (["model.ini", "domains/d000.txt", "trees/t00.bin"], "ONNX"),
    "OpenVINO": (["openvino_model.xml", "openvino_model.bin"], "ONNX file"),
    "bundle of modelpack": (["modelpack.json", "Dockerfile", "app.py"], "modelpack build <>"),
    "OCI": (["oci-layout", "index.json"], "made from"),
    "folder of an MLflow model": (["meta.yaml", "artifacts/model/MLmodel"], "'<>/artifacts/model'"),
    "git repository": ([".git/HEAD", "train.py"], "Give a file with one of these"),
    "2 files": (["train.py", "rows.csv"], "Give a file with one of these"),
}
# fmt: on


def folder(path, names):
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"text\n")
    return path


def error_for(path):
    with pytest.raises(ModelNotSupportedError) as error:
        inspect(path)
    return error.value


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_are_named(tmp_path, name):
    names, expected = FOLDERS[name]
    path = folder(tmp_path / "a folder", names)
    error = error_for(path)
    for word in name.removesuffix(" of a server").split():
        assert word in error.message, error.message
    shown = error.hint.replace(f"'{path}", "'<>").replace("'<>'", "<>")
    assert expected in shown, shown
    assert "{" not in error.hint


def test_an_empty_folder_is_named(tmp_path):
    assert error_for(tmp_path).message.endswith("cannot be served: the folder is empty.")


def model(path, name):
    path.mkdir(exist_ok=True)
    (path / name).write_bytes((SAMPLES / "iris" / "model.joblib").read_bytes())


def test_the_only_model_of_a_folder_is_named_in_a_command(tmp_path):
    path = folder(tmp_path / "it's mine", ["README.md", "rows.csv", "m.record.json"])
    model(path, "m")
    hint = error_for(path).hint
    command = hint.partition(": ")[2]
    assert shlex.split(command) == ["modelpack", "package", str(path / "m")]
    assert inspect(shlex.split(command)[2]).safety.verdict == "pass"


def test_several_models_of_a_folder_are_named(tmp_path):
    for name in ("scaler.pkl", "model.pkl", "d.pkl", "c.pkl"):
        model(tmp_path, name)
    error = error_for(tmp_path)
    assert "4 files in it may be models" in error.message
    assert error.hint.endswith(" and 1 more")
    assert f"{tmp_path}/c.pkl {tmp_path}/d.pkl {tmp_path}/model.pkl and" in error.hint


def test_pointers_to_files_that_are_not_fetched_are_named(tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"
    (tmp_path / "model.pkl").write_text(pointer)
    assert error_for(tmp_path).hint.startswith("Its large files are Git LFS pointers: git -C ")


def test_a_file_in_another_format_is_named(tmp_path):
    (tmp_path / "export.onnxtxt").write_text("<\n  ir_version: 8\n>")
    error = error_for(tmp_path)
    assert error.message.endswith("export.onnxtxt in it is an ONNX model in text.")
    assert error.hint.endswith(f"modelpack inspect {tmp_path}/export.onnxtxt")


def test_hostile_folders_are_named(tmp_path):
    os.mkfifo(tmp_path / "model.pkl")
    (tmp_path / "link").symlink_to(SAMPLES / "iris" / "model.joblib")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "\x1b[2J\nx").write_text("a")
    error = error_for(tmp_path)
    assert "a folder with 4 files" in error.message
    assert (error.message + error.hint).isprintable()


def test_a_folder_with_many_files_is_read_in_part(tmp_path):
    for number in range(2_100):
        (tmp_path / str(number)).touch()
    assert "at least 2,000 files" in error_for(tmp_path).message


@pytest.mark.parametrize("command", ["inspect", "package"])
def test_commands_exit_with_4(tmp_path, command):
    path = folder(tmp_path / "bert", ["config.json", "model.safetensors"])
    arguments = [sys.executable, "-m", "modelpack", command, str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "the folder is a model of Transformers" in done.stderr
