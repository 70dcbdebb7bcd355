"""What all tests share: the rule of the `engine` marker, and the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def engine_refusal() -> str:
    """Why no container engine answers; empty where one does."""
    try:
        docker.from_env().close()
    except DockerException as error:
        return f"no container engine answers: {error}"
    return ""


@pytest.fixture(autouse=True)
def needs_engine(request: pytest.FixtureRequest) -> None:
    """A test marked `engine` is skipped where there is none, except in CI, where it fails."""
    if request.node.get_closest_marker("engine") is None:
        return
    if refusal := request.getfixturevalue("engine_refusal"):
        if os.environ.get("CI"):
            pytest.fail(refusal)
        pytest.skip(refusal)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip wheel .` makes of a clean copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, source]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))
