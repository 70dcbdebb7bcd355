"""A module of the author that is imported before the model is loaded."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import joblib
import pytest
from serving_models import BASE, ENVIRONMENT
from sklearn.linear_model import LinearRegression

from modelpack.bundle.manifest import read as read_bundle
from modelpack.bundle.render import render
from modelpack.errors import UsageError
from modelpack.inspection import inspect
from modelpack.serving import loading, manifest
from modelpack.serving.errors import StartupError
from modelpack.types import Code
from modelpack.user_code import CodeOptions, find_code, notices

NAME = "modelpack_startup"


@pytest.fixture
def spec(tmp_path):
    joblib.dump(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]), tmp_path / "model.joblib")
    return inspect(tmp_path / "model.joblib")


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{NAME}.py").write_text(text)
    return folder


def load(spec, code: Code, folder: Path):
    target = render(spec, ENVIRONMENT, BASE, folder, code).directory
    return target, loading.load(target, manifest.read(target))


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Each test imports the module anew."""
    monkeypatch.setattr("sys.path", [*sys.path])
    yield
    sys.modules.pop(NAME, None)
    sys.modules.pop("startup_helper", None)


@pytest.mark.parametrize("is_folder", [False, True])
def test_module_is_imported_before_the_model(spec, tmp_path, monkeypatch, is_folder):
    monkeypatch.delenv("STARTED", raising=False)
    source = write(tmp_path / "src", "import startup_helper\nstartup_helper.start()\n")
    (source / "startup_helper.py").write_text(
        "import os\ndef start():\n    os.environ['STARTED'] = 'yes'\n"
    )
    named = [source] if is_folder else [source / f"{NAME}.py", source / "startup_helper.py"]
    code = find_code(spec, CodeOptions(tuple(named)))
    assert code.startup == NAME
    assert [file.path for file in code.files] == [f"{NAME}.py", "startup_helper.py"]
    (shown,) = [line for line in notices(code) if "before the model is loaded" in line]
    assert shown.startswith(f"{NAME}.py is imported")
    target, model = load(spec, code, tmp_path / "bundle")
    assert os.environ.pop("STARTED") == "yes"
    assert model.predict([[3.0]]).shape == (1,)
    assert json.loads((target / "modelpack.json").read_text())["code"]["startup"] == NAME
    assert f'dev.modelpack.startup="{NAME}"' in (target / "Dockerfile").read_text()
    assert read_bundle(target).code.startup == NAME


def test_no_other_file_is_run(spec, tmp_path):
    source = tmp_path / "train.py"
    source.write_text("raise SystemExit('trained')\n")
    assert find_code(spec, CodeOptions((source,))) == Code()


def test_configuration_cannot_run_code(spec, tmp_path):
    source = write(tmp_path / "src", "")
    with pytest.raises(UsageError, match="--code is in a file") as error:
        find_code(spec, CodeOptions((source,), trusted=False))
    option, path = error.value.hint.partition(": ")[2].split()
    assert (option, path) == ("--code", f"{NAME}.py")


def test_failure_of_the_module_is_the_error_of_the_start(spec, tmp_path):
    source = write(tmp_path / "src", "1 / 0\n")
    code = find_code(spec, CodeOptions((source,)))
    with pytest.raises(StartupError, match=f"the module {NAME} does not load: ZeroDivisionError"):
        load(spec, code, tmp_path / "bundle")


def test_module_next_to_the_model_is_not_run(spec, tmp_path):
    """The model and its folder may come from somebody else."""
    write(tmp_path, "1 / 0\n")
    assert find_code(spec, CodeOptions(())) == Code()
