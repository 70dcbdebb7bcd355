"""`--apply`, `--status` and `--remove` of a job with stubs. test_apply.py runs one in a Swarm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from platform_commands import Failure, replace_commands

from modelpack.deployment import Folder
from modelpack.deployment.controllers import JOB_CONTROLLERS, JobStatus, Replica
from modelpack.engines import StepEvent
from modelpack.errors import SmokeFailedError, UsageError
from modelpack.pipeline import apply, apply_job
from modelpack.pipeline.options import Observer, Options
from modelpack.pipeline.stages import Pipeline
from modelpack.serving.batch import plan as batch_plan

REPORT = {"files": 1, "parts": 4, "rows": 9, "written": 9, "without_prediction": 0}
GONE = JobStatus(0)
PENDING = JobStatus(2, containers=(Replica("iris.1", "pending", "no suitable node"),))
RUNNING = JobStatus(2, 1, containers=(Replica("iris.1", "running"),))
FAILED = JobStatus(2, 1, 1, (Replica("iris.1", "failed"),), failure="task: non-zero exit (65)")
COMPLETE = JobStatus(2, 2, is_complete=True)


class Platform:
    """A controller whose states are given."""

    def __init__(self) -> None:
        self.states: list[JobStatus] = []
        self.applied: list[bool] = []
        self.is_removed = False
        self.found: dict[str, Any] | None = REPORT

    def __call__(self, location) -> Platform:
        return self

    def apply(self, *, has_changed: bool) -> None:
        self.applied.append(has_changed)

    def status(self) -> JobStatus:
        return self.states.pop(0)

    def logs(self) -> list[str]:
        return ["error: row 3"]

    def report(self) -> dict[str, Any] | None:
        return self.found

    def remove(self) -> None:
        self.is_removed = True


class Log(Observer):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.steps: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)

    def step(self, event: StepEvent) -> None:
        self.steps.append(event.name)


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    stub = Platform()
    monkeypatch.setitem(JOB_CONTROLLERS, "swarm", stub)
    monkeypatch.setattr(apply_job, "POLL_SECONDS", 0.0)
    return stub


def write(path: Path, text: str = "one", **record: str) -> Path:
    given = {"to": "swarm", "name": "iris-batch", "job": True, "predictions": "data/out", **record}
    Folder(path).write({"job.yaml": text}, given, force=True)
    return path


def run() -> tuple[Pipeline, Log]:
    log = Log()
    return Pipeline(Options(), log), log


def test_apply_shows_the_progress_until_the_job_is_complete(platform, tmp_path: Path) -> None:
    platform.states = [GONE, PENDING, PENDING, RUNNING, RUNNING, COMPLETE]
    pipeline, log = run()
    job = apply_job.apply(pipeline, write(tmp_path))
    assert log.steps == ["0 of 2 shards done", "1 of 2 shards done", "2 of 2 shards done"]
    assert (job.report, log.notices) == (REPORT, [])
    apply_job.require_success(job)
    assert job.to_json() == {
        "to": "swarm",
        "name": "iris-batch",
        "complete": True,
        "shards": {"expected": 2, "done": 2, "failed": 0},
        "parts": None,
        "failure": "",
        "containers": [],
        "report": REPORT,
    }


def test_job_is_started_again_only_with_other_files(platform, tmp_path: Path) -> None:
    for text in ("one", "one", "two"):
        platform.states = [COMPLETE]
        apply_job.apply(run()[0], write(tmp_path, text))
    assert platform.applied == [True, False, True]
    (tmp_path / "job.yaml").write_text("edited")
    platform.states = [COMPLETE]
    apply_job.apply(run()[0], tmp_path)
    apply_job.remove(run()[0], tmp_path)
    platform.states = [COMPLETE]
    apply_job.apply(run()[0], tmp_path)
    assert platform.applied[3:] == [True, True]


def test_failed_shard_ends_the_wait_with_its_log(platform, tmp_path: Path) -> None:
    platform.states = [RUNNING, FAILED]
    pipeline, log = run()
    with pytest.raises(
        SmokeFailedError, match=r"exit \(65\) \(1 of 2 shards done, 1 failed\)"
    ) as caught:
        apply_job.apply(pipeline, write(tmp_path))
    assert caught.value.exit_code == 7
    assert "finished parts are kept" in caught.value.hint
    assert log.notices == ["log: error: row 3"]
    assert not platform.is_removed


def test_job_that_does_not_start_or_was_removed_ends_the_wait(
    platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.states = [RUNNING, GONE]
    with pytest.raises(SmokeFailedError, match="was removed"):
        apply_job.apply(run()[0], write(tmp_path))
    monkeypatch.setattr(apply_job, "START_SECONDS", -1.0)
    platform.states = [PENDING]
    with pytest.raises(SmokeFailedError, match=r"no container has started.*no suitable node"):
        apply_job.apply(run()[0], tmp_path)
    platform.states = [RUNNING, COMPLETE]
    assert apply_job.apply(run()[0], tmp_path).status.is_complete


def test_missing_report_is_a_notice(platform, tmp_path: Path) -> None:
    platform.states, platform.found = [COMPLETE], None
    pipeline, log = run()
    assert apply_job.apply(pipeline, write(tmp_path)).report is None
    assert "has the report" in log.notices[0]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (GONE, "iris-batch is not complete: it is not deployed"),
        (RUNNING, "1 of 2 shards done"),
        (FAILED, r"task: non-zero exit \(65\); 1 of 2 shards done, 1 failed"),
    ],
)
def test_state_of_a_job_that_is_not_complete_is_an_error(
    platform, tmp_path: Path, status: JobStatus, message: str
) -> None:
    platform.states = [status]
    job = apply_job.status(write(tmp_path))
    assert job.report is None
    assert (job.summary == "not deployed") is (status == GONE)
    with pytest.raises(SmokeFailedError, match=message):
        apply_job.require_success(job)


def test_parts_are_counted_in_a_folder_of_this_machine(platform, tmp_path: Path) -> None:
    predictions = tmp_path / "predictions"
    folder = write(tmp_path / "job", predictions=str(predictions))
    records = predictions / batch_plan.STATE / "parts"
    assert batch_plan.STATE == apply_job._STATE
    platform.states = [RUNNING, RUNNING, RUNNING]
    assert apply_job.status(folder).parts is None
    (records / "a.csv").mkdir(parents=True)
    plan = {"files": [{"ranges": [[0, 1], [1, 2]]}, {"ranges": [[0, 1]]}]}
    (records.parent / "plan.json").write_text(json.dumps(plan))
    (records / "a.csv" / "part-00000.csv.json").write_text("{}")
    (records / "a.csv" / ".part-00001.csv.json").write_text("{")  # is being written
    job = apply_job.status(folder)
    assert job.parts == apply_job.Parts(3, 1)
    assert job.summary == "1 of 2 shards done, 1 of 3 parts"
    (records.parent / "plan.json").write_text("[]")
    assert apply_job.status(folder).parts is None


@pytest.mark.parametrize("record", [{"to": "compose"}, {"name": "--all"}])
def test_folder_that_is_not_a_job_is_an_error(tmp_path: Path, record: dict) -> None:
    with pytest.raises(UsageError) as caught:
        apply_job.status(write(tmp_path, **record))
    assert caught.value.hint


# --- contexts of kubectl -------------------------------------------------------------------------


def configuration(current: str, namespace: str = "lab") -> dict[str, Any]:
    names = ("prod", "test")
    return {
        "current-context": current,
        "contexts": [
            {"name": name, "context": {"cluster": name, "namespace": namespace}} for name in names
        ],
        "clusters": [
            {"name": name, "cluster": {"server": f"https://{name}.example.org"}} for name in names
        ],
    }


JOB = {
    "metadata": {"name": "iris-batch", "annotations": {"dev.modelpack.model.sha256": "c3"}},
    "spec": {"completions": 1},
    "status": {"completedIndexes": "0", "conditions": [{"type": "Complete", "status": "True"}]},
}
DEPLOYMENT = {
    "metadata": {"generation": 1},
    "spec": {"replicas": 1},
    "status": {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "availableReplicas": 1,
    },
}


class Kubectl:
    """A stub of kubectl, and a folder that is applied with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.use("prod")

    def write(self, **record: Any) -> None:
        Folder(self.path / "out").write({}, {"to": "kubernetes", "name": "iris", **record})

    def use(self, context: str, namespace: str = "lab") -> None:
        answers = {"config view": configuration(context, namespace), "get job": JOB}
        self.log = replace_commands(self.path, {**answers, "get deployment": DEPLOYMENT})

    def act(self, action: str, context: str | None = None) -> list[str]:
        """Run an action, and return its notices."""
        pipeline, log = run()
        folder = self.path / "out"
        actions = apply_job if apply_job.is_job(folder) else apply
        if action == "status":
            actions.status(folder, context)
        else:
            getattr(actions, action)(pipeline, folder, context)
        return log.notices

    def commands(self) -> list[str]:
        """Return the commands since the last call, without those that read the configuration."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in lines if " config view " not in line]


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(apply_job, "POLL_SECONDS", 0.0)
    return Kubectl(tmp_path)


@pytest.mark.parametrize("is_job", [True, False])
def test_other_context_is_refused_unless_it_is_named(kubectl: Kubectl, is_job: bool) -> None:
    kubectl.write(namespace="models", job=is_job)
    shown = "kubectl: context prod (https://prod.example.org), namespace models."
    assert kubectl.act("apply")[0] == shown
    commands = kubectl.commands()
    assert all(command.endswith("--context prod") for command in commands if "logs" not in command)
    assert any("--namespace models" in command for command in commands)
    kubectl.act("status")
    kubectl.commands()

    kubectl.use("test")
    for action in ("apply", "status", "remove"):
        with pytest.raises(UsageError) as caught:
            kubectl.act(action)
        assert "applied with the context prod (https://prod.example.org)" in caught.value.message
        assert "has the context test (https://test.example.org)" in caught.value.message
        assert "kubectl config use-context prod" in caught.value.hint
        assert "--context test" in caught.value.hint
    assert kubectl.commands() == []

    kubectl.act("status", "prod")
    kubectl.act("apply", "test")
    kubectl.act("status")
    kubectl.use("prod")
    with pytest.raises(UsageError):
        kubectl.act("remove")
    assert kubectl.act("remove", "test")[0].startswith("kubectl: context test")
    kubectl.act("apply")


@pytest.mark.parametrize("is_job", [True, False])
def test_cluster_that_does_not_respond_is_not_recorded(kubectl: Kubectl, is_job: bool) -> None:
    kubectl.write(namespace="models", job=is_job)
    refused = Failure("connection refused")
    replace_commands(kubectl.path, {"config view": configuration("prod"), "get ": refused})
    with pytest.raises(SmokeFailedError, match="refused"):
        kubectl.act("apply")
    kubectl.use("test")
    kubectl.act("apply")
    assert Folder(kubectl.path / "out").context["name"] == "test"


def test_other_cluster_of_the_same_name_is_refused(kubectl: Kubectl) -> None:
    kubectl.write(namespace="models")
    kubectl.act("apply")
    changed = json.loads(json.dumps(configuration("prod")).replace("https://prod", "https://new"))
    replace_commands(kubectl.path, {"config view": changed, "get deployment": DEPLOYMENT})
    with pytest.raises(UsageError, match=r"https://new\.example\.org") as caught:
        kubectl.act("remove")
    assert caught.value.hint == "Confirm the other one: --context prod"
    kubectl.act("remove", "prod")


def test_removal_from_another_context_keeps_the_record(kubectl: Kubectl) -> None:
    kubectl.write(namespace="models")
    kubectl.act("apply")
    kubectl.act("remove", "test")
    assert Folder(kubectl.path / "out").context["name"] == "prod"
    kubectl.act("remove")
    assert Folder(kubectl.path / "out").context == {}


def test_failure_does_not_return_to_what_runs_in_another_cluster(kubectl: Kubectl) -> None:
    kubectl.write(namespace="models")
    kubectl.act("apply")
    replace_commands(
        kubectl.path, {"config view": configuration("test"), "apply ": Failure("forbidden")}
    )
    with pytest.raises(SmokeFailedError, match=r"forbidden.*it was removed"):
        kubectl.act("apply", "test")
    assert all("--context prod" not in command for command in kubectl.commands()[-2:])


def test_other_namespace_of_the_context_is_refused_if_the_files_have_none(
    kubectl: Kubectl,
) -> None:
    kubectl.write(job=True)
    kubectl.act("apply")
    assert any("--namespace lab" in command for command in kubectl.commands())
    kubectl.use("prod", "other")
    with pytest.raises(UsageError, match=r"namespace lab.*namespace other"):
        kubectl.act("remove")
    assert kubectl.commands() == []


def modelpack(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", "deploy", *arguments, "-o", "out"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_context_is_an_option_of_the_command(kubectl: Kubectl) -> None:
    kubectl.write(job=True)
    done = modelpack("--apply", "--context", "test", cwd=kubectl.path)
    assert done.returncode == 0, done.stderr
    assert "kubectl: context test" in done.stderr
    assert any("--context test" in command for command in kubectl.commands())
    done = modelpack("image:1", "--to", "kubernetes", "--context", "test", cwd=kubectl.path)
    assert done.returncode == 2
    assert "--context" in done.stderr


def test_context_is_of_no_use_without_kubectl(kubectl: Kubectl) -> None:
    kubectl.write(to="swarm")
    with pytest.raises(UsageError, match="--context is of no use with --to swarm"):
        kubectl.act("status", "prod")
