from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import engine_bundles
import pytest
from engine_bundles import PYTHONS
from waiting import get_when_ready, wait_until

from modelpack import cache as cache_module
from modelpack.engines import interpreters, select_engine
from modelpack.engines.local import processes
from modelpack.engines.local.processes import LocalService
from modelpack.errors import BuildFailedError, NoEngineError, UsageError
from modelpack.types import Environment


@pytest.fixture(scope="session")
def process_engine():
    return select_engine("process")


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture
def bundle(process_engine, tmp_path):
    return engine_bundles.make(tmp_path / "bundle", process_engine.builder.find_base_image(PYTHONS))


@pytest.fixture
def built(process_engine, bundle, index):
    process_engine.builder.build(bundle, index, lambda _: None)
    return bundle


def is_alive(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_bundle_runs_and_ends_well(process_engine, built):
    with process_engine.runner.run(built.path) as service:
        assert get_when_ready(f"{service.url}/healthz")
        assert service.is_running()
        assert service.user_id() == os.getuid()
        assert service.memory_bytes() > 10_000_000
        assert "Listening at" in service.logs()
        assert service.stop(timeout=10) == 0
        assert not service.is_running()
        assert service.user_id() is None


def test_service_does_not_inherit_variables_of_modelpack(process_engine, built, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    with process_engine.runner.run(built.path) as service:
        assert b"canary" not in get_when_ready(f"{service.url}/process")


def test_environment_is_created_once(process_engine, built, index):
    states = []
    process_engine.builder.build(built, index, lambda event: states.append(event.state))
    assert states == ["cached"]


def test_environment_contains_exactly_the_locked_distributions(built, process_engine):
    [environment] = (Path(os.environ["XDG_CACHE_HOME"]) / "modelpack/environments").iterdir()
    installed = {path.name.split("-")[0] for path in environment.rglob("*.dist-info")}
    assert installed >= {"flask", "gunicorn"}
    assert not installed & {"pip", "setuptools", "uv"}
    assert list(environment.rglob("flask/__pycache__/app.*.pyc"))


def test_nothing_is_written_into_the_bundle(process_engine, built):
    before = sorted(built.directory.rglob("*"))
    with process_engine.runner.run(built.path) as service:
        get_when_ready(f"{service.url}/healthz")
    assert sorted(built.directory.rglob("*")) == before


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, ValueError])
def test_no_process_outlives_the_block(process_engine, built, interruption):
    pids = []

    def use() -> None:
        with process_engine.runner.run(built.path) as service:
            get_when_ready(f"{service.url}/healthz")
            pids.extend(map(int, re.findall(r"pid: (\d+)", service.logs())))
            raise interruption

    with pytest.raises(interruption):
        use()
    assert pids
    assert not any(map(is_alive, pids))


def test_a_service_that_does_not_end_is_killed(process_engine, built):
    with process_engine.runner.run(built.path) as service:
        get_when_ready(f"{service.url}/healthz")
        os.kill(service._process.pid, signal.SIGSTOP)
        assert service.stop(timeout=0.2) == 137


def test_all_processes_of_a_service_are_killed():
    script = 'trap "" TERM; sleep 60 & echo $!; wait'
    with subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        pid = int(process.stdout.readline())
        assert LocalService(process, "", "", None).stop(timeout=0.1) == 128 + signal.SIGKILL
        assert wait_until(lambda: not is_alive(pid), 10)


def test_the_service_ends_with_the_program_that_started_it(process_engine, built, tmp_path):
    program = (
        "import sys, time\n"
        "from modelpack.engines import select_engine as select\n"
        "with select('process').runner.run(sys.argv[1]) as service:\n"
        "    print(service._process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, built.path],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # what a killed program leaves
    ) as parent:
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)


def test_serve_runs_on_the_port_until_it_is_interrupted(process_engine, built, unused_port):
    def interrupt() -> None:
        get_when_ready(f"http://127.0.0.1:{unused_port}/healthz")
        os.kill(os.getpid(), signal.SIGINT)

    client = threading.Thread(target=interrupt)
    client.start()
    assert process_engine.runner.serve(built.path, unused_port).code == 0
    client.join()


SERVING = Path(__file__).parents[3] / "modelpack" / "serving"
READ_BY_THE_SERVICE = sorted(
    {
        name
        for path in SERVING.rglob("*.py")
        for name in re.findall(
            r"\"(MODELPACK_[A-Z_]+|WEB_CONCURRENCY|OTEL_[A-Z_]+)\"", path.read_text()
        )
    }
    | {"GUNICORN_CMD_ARGS"}
)


def test_serve_passes_all_variables_that_the_service_reads(monkeypatch, tmp_path):
    assert len(READ_BY_THE_SERVICE) > 25
    monkeypatch.chdir(tmp_path)
    environ = dict.fromkeys(READ_BY_THE_SERVICE, "set")
    found = processes.service_variables({**environ, "AWS_SECRET_ACCESS_KEY": "x", "HOME": "/x"})
    assert found == {**environ, "MODELPACK_TOKEN_FILE": str(tmp_path / "set")}


def test_serve_gives_the_service_the_variables(process_engine, built, unused_port, monkeypatch):
    monkeypatch.setenv("MODELPACK_MODEL_NAME", "canary-of-serve")
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    environs = []

    def look() -> None:
        get_when_ready(f"http://127.0.0.1:{unused_port}/healthz")
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        environs.extend(Path(f"/proc/{child}/environ").read_bytes() for child in children)
        os.kill(os.getpid(), signal.SIGINT)

    client = threading.Thread(target=look)
    client.start()
    assert process_engine.runner.serve(built.path, unused_port).code == 0
    client.join()
    (environ,) = [each for each in environs if b"PORT=%d\0" % unused_port in each]
    assert {b"MODELPACK_MODEL_NAME=canary-of-serve", b"WEB_CONCURRENCY=3"} <= set(
        environ.split(b"\0")
    )


def test_serve_ends_if_the_model_fails_on_its_own_example(process_engine, built, unused_port):
    app = Path(built.path) / "app.py"
    unready = '\n\n@app.get("/readyz")\ndef unready():\n    return {}, 503\n\n'
    app.write_text(app.read_text().replace('@app.get("/readyz")\n', "") + unready)
    assert process_engine.runner.serve(built.path, unused_port).code is None
    with socket.create_server(("127.0.0.1", unused_port)):
        pass  # the service has ended


def test_serve_returns_the_exit_code_of_a_service_that_cannot_start(
    process_engine, built, unused_port
):
    (Path(built.path) / "app.py").write_text("raise SystemExit(3)\n")
    assert process_engine.runner.serve(built.path, unused_port).code == 3


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "0", " 2"])
def test_invalid_number_of_workers_is_a_usage_error(
    process_engine, built, unused_port, monkeypatch, value
):
    monkeypatch.setenv("WEB_CONCURRENCY", value)
    with pytest.raises(UsageError, match=r"WEB_CONCURRENCY is .*not a positive integer") as caught:
        process_engine.runner.serve(built.path, unused_port)
    assert "WEB_CONCURRENCY=2" in caught.value.hint


def test_empty_number_of_workers_is_the_default():
    assert processes.with_valid_workers({"WEB_CONCURRENCY": "", "A": ""}) == {"A": ""}


def test_a_port_that_is_taken_is_a_usage_error(process_engine, built, unused_port):
    with (
        socket.create_server(("127.0.0.1", unused_port)),
        pytest.raises(UsageError, match=f"127.0.0.1:{unused_port}"),
    ):
        process_engine.runner.serve(built.path, unused_port)


@pytest.fixture
def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_package_that_differs_from_the_lock_is_refused(process_engine, tmp_path, index, cache):
    base = process_engine.builder.find_base_image(PYTHONS)
    lock = f"itsdangerous==2.2.0 --hash=sha256:{'0' * 64}\n"
    bundle = engine_bundles.make(tmp_path / "bundle", base, lock=lock)
    with pytest.raises(BuildFailedError, match="itsdangerous") as caught:
        process_engine.builder.build(bundle, index, lambda _: None)
    assert "locked" in caught.value.hint
    assert not list((cache / "modelpack" / "environments").glob(".*"))


def test_two_processes_can_create_the_same_environment_at_once(index, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(_create_venv, index) for _ in range(2)]
        first, second = (each.result() for each in futures)
    assert first == second
    assert list(first.rglob("itsdangerous/__init__.py"))
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_a_new_environment_replaces_one_that_was_not_used_for_long(index, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(cache_module.LIMITS, "environments", cache_module.Limit(1, 2**30))
    old = cache_module.directory("environments") / "old"
    old.mkdir()
    os.utime(old, (0, 0))
    new = _create_venv(index)
    assert list(new.parent.iterdir()) == [new]


def _create_venv(index):
    lock = "itsdangerous==2.2.0 " + (
        "--hash=sha256:c6242fc49e35958c8b15141343aa660db5fc54d4f13a1db01a3f5891b98700ef\n"
    )
    locked = Environment("3.11", "linux/amd64", {}, {}, lock)
    return interpreters.create_venv(locked, Path(sys.executable).resolve(), index)


def test_a_bundle_must_be_built_before_it_runs(process_engine, tmp_path):
    bundle = engine_bundles.make(
        tmp_path / "b", process_engine.builder.find_base_image(PYTHONS), lock="x==1\n"
    )
    with pytest.raises(UsageError, match="does not exist yet"):
        process_engine.runner.run(bundle.path)


def test_directory_without_a_bundle_is_a_usage_error(process_engine, tmp_path):
    with pytest.raises(UsageError, match=r"not a bundle.*modelpack\.json"):
        process_engine.runner.run(str(tmp_path))


def test_no_interpreter_is_an_error_with_what_to_install(process_engine, monkeypatch):
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    with pytest.raises(NoEngineError, match=r"no CPython 3\.99") as caught:
        process_engine.builder.find_base_image(["3.99"])
    assert caught.value.hint == "uv python install 3.99"


def test_the_base_is_named_for_an_image_built_elsewhere(process_engine):
    base = process_engine.builder.find_base_image(["3.99", *PYTHONS])
    assert base.reference == f"python:{base.python}-slim"
