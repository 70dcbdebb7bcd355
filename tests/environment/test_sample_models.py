"""Each folder of sample_models is complete, and its model gives its response."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import uv

from modelpack.environment import candidate_pythons, index_settings, resolve
from modelpack.environment.uv import environment_variables
from modelpack.types import ModelSpec

ROOT = Path(__file__).parents[2] / "sample_models"
FOLDERS = sorted(path for path in ROOT.iterdir() if path.is_dir())
MODELS = sorted([*ROOT.glob("*/model.*"), *ROOT.glob("*/model/model.*")])
SAVED = [path for path in MODELS if path.suffix in {".joblib", ".pkl", ".skops"}]
WITHOUT_CODE = [
    path for path in SAVED if path.parent.name != "own-code"
]  # needs no code next to it

# folder -> the scikit-learn version that saved the model; "1.7.2" for those of ours
VERSIONS = {"kserve-svc": "1.3.2", "kserve-svc-0.20.3": "0.20.3", "kserve-mixedtype": "1.3.0"}
NEED = {
    **dict.fromkeys(("iris", "mixed-columns", "kserve-mixedtype", "mlflow"), ("pandas",)),
    "skops": ("pandas", "skops"),
}
"""Folder -> other libraries that load the model, or make its rows."""

PREDICT = """
import json, pickle, sys
from pathlib import Path
path, request = Path(sys.argv[1]), json.load(open(sys.argv[2]))
if path.suffix == ".joblib":
    import joblib
    model = joblib.load(path)
elif path.suffix == ".skops":
    import skops.io
    model = skops.io.load(path)
else:
    model = pickle.loads(path.read_bytes())
rows = request["instances"]
if (path.parent / "vectorizer.joblib").exists():
    rows = joblib.load(path.parent / "vectorizer.joblib").transform(rows)
if isinstance(model, tuple):
    rows, model = model[0].transform(rows), model[1]
labels = None
if isinstance(model, dict):
    rows, labels, model = model["scaler"].transform(rows), model["label_encoder"], model["model"]
names = getattr(model, "feature_names_in_", None)
if names is not None:
    import pandas
    rows = pandas.DataFrame(rows, columns=names)
predictions = model.predict(rows)
if labels is not None:
    predictions = labels.inverse_transform(predictions)
print(json.dumps({"predictions": predictions.tolist()}))
"""


def variables() -> dict[str, str]:
    """Return the environment variables, with the interpreters next to that of the tests on PATH."""
    directories = sorted(Path(sys.base_prefix).parent.glob("*/bin"))
    path = os.pathsep.join([*map(str, directories), os.environ["PATH"]])
    return {**environment_variables(index_settings()), "PATH": path}


def run(*command: str | Path) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=variables(),
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def interpreter(
    tmp_path_factory: pytest.TempPathFactory, make_spec: Callable[..., ModelSpec]
) -> Callable[..., Path]:
    """The Python of an environment made from the lock for a scikit-learn version; made once."""

    @cache
    def make(version: str, *libraries: str) -> Path:
        spec = make_spec(version, **dict.fromkeys(libraries, ""))
        return install(spec, tmp_path_factory.mktemp("venv"))

    return make


def install(spec: ModelSpec, folder: Path) -> Path:
    python = candidate_pythons(spec)[0]
    tool = uv.find_uv_bin()
    find = [tool, "python", "find", "--no-python-downloads", python]
    if subprocess.run(find, env=variables(), capture_output=True, check=False).returncode:
        pytest.skip(f"there is no Python {python} here")
    lock = resolve(spec, python, index=index_settings()).lock
    run(tool, "venv", "--quiet", "--clear", "--python", python, folder)
    interpreter = folder / "bin" / "python"
    (folder / "lock.txt").write_text(lock)
    install = ("pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:")
    run(tool, *install, "--python", interpreter, "-r", folder / "lock.txt")
    return interpreter


def request_and_response(path: Path) -> tuple[list[object], list[object]]:
    request = json.loads((path / "request.json").read_text())
    response = json.loads((path / "response.json").read_text())
    assert (list(request), list(response)) == (["instances"], ["predictions"])
    return request["instances"], response["predictions"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_folder_is_complete(folder):
    instances, predictions = request_and_response(folder)
    assert len(instances) == len(predictions) > 0
    assert (folder / "README.md").read_text().startswith(f"# {folder.name}\n")
    assert (folder / "train.py").exists() or "Apache-2.0" in (folder / "README.md").read_text()


def test_the_readme_lists_each_folder():
    table = (ROOT / "README.md").read_text()
    assert [folder.name for folder in FOLDERS if f"]({folder.name})" not in table] == []


@pytest.mark.parametrize("model", MODELS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_model_is_small(model):
    assert 0 < model.stat().st_size < 100_000


@pytest.mark.slow
@pytest.mark.parametrize("model", WITHOUT_CODE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_model_returns_its_response_in_its_dated_environment(model, interpreter):
    """Exactly, and without scikit-learn's warning that a model is of another version."""
    name = model.relative_to(ROOT).parts[0]
    python = interpreter(VERSIONS.get(name, "1.7.2"), *NEED.get(name, ()))
    request = ROOT / name / "request.json"
    answer = run(python, "-W", "error::UserWarning", "-c", PREDICT, model, request)
    assert json.loads(answer)["predictions"] == request_and_response(ROOT / name)[1]
