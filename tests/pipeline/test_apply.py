"""`deploy --apply`, `--status` and `--remove`, with a stub, with Compose and with Swarm."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from deployments import IMAGE, deployment
from packaged_images import SAMPLES, curl, package

from modelpack.deployment import Folder, render
from modelpack.deployment.controllers import CONTROLLERS, Replica, Status
from modelpack.errors import NoEngineError, SmokeFailedError, UsageError
from modelpack.pipeline import apply as pipeline_apply
from modelpack.pipeline.options import Observer, Options
from modelpack.pipeline.stages import Pipeline

READY = Status(1, 1, (Replica("iris-1", "running (healthy)"),))
STARTING = Status(0, 1, (Replica("iris-1", "running (starting)"),))
FAILED = Status(0, 1, (Replica("iris-1", "exited"),), failure="iris-1 is exited")


class Platform:
    """A controller whose states are given, and the files that were applied."""

    def __init__(self) -> None:
        self.states: list[Status | Exception] = []
        self.applied: list[str] = []
        self.exists = self.is_removed = False

    def __call__(self, location) -> Platform:
        self.directory = location.directory
        return self

    def apply(self) -> None:
        self.applied.append((self.directory / "compose.yaml").read_text())
        self.exists = True

    def status(self) -> Status:
        if not self.exists:
            return Status(0, 0)
        state = self.states.pop(0)
        if isinstance(state, Exception):
            raise state
        return state

    def logs(self) -> list[str]:
        return [] if self.is_removed else ["Error: it does not start"]

    def remove(self) -> None:
        self.exists, self.is_removed = False, True


class Log(Observer):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    stub = Platform()
    monkeypatch.setitem(CONTROLLERS, "compose", stub)
    monkeypatch.setattr(pipeline_apply, "POLL_SECONDS", 0.0)
    return stub


def write(path: Path, text: str) -> None:
    Folder(path).write({"compose.yaml": text}, {"to": "compose", "name": "iris"}, force=True)


def applied(path: Path):
    return pipeline_apply.apply(Pipeline(Options(), Observer()), path)


def test_apply_waits_until_the_deployment_is_healthy(platform: Platform, tmp_path: Path) -> None:
    write(tmp_path, "one")
    platform.states = [STARTING, STARTING, READY]
    assert applied(tmp_path).to_json() == {
        "to": "compose",
        "name": "iris",
        "ready": True,
        "ready_replicas": 1,
        "expected_replicas": 1,
        "failure": "",
        "replicas": [{"name": "iris-1", "state": "running (healthy)", "detail": ""}],
    }
    assert platform.states == []


def test_failed_update_is_rolled_back_to_the_files_that_were_healthy(
    platform: Platform, tmp_path: Path
) -> None:
    write(tmp_path, "one")
    platform.states = [READY]
    applied(tmp_path)
    write(tmp_path, "never applied")
    write(tmp_path, "two")
    platform.states = [STARTING, FAILED, STARTING, READY]
    with pytest.raises(SmokeFailedError, match="iris-1 is exited") as caught:
        applied(tmp_path)
    assert "earlier ones again" in caught.value.message
    assert platform.applied == ["one", "two", "one"]
    assert (tmp_path / "compose.yaml").read_text() == "one"
    assert not platform.is_removed
    Folder(tmp_path).write({"compose.yaml": "three"}, {"to": "compose", "name": "iris"})


def test_first_deployment_that_fails_is_removed_after_its_log_is_shown(
    platform: Platform, tmp_path: Path
) -> None:
    write(tmp_path, "one")
    platform.states = [FAILED]
    observer = Log()
    with pytest.raises(SmokeFailedError, match="it was removed"):
        pipeline_apply.apply(Pipeline(Options(), observer), tmp_path)
    assert platform.is_removed
    assert observer.notices == ["log: Error: it does not start"]


def test_deployment_of_another_folder_is_not_removed_when_it_fails(
    platform: Platform, tmp_path: Path
) -> None:
    """As in a new checkout of a CI job, which has no files of the deployment that runs."""
    write(tmp_path, "two")
    platform.exists = True
    platform.states = [READY, STARTING, FAILED]
    with pytest.raises(SmokeFailedError, match="is not rolled back") as caught:
        applied(tmp_path)
    assert not platform.is_removed
    assert "earlier image" in str(caught.value.hint)
    assert (tmp_path / "compose.yaml").read_text() == "two"


def test_deployment_that_never_becomes_healthy_is_rolled_back(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_apply, "_seconds", lambda _: 0.0)
    write(tmp_path, "one")
    platform.states = [STARTING, STARTING]
    with pytest.raises(SmokeFailedError, match="0 of 1 replicas ready after 0 s"):
        applied(tmp_path)


def test_failed_rollback_names_both_reasons(platform: Platform, tmp_path: Path) -> None:
    write(tmp_path, "one")
    platform.states = [READY]
    applied(tmp_path)
    platform.states = [FAILED, SmokeFailedError("the engine has stopped")]
    with pytest.raises(SmokeFailedError, match=r"exited.*failed, too: the engine has stopped"):
        applied(tmp_path)


def test_missing_command_is_not_rolled_back(platform: Platform, tmp_path: Path) -> None:
    write(tmp_path, "one")
    platform.states = [NoEngineError("docker is not installed.")]
    with pytest.raises(NoEngineError):
        applied(tmp_path)
    assert not platform.is_removed


def test_removed_deployment_is_not_what_a_failure_returns_to(
    platform: Platform, tmp_path: Path
) -> None:
    write(tmp_path, "one")
    platform.states = [READY, FAILED]
    applied(tmp_path)
    pipeline_apply.remove(Pipeline(Options(), Observer()), tmp_path)
    assert platform.is_removed
    assert (tmp_path / "compose.yaml").exists()
    with pytest.raises(SmokeFailedError, match="no earlier deployment"):
        applied(tmp_path)


@pytest.mark.parametrize("record", [{}, {"to": "moon", "name": "iris"}, {"to": "compose"}])
def test_folder_that_is_not_a_deployment_is_an_error(tmp_path: Path, record: dict) -> None:
    if record:
        Folder(tmp_path).write({}, record)
    with pytest.raises(UsageError, match="not the folder of a deployment"):
        pipeline_apply.status(tmp_path)


def test_name_in_the_record_cannot_be_an_option(platform: Platform, tmp_path: Path) -> None:
    for record in ({"name": "--all"}, {"name": "iris", "namespace": "-A"}):
        Folder(tmp_path).write({}, {"to": "compose", **record})
        with pytest.raises(UsageError, match="not a valid name"):
            pipeline_apply.remove(Pipeline(Options(), Observer()), tmp_path)
    assert not platform.is_removed


# --- real platforms ------------------------------------------------------------------------------

BODY = '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'


def modelpack(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", "deploy", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, engine) -> Iterator[str]:
    tag = "modelpack-test/deployed:1"
    arguments = ("-t", tag)
    package(SAMPLES / "iris" / "model.joblib", *arguments, cwd=tmp_path_factory.mktemp("package"))
    yield tag
    subprocess.run(["docker", "rmi", "--force", tag], capture_output=True, check=True)


@pytest.fixture(scope="module")
def swarm(engine) -> Iterator[None]:
    """This machine as a swarm. One that the user created is not touched."""
    state = engine.images.host.client.info()["Swarm"]["LocalNodeState"]
    if state != "inactive":
        pytest.skip(f"the swarm of this machine is {state}")
    init = ["docker", "swarm", "init", "--advertise-addr", "127.0.0.1"]
    subprocess.run(init, capture_output=True, check=True)
    yield
    subprocess.run(["docker", "swarm", "leave", "--force"], capture_output=True, check=True)


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("to", ["compose", "swarm"])
def test_image_is_applied_updated_rolled_back_and_removed(
    image: str, to: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if to == "swarm":
        request.getfixturevalue("swarm")
    elif not (shutil.which("docker-compose") or has_plugin()):
        pytest.skip("Docker Compose is not installed")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    name = f"modelpack-test-{to}"
    options = [image, "--to", to, "-o", "out", "--name", name, "--port", port]
    options += ["--publish", "host"] if to == "swarm" else []
    file = tmp_path / "out" / ("stack.yaml" if to == "swarm" else "compose.yaml")
    try:
        assert modelpack(*options, cwd=tmp_path).returncode == 0
        quick = file.read_text().replace("interval: 10s", "interval: 1s")
        file.write_text(quick.replace("monitor: 10s", "monitor: 2s"))
        done = modelpack("--apply", "-o", "out", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["ready"] is True
        token = (tmp_path / "out/secrets/token").read_text()
        url = f"http://127.0.0.1:{port}/predict"
        headers = ("-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json")
        assert json.loads(curl(*headers, "-d", BODY, url)) == {"predictions": ["setosa"]}

        good = file.read_text()
        file.write_text(good.replace('WEB_CONCURRENCY: "1"', 'WEB_CONCURRENCY: "none"'))
        done = modelpack("--apply", "-o", "out", cwd=tmp_path)
        assert done.returncode == 7, done.stderr
        assert "did not become healthy" in done.stderr
        # From the log of the replica that is gone.
        assert "WEB_CONCURRENCY is 'none', not a positive integer." in " ".join(done.stderr.split())
        assert file.read_text() == good
        assert modelpack("--status", "-o", "out", cwd=tmp_path).returncode == 0
        assert json.loads(curl(*headers, "-d", BODY, url)) == {"predictions": ["setosa"]}

        if to == "compose":
            (tmp_path / "out/secrets/token").unlink()
            (tmp_path / "out/secrets/token").write_text(token[::-1])
            done = modelpack("--apply", "-o", "out", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert prediction_status(url, token) == "401"
            assert prediction_status(url, token[::-1]) == "200"
    finally:
        removed = modelpack("--remove", "-o", "out", cwd=tmp_path)
    assert removed.returncode == 0, removed.stderr
    assert modelpack("--status", "-o", "out", cwd=tmp_path).returncode == 7
    assert modelpack("--remove", "-o", "out", cwd=tmp_path).returncode == 0


def prediction_status(url: str, token: str) -> str:
    """Return the status of a prediction with this token."""
    command = ["curl", "--silent", "--noproxy", "*", "--output", "/dev/null", "-w", "%{http_code}"]
    headers = ("-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json")
    done = subprocess.run([*command, *headers, "-d", BODY, url], capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.engine
@pytest.mark.slow
def test_swarm_predicts_a_folder_as_a_job(image: str, swarm: None, tmp_path: Path) -> None:
    rows, predictions = tmp_path / "rows", tmp_path / "predictions"
    rows.mkdir()
    predictions.mkdir()
    predictions.chmod(0o777)
    options = ["--batch-options", "--chunk-rows 50 --part-rows 50", "--replicas", "2"]
    options += ["--batch", str(rows), str(predictions), "--to", "swarm"]
    service = "modelpack-test-job-batch_predict"
    try:
        done = modelpack(
            image, *options, "--name=modelpack-test-job", "--apply", "-o", "out", cwd=tmp_path
        )
        assert done.returncode == 7, done.stderr  # the folder of rows is empty
        assert "The job failed: task: non-zero exit (66)" in done.stderr
        assert "log: error:" in done.stderr
        assert modelpack("--status", "-o", "out", cwd=tmp_path).returncode == 7

        (rows / "a.csv").write_text("5.1,3.5,1.4,0.2\n" * 500)
        done = modelpack("--apply", "-o", "out", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        expected = {"files": 1, "parts": 10, "rows": 500, "written": 500, "without_prediction": 0}
        assert json.loads(done.stdout) == expected
        assert "2 of 2 shards done, 10 of 10 parts" in done.stderr
        parts = sorted((predictions / "a.csv").iterdir())
        assert {part.read_text() for part in parts} == {"prediction\n" + "setosa\n" * 50}

        started = docker("service", "inspect", "--format={{json .JobStatus}}", service)
        assert modelpack("--apply", "-o", "out", cwd=tmp_path).returncode == 0
        assert docker("service", "inspect", "--format={{json .JobStatus}}", service) == started
        done = modelpack("--status", "-o", "out", "--json", cwd=tmp_path)
        assert done.returncode == 0
        document = json.loads(done.stdout)
        assert document["shards"] == {"expected": 2, "done": 2, "failed": 0}
        assert document["parts"] == {"expected": 10, "done": 10}
        assert document["report"] == expected
    finally:
        removed = modelpack("--remove", "-o", "out", cwd=tmp_path)
    assert removed.returncode == 0, removed.stderr
    assert service not in docker("service", "ls", "--format={{.Name}}")
    assert modelpack("--remove", "-o", "out", cwd=tmp_path).returncode == 0
    done = modelpack("--status", "-o", "out", cwd=tmp_path)
    assert done.returncode == 7
    assert "it is not deployed" in done.stderr


def docker(*arguments: str) -> str:
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def has_plugin() -> bool:
    command = ["docker", "compose", "version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [[], ["--to", "compose"], ["image:1", "--status"], ["image:1", "--remove"], ["image:1"]],
)
def test_incomplete_command_is_a_usage_error_with_a_hint(
    arguments: list[str], tmp_path: Path
) -> None:
    done = modelpack(*arguments, "-o", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert "hint: " in done.stderr


def test_files_of_another_platform_replace_those_of_the_first(tmp_path: Path) -> None:
    local = deployment(replace(IMAGE, is_pullable=False))
    folder = Folder(tmp_path)
    folder.write(render("compose", local), {"to": "compose"})
    changes = folder.write(render("swarm", local), {"to": "swarm"})
    assert changes.removed == ("compose.yaml",)
