"""Services to be abused, and the figures of how they bore it, which are shown at the end."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import serving_models
from serving_models import Trained, bundle_of
from sleeping_model import Sleeping
from test_serving_gunicorn import Server, serving

from modelpack.spec import Field, Signature

FIGURES = pytest.StashKey[dict[str, str]]()
HERE = Path(__file__).parent
LIBRARIES = [sysconfig.get_paths()["purelib"], str(HERE.parent), str(HERE)]
BODY_BYTES = 1_000_000


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes one sentence with what was measured."""
    figures = request.config.stash.setdefault(FIGURES, {})

    def take(sentence: str) -> None:
        figures[request.node.name] = sentence

    return take


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    figures = config.stash.get(FIGURES, {})
    if figures:
        terminalreporter.section("what was measured under abuse")
        for name, sentence in figures.items():
            terminalreporter.write_line(f"{name}: {sentence}")


@pytest.fixture(scope="session")
def iris_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of(serving_models.iris(), tmp_path_factory.mktemp("iris")).directory


@pytest.fixture(scope="session")
def sleeping_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = (Field("seconds", "number", example=0.001),)
    trained = Trained(Sleeping(), Signature(inputs, (Field("value", "number"),)), "regressor")
    return bundle_of(trained, tmp_path_factory.mktemp("sleeping"), "pickle").directory


@pytest.fixture(scope="session")
def iris(iris_bundle: Path) -> Iterator[Server]:
    """Two workers, whose patience is short."""
    patience = {"HEADER": "3", "BODY": "3", "IDLE": "2", "WRITE": "1"}
    with serving(
        iris_bundle,
        MODELPACK_MAX_BODY_BYTES=str(BODY_BYTES),
        **{f"MODELPACK_{name}_SECONDS": seconds for name, seconds in patience.items()},
    ) as server:
        yield server


@pytest.fixture
def sleeping(sleeping_bundle: Path) -> Iterator[Callable[..., Server]]:
    """Starts a service of the model that sleeps, with one worker if not told otherwise."""
    running = []

    def start(**environ: str) -> Server:
        variables = {"WEB_CONCURRENCY": "1", "PYTHONPATH": os.pathsep.join(LIBRARIES), **environ}
        running.append(serving(sleeping_bundle, **variables))
        return running[-1].__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)
