from __future__ import annotations

from importlib import import_module

import pytest

from modelpack.engines import ENGINES, IMAGE_ENGINES, select_engine
from modelpack.errors import NoEngineError, UsageError


@pytest.fixture
def no_docker(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


def test_auto_takes_podman_where_no_docker_answers(no_docker, podman):
    assert select_engine("auto").name == select_engine(IMAGE_ENGINES).name == "podman"


def test_auto_falls_back_to_processes_where_no_engine_is(no_docker, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert select_engine("auto").name == "process"
    with pytest.raises(NoEngineError, match="`podman` is not installed"):
        select_engine(IMAGE_ENGINES)


def test_docker_by_name_says_where_none_answers_and_what_to_do(no_docker, tmp_path):
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
