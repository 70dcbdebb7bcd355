"""What Docker and kubectl report becomes the state of a job. test_apply_job.py runs real ones."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from platform_commands import Failure

from modelpack.deployment.controllers import JOB_CONTROLLERS, Location, find_context
from modelpack.deployment.controllers.job import find_report
from modelpack.deployment.jobs import JOBS
from modelpack.errors import SmokeFailedError, UsageError

REPORT = {"files": 1, "parts": 2, "rows": 9, "written": 9, "without_prediction": 0}
LOG = '"a.csv/part-00000.csv": 9 rows\n{"files": 1}\n{broken\n' + (
    '{"files": 1, "parts": 2, "rows": 9, "written": 9, "without_prediction": 0}\n9 rows in 1 s\n'
)


def controller(name: str, context: str = ""):
    return JOB_CONTROLLERS[name](Location(Path("dir"), "iris-batch", "models", context=context))


def test_each_platform_of_jobs_has_a_controller() -> None:
    assert list(JOB_CONTROLLERS) == list(JOBS)


def test_report_is_the_last_one_in_a_log() -> None:
    assert find_report(LOG.splitlines()) == REPORT
    assert find_report(["", "{}", "[1]", "null", '{"files": 1}']) is None


# --- swarm ---------------------------------------------------------------------------------------


def service(number: int = 3, shards: int = 2) -> list[dict[str, Any]]:
    mode = {"ReplicatedJob": {"MaxConcurrent": shards, "TotalCompletions": shards}}
    return [{"Spec": {"Mode": mode}, "JobStatus": {"JobIteration": {"Index": number}}}]


def task(
    slot: int, state: str, *, number: int = 3, age: float = 60, code: int = 0, order: int = 0
) -> dict[str, Any]:
    time = datetime.now(timezone.utc) - timedelta(seconds=age)
    status = {
        "State": state,
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"),
        "Err": "" if state != "failed" else f"task: non-zero exit ({code})",
        "ContainerStatus": {"ExitCode": code},
    }
    created = f"2026-12-01T00:00:{order:02}.1Z"
    iteration = {"Index": number} if number else {}
    return {"Slot": slot, "CreatedAt": created, "Status": status, "JobIteration": iteration}


def swarm_status(commands, *tasks: dict[str, Any], number: int = 3):
    commands(
        {
            "service inspect": service(number),
            "service ps": '{"ID": "t1"}\n{"ID": "t2"}',
            "inspect --type=task t1 t2": list(tasks),
        }
    )
    return controller("swarm").status()


def test_job_of_a_swarm_is_complete_when_all_its_shards_are(commands) -> None:
    status = swarm_status(commands, task(0, "complete"), task(1, "running"))
    assert (status.expected, status.done, status.failed) == (2, 1, 0)
    assert (status.is_complete, status.failure) == (False, "")
    assert [(each.name, each.state) for each in status.containers] == [
        ("iris-batch_predict.1", "running")
    ]
    failed_before = task(1, "failed", code=137, order=0)
    status = swarm_status(commands, task(0, "complete"), failed_before, task(1, "complete"))
    assert (status.is_complete, status.failed, status.containers) == (True, 0, ())


def test_tasks_of_an_earlier_run_do_not_count(commands) -> None:
    earlier = [task(0, "complete", number=2), task(1, "failed", number=2, code=65)]
    status = swarm_status(commands, *earlier, task(0, "running"))
    assert (status.done, status.failed, status.is_complete) == (0, 0, False)
    status = swarm_status(commands, task(0, "complete", number=0), number=0)
    assert status.done == 1


@pytest.mark.parametrize(
    ("tasks", "failure"),  # the times are those of the test
    [
        ([{"state": "failed", "code": 137, "age": 1}], ""),  # the swarm may start it again
        ([{"state": "failed", "code": 137, "age": 60}], "task: non-zero exit (137)"),
        ([{"state": "failed", "code": 65, "age": 1}], "task: non-zero exit (65)"),
        ([{"state": "failed", "code": 137}, {"state": "running", "order": 1}], ""),
        (
            [{"state": "failed", "code": 65}, {"state": "ready", "order": 1}],
            "task: non-zero exit (65)",
        ),
        ([{"state": "rejected"}], "rejected"),
        ([{"state": "pending"}], ""),
    ],
)
def test_shard_has_failed_if_the_swarm_does_not_start_it_again(commands, tasks, failure) -> None:
    status = swarm_status(commands, *(task(0, **each) for each in tasks))
    assert (status.failure, status.failed) == (failure, int(bool(failure)))


def test_job_of_a_swarm_that_does_not_exist_is_deployed(commands) -> None:
    log = commands({"service inspect": Failure("no such service: iris-batch_predict")})
    assert not controller("swarm").status().exists
    controller("swarm").apply(has_changed=False)
    controller("swarm").remove()
    assert "docker stack deploy --detach=true --with-registry-auth --compose-file" in (
        log.read_text()
    )


@pytest.mark.parametrize(
    ("has_changed", "code", "expected"),
    [(False, 0, ""), (False, 65, "service update --force"), (True, 0, "stack deploy")],
)
def test_job_of_a_swarm_runs_again_if_it_failed_or_has_changed(
    commands, has_changed, code, expected
) -> None:
    log = commands(
        {
            "service inspect": service(),
            "service ps": '{"ID": "t1"}',
            "--type=task": [task(0, "failed" if code else "complete", code=code)],
        }
    )
    controller("swarm").apply(has_changed=has_changed)
    found = [word for word in ("service update --force", "stack deploy") if word in log.read_text()]
    assert found == ([expected] if expected else [])


def test_services_of_others_in_the_stack_are_not_removed(commands) -> None:
    log = commands({"service ls": "iris-batch_predict\niris-batch_model\n"})
    with pytest.raises(UsageError, match=r"not of this deployment: model\."):
        controller("swarm").remove()
    with pytest.raises(UsageError, match=r"not of this deployment: model\."):
        controller("swarm").apply(has_changed=True)
    assert " rm " not in log.read_text()
    assert " deploy " not in log.read_text()


def test_task_that_is_deleted_in_the_meantime_is_not_an_error(commands, tmp_path) -> None:
    commands({"service inspect": service(), "service ps": '{"ID": "t1"}', "--type=task": "[]"})
    docker = tmp_path / "docker"
    fails_once = f"""case "$*" in *--type=task*)
        [ -e {tmp_path}/tried ] || {{ touch {tmp_path}/tried; echo task t1 not found >&2; exit 1; }}
    esac
    """
    docker.write_text(docker.read_text().replace("\n", f"\n{fails_once}\n", 1))
    assert controller("swarm").status().expected == 2
    assert (tmp_path / "tried").exists()
    commands({"service inspect": service(), "service ps": '{"ID": "t"}', "=task": Failure("no")})
    with pytest.raises(SmokeFailedError, match="--type=task` failed: no"):
        controller("swarm").status()


def test_swarm_that_does_not_respond_is_an_error(commands) -> None:
    commands({"service inspect": Failure("this node is not a swarm manager")})
    with pytest.raises(SmokeFailedError, match="not a swarm manager"):
        controller("swarm").status()


@pytest.mark.parametrize("name", JOB_CONTROLLERS)
def test_report_and_logs_are_those_of_the_containers(commands, name) -> None:
    commands({"logs ": LOG})
    assert controller(name).report() == REPORT
    assert controller(name).logs()[-1] == "9 rows in 1 s"
    commands({"logs ": Failure("no logs")})
    assert controller(name).report() is None
    assert controller(name).logs() == []


# --- kubernetes ----------------------------------------------------------------------------------


def job(own: bool = True, **status: Any) -> dict[str, Any]:
    annotations = {"dev.modelpack.model.sha256": "c3"} if own else {}
    metadata = {"name": "iris-batch", "annotations": annotations}
    return {"metadata": metadata, "spec": {"completions": 8}, "status": status}


def condition(kind: str, message: str = "") -> list[dict[str, str]]:
    return [{"type": kind, "status": "True", "message": message}]


FAILED = {"conditions": condition("Failed", "index 3 failed too often")}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, (0, 0, False, "")),
        ({"completedIndexes": "0,2-4", "active": 4}, (4, 0, False, "")),
        ({"completedIndexes": "0-7", "conditions": condition("Complete")}, (8, 0, True, "")),
        ({"completedIndexes": "0-2", "failedIndexes": "3,5"}, (3, 2, False, "index 3,5 failed")),
        (FAILED, (0, 1, False, "index 3 failed too often")),
        ({"conditions": condition("FailureTarget")}, (0, 1, False, "FailureTarget")),
        ({"conditions": [{"type": "Failed", "status": "False"}]}, (0, 0, False, "")),
    ],
)
def test_state_of_a_job_is_that_of_its_indexes(commands, status, expected) -> None:
    pods = [
        {"metadata": {"name": name}, "status": {"phase": phase}}
        for name, phase in (("p0", "Succeeded"), ("p1", "Running"))
    ]
    commands({"get job": job(**status), "get pods": {"items": pods}})
    found = controller("kubernetes").status()
    assert (found.done, found.failed, found.is_complete, found.failure) == expected
    assert found.expected == 8
    assert [each.name for each in found.containers] == ["p1"]


def test_job_without_an_object_does_not_exist(commands) -> None:
    commands({})
    assert not controller("kubernetes").status().exists


def test_job_is_applied_to_its_context_and_namespace(commands) -> None:
    log = commands({})
    kubectl = controller("kubernetes", "prod")
    kubectl.apply(has_changed=True)
    kubectl.remove()
    options = "--namespace models --output=json --ignore-not-found --context prod"
    assert log.read_text().splitlines() == [
        f"kubectl get job iris-batch {options}",
        "kubectl apply --kustomize dir --context prod",
        f"kubectl get job iris-batch {options}",
        "kubectl delete --ignore-not-found --kustomize dir --context prod",
    ]


def test_failed_job_is_deleted_and_created_again(commands) -> None:
    log = commands({"get job": job(**FAILED)})
    controller("kubernetes").apply(has_changed=False)
    _, delete, apply = log.read_text().splitlines()
    assert delete == "kubectl delete job iris-batch --namespace models --ignore-not-found"
    assert apply.startswith("kubectl apply --kustomize dir")
    log.unlink()
    commands({"get job": job(completedIndexes="0", active=1)})
    controller("kubernetes").apply(has_changed=False)
    assert " delete " not in log.read_text()


def test_job_whose_files_have_changed_is_created_again(commands) -> None:
    immutable = Failure("The Job is invalid: spec.template: field is immutable")
    log = commands({"get job": job(active=1), "apply ": immutable})
    with pytest.raises(SmokeFailedError, match="immutable"):
        controller("kubernetes").apply(has_changed=True)
    words = [line.split()[1] for line in log.read_text().splitlines()]
    assert words == ["get", "apply", "delete", "apply"]
    log.unlink()
    commands({"get job": job(active=1), "apply ": Failure("forbidden")})
    with pytest.raises(SmokeFailedError, match="forbidden"):
        controller("kubernetes").apply(has_changed=True)
    assert " delete " not in log.read_text()


def test_job_of_others_is_neither_replaced_nor_deleted(commands) -> None:
    log = commands({"get job": job(own=False)})
    for method in (controller("kubernetes").remove, controller("kubernetes").apply):
        with pytest.raises(UsageError, match="not of this deployment") as caught:
            method(**({"has_changed": True} if method.__name__ == "apply" else {}))
        assert "--name" in caught.value.hint
    assert "delete" not in log.read_text()
    assert "apply" not in log.read_text()


# --- contexts ------------------------------------------------------------------------------------

CONFIGURATION = {
    "current-context": "prod",
    "contexts": [
        {"name": "prod", "context": {"cluster": "p", "user": "u"}},
        {"name": "test", "context": {"cluster": "t", "namespace": "lab"}},
    ],
    "clusters": [
        {"name": "p", "cluster": {"server": "https://user:secret@p.example.org:6443"}},
        {"name": "t", "cluster": {"server": "https://t.example.org"}},
    ],
}


def test_context_names_the_cluster_and_the_namespace(commands) -> None:
    commands({"config view": CONFIGURATION})
    expected = "context prod (https://p.example.org:6443), namespace models"
    assert str(find_context(None, "models")) == expected
    assert str(find_context(None, "")).endswith("namespace default")
    assert str(find_context("test", "")) == "context test (https://t.example.org), namespace lab"
    with pytest.raises(UsageError, match="no context 'other'"):
        find_context("other", "")


def test_pod_of_a_cluster_has_no_context(commands) -> None:
    commands({"config view": {"contexts": None, "clusters": None, "current-context": ""}})
    assert str(find_context(None, "models")) == "no context, namespace models"
    assert str(find_context(None, "")) == "no context"
