"""User code from the command line: served as before saving, or refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from code_specs import write

from modelpack.engines.local.engine import LocalRunner
from modelpack.smoke.probe import Probe

SHOP = {
    "shop/__init__.py": "",
    "shop/models.py": """
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from .prices import price

class Model(RegressorMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = 2
        self.mean_ = float(np.mean(X))
        return self
    def predict(self, X):
        return np.array([price(a) - self.mean_ / (b + 3) for a, b in X])

class Ratio(BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return np.column_stack([X, X[:, 0] / X[:, 1] * price(1)])
""",
    "shop/prices.py": "from inflection import ordinal\nfrom . import rates\n"
    "def price(a):\n    return a * rates.RATE + len(ordinal(int(a)))\n",
    "shop/rates.py": "RATE = 1.1\n",
    "shop/unrelated.py": "raise SystemExit('it was imported')\n",
    "shop/prices.csv": "a,b\n",
}
SUBSTITUTE = {"inflection.py": "def ordinal(n): return 'th'\n"}  # not installed here
SCRIPT = """
import json, pickle, sys
import numpy as np
from shop.models import Model as Base, Ratio
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

open("ran", "a").write("x")
BONUS = 0.3

class Model(Base):
    def predict(self, X):
        return super().predict(X) + BONUS

if __name__ == "__main__":
    X = np.array([[1.5, 2.0], [3.25, 4.0], [0.1, 7.0]])
    models = {"own": Base().fit(X), "main": Model().fit(X)}
    models["ratio"] = make_pipeline(Ratio(), LinearRegression()).fit(X, [1.0, 2.0, 3.0])
    for name, model in models.items():
        pickle.dump(model, open(name + ".pkl", "wb"))
    json.dump({n: m.predict(X).tolist() for n, m in models.items()}, open("before.json", "w"))
"""
ROWS = [[1.5, 2.0], [3.25, 4.0], [0.1, 7.0]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has saved two models, and what they predicted."""
    project = write(tmp_path_factory.mktemp("project"), {**SHOP, "train.py": SCRIPT})
    substitute = write(tmp_path_factory.mktemp("stand-in"), SUBSTITUTE)
    environ = {**os.environ, "PYTHONPATH": str(substitute), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "train.py"], cwd=project, env=environ, check=True)
    (project / "ran").unlink()
    return project


def modelpack(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "code", "copied"),
    [
        ("own", ".", []),
        ("main", "train.py", ["modelpack_main.py"]),
        ("ratio", "shop", []),
    ],
)
def test_predictions_are_those_from_before_saving(
    trained: Path, model: str, code: str, copied: list[str], tmp_path: Path
) -> None:
    before = json.loads((trained / "before.json").read_text())[model]
    done = modelpack(
        *("package", trained / f"{model}.pkl", "--code", trained / code),
        *("--engine", "process", "-o", "bundle", "--json"),
        *(["--allow-untested"] if model == "ratio" else []),  # its file contains no inputs
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    shop = ["shop/__init__.py", "shop/models.py", "shop/prices.py", "shop/rates.py"]
    assert [file["path"] for file in result["code"]["files"]] == [*copied, *shop]
    assert "inflection" in result["code"]["requirements"]
    assert (" not run" in done.stderr) == (model == "ratio")
    for notice in [*(f"code/{path} " for path in [*copied, *shop]), "inflection is required: "]:
        assert done.stderr.index(f"note: {notice}") < done.stderr.index("environment")
    assert files(tmp_path / "bundle" / "code") == [*copied, *shop]
    with LocalRunner().run(str(tmp_path / "bundle")) as service:
        answer = Probe(service, _model(tmp_path)).predict({"instances": ROWS})
    assert answer.body == {"predictions": before}
    assert not list(tmp_path.rglob("ran"))
    assert not (trained / "ran").exists()


def _model(folder: Path):
    from modelpack.bundle import manifest  # noqa: PLC0415

    return manifest.read(folder / "bundle").model


@pytest.mark.parametrize(
    ("model", "arguments", "expected"),
    [
        ("own", [], (3, ["--trust shop.models:Model", "--code project"])),
        ("own", ["--code", "nowhere"], (2, ["The path nowhere of --code does not exist"])),
        ("own", ["--code", "project/train.py"], (3, ["--trust shop.models:Model"])),
        ("main", [], (3, ["needs Model of `__main__`", "--code project/train.py"])),
        (
            "main",
            ["--code", "project"],
            (3, ["needs Model of `__main__`", "--code project/train.py"]),
        ),
        (
            "main",
            ["--trust", "__main__:Model"],
            (5, ["needs Model of `__main__`", "project/train.py"]),
        ),
        ("main", ["--code", "project/shop/rates.py"], (2, ["does not define Model"])),
    ],
)
def test_untrusted_user_code(
    trained: Path, model: str, arguments: list[str], expected: tuple[int, list[str]], tmp_path: Path
) -> None:
    (tmp_path / "project").symlink_to(trained)
    done = modelpack(*("bundle", f"project/{model}.pkl", "-o", "bundle", *arguments), cwd=tmp_path)
    code, message = expected
    assert done.returncode == code, done.stderr
    assert [text for text in message if text not in done.stderr] == []
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == []


@pytest.mark.parametrize(("arguments", "code"), [([], 3), (["--trust", "shop.models:Model"], 5)])
def test_a_module_that_is_missing(
    trained: Path, arguments: list[str], code: int, tmp_path: Path
) -> None:
    (tmp_path / "own.pkl").write_bytes((trained / "own.pkl").read_bytes())
    done = modelpack("bundle", "own.pkl", "-o", "bundle", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert "The model needs the module shop.models, found neither next to the model" in done.stderr
    assert "name its folder: --code PATH" in done.stderr
    assert "--requirement NAME==VERSION" in done.stderr
    assert files(tmp_path) == ["own.pkl"]


def test_code_directory_next_to_the_model_is_not_trusted(trained: Path, tmp_path: Path) -> None:
    """modelpack.toml may have come with the model."""
    write(tmp_path, {"mine/" + name: text for name, text in SHOP.items()})
    (tmp_path / "own.pkl").write_bytes((trained / "own.pkl").read_bytes())
    (tmp_path / "modelpack.toml").write_text('code = ["mine"]\n')
    done = modelpack("bundle", "own.pkl", "-o", "bundle", cwd=tmp_path)
    assert (done.returncode, "--trust shop.models:Model" in done.stderr) == (3, True)
    done = modelpack(
        "bundle", "own.pkl", "-o", "bundle", "--trust", "shop.models:Model", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "code/shop/models.py is copied from mine/shop/models.py" in done.stderr


def test_a_link_out_of_the_folder_stops_the_package(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("class Model: ...")
    write(tmp_path / "model", {"shop/__init__.py": ""})
    (tmp_path / "model" / "shop" / "models.py").symlink_to(tmp_path / "secret.py")
    (tmp_path / "model" / "own.pkl").write_bytes((trained / "own.pkl").read_bytes())
    done = modelpack("bundle", "model/own.pkl", "-o", "bundle", cwd=tmp_path)
    assert done.returncode == 2
    assert "is a link to a file outside" in done.stderr
    assert not (tmp_path / "bundle").exists()


def test_inspect_prints_the_location_of_user_code(trained: Path) -> None:
    done = modelpack("inspect", "own.pkl", cwd=trained)
    assert done.returncode == 3
    shown = [line.split() for line in done.stdout.splitlines()]
    assert ["shop/models.py", "shop/models.py"] in shown
    assert "shop/prices.py, line 1, imports inflection" in done.stdout
    done = modelpack("inspect", "own.pkl", "--code", ".", "--json", cwd=trained)
    assert done.returncode == 0
    assert json.loads(done.stdout)["safety"] == {"verdict": "pass", "findings": []}
