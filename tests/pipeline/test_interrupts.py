"""An interrupt in any stage leaves no container and no temporary folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import docker
import pytest
from engine_bundles import SPEC
from waiting import wait_until

from modelpack import processes
from modelpack.engines import Engine, sandbox
from modelpack.engines.docker import buildx, containers
from modelpack.engines.docker.connection import EngineHost
from modelpack.engines.local.engine import LocalBuilder
from modelpack.engines.protocol import AnswerFuture
from modelpack.engines.sandbox import Sandbox
from modelpack.errors import SmokeFailedError
from modelpack.parity import Response
from modelpack.pipeline import stages as pipeline_run
from modelpack.pipeline.options import Options
from modelpack.pipeline.proof import Expected, prove
from modelpack.pipeline.stages import Pipeline
from modelpack.types import Answers, Reference, RunningService

MODEL = Path(__file__).parents[2] / "sample_models" / "iris" / "model.joblib"
STAGES = ("inspect", "environment", "bundle", "build")
KILLS = [
    *((stage, number) for stage in STAGES for number in (signal.SIGINT, signal.SIGKILL)),
    ("build", signal.SIGTERM),  # it has the handler of SIGINT
]


def smoke_containers() -> list[str]:
    client = docker.from_env()
    try:
        filters = {"label": "dev.modelpack.smoke"}
        return [
            container.id
            for container in client.containers.list(all=True, ignore_removed=True, filters=filters)
        ]
    finally:
        client.close()


@contextmanager
def packaging(tmp: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Package the model, with a cache that does not know its image: the build is not skipped."""
    command = [sys.executable, "-m", "modelpack", "package", str(MODEL), "-t", "interrupted:test"]
    uv = os.environ.get("UV_CACHE_DIR", Path("~/.cache/uv").expanduser())
    with TemporaryDirectory() as cache:
        caches = {"XDG_CACHE_HOME": cache, "UV_CACHE_DIR": str(uv)}
        process = subprocess.Popen(
            [*command, *arguments],
            env={**os.environ, **caches, "TMPDIR": str(tmp)},
            cwd=tmp,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            yield process
            process.kill()


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize(("stage", "number"), KILLS)
def test_kill_after_any_stage_leaves_nothing(
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
    assert wait_until(lambda: not list(tmp_path.iterdir())), list(tmp_path.iterdir())
    assert wait_until(lambda: set(smoke_containers()) <= containers)


def test_an_interrupt_waits_for_the_container_that_is_being_created() -> None:
    """The engine creates it whether or not anyone waits, and only then can it be removed."""
    created = []

    def create(image: str, **_: object) -> None:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        created.append(image)

    client = SimpleNamespace(containers=SimpleNamespace(create=create))
    with pytest.raises(KeyboardInterrupt):
        containers.create(client, "image")  # type: ignore[arg-type]
    assert created == ["image"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_deferred_interrupt_is_raised_after_the_block(number: signal.Signals) -> None:
    def interrupt(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    def work() -> None:
        with processes.defer_interrupts():
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            done.append("to the end")

    done: list[str] = []
    before = signal.signal(number, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)
    assert done == ["to the end"]


def test_an_interrupt_waits_for_the_sandbox_that_is_being_created(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    marker = tmp_path / "made"
    slow = tmp_path / "docker"
    slow.write_text(f"#!/bin/sh\nkill -INT {os.getpid()}\nsleep 0.3\necho made > {marker}\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    host = EngineHost("docker", os.environ, buildx, None, docker.from_env)
    with pytest.raises(KeyboardInterrupt):
        containers.create_sandbox(host, "image", "name", sandbox.REFERENCE_COMMAND, 2**31)
    assert marker.read_text() == "made\n"


class SlowRunner:
    """A runner whose sandbox takes a minute, and whose service does not start."""

    def __init__(self, folder: Path, end: BaseException) -> None:
        self.started = folder / "pid"
        self._end = end

    def query_model(
        self, target: str, request: bytes, more_seconds: float = 0.0
    ) -> AbstractContextManager[AnswerFuture]:
        code = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'w'))"
        command = [sys.executable, "-c", f"{code}; time.sleep(60)", str(self.started)]
        return Sandbox(command).query(request, more_seconds)

    @contextmanager
    def run(self, target: str) -> Iterator[RunningService]:
        assert wait_until(lambda: self.started.exists() and self.started.read_text().endswith("\n"))
        raise self._end
        yield


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SmokeFailedError("It ended at once.")])
def test_sandbox_runs_next_to_the_service_and_ends_with_it(
    end: BaseException, tmp_path: Path
) -> None:
    run = Pipeline(Options())
    runner = SlowRunner(tmp_path, end)
    run.engine = Engine("slow", "linux/amd64", LocalBuilder(), runner)
    with pytest.raises(type(end)):
        run.smoke("image", SPEC, Reference(((1.0,),)))
    with pytest.raises(ProcessLookupError):
        os.kill(int(runner.started.read_text()), 0)


def test_time_of_a_proof_depends_on_its_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 0.6)
    run = Pipeline(Options())
    runner = SlowRunner(tmp_path, KeyboardInterrupt())
    run.engine = Engine("slow", "linux/amd64", LocalBuilder(), runner)
    rows = Reference(((1.0,), (2.0,)))
    expected = Expected(rows, Response((), Answers(), Answers()), rows)
    with pytest.raises(SmokeFailedError, match=r"the compiled model does not answer 2") as caught:
        prove(run, "image", expected)
    assert "1 seconds were not enough" in caught.value.message
    assert "--compiled" in caught.value.hint


def test_a_large_model_is_not_loaded_twice_at_a_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The sandbox is waited for; it is ended by its deadline, before the service is started."""
    monkeypatch.setattr(pipeline_run, "MAX_CONCURRENT_MODEL_BYTES", 0)
    monkeypatch.setattr(sandbox, "SECONDS", 1.0)
    run = Pipeline(Options())
    runner = SlowRunner(tmp_path, KeyboardInterrupt())
    run.engine = Engine("slow", "linux/amd64", LocalBuilder(), runner)
    ended = []

    @contextmanager
    def start(target: str) -> Iterator[RunningService]:
        ended.append(process_state(int(runner.started.read_text())))
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(runner, "run", start)
    with pytest.raises(KeyboardInterrupt):
        run.smoke("image", SPEC, Reference(((1.0,),)))
    assert ended == ["gone"]


def process_state(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    return "there"
