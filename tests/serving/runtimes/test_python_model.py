"""Models of MLflow's class PythonModel. `tests/data/mlflow/train_python.py` wrote the folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import clients
import pytest
from serving_models import BASE, ENVIRONMENT

from modelpack.bundle.render import render
from modelpack.inspection.inspector import inspect
from modelpack.pipeline.inspect import inspect_with_code
from modelpack.pipeline.options import Options
from modelpack.serving.errors import StartupError
from modelpack.serving.manifest import Context
from modelpack.serving.runtimes.estimator import parts
from modelpack.serving.runtimes.python_model import adapt, disable_telemetry

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data" / "mlflow"
NAMES = ("context", "no-context", "artifacts", "script")
FOLDERS = [DATA / release / name for release in "23" for name in NAMES]
TRUST = ("mlflow.models.signature:_TypeHints",)
DTYPES = {"age": "float32", "rooms": "int32"}


@pytest.mark.slow
def test_bundle_predicts_what_pyfunc_predicts(tmp_path):
    requests, recorded = [], []
    for folder in FOLDERS:
        options = Options(code=(folder if folder.name == "script" else folder / "code",))
        spec, code, problem = inspect_with_code(inspect(folder, trust=TRUST), options)
        assert problem is None
        target = tmp_path / f"{folder.parent.name}-{folder.name}"
        bundle = render(spec, ENVIRONMENT, BASE, target, code).directory
        document = json.loads(folder.with_suffix(".json").read_text())
        requests.append([str(folder), str(bundle), document["rows"], DTYPES])
        recorded.append([document["predictions"]] * 2)
    done = subprocess.run(
        [clients.environment("mlflow"), clients.DIRECTORY / "compare_pyfunc.py"],
        input=json.dumps(requests), env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == recorded


@pytest.fixture(params=["settings", "no settings"])
def base(request, monkeypatch):
    """Return a class as `mlflow.pyfunc.PythonModel`, of a release whose contexts have settings."""
    module = ModuleType("mlflow.pyfunc.model")
    kind = type("PythonModel", (), {"__module__": module.__name__, "load_context": load_context})
    if request.param == "settings":
        module.PythonModelContext = lambda artifacts, model_config: SimpleNamespace(
            artifacts=artifacts, model_config=model_config
        )
    else:
        module.PythonModelContext = lambda artifacts: SimpleNamespace(artifacts=artifacts)
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.pyfunc", ModuleType("mlflow.pyfunc"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return kind


def load_context(self, context):
    self.loaded = context


class WithContext:
    def predict(self, context, model_input, params=None):
        return [context is self.loaded, context.artifacts, model_input, params]


class WithOtherName:
    def predict(self, ctx, rows):
        return [ctx is self.loaded, ctx.artifacts, rows, None]


class WithoutContext:
    def predict(self, model_input, params=None):
        return [True, self.loaded.artifacts, model_input, params]


class WithRowsAlone:
    def predict(self, model_input):
        return [True, self.loaded.artifacts, model_input, None]


@pytest.mark.parametrize("mixin", [WithContext, WithOtherName, WithoutContext, WithRowsAlone])
def test_predict_is_called_in_each_form(mixin, base):
    model = type("Own", (mixin, base), {})()
    adapted = adapt(model, Context(), Path())
    assert adapted.predict("rows") == [True, {}, "rows", None]
    assert model in list(parts(adapted)), "threads and categories look for parts"


def test_failure_of_load_context_is_an_error_at_the_start(base):
    def fail(self, context):
        context.artifacts["weights"]

    model = type("Own", (WithContext, base), {"load_context": fail})()
    with pytest.raises(StartupError, match="load_context of the model failed: KeyError: 'weights'"):
        adapt(model, Context(), Path())


def test_other_objects_are_not_adapted():
    model = WithContext()
    assert adapt(model, Context(), Path()) is model


def test_context_has_paths_and_settings_of_the_bundle(base, tmp_path):
    context = Context({"weights": "artifacts/w.json"}, {}, "model", {"depth": 3})
    adapted = adapt(type("Own", (WithContext, base), {})(), context, tmp_path)
    assert adapted.predict(1)[1] == {"weights": str(tmp_path / "model" / "artifacts" / "w.json")}
    assert getattr(adapted.model.loaded, "model_config", {"depth": 3}) == {"depth": 3}


def test_chat_models_do_not_start(base):
    chat = type("ChatModel", (base,), {"__module__": "mlflow.pyfunc.model"})
    model = type("Own", (WithContext, chat), {})()
    with pytest.raises(StartupError, match="the model is a Own, which does not predict rows"):
        adapt(model, Context(), Path())


def test_telemetry_is_off_unless_the_user_has_set_it(monkeypatch):
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    disable_telemetry()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    disable_telemetry()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"
