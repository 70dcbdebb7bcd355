"""The fixture `modelpack_service` in the tests of a user."""

from __future__ import annotations

import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = "modelpack.api.pytest_plugin"
NO_ENTRY_POINTS = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""So that the plugin is loaded once, whether modelpack is installed or not."""
SVC = ROOT / "sample_models" / "kserve-svc" / "model.joblib"

TESTS = """
import pytest
from modelpack.errors import UsageError

def test_prediction(modelpack_service):
    assert modelpack_service(MODEL).predict([[6.8, 2.8, 4.8, 1.4]]) == [1]

def test_service_is_shared(modelpack_service):
    assert modelpack_service(MODEL).url == modelpack_service(MODEL).url

def test_ended_service_is_started_again(modelpack_service):
    modelpack_service(MODEL).stop()
    assert modelpack_service(MODEL).is_running()

def test_error_is_an_exception(modelpack_service):
    with pytest.raises(UsageError):
        modelpack_service("missing.joblib")
"""


def run_pytest(folder: Path) -> str:
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-p", PLUGIN], cwd=folder, env=NO_ENTRY_POINTS, capture_output=True, check=False,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_fixture_serves_a_model_for_tests(tmp_path: Path) -> None:
    (tmp_path / "test_svc.py").write_text(f"MODEL = {str(SVC)!r}\n{TESTS}")
    assert "4 passed" in run_pytest(tmp_path)


def test_plugin_imports_nothing_of_the_packager(tmp_path: Path) -> None:
    names = ["modelpack", "modelpack._version", "modelpack.api", PLUGIN, "modelpack.errors"]
    (tmp_path / "test_modules.py").write_text(
        "import sys\n"
        "def test_modules():\n"
        f"    assert sorted(n for n in sys.modules if n.startswith('modelpack')) == {names}\n"
    )
    assert "1 passed" in run_pytest(tmp_path)


def test_pytest_finds_the_plugin_of_an_installation() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert f"modelpack = {PLUGIN}" in setup["options.entry_points"]["pytest11"]
