"""Installed versions are used if this environment saved the model."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.metadata import version

import pytest

from modelpack.environment import candidate_pythons, installed, resolve
from modelpack.environment.requirements import collect_requirements
from modelpack.types import IndexSettings


@pytest.fixture
def training(tmp_path, monkeypatch):
    """A virtual environment of Python 3.10 in the shell, that holds nothing but metadata."""
    site = tmp_path / "venv" / "lib" / "python3.10" / "site-packages"
    site.mkdir(parents=True)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    monkeypatch.delenv("CONDA_PREFIX", raising=False)

    def install(name, version, **files):
        folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        for file, text in files.items():
            (folder / file.replace("__", ".")).write_text(text)

    install("scikit-learn", "1.3.0")
    install("numpy", "1.24.4")
    return install


@pytest.fixture
def index(local_index):
    local_index.add("scikit-learn", "1.3.0", "numpy", "helper", day="2023-06-30")
    local_index.add("helper", "1.0", day="2023-01-01")
    local_index.add("helper", "1.1", day="2023-02-01")
    local_index.add("numpy", "1.24.4", day="2023-06-26")
    local_index.add("numpy", "1.25.2", day="2023-07-31")
    return IndexSettings(local_index.url)


def find(spec, *requirements):
    return installed.find_training_environment(spec, collect_requirements(spec, requirements))


def test_training_environment_decides_python_and_open_versions(make_spec, training, index):
    training("helper", "1.0")
    training("flask", "1.0")
    spec = make_spec("1.3.0")
    assert candidate_pythons(spec)[0] == "3.10"
    environment = resolve(spec, "3.10", index=index)
    assert environment.requirements["numpy"] == "1.24.4"
    assert environment.requirements["helper"] == "1.0"
    assert environment.requirements["flask"] == "9.9"  # what serves is current
    assert environment.origins["numpy"] == environment.origins["helper"] == "installed"
    assert environment.origins["scikit-learn"] == "file"
    assert environment.warnings == ()


def test_options_of_the_user_precede_the_training_environment(make_spec, training, index):
    environment = resolve(make_spec("1.3.0"), "3.10", index=index, requirements=["numpy==1.25.2"])
    assert environment.requirements["numpy"] == "1.25.2"
    assert environment.origins["numpy"] == "user"


def test_another_version_of_the_framework_is_another_environment(make_spec, training, index):
    environment = resolve(make_spec("1.3.0"), "3.11", index=index)
    assert environment.requirements["numpy"] == "1.24.4"
    spec = make_spec("1.2.2")
    assert find(spec) is None
    assert candidate_pythons(spec)[0] == "3.10"  # settled by then, as it happens
    assert find(make_spec("1.3.0"), "scikit-learn==1.2.2") is None


def test_file_without_versions_uses_the_active_environment_and_reports_it(
    make_spec, training, index
):
    spec = make_spec(None)
    assert candidate_pythons(spec)[0] == "3.10"
    environment = resolve(spec, "3.10", index=index)
    assert environment.requirements["scikit-learn"] == "1.3.0"
    assert environment.origins["scikit-learn"] == "installed"
    (warning,) = environment.warnings
    assert "records no versions" in warning
    assert "active virtual environment are used: scikit-learn 1.3.0" in warning
    given = resolve(spec, "3.10", index=index, requirements=["scikit-learn==1.3.0"])
    assert given.origins["scikit-learn"] == "user"


@pytest.mark.parametrize(
    "changes",
    [
        {"framework": None},
        {"framework": "lightgbm", "requirements": {"lightgbm": ""}},
        {"requirements": {"scikit-learn": "", "numpy": ">=2"}},
    ],
)
def test_active_environment_that_does_not_fit_a_file_without_versions(make_spec, training, changes):
    assert find(make_spec(None)) is not None
    assert find(replace(make_spec(None), **changes)) is None


def test_environment_that_is_not_active_needs_a_recorded_version(make_spec, monkeypatch):
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    assert find(make_spec(None)) is None
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    assert find(make_spec(None)) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"requirements": {"scikit-learn": "==1.3.0", "numpy": ">=1.25"}},
        {"requirements": {"scikit-learn": "==1.3.0", "lightgbm": "==4.0.0"}},
        {"framework": "lightgbm", "requirements": {"scikit-learn": "==1.3.0", "lightgbm": ""}},
        {"trained_on": "3.11"},
        {"python": "==3.9.*"},
    ],
)
def test_environment_that_contradicts_the_file_is_not_used(make_spec, training, changes):
    assert find(make_spec("1.3.0")) is not None
    assert find(replace(make_spec("1.3.0"), **changes)) is None


def test_a_wrapper_without_a_version_is_pinned_by_its_parts(make_spec, training):
    """Only the LabelEncoder of a LGBMClassifier records a version."""
    training("lightgbm", "4.1.0")
    spec = make_spec("1.3.0", lightgbm=">=4")
    versions = find(replace(spec, framework="lightgbm", framework_version=None)).versions
    assert str(versions["lightgbm"]) == "4.1.0"


def test_builds_that_no_index_has_are_not_pinned(make_spec, training):
    training("torch", "2.1.0+cpu")
    training("scipy", "1.11.0.dev0")
    training("joblib", "1.3.0", direct_url__json="{}")
    training("pandas", "not a version")
    training("six", "")
    names = find(make_spec("1.3.0")).all_versions()
    assert set(names) == {"scikit-learn", "numpy"}


def test_versions_that_cannot_be_locked_are_replaced_by_dated_ones_with_a_note(
    make_spec, training, index
):
    training("helper", "0.9")  # which the index does not have
    environment = resolve(make_spec("1.3.0"), "3.10", index=index)
    assert environment.requirements["numpy"] == "1.25.2"
    assert environment.origins["numpy"] == "resolver"
    (warning,) = environment.warnings
    assert "helper 0.9, numpy 1.24.4" in warning
    assert "of the model's time" in warning


def test_version_without_a_wheel_is_replaced_and_the_others_of_the_training_are_kept(
    make_spec, training, local_index, index
):
    training("helper", "1.2")
    local_index.files["helper-1.2.tar.gz"] = b""
    local_index.days["helper-1.2.tar.gz"] = "2023-03-01T00:00:00Z"
    environment = resolve(make_spec("1.3.0"), "3.10", index=index)
    assert environment.requirements["numpy"] == "1.24.4"
    assert environment.origins["numpy"] == "installed"
    assert environment.requirements["helper"] == "1.1"
    assert environment.origins["helper"] == "resolver"
    (warning,) = environment.warnings
    assert warning.startswith("helper 1.2, the version of the local environment, has no wheel")
    assert "so 1.1 is used" in warning
    assert "--requirement helper==1.2" in warning


def test_environment_of_modelpack_is_considered(make_spec, monkeypatch):
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    spec = make_spec(version("scikit-learn"))
    own = find(spec)
    assert own.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert str(own.versions["numpy"]) == version("numpy")
