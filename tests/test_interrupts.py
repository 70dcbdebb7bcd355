"""Whatever ends modelpack, in whatever stage: no container, no temporary folder is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import docker
import pytest

from modelpack.engines import containers

MODEL = Path(__file__).parents[1] / "sample_models" / "iris" / "model.joblib"
STAGES = ("inspect", "environment", "bundle", "build")


def smoke_containers() -> list[str]:
    client = docker.from_env()
    try:
        filters = {"label": "dev.modelpack.smoke"}
        return [container.id for container in client.containers.list(all=True, filters=filters)]
    finally:
        client.close()


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@contextmanager
def packaging(tmp: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "modelpack", "package", str(MODEL), "-t", "interrupted:test"]
    environ = {**os.environ, "TMPDIR": str(tmp)}
    process = subprocess.Popen(
        [*command, *arguments], env=environ, cwd=tmp, stderr=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("stage", STAGES)
def test_killed_after_a_stage_nothing_is_left(
    stage: str, number: signal.Signals, tmp_path: Path
) -> None:
    """Killed as soon as the stage is done, so in the middle of the next one."""
    containers = set(smoke_containers())
    with packaging(tmp_path) as process:
        assert process.stderr
        for line in process.stderr:
            if line.startswith(f"\u2713 {stage}"):
                break
        time.sleep(0.3)
        process.send_signal(number)
        code = process.wait(timeout=30)
    assert code == (-number if number == signal.SIGKILL else 130)
    assert eventually(lambda: not list(tmp_path.iterdir())), list(tmp_path.iterdir())
    assert eventually(lambda: set(smoke_containers()) <= containers)


def test_an_interrupt_waits_for_the_container_that_is_being_created() -> None:
    """The engine creates it whether or not anyone waits, and only then can it be removed."""
    made = []

    def create(image: str, **_: object) -> None:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        made.append(image)

    client = SimpleNamespace(containers=SimpleNamespace(create=create))
    with pytest.raises(KeyboardInterrupt):
        containers.create(client, "image")  # type: ignore[arg-type]
    assert made == ["image"]


def test_an_interrupt_waits_for_the_sandbox_that_is_being_created(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    slow = tmp_path / "docker"
    slow.write_text(f"#!/bin/sh\nkill -INT {os.getpid()}\nsleep 0.3\necho made > {made}\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(KeyboardInterrupt):
        containers.create_sandbox("image", "name")
    assert made.read_text() == "made\n"
