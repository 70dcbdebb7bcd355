"""Folders of MLflow whose model is an object of its author's class (python_model)."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest
from serving_models import BASE, ENVIRONMENT

from modelpack.bundle.render import render
from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.pipeline.inspect import inspect_with_code
from modelpack.pipeline.options import Options
from modelpack.user_code import with_code_requirements

DATA = Path(__file__).parents[1] / "data" / "mlflow"
FOLDERS = [DATA / release / name for release in "23" for name in ("context", "no-context")]
READING = [DATA / release / name for release in "23" for name in ("artifacts", "script")]
TYPE_HINTS = "mlflow.models.signature:_TypeHints"
SCRIPT = "rent script.py"


def changed(tmp_path: Path, old: str, new: str, name: str = "context") -> Path:
    """Return a copy of a folder with another text in MLmodel."""
    folder = Path(shutil.copytree(DATA / "3" / name, tmp_path / "copied"))
    text, count = re.subn(old, lambda _: new, (folder / "MLmodel").read_text(), count=1)
    assert count == 1
    (folder / "MLmodel").write_text(text)
    return folder


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_model_of_trusted_code_is_described(folder):
    options = Options(code=(folder / "code",))
    spec, code, problem = inspect_with_code(inspect(folder, trust=(TYPE_HINTS,)), options)
    assert problem is None
    assert (spec.local_modules, spec.method, spec.signature.layout) == (
        ("rents",), "predict", "frame",
    )  # fmt: skip
    assert [(f.name, f.type, f.dtype) for f in spec.signature.inputs] == [
        ("age", "number", "float32"), ("rooms", "integer", "int32"), ("town", "string", None),
    ]  # fmt: skip
    assert len(spec.signature.samples) == 2
    release = {"2": "2.22.5", "3": "3.17.2"}[folder.parent.name]
    assert spec.recorded["mlflow-skinny"] == release
    needed = with_code_requirements(spec, code).requirements
    assert {"mlflow-skinny", "pandas"} <= needed.keys(), "the image needs the class of MLflow"
    assert "mlflow" not in needed, "an image needs none of its servers"
    assert spec.notices == ("The inputs come from the signature in MLmodel.",)


def test_nothing_is_trusted_by_itself():
    folder = DATA / "3" / "context"
    spec, _, problem = inspect_with_code(inspect(folder), Options())
    assert isinstance(problem, ModelRefusedError)
    assert {f.global_ for f in spec.safety.findings} == {TYPE_HINTS, "rents:Rent"}
    assert problem.hint.endswith(f"/3/context/code --trust {TYPE_HINTS}"), "one that suffices"
    options = Options(code=(folder / "code",))
    problem = inspect_with_code(inspect(folder), options)[2]
    assert "(mlflow.models.signature._TypeHints)" in problem.message
    options = Options(code=(folder / "code",), code_trusted=False)
    problem = inspect_with_code(inspect(folder, trust=(TYPE_HINTS,)), options)[2]
    assert "(rents.Rent)" in problem.message, "of a configuration file"


def test_class_saved_by_value_is_refused_with_the_way_out():
    with pytest.raises(ModelRefusedError, match=r"cloudpickle saved .* as byte code") as refused:
        require_servable(inspect(DATA / "3" / "code"))
    assert "code_paths" in refused.value.hint


FUNCTION = "loader_module: mlflow.pyfunc.model"
UNSERVED = {
    "type hints": (r"is_signature_from_type_hint: false", "is_signature_from_type_hint: true",
                   r"takes other objects than rows \(type hints of predict\)"),
    "a type of the example": (r"type_hint_from_example: false", "type_hint_from_example: true",
                              "takes other objects than rows"),
    "a chat": (FUNCTION, "loader_module: mlflow.pyfunc.loaders.chat_model",
               "has the flavour python_function"),
    "an agent": ("model_id: null", "metadata:\n  task: agent/v2/chat",
                 r"takes messages \(a chat model or an agent\)"),
    "a date": (FUNCTION, f"{FUNCTION}\n    config:\n      since: 2026-12-01",
               r"settings .*model_config.* has the value '2026-12-01', which is not of JSON"),
    "a key": (FUNCTION, f"{FUNCTION}\n    config:\n      names:\n        1: one",
              "has a key that is not a text"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNSERVED)
def test_models_that_need_more_are_not_supported(what, tmp_path):
    old, new, message = UNSERVED[what]
    with pytest.raises(ModelNotSupportedError, match=message) as error:
        require_servable(inspect(changed(tmp_path, old, new), trust=(TYPE_HINTS, "rents:Rent")))
    assert error.value.hint


def test_file_outside_the_folder_is_refused(tmp_path):
    folder = changed(tmp_path, "python_model: python_model.pkl", "python_model: ../secret.pkl")
    with pytest.raises(ModelRefusedError, match=r"the path ../secret.pkl leaves the folder"):
        require_servable(inspect(folder, trust=(TYPE_HINTS, "rents:Rent")))


@pytest.mark.parametrize("folder", READING, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_the_code_reads_is_described(folder):
    is_script = folder.name == "script"
    trusted = folder / SCRIPT if is_script else folder / "code"
    spec = inspect(folder, trust=() if is_script else (TYPE_HINTS,))
    spec, code, problem = inspect_with_code(spec, Options(code=(trusted,)))
    assert problem is None
    assert spec.format == ("mlflow-script" if is_script else "pickle")
    assert spec.context.artifacts == {
        "weights": "artifacts/weights.json", "rates": "artifacts/rates of towns",
    }  # fmt: skip
    assert [file.path for file in spec.context.files] == [
        f"artifacts/{name}" for name in ("rates of towns/Bonn.txt", "rates of towns/Rome.txt",
                                         "rates of towns/more/Lyon.txt", "weights.json")
    ]  # fmt: skip
    assert spec.context.settings == {
        "factor": 1.5, "added": {"each": [1, 0.25, "two"], "none": None}, "is": True, "n": "3",
    }  # fmt: skip
    for file in spec.artifacts:
        assert hashlib.sha256(Path(file.path).read_bytes()).hexdigest() == file.sha256
    assert [file.path for file in code.files] == ["rents.py"], "which the script imports"
    assert "They are not inspected." in " ".join(spec.notices)


def test_script_is_trusted_by_its_path_alone():
    folder = DATA / "3" / "script"
    for path in (folder / "code", folder / "code" / "rents.py"):
        problem = inspect_with_code(inspect(folder), Options(code=(path,)))[2]
        assert isinstance(problem, ModelRefusedError)
        assert problem.message.startswith(f"{SCRIPT} is not trusted yet: loading it would run")
        assert f"/3/script/{SCRIPT}'" in problem.hint
    for options in (Options(code=(folder,)), Options(code=(folder / SCRIPT,))):
        assert inspect_with_code(inspect(folder), options)[2] is None
    in_file = Options(code=(folder,), code_trusted=False)
    assert inspect_with_code(inspect(folder), in_file)[2] is not None
    trusted = inspect(folder, trust=("mlflow.models:set_model",))
    assert inspect_with_code(trusted, Options())[2] is None


def test_libraries_of_artifacts_are_those_of_the_folder(tmp_path):
    folder = Path(shutil.copytree(DATA / "3" / "artifacts", tmp_path / "copied"))
    lines = "scikit-learn==1.7.2\njoblib\nscipy>=1.10, <2\nmlflow==3.17.2\n-r more.txt\ngit+x\n"
    (folder / "requirements.txt").write_text(lines)
    spec = inspect(folder, trust=(TYPE_HINTS,))
    named = {k: v for k, v in spec.requirements.items() if k in ("scikit-learn", "joblib", "scipy")}
    assert named == {"scikit-learn": "", "joblib": "", "scipy": ">=1.10,<2"}
    assert spec.recorded["scikit-learn"] == "1.7.2"
    assert "mlflow" not in spec.requirements


HOSTILE = {
    "outside": ("path: artifacts/weights.json", "path: artifacts/../../secret",
                "the path artifacts/../../secret leaves the folder"),
    "elsewhere": ("path: artifacts/weights.json", "path: python_model.pkl",
                  "the artifact weights is not in the folder artifacts"),
    "absolute": ("path: artifacts/weights.json", "path: /etc/passwd", "is not in the folder"),
    "missing": ("path: artifacts/weights.json", "path: artifacts/none", "does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_artifacts_outside_of_their_folder_are_refused(what, tmp_path):
    old, new, message = HOSTILE[what]
    folder = changed(tmp_path, old, new, "artifacts")
    with pytest.raises(ModelRefusedError, match=message):
        require_servable(inspect(folder, trust=(TYPE_HINTS,)))


@pytest.mark.parametrize("name", ["weights.json", "rates of towns/x.txt", "rates of towns/more"])
def test_links_among_artifacts_are_refused(name, tmp_path):
    folder = Path(shutil.copytree(DATA / "3" / "artifacts", tmp_path / "copied"))
    path = folder / "artifacts" / name
    shutil.rmtree(path, ignore_errors=True)
    path.unlink(missing_ok=True)
    path.symlink_to("/etc/passwd")
    with pytest.raises(ModelRefusedError, match="is a symbolic link"):
        require_servable(inspect(folder, trust=(TYPE_HINTS,)))


def test_artifact_that_changed_is_not_packaged(tmp_path):
    folder = Path(shutil.copytree(DATA / "3" / "artifacts", tmp_path / "copied"))
    spec = inspect(folder, trust=(TYPE_HINTS,))
    (folder / "artifacts" / "weights.json").write_text("[0.0, 0.0]")
    with pytest.raises(ModelRefusedError, match=r"weights.json has changed since"):
        render(spec, ENVIRONMENT, BASE, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
