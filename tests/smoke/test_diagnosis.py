"""Services that fail to start for different reasons, and the diagnosis in the error.

The checks of conflicts.py are disabled here, so that the service starts and fails.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import joblib
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from modelpack import inspect
from modelpack.bundle import render
from modelpack.engines import interpreters, select_engine
from modelpack.environment import index_settings, resolve
from modelpack.errors import SmokeFailedError
from modelpack.pipeline import smoke as pipeline_smoke
from modelpack.smoke import diagnosis, smoke
from modelpack.types import BaseImage, Check, SmokeReport

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_models"
TODAY = ("scikit-learn==1.9.1", "numpy>=2", "pandas")
Fails = Callable[..., SmokeFailedError]

pytestmark = pytest.mark.slow


@pytest.fixture
def fails(tmp_path: Path) -> Fails:
    """Runs the service of a model in an environment that does not suit it, and gives the error.

    `python` of that environment, `requirements` in it, `trust` as in --trust.
    """

    def run(
        path: Path, *requirements: str, python: str = "3.11", trust: str = "", without: str = ""
    ) -> SmokeFailedError:
        if not interpreters.find(python) and not os.environ.get("CI"):
            pytest.skip(f"there is no Python {python} here")
        spec = inspect(path, trust=[trust])
        assert spec.safety.verdict == "pass"
        named = {k: v for k, v in spec.requirements.items() if k != without}
        blind = replace(spec, globals=(), evidence=(), python=None, requirements=named)
        environment = resolve(blind, python, index=index_settings(), requirements=requirements)
        base = BaseImage(f"python:{python}-slim", python, "registry")
        bundle = render.render(spec, environment, base, tmp_path / "bundle")
        engine = select_engine("process")
        engine.builder.build(bundle, index_settings(), lambda _: None)
        with engine.runner.run(bundle.path) as service:
            report = smoke(service, bundle.model)
        with pytest.raises(SmokeFailedError) as caught:
            pipeline_smoke.require_passed(report)
        return caught.value

    return run


def test_a_version_too_new_has_moved_the_module(fails: Fails) -> None:
    error = fails(SAMPLES / "kserve-svc-0.20.3" / "model.pkl", *TODAY)
    assert "scikit-learn in the image has no sklearn.svm.classes" in error.message
    assert "--requirement scikit-learn==VERSION" in error.hint


def test_a_version_too_new_misses_an_attribute(fails: Fails) -> None:
    error = fails(SAMPLES / "kserve-mixedtype" / "model.joblib", *TODAY)
    assert "its SimpleImputer has no _fill_dtype" in error.message
    assert "Leave out --requirement" in error.hint


def test_a_version_too_old_cannot_read_the_arrays(fails: Fails) -> None:
    error = fails(SAMPLES / "kserve-svc" / "model.joblib", "joblib==1.1.1")
    assert "joblib in the image cannot read the arrays" in error.message
    assert "--requirement 'joblib>=1.2'" in error.hint


def test_a_python_too_old_does_not_know_the_protocol(fails: Fails, tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(_tree(), path, protocol=5)
    error = fails(path, "scikit-learn==1.0.2", "numpy<2", "joblib<2", python="3.7")
    assert "protocol 5, which is too new for the Python in the image" in error.message
    assert "--python 3.8 or later" in error.hint


def test_a_package_is_missing(fails: Fails) -> None:
    error = fails(SAMPLES / "kserve-mixedtype" / "model.joblib", without="pandas")
    assert "needs the module pandas, which is not in the image" in error.message
    assert error.hint == "Require it: --requirement pandas"


@pytest.mark.parametrize(
    ("module", "message", "hint"),
    [
        ("shop", "needs the module shop, which is not in the image", "--code PATH"),
        ("__main__", "needs Scale, which was defined in the script", "--code FILE.py"),
    ],
)
def test_code_of_the_author_is_missing(
    module: str,
    message: str,
    hint: str,
    *,
    fails: Fails,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Scale(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            self.n_features_in_ = 4
            return self

        def transform(self, X):
            return X

    Scale.__module__, Scale.__qualname__ = module, "Scale"
    monkeypatch.setitem(sys.modules, "shop", type(sys)("shop"))
    monkeypatch.setattr(sys.modules[module], "Scale", Scale, raising=False)
    X, y = load_iris(return_X_y=True)
    path = tmp_path / "model.joblib"
    joblib.dump(make_pipeline(Scale(), DecisionTreeClassifier(max_depth=2)).fit(X, y), path)
    error = fails(path, *TODAY, trust=f"{module}:Scale")
    assert message in error.message
    assert hint in error.hint


# Messages of libraries, recorded in real environments by scripts/make_ages.py --truth.
LIBRARY_MESSAGES = (
    ("AttributeError: Can't get attribute '__pyx_unpickle_CyHalfSquaredError' on <module "
     "'sklearn._loss._loss' from '/x.so'>", "no sklearn._loss._loss.__pyx_unpickle_Cy"),
    ("ModuleNotFoundError: No module named 'numpy._core'", "numpy in the image has no numpy._core"),
    ("ModuleNotFoundError: No module named '_loss'", "scikit-learn in the image has no _loss"),
    ("ValueError: node array from the pickle has an incompatible dtype: - expected: {'names'",
     "cannot read the trees"),
    ("ValueError: Did not recognise loaded array layout", "cannot read the trees"),
    ("TypeError: __randomstate_ctor() takes from 0 to 1 positional arguments but 2 were given",
     "The numpy in the image is older"),
    ("ValueError: <class 'numpy.random._mt19937.MT19937'> is not a known BitGenerator module.",
     "The numpy in the image is older"),
    ("ValueError: Buffer dtype mismatch, expected 'intp_t' but got 'unsigned int' in 'const "
     "node_struct.feature_idx'", "loads and then fails"),
    ("NotFittedError: idf vector is not fitted", "loads and then fails"),
    ("ModuleNotFoundError: No module named 'sklearn.externals.joblib'", "no sklearn.externals."),
    ("ModuleNotFoundError: No module named 'interpret.glassbox.ebm'",
     "The interpret in the image has no interpret.glassbox.ebm, which the model needs"),
    ("AttributeError: Can't get attribute 'Scale' on <module 'shop.steps' from '/shop.py'>",
     "The shop in the image has no shop.steps.Scale, which the model needs"),
    ("ModuleNotFoundError: No module named 'shop'", "the module shop, which is not in the image"),
    ("ModuleNotFoundError: No module named 'scipy'; also missing: shop, sklearn",
     "needs the modules scipy, shop, sklearn, which are not in the image"),
    ("ModuleNotFoundError: No module named 'pkg_resources'", "part of setuptools before 81"),
    ("TypeError: Thing.predict() missing 1 required positional argument: 'model_input'",
     "does not predict rows alone, as the service calls it: Thing.predict() missing"),
    ("Failed to construct locale with name:en_US.UTF-8:locale::facet::_S_create_c_locale name not "
     "valid:Please, install necessary language-pack-XX", "lacks the locale"),
    ("AttributeError: 'list' object has no attribute 'str'", "takes a DataFrame or a Series"),
    ("TypeError: list indices must be integers or slices, not str", "takes a DataFrame"),
    ("AttributeError: `np.complex_` was removed in the NumPy 2.0 release. Use `np.complex128` "
     "instead.", "uses numpy.complex_, which numpy 2 has removed"),
    ("AttributeError: module 'numpy' has no attribute 'int'. Did you mean: 'inf'?",
     "uses numpy.int, which numpy 1.24 has removed"),
    ("AttributeError: module 'numpy' has no attribute 'bool'.\n`np.bool` was a deprecated alias "
     "for the builtin `bool`.", "uses numpy.bool, which numpy 1.24 has removed"),
    ("the model in the file has no method predict.",
     "The object in the file has no method predict."),
    ("OSError: libgomp.so.1: cannot open shared object file", "A system library is missing"),
    ("ValueError: train and valid dataset categorical_feature do not match.",
     "its file contains their categories, but not which columns these are"),
)  # fmt: skip


@pytest.mark.parametrize(("library_message", "message"), LIBRARY_MESSAGES)
def test_messages_of_libraries_are_recognized(library_message: str, message: str) -> None:
    detail = f"the service ended at start:\nthe model does not load: {library_message}"
    diagnosed = diagnosis.diagnose(
        SmokeReport("x", "docker", (Check("ready", False, 1.0, detail),))
    )
    assert diagnosed is not None
    assert message in diagnosed[0]
    assert "{" not in "".join(diagnosed)


@pytest.mark.parametrize(
    ("modules", "hint"),
    [
        ("'scipy'; also missing: sklearn",
         "Require: --requirement scipy --requirement scikit-learn"),
        ("'pkg_resources'; also missing: numpy, shop",
         "Require: --requirement 'setuptools<81' --requirement numpy. For shop: if a distribution"),
        ("'shop'; also missing: till", "For shop, till: if a distribution provides the module, "),
    ],
)  # fmt: skip
def test_one_hint_for_all_missing_modules(modules: str, hint: str) -> None:
    detail = f"the model does not load: ModuleNotFoundError: No module named {modules}"
    report = SmokeReport("x", "docker", (Check("ready", False, 1.0, detail),))
    assert (diagnosis.diagnose(report) or ("", ""))[1].startswith(hint)


def test_torchscript_with_other_types_is_exported_by_torch_export() -> None:
    detail = (
        "the model does not answer its own example: ValueError: The following operation failed in "
        "the TorchScript interpreter."
    )
    report = SmokeReport("x", "process", (Check("ready", False, 1.0, detail),))
    message, hint = diagnosis.diagnose(report) or ("", "")
    assert "records no types of inputs" in message
    assert "dynamic_shapes=[{0: rows}, {0: rows}]" in hint


def test_other_failures_are_not_explained_away() -> None:
    lost = Check("ready", False, 1.0, "the service ended at start:\nKilled")
    wrong = Check("prediction", False, 1.0, "No module named 'pandas'")
    for check in (lost, wrong):
        assert diagnosis.diagnose(SmokeReport("x", "docker", (check,))) is None


def _tree() -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=2).fit(*load_iris(return_X_y=True))
