"""Services to be abused, and the figures of how they bore it, which are shown at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
import raw
import serving_models
from gunicorn_server import BODY_BYTES, READY_SECONDS, Server, serve, worker_pids
from serving_models import Trained, render_bundle
from sleeping_model import Sleeping

from modelpack.types import Field, Signature

FIGURES = pytest.StashKey[dict[str, str]]()


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
    return render_bundle(serving_models.iris(), tmp_path_factory.mktemp("iris")).directory


@pytest.fixture(scope="session")
def sleeping_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = (Field("seconds", "number", example=0.001),)
    trained = Trained(Sleeping(), Signature(inputs, (Field("value", "number"),)), "regressor")
    return render_bundle(trained, tmp_path_factory.mktemp("sleeping"), "pickle").directory


@contextmanager
def started(
    bundle: Path, folder: Path, *, preload: bool = True, **environ: str
) -> Iterator[Server]:
    """A service of `bundle` with all its workers, whose log is in `folder`."""
    (folder / "bundle").symlink_to(bundle)
    variables = {"WEB_CONCURRENCY": "1", **environ}
    with serve(folder / "bundle", preload=preload, **variables) as server:
        while len(worker_pids(server)) < int(variables["WEB_CONCURRENCY"]):
            time.sleep(0.01)
        assert raw.request(server.port, raw.get("/readyz"), READY_SECONDS).status == 200
        yield server


@pytest.fixture(scope="session")
def iris(iris_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers, whose patience is short."""
    patience = {"HEADER": "2", "BODY": "2", "IDLE": "2", "WRITE": "1"}
    with started(
        iris_bundle,
        tmp_path_factory.mktemp("patience"),
        WEB_CONCURRENCY="2",
        MODELPACK_MAX_BODY_BYTES=str(BODY_BYTES),
        **{f"MODELPACK_{name}_SECONDS": seconds for name, seconds in patience.items()},
    ) as server:
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start the service of a bundle (default: with one worker)."""
    with ExitStack() as stack:
        yield lambda bundle, **options: stack.enter_context(started(bundle, tmp_path, **options))


@pytest.fixture
def sleeping(sleeping_bundle: Path, start: Callable[..., Server]) -> Callable[..., Server]:
    """Starts a service of the model that sleeps."""
    return partial(start, sleeping_bundle)


@pytest.fixture(scope="module")
def patient(sleeping_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker with the model that sleeps, a queue of 8, and a second for a prediction."""
    limits = {"MODELPACK_MAX_QUEUE": "8", "MODELPACK_PREDICT_SECONDS": "1"}
    with started(sleeping_bundle, tmp_path_factory.mktemp("patient"), **limits) as server:
        yield server
