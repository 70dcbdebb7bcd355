"""Folders of MLflow whose model is an object of its author's class (python_model)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.pipeline.inspect import inspect_with_code
from modelpack.pipeline.options import Options
from modelpack.user_code import with_code_requirements

DATA = Path(__file__).parents[1] / "data" / "mlflow"
FOLDERS = [DATA / release / name for release in "23" for name in ("context", "no-context")]
TYPE_HINTS = "mlflow.models.signature:_TypeHints"


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """Return a copy of a folder with another text in MLmodel."""
    folder = Path(shutil.copytree(DATA / "3" / "context", tmp_path / "copied"))
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
    "artifacts": (FUNCTION, f"{FUNCTION}\n    artifacts:\n      weights:\n        path: "
                  "../../etc/passwd\n        uri: /etc/passwd",
                  r"reads files that an image does not contain \(artifacts: weights\)"),
    "settings": (FUNCTION, f"{FUNCTION}\n    config:\n      depth: 3",
                 r"reads settings that an image does not contain \(model_config: depth\)"),
    "a script": (r"python_model: python_model.pkl", "model_code_path: rents.py",
                 r"is a script that MLflow runs to load it \(models from code\)"),
    "type hints": (r"is_signature_from_type_hint: false", "is_signature_from_type_hint: true",
                   r"takes other objects than rows \(type hints of predict\)"),
    "a type of the example": (r"type_hint_from_example: false", "type_hint_from_example: true",
                              "takes other objects than rows"),
    "a chat": (FUNCTION, "loader_module: mlflow.pyfunc.loaders.chat_model",
               "has the flavour python_function"),
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
