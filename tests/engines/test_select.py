from __future__ import annotations

from importlib import import_module

import pytest

from modelpack.engines import ENGINES, IMAGE_ENGINES, select_engine
from modelpack.errors import NoEngineError, UsageError


@pytest.fixture
def no_docker(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


def test_auto_selects_podman_without_docker(no_docker, podman):
    assert select_engine("auto").name == select_engine(IMAGE_ENGINES).name == "podman"


def test_auto_selects_local_processes_without_an_engine(no_docker, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert select_engine("auto").name == "process"
    with pytest.raises(NoEngineError, match="`podman` is not installed"):
        select_engine(IMAGE_ENGINES)


def test_unavailable_docker_is_an_error_with_address_and_hint(no_docker, tmp_path):
    with pytest.raises(NoEngineError, match=f"answers at unix://{tmp_path}") as caught:
        select_engine("docker")
    assert "--engine process" in caught.value.hint


@pytest.mark.engine
def test_auto_prefers_docker():
    assert select_engine("auto").name == "docker"


def test_an_unknown_engine_is_a_usage_error_that_names_the_known_ones():
    with pytest.raises(UsageError) as caught:
        select_engine("lxc")
    assert all(name in caught.value.hint for name in ENGINES)


def test_each_engine_can_be_imported():
    for module in ENGINES.values():
        assert callable(import_module(module).create_engine)
