"""What all tests share: the engine, under the rule of its marker; the index; the wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelpack.engines import select
from modelpack.environment import index_settings
from modelpack.errors import NoEngineError
from modelpack.spec import BaseImage, IndexSettings

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.10")


@pytest.fixture(scope="session")
def engine():
    """A Docker engine. Without one the tests marked `engine` are skipped, but fail under CI."""
    try:
        return select("docker")
    except NoEngineError as error:
        _missing(error)


@pytest.fixture(scope="session")
def base(engine) -> BaseImage:
    """A base image for one of PYTHONS."""
    try:
        return engine.find_base(PYTHONS)
    except NoEngineError as error:
        _missing(error)


@pytest.fixture(scope="session")
def index() -> IndexSettings:
    """The package index as this machine's pip reaches it."""
    return index_settings()


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("engine") and "engine" not in item.fixturenames:
            item.fixturenames.insert(0, "engine")


def _missing(error: NoEngineError) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{error.message} {error.hint}")
    pytest.skip(error.message)


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
