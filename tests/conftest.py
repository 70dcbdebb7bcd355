"""Fixtures for all tests: container engines, base images, registries, indexes and the wheel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pandas as pd
import pytest
import registries
from engine_bundles import PYTHONS

from modelpack.engines import select_engine
from modelpack.engines.docker.engine import DockerEngine
from modelpack.environment import index_settings
from modelpack.errors import NoEngineError
from modelpack.types import BaseImage, IndexSettings

ROOT = Path(__file__).parents[1]
SERVING = ("serving", "parity", "compilation")  # half of the tests that need no engine, by time
ENGINE_REQUIRED = "MODELPACK_TEST_ENGINE_REQUIRED"  # set by `make test`


# With pyarrow installed, pandas 3 stores strings in Arrow memory. Saved, these name functions that
# read memory and need trust. The tests use pyarrow only to read Parquet files.
pd.set_option("mode.string_storage", "python")


def pytest_configure() -> None:
    """Restore SIGINT: shells start background commands, and so their children, with it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parts = ("docker", "podman", "serving", "others")
    parser.addoption("--part", choices=parts, help="see scripts/test.sh")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect only the files of the part that is asked for."""
    part = config.getoption("--part")
    if part is None or collection_path.suffix != ".py":
        return None
    return None if part == _part(collection_path) else True


def _part(path: Path) -> str:
    folders = path.relative_to(ROOT / "tests").parts[:-1]
    if "mark.engine" in path.read_text():
        return "podman" if folders == ("engines", "podman") else "docker"
    return "serving" if folders[:1] and folders[0] in SERVING else "others"


@pytest.fixture(scope="session")
def engine_refusal() -> str:
    """Why no container engine responds; empty if one does."""
    try:
        command = ["docker", "version", "--format={{.Server.Version}}"]
        done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)
    except FileNotFoundError:
        return "no container engine responds: docker is not installed; run `make engine`"
    why = f"no container engine responds: {done.stderr.strip()}; run `make engine`"
    return why if done.returncode else ""


@pytest.fixture(autouse=True)
def needs_engine(request: pytest.FixtureRequest) -> None:
    """Skip a test marked `engine` if no engine responds; fail it in CI and in `make test`."""
    if request.node.get_closest_marker("engine") is None:
        return
    if refusal := request.getfixturevalue("engine_refusal"):
        _without(refusal, ENGINE_REQUIRED)


def _without(refusal: str, variable: str = "CI") -> NoReturn:
    """Skip a test, or let it fail if `variable` or CI is set."""
    if os.environ.get("CI") or os.environ.get(variable):
        pytest.fail(refusal)
    pytest.skip(refusal)


@pytest.fixture(scope="session")
def engine(engine_refusal: str) -> DockerEngine:
    """The Docker engine; the test is skipped without one."""
    if engine_refusal:
        _without(engine_refusal, ENGINE_REQUIRED)
    return select_engine("docker")


@pytest.fixture(scope="session")
def base(engine: DockerEngine) -> BaseImage:
    """A base image for one of the Python versions in PYTHONS."""
    try:
        return engine.builder.find_base_image(PYTHONS)
    except NoEngineError as error:
        _without(f"{error.message} {error.hint}", ENGINE_REQUIRED)


@pytest.fixture(scope="session")
def podman() -> DockerEngine:
    """The Podman engine; the test is skipped without one."""
    try:
        return select_engine("podman")
    except NoEngineError as error:
        _without(error.message)


@pytest.fixture(scope="session")
def podman_base(podman: DockerEngine, base: BaseImage) -> BaseImage:
    """The base image in Podman's storage, copied from Docker if it is missing."""
    try:
        return podman.builder.find_base_image([base.python], base.reference, pull=False)
    except NoEngineError:
        saving = ["docker", "save", base.reference]
        with subprocess.Popen(saving, stdout=subprocess.PIPE) as saved:
            subprocess.run(["podman", "load", "--quiet"], stdin=saved.stdout, check=True)
    return podman.builder.find_base_image([base.python], base.reference, pull=False)


@pytest.fixture(scope="session")
def cosign_command() -> str:
    """The path of cosign."""
    if path := shutil.which("cosign"):
        return path
    _without("cosign is not installed")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The host of a registry without passwords, "127.0.0.1:PORT"."""
    if shutil.which("docker-registry") is None:
        _without("docker-registry is not installed")
    with registries.run_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="session")
def index() -> IndexSettings:
    """The settings of the package index that this machine uses."""
    return index_settings()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip wheel .` builds from a clean copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    completed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, completed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, source]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))
