"""`docker buildx build` of a fake `docker`, which prints what the real one prints."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelpack.engines.docker import buildx
from modelpack.errors import BuildFailedError

LOST = "failed to get layer sha256:94a6a4bb: layer does not exist"


def fake_docker(folder: Path, first_error: str) -> dict[str, str]:
    """Fail once with an error, and succeed with --no-cache. Each call is a line of `calls`."""
    step = {
        "vertexes": [{"digest": "sha256:1", "name": "exporting to image", "error": first_error}]
    }
    (folder / "first").write_text(json.dumps(step) + f"\nERROR: failed to solve: {first_error}\n")
    docker = folder / "docker"
    docker.write_text(
        f'#!/bin/sh\necho "$@" >> {folder}/calls\n'
        f'case "$*" in *--no-cache*) exit 0 ;; esac\ncat {folder}/first >&2\nexit 1\n'
    )
    docker.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def build(folder: Path, first_error: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    environ = fake_docker(folder, first_error)
    monkeypatch.setenv("PATH", environ["PATH"])
    buildx.run(folder, lambda _: None, environ=environ, options=["--load"])
    return (folder / "calls").read_text().splitlines()


def test_build_whose_cache_lost_a_layer_is_done_again_without_cache(tmp_path, monkeypatch) -> None:
    calls = build(tmp_path, LOST, monkeypatch)
    assert ["--no-cache" in call for call in calls] == [False, True]


def test_other_failure_is_not_tried_again(tmp_path, monkeypatch) -> None:
    with pytest.raises(BuildFailedError):
        build(tmp_path, "no space left on device", monkeypatch)
    assert len((tmp_path / "calls").read_text().splitlines()) == 1
