from __future__ import annotations

from pathlib import Path

import pytest

import modelpack.engines
from modelpack.engines import ENGINES, WITH_IMAGES, select
from modelpack.errors import NoEngineError, UsageError


@pytest.fixture
def no_docker(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


def test_auto_takes_podman_where_no_docker_answers(no_docker, podman):
    assert select("auto").name == select(WITH_IMAGES).name == "podman"


def test_auto_falls_back_to_processes_where_no_engine_is(no_docker, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert select("auto").name == "process"
    with pytest.raises(NoEngineError, match="There is no podman command"):
        select(WITH_IMAGES)


def test_docker_by_name_says_where_none_answers_and_what_to_do(no_docker, tmp_path):
    with pytest.raises(NoEngineError, match=f"answers at unix://{tmp_path}") as caught:
        select("docker")
    assert "--engine process" in caught.value.hint


@pytest.mark.engine
def test_auto_prefers_docker():
    assert select("auto").name == "docker"


def test_an_unknown_engine_is_a_usage_error_that_names_the_known_ones():
    with pytest.raises(UsageError) as caught:
        select("lxc")
    assert all(name in caught.value.hint for name in ENGINES)


def test_each_engine_is_a_file_of_its_own():
    folder = Path(modelpack.engines.__file__).parent
    assert all((folder / f"{name}.py").exists() for name in ENGINES)
