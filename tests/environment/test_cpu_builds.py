"""Models of PyTorch get its build for processors, which an index marks by a local version."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelpack.environment import candidate_pythons, resolve
from modelpack.errors import EnvironmentNotResolvedError
from modelpack.types import IndexSettings


@pytest.fixture
def index(local_index):
    """As PyPI: PyTorch with CUDA alone."""
    local_index.add("numpy", "2.3.4", day="2025-10-15")
    local_index.add("torch", "2.13.0", "nvidia-cudnn-cu13", "triton", day="2026-07-08")
    local_index.add("nvidia-cudnn-cu13", "9.9", day="2026-01-01")
    local_index.add("triton", "3.9", day="2026-01-01")
    return local_index


@pytest.fixture
def spec(make_spec):
    requirements = {"torch": "==2.13.0", "numpy": ""}
    return replace(
        make_spec(None),
        framework="torch",
        framework_version="2.13.0",
        requirements=requirements,
        versions={"torch": "2.13.0"},
    )


def test_the_build_for_processors_is_locked(spec, index):
    index.add("torch", "2.13.0+cpu", day="2026-07-08")
    environment = resolve(spec, "3.14", index=IndexSettings(index.url))
    assert environment.requirements["torch"] == "2.13.0+cpu"
    assert environment.origins["torch"] == "file"
    assert environment.warnings == ()
    assert "triton" not in environment.requirements


def test_the_build_may_be_in_another_index(spec, index, second_index):
    second_index.add("torch", "2.13.0+cpu")
    settings = IndexSettings(index.url, (second_index.url,))
    environment = resolve(spec, "3.11", index=settings)
    assert environment.requirements["torch"] == "2.13.0+cpu"
    assert environment.requirements["numpy"] == "2.3.4"


def test_an_index_with_cuda_alone_is_an_error_with_a_way_out(spec, index):
    with pytest.raises(EnvironmentNotResolvedError) as error:
        resolve(spec, "3.11", index=IndexSettings(index.url))
    assert "torch 2.13.0 only with CUDA" in error.value.message
    assert "nvidia-cudnn-cu13" in error.value.message
    assert "UV_INDEX=https://download.pytorch.org/whl/cpu" in error.value.hint


def test_models_of_keras_compute_with_the_same_build(spec, index, second_index):
    """They need no certain version of PyTorch, so the index decides."""
    keras = replace(
        spec, framework="keras", framework_version=None, requirements={"torch": ""}, versions={}
    )
    with pytest.raises(EnvironmentNotResolvedError, match=r"torch 2\.13\.0 only with CUDA"):
        resolve(keras, "3.11", index=IndexSettings(index.url))
    second_index.add("torch", "2.12.0+cpu")
    settings = IndexSettings(index.url, (second_index.url,))
    assert resolve(keras, "3.11", index=settings).requirements["torch"] == "2.12.0+cpu"


def test_a_build_without_mark_is_used_if_it_has_no_cuda(spec, local_index):
    """As on PyPI for processors of ARM."""
    local_index.add("numpy", "2.3.4", day="2025-10-15")
    local_index.add("torch", "2.13.0", day="2026-07-08")
    environment = resolve(spec, "3.11", index=IndexSettings(local_index.url))
    assert environment.requirements["torch"] == "2.13.0"


def test_other_models_that_need_pytorch_keep_its_cuda(spec, index):
    environment = resolve(
        replace(spec, framework="scikit-learn"), "3.11", index=IndexSettings(index.url)
    )
    assert environment.requirements["triton"] == "3.9"


def test_a_file_without_a_version_needs_one_of_the_user(spec, index):
    """As TorchScript."""
    index.add("torch", "2.13.0+cpu", day="2026-07-08")
    unknown = replace(spec, framework_version=None, requirements={"torch": ""}, versions={})
    settings = IndexSettings(index.url)
    for given in ((), ("torch",), ("torch>=2",)):
        with pytest.raises(
            EnvironmentNotResolvedError, match="records no version of torch"
        ) as error:
            resolve(unknown, "3.11", index=settings, requirements=given)
        assert "--requirement torch==VERSION" in error.value.hint
    environment = resolve(unknown, "3.11", index=settings, requirements=("torch==2.13.0",))
    assert environment.requirements["torch"] == "2.13.0+cpu"
    assert environment.origins["torch"] == "user"
    recorded = replace(unknown, recorded={"torch": "2.13.0"})  # by MLflow
    environment = resolve(recorded, "3.11", index=settings)
    assert environment.requirements["torch"] == "2.13.0+cpu"


def test_the_release_of_pytorch_dates_the_model(spec):
    """Its Python is one with wheels of the release, and not the newest one."""
    assert candidate_pythons(spec)[:2] == ("3.14", "3.13")
    old = replace(spec, framework_version="1.13.1", requirements={"torch": "==1.13.1"},
                  versions={"torch": "1.13.1"})  # fmt: skip
    assert candidate_pythons(old)[0] == "3.10"
    assert "3.12" not in candidate_pythons(old)
