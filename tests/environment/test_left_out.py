"""Distributions that serving leaves out.

xgboost, for example, is served without kernels for graphics processors, most of its wheel.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelpack.environment import resolve
from modelpack.types import IndexSettings


@pytest.fixture
def index(local_index):
    for version, day in (("2.1.0", "2024-06-20"), ("2.1.1", "2024-07-31"), ("3.0.0", "2025-03-15")):
        local_index.add("xgboost", version, "numpy", "nvidia-nccl-cu12", day=day)
    local_index.add("nvidia-nccl-cu12", "2.20", day="2024-01-01")
    local_index.add("numpy", "1.26.4", day="2024-02-05")
    local_index.add("torch", "2.3.0", "nvidia-nccl-cu12", day="2024-04-24")
    return local_index


def with_variant(index):
    index.add("xgboost-cpu", "2.1.1", "numpy", day="2024-07-31")
    index.add("xgboost-cpu", "3.0.0", "numpy", day="2025-03-15")
    return index


def model(make_spec, version="", **libraries):
    requirements = {"xgboost": f"=={version}" if version else "", **libraries}
    return replace(make_spec(None), framework="xgboost", requirements=requirements)


def locked(spec, index, *requirements):
    return resolve(spec, "3.11", index=IndexSettings(index.url), requirements=requirements)


def test_xgboost_is_replaced_by_the_same_version_of_xgboost_cpu(make_spec, index):
    environment = locked(model(make_spec, "2.1.1"), with_variant(index))
    assert environment.requirements["xgboost-cpu"] == "2.1.1"
    assert environment.origins["xgboost-cpu"] == "file"
    assert not {"xgboost", "nvidia-nccl-cu12"} & environment.requirements.keys()


def test_version_of_the_user_is_replaced_by_xgboost_cpu(make_spec, index):
    environment = locked(model(make_spec, "2.1.0"), with_variant(index), "xgboost==3.0.0")
    assert environment.requirements["xgboost-cpu"] == "3.0.0"
    assert environment.origins["xgboost-cpu"] == "user"


def test_xgboost_is_not_added_if_the_user_requires_xgboost_cpu(make_spec, index):
    environment = locked(model(make_spec, "2.1.1"), with_variant(index), "xgboost-cpu==3.0.0")
    assert environment.requirements["xgboost-cpu"] == "3.0.0"
    assert "xgboost" not in environment.requirements


def test_nccl_is_left_out_of_versions_without_xgboost_cpu(make_spec, index):
    environment = locked(model(make_spec, "2.1.0"), with_variant(index))
    assert environment.requirements["xgboost"] == "2.1.0"
    assert "nvidia-nccl-cu12" not in environment.requirements


def test_xgboost_is_used_if_the_index_lacks_xgboost_cpu(make_spec, index):
    environment = locked(model(make_spec, "2.1.1"), index)
    assert environment.requirements["xgboost"] == "2.1.1"
    assert "nvidia-nccl-cu12" not in environment.requirements


def test_requirements_of_other_libraries_are_kept(make_spec, index):
    spec = model(make_spec, "2.1.0", torch="==2.3.0")
    assert {"xgboost", "nvidia-nccl-cu12"} <= locked(spec, index).requirements.keys()


def test_plotting_libraries_of_catboost_are_left_out(make_spec, index):
    index.add("catboost", "1.2.5", "numpy", "plotly", "matplotlib", "graphviz", day="2024-04-18")
    spec = replace(make_spec(None), framework="catboost", requirements={"catboost": "==1.2.5"})
    assert "catboost" in locked(spec, index).requirements  # the index has no plotly


def test_alias_of_scikit_learn_is_left_out(make_spec, index):
    """Its sdist fails to build. PyCaret 2 requires it."""
    index.add("pycaret", "2.3.10", "numpy", "sklearn", day="2022-04-19")
    spec = replace(make_spec(None), framework="pycaret", requirements={"pycaret": "==2.3.10"})
    assert "pycaret" in locked(spec, index).requirements  # the index has no sklearn


def test_old_releases_need_the_systems_openmp(make_spec, index):
    index.add("xgboost", "1.2.1", day="2020-10-14")
    assert locked(model(make_spec, "1.2.1"), index).system_packages == ("libgomp1",)
    assert locked(model(make_spec, "2.1.0"), index).system_packages == ()


def test_undeclared_imports_of_a_release_are_added(make_spec, index):
    """xgboost 1.4 to 1.6 look for dask with pkg_resources, which is setuptools'."""
    index.add("xgboost", "1.6.2", day="2022-08-23")
    index.add("setuptools", "65.0", day="2022-08-15")
    assert locked(model(make_spec, "1.6.2"), index).requirements["setuptools"] == "65.0"
    assert "setuptools" not in locked(model(make_spec, "2.1.0"), index).requirements


def test_pyarrow_is_compatible_with_numpy(make_spec, index):
    """The metadata of neither distribution contains the conflict."""
    index.add("scikit-learn", "1.4.2", "numpy", day="2024-04-09")
    index.add("numpy", "2.2.0", day="2024-12-08")
    for version in ("14.0.2", "25.0.0", "26.0.1"):
        index.add("pyarrow", version, day="2025-01-01")
    old = locked(make_spec("1.4.2"), index, "pyarrow>=14")
    assert (old.requirements["pyarrow"], old.requirements["numpy"]) == ("25.0.0", "1.26.4")
    new = locked(make_spec(None), index, "pyarrow>=14", "numpy>=2")
    assert (new.requirements["pyarrow"], new.requirements["numpy"]) == ("26.0.1", "2.2.0")
    pinned = locked(make_spec(None), index, "pyarrow==14.0.2")
    assert (pinned.requirements["pyarrow"], pinned.requirements["numpy"]) == ("14.0.2", "1.26.4")
