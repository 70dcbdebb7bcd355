"""Models with classes of user code, loaded as the service does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

import preloaded
import pytest
from code_specs import write
from gunicorn_server import python_path

from modelpack.bundle import manifest
from modelpack.bundle import render as bundles
from modelpack.inspection import inspect
from modelpack.types import BaseImage, Environment
from modelpack.user_code import CodeOptions, find_code

BASE = BaseImage("python:3.11-slim", "3.11", "registry")
ENVIRONMENT = Environment("3.11", "linux/amd64", {}, {}, "")
SCRIPT = """
import sys, pickle, joblib, numpy, skops.io
from sklearn.base import BaseEstimator
from shop.prices import twice
open("ran", "a").write("x")
class Part:
    def __init__(self, x=0): self.x = x
class Model(BaseEstimator):
    def __init__(self, part=None): self.part = part
    def predict(self, X):
        return [twice(x) + self.part_.x for (x,) in X]
model = Model()
model.part_ = Part(5)
model.objects_ = numpy.array([Part(1), None], dtype=object)
model.n_features_in_ = 1
if __name__ == "__main__":
    pickle.dump(model, open("model.pkl", "wb"))
    joblib.dump(model, "model.joblib")
    joblib.dump(model, "small.joblib", compress=3)
    skops.io.dump(model, "model.skops")
    print(model.predict([[1.5]]))
"""
LOAD = """
import sys, pickle
from pathlib import Path
ours = sys.modules["__main__"]
from modelpack.serving import loading, manifest
here = Path(sys.argv[1])
model = loading.load(here, manifest.read(here))
again = pickle.loads(pickle.dumps(model))
print(model.predict([[1.5]]), again.predict([[1.5]]), type(model).__module__,
      type(model.objects_[0]).__module__, sys.modules["__main__"] is ours)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which a script has saved its model in each format."""
    files = {
        "train.py": SCRIPT,
        "shop/__init__.py": "",
        "shop/prices.py": "def twice(x):\n    return 2 * x\n",
    }
    root = write(tmp_path_factory.mktemp("author"), files)
    done = subprocess.run([sys.executable, "train.py"], cwd=root, capture_output=True, check=True)
    assert done.stdout.split() == [b"[8.0]"]
    (root / "ran").unlink()
    return root


def load_in_a_process(folder: Path) -> tuple[str, str]:
    """Return what LOAD prints to stdout and stderr."""
    (folder / "load_model.py").write_text(LOAD)
    environ = {"PYTHONPATH": python_path()}
    with TemporaryFile() as output, TemporaryFile() as log:
        arguments = ("load_model", folder, environ, (output, log), [str(folder)])
        preloaded.run_module(*arguments).wait(60)
        printed, problem = (os.pread(each.fileno(), 10_000, 0).decode() for each in (output, log))
    return printed, problem


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "small.joblib", "model.skops"])
def test_classes_of_a_script_are_found_in_every_format(
    name: str, folder: Path, tmp_path: Path
) -> None:
    spec = inspect(folder / name)
    code = find_code(spec, CodeOptions(paths=(folder / "train.py",)))
    assert set(code.defined) == {"__main__:Model", "__main__:Part"}
    bundle = bundles.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle", code)
    printed, problem = load_in_a_process(bundle.directory)
    assert printed.split() == ["[8.0]", "[8.0]", *["modelpack_main"] * 2, "True"], problem
    assert not list(tmp_path.rglob("ran"))


def test_bundle_describes_its_code_without_paths_of_this_machine(
    folder: Path, tmp_path: Path
) -> None:
    spec = inspect(folder / "model.pkl")
    code = find_code(spec, CodeOptions(paths=(folder / "train.py",)))
    bundle = bundles.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle", code)
    recorded = json.loads((bundle.directory / "modelpack.json").read_text())["code"]
    assert recorded["main"] == "modelpack_main"
    paths = ["modelpack_main.py", "shop/__init__.py", "shop/prices.py"]
    assert [file["path"] for file in recorded["files"]] == paths
    held = sorted((bundle.directory / "code").rglob("*.py"))
    assert [str(path.relative_to(bundle.directory / "code")) for path in held] == paths
    assert [file.sha256 for file in manifest.read(bundle.path).code.files] == [
        bundles._sha256(path) for path in held
    ]
    assert str(folder) not in "".join(
        path.read_text() for path in bundle.directory.rglob("*") if path.suffix in {".json", ".md"}
    )
    assert all(f"`code/{path}`" in (bundle.directory / "README.md").read_text() for path in paths)


def test_code_has_its_layer_before_the_model(folder: Path, tmp_path: Path) -> None:
    spec = inspect(folder / "model.pkl")
    code = find_code(spec, CodeOptions(paths=(folder / "train.py",)))
    bundle = bundles.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle", code)
    lines = (bundle.directory / "Dockerfile").read_text().splitlines()
    copied, model = (lines.index(line) for line in (
        "COPY --from=application /application/ /",
        "COPY --from=model /model/ /",
    ))  # fmt: skip
    assert copied < model
    assert any("source=code,target=/bundle/code" in line for line in lines)
    assert "!code" in (bundle.directory / ".dockerignore").read_text().splitlines()


def test_code_that_changed_meanwhile_is_refused(folder: Path, tmp_path: Path) -> None:
    spec = inspect(folder / "model.pkl")
    copy = write(tmp_path / "copy", {"shop/__init__.py": "", "shop/prices.py": "def twice(x): ..."})
    write(copy, {"train.py": SCRIPT})
    code = find_code(spec, CodeOptions(paths=(copy / "train.py",)))
    (copy / "shop" / "prices.py").write_text("def twice(x): return 3")
    with pytest.raises(bundles.ModelRefusedError, match=r"prices\.py has changed"):
        bundles.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle", code)
    assert not (tmp_path / "bundle").exists()


def test_a_script_that_does_not_load_is_named(folder: Path, tmp_path: Path) -> None:
    spec = inspect(folder / "model.pkl")
    code = find_code(spec, CodeOptions(paths=(folder / "train.py",)))
    bundle = bundles.render(spec, ENVIRONMENT, BASE, tmp_path / "bundle", code)
    (bundle.directory / "code" / "shop" / "prices.py").write_text("1 / 0\n")
    _, problem = load_in_a_process(bundle.directory)
    assert "the script modelpack_main does not load: ZeroDivisionError" in problem
