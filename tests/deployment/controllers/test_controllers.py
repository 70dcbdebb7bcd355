"""What Docker and kubectl report becomes a state. tests/pipeline/test_apply.py runs real ones."""

from __future__ import annotations

import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from deployments import deployment
from platform_commands import Failure

from modelpack.deployment import TARGETS, Folder, render
from modelpack.deployment.controllers import CONTROLLERS, Location
from modelpack.deployment.controllers import compose as compose_module
from modelpack.deployment.controllers.controller import read_log, run
from modelpack.errors import NoEngineError, SmokeFailedError, UsageError


def controller(name: str, *services: str, former: tuple[str, ...] = ()):
    return CONTROLLERS[name](Location(Path("dir"), "iris", "models", ("model", *services), former))


def test_each_target_has_a_controller() -> None:
    assert list(CONTROLLERS) == list(TARGETS)


# --- compose -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "health", "ready", "failure"),
    [
        ("running", "healthy", True, ""),
        ("running", "starting", False, ""),
        ("running", "unhealthy", False, "iris-1 is running (unhealthy)"),
        ("restarting", "", False, "iris-1 is restarting"),
        ("exited", "", False, "iris-1 is exited"),
    ],
)
def test_container_is_ready_when_it_is_healthy(commands, state, health, ready, failure) -> None:
    commands({"ps --all": {"Name": "iris-1", "State": state, "Health": health}})
    status = controller("compose").status()
    assert (status.is_ready, status.failure, status.expected) == (ready, failure, 1)


def test_compose_file_that_does_not_run_has_an_empty_state(commands) -> None:
    log = commands({})
    status = controller("compose").status()
    assert (status.exists, status.is_ready) == (False, False)
    controller("compose").apply()
    controller("compose").remove()
    options = "docker compose --project-name iris --file dir/compose.yaml"
    assert log.read_text().splitlines()[3::2] == [
        f"{options} up --detach --remove-orphans",
        f"{options} down --remove-orphans",
    ]


def test_new_token_replaces_the_containers(commands) -> None:
    log = commands({})
    services = ("model", "canary", "proxy")
    location = Location(Path("dir"), "iris", services=services, has_new_token=True)
    CONTROLLERS["compose"](location).apply()
    up = [line.split("compose.yaml ")[1] for line in log.read_text().splitlines() if " up " in line]
    assert up == [
        "up --detach --no-deps --force-recreate model canary",
        "up --detach --remove-orphans",
    ]


def test_override_of_compose_is_used_in_each_command(commands, tmp_path) -> None:
    log = commands({})
    (tmp_path / "compose.override.yaml").write_text("services: {}\n")
    compose = CONTROLLERS["compose"](Location(tmp_path, "iris"))
    compose.apply()
    compose.status()
    compose.remove()
    lines = [line for line in log.read_text().splitlines() if " compose --" in line]
    files = f"--file {tmp_path}/compose.yaml --file {tmp_path}/compose.override.yaml"
    assert len(lines) == 3
    assert all(files in line for line in lines)


@pytest.mark.parametrize(
    ("name", "listing", "services"),
    [
        ("compose", "ps --all --filter", "model\ndb\n"),
        ("swarm", "service ls", "iris_model\niris_db\n"),
    ],
)
def test_services_of_others_are_not_removed(commands, name, listing, services) -> None:
    log = commands({listing: services})
    for method in (controller(name).apply, controller(name).remove):
        with pytest.raises(UsageError, match=r"iris is in use by .*: db\.") as caught:
            method()
        assert "--name" in caught.value.hint
    text = log.read_text()
    assert not any(word in text for word in (" up ", " down ", " deploy ", " rm "))


def test_proxy_reads_its_configuration_after_a_test(commands) -> None:
    log = commands({})
    controller("compose", "canary", "proxy").apply()
    lines = log.read_text().splitlines()[-3:]
    up, test, reload = [line.split("compose.yaml ")[1] for line in lines]
    assert up == "up --detach --remove-orphans"
    assert re.match("exec --no-TTY proxy nginx .*-t .*/etc/modelpack/nginx.conf", test)
    assert reload == "kill --signal HUP proxy"


def test_compose_file_is_not_ready_without_its_canary(commands) -> None:
    healthy = [{"Name": name, "State": "running", "Health": "healthy"} for name in ("a", "b")]
    commands({"ps --all": healthy})
    assert controller("compose", "proxy").status().is_ready
    status = controller("compose", "canary", "proxy").status()
    assert (status.is_ready, status.expected) == (False, 3)


def test_missing_command_is_an_error_with_a_hint(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    compose_module._command.cache_clear()
    for name in CONTROLLERS:
        with pytest.raises(NoEngineError, match="is not installed") as caught:
            controller(name).apply()
        assert caught.value.hint


def test_failed_command_is_an_error_with_its_last_lines() -> None:
    with pytest.raises(SmokeFailedError, match="No such thing") as caught:
        run(["sh", "-c", "echo No such thing >&2; exit 1"], "")
    assert "sh -c" in caught.value.hint
    assert run(["sh", "-c", "exit 1"], "", check=False) == ""


@pytest.mark.parametrize("name", CONTROLLERS)
def test_logs_are_the_last_lines_without_control_characters(commands, name) -> None:
    text = "".join(f"line {i}\n" for i in range(20)) + "\x1b[31mred\a\n\n"
    task = {"ID": "t", "Error": "it failed"}
    log = commands({"logs ": text, "=shutdown iris_canary": task, "=shutdown iris_model": ""})
    lines = controller(name, "canary", "proxy").logs()
    assert lines[-1] == "red "
    assert "line 19" in lines
    assert "line 1" not in lines
    text = log.read_text()
    assert "canary" in text
    assert not re.search("logs .*proxy", text)


def test_log_of_a_command_that_fails_is_empty() -> None:
    assert read_log(["sh", "-c", "echo no; exit 1"]) == []
    assert read_log(["/no/such/command"]) == []
    assert read_log(["sh", "-c", "echo to both; echo errors >&2"]) == ["to both", "errors"]


# --- swarm ---------------------------------------------------------------------------------------


def service(update: str | None = None, *, changed: bool = False) -> list[dict[str, Any]]:
    spec = {"Mode": {"Replicated": {"Replicas": 2}}, "TaskTemplate": {"Image": "new"}}
    previous = {**spec, "TaskTemplate": {"Image": "old" if changed else "new"}}
    state = {"UpdateStatus": {"State": update, "Message": f"it is {update}"}} if update else {}
    return [{"Spec": spec, "PreviousSpec": previous, **state}]


def tasks(*states: str, error: str = "") -> str:
    lines = [{"Name": f"iris.{i}", "CurrentState": s, "Error": error} for i, s in enumerate(states)]
    return "\n".join(map(json.dumps, lines))


RUNNING = tasks("Running 2 seconds ago", "Running 3 seconds ago")


@pytest.mark.parametrize(
    ("update", "running", "ready", "failure"),
    [
        (None, RUNNING, True, ""),
        ("completed", RUNNING, True, ""),
        ("updating", RUNNING, False, ""),
        ("rollback_started", RUNNING, False, ""),
        ("rollback_completed", RUNNING, False, "it is rollback_completed"),
        ("paused", RUNNING, False, "it is paused"),
        (None, tasks("Running 1 second ago", "Starting 1 second ago"), False, ""),
    ],
)
def test_service_is_ready_after_its_update(commands, update, running, ready, failure) -> None:
    commands({"service inspect": service(update), "desired-state=running": running})
    status = controller("swarm").status()
    assert (status.is_ready, status.failure, status.expected) == (ready, failure, 2)


def test_service_that_was_just_changed_is_not_ready_before_its_update_starts(commands) -> None:
    commands({"inspect": service(changed=True), "desired-state=running": RUNNING})
    swarm = controller("swarm")
    assert swarm.status().is_ready
    swarm.apply()
    assert not swarm.status().is_ready


def test_first_replicas_that_fail_are_a_failure(commands) -> None:
    failed = tasks("Failed", "Failed", "Failed", error="task: non-zero exit (1)")
    commands({"inspect": service(), "=running": tasks("Starting"), "=shutdown": failed})
    assert controller("swarm").status().failure == "task: non-zero exit (1)"


def test_swarm_without_the_service_has_an_empty_state(commands) -> None:
    commands({"service inspect": Failure("Error: no such service: iris_model")})
    assert not controller("swarm").status().exists


@pytest.mark.parametrize("part", ["service inspect", "service ps", "service ls"])
def test_command_of_the_swarm_that_fails_is_an_error(commands, part) -> None:
    """And no deployment without replicas, which `--apply` would take for a new one."""
    failure = Failure("Error response from daemon: this node is not a swarm manager")
    commands({"service inspect": service(), part: failure})
    act = controller("swarm").apply if part == "service ls" else controller("swarm").status
    with pytest.raises(SmokeFailedError, match=f"`docker {part}` failed: .*not a swarm manager"):
        act()
    assert controller("swarm").logs() == []


def test_stack_is_ready_when_all_its_services_are(commands) -> None:
    everywhere = [{"Spec": {"Mode": {"Global": {}}, "TaskTemplate": {}}}]
    commands(
        {
            "inspect iris_model": service(),
            "inspect iris_canary": service("updating"),
            "inspect iris_proxy": everywhere,
            "=running iris_proxy": tasks("Running"),
            "=running": RUNNING,
        }
    )
    status = controller("swarm", "canary", "proxy").status()
    assert (status.ready, status.expected, status.is_ready) == (5, 5, False)
    assert controller("swarm", "proxy").status().is_ready
    missing = controller("swarm", "shadow").status()
    assert (missing.ready, missing.expected, missing.is_ready) == (2, 3, False)


# --- kubernetes ----------------------------------------------------------------------------------


def resource(spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"metadata": {"generation": 2}, "spec": spec, "status": status}


READY = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
DEADLINE = {"reason": "ProgressDeadlineExceeded", "message": "it has timed out"}


@pytest.mark.parametrize(
    ("changes", "ready", "failure"),
    [
        ({}, True, ""),
        ({"observedGeneration": 1}, False, ""),
        ({"updatedReplicas": 1}, False, ""),
        ({"replicas": 3}, False, ""),
        ({"availableReplicas": 1}, False, ""),
        ({"availableReplicas": 1, "conditions": [DEADLINE]}, False, "it has timed out"),
    ],
)
def test_deployment_is_ready_after_its_rollout(commands, changes, ready, failure) -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": [{"state": waiting}]}}
    deployment = resource({"replicas": 2}, **{**READY, **changes})
    commands({"get deployment": deployment, "get pods": {"items": [pod]}})
    status = controller("kubernetes").status()
    assert (status.is_ready, status.failure, status.expected) == (ready, failure, 2)
    assert (status.replicas[0].state, status.replicas[0].detail) == (
        "ImagePullBackOff",
        "no such image",
    )


@pytest.mark.parametrize(("condition", "ready"), [("True", True), ("False", False), (None, False)])
def test_inference_service_is_ready_by_its_condition(commands, condition, ready) -> None:
    conditions = [{"type": "Ready", "status": condition}] if condition else []
    spec = {"predictor": {"minReplicas": 2}}
    commands({"get inferenceservice": resource(spec, conditions=conditions)})
    assert controller("kserve").status().is_ready is ready


@pytest.mark.parametrize("name", ["kubernetes", "kserve"])
def test_kubectl_gets_the_overlay_and_the_namespace(commands, name) -> None:
    log = commands({})
    kubectl = controller(name)
    kubectl.apply()
    assert not kubectl.status().exists
    kubectl.remove()
    lines = log.read_text().splitlines()
    assert lines[0] == "kubectl apply --kustomize dir/overlays/production"
    assert all("--namespace models" in line for line in lines if " get " in line)
    delete = "kubectl delete --ignore-not-found --selector dev.modelpack/keep!=true"
    assert lines[-1] == f"{delete} --kustomize dir/overlays/production"


class Cluster(BaseHTTPRequestHandler):
    """The part of the API of Kubernetes that `kubectl delete` uses."""

    deleted: ClassVar[list[str]] = []
    groups: ClassVar[dict[str, dict[str, str]]] = {
        "/api/v1": {"Namespace": "namespaces", "Service": "services", "Secret": "secrets"},
        "/apis/apps/v1": {"Deployment": "deployments"},
        "/apis/autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
        "/apis/policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
        "/apis/networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    }

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        names = [each.removeprefix("/apis/") for each in self.groups if each != "/api/v1"]
        if path == "/api":
            self.reply({"kind": "APIVersions", "versions": ["v1"]})
        elif path == "/apis":
            versions = [{"groupVersion": n, "version": n.partition("/")[2]} for n in names]
            groups = [
                {"name": each["groupVersion"].partition("/")[0], "versions": [each]}
                for each in versions
            ]
            self.reply({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        elif path in self.groups:
            resources = [
                {"name": n, "kind": k, "namespaced": k != "Namespace", "verbs": ["delete", "get"]}
                for k, n in self.groups[path].items()
            ]
            version = path.removeprefix("/apis/").removeprefix("/api/")
            document = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version}
            self.reply({**document, "resources": resources})
        else:
            self.reply({"kind": "Status", "apiVersion": "v1", "reason": "NotFound"}, 404)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.deleted.append(urlsplit(self.path).path.rpartition("/v")[2].partition("/")[2])
        self.reply({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def reply(self, document: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_remove_deletes_all_objects_but_the_namespace(monkeypatch, tmp_path) -> None:
    Folder(tmp_path).write(render("kubernetes", deployment()), {})
    Folder(tmp_path).write_secret(TARGETS["kubernetes"].token_file, "0" * 64)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": ""}}
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context]}
    (tmp_path / "config").write_text(json.dumps({**config, "current-context": "c"}))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Cluster, "deleted", [])
    with server:
        threading.Thread(target=server.serve_forever).start()
        try:
            CONTROLLERS["kubernetes"](Location(tmp_path, "iris", "iris")).remove()
        finally:
            server.shutdown()
    secrets = [path for path in Cluster.deleted if "/secrets/iris-token-" in path]
    assert len(secrets) == 1
    assert sorted(set(Cluster.deleted) - set(secrets)) == [
        "namespaces/iris/deployments/iris",
        "namespaces/iris/horizontalpodautoscalers/iris",
        "namespaces/iris/networkpolicies/iris",
        "namespaces/iris/poddisruptionbudgets/iris",
        "namespaces/iris/services/iris",
    ]


def test_kubectl_deletes_what_the_files_no_longer_contain(commands) -> None:
    log = commands({})
    controller("kubernetes", "canary", former=("shadow", "route")).apply()
    apply, shadow, route = log.read_text().splitlines()
    assert " delete deployment,service," in shadow
    assert "iris-shadow --namespace models" in shadow
    assert "delete httproute iris --namespace models --ignore-not-found" in route
    assert " apply " in apply


def test_deployment_is_ready_when_its_canary_is(commands) -> None:
    ready, starting = resource({"replicas": 2}, **READY), resource({"replicas": 1})
    commands(
        {
            "get deployment iris-canary": starting,
            "get deployment iris": ready,
            "get pods": {"items": []},
        }
    )
    assert controller("kubernetes").status().is_ready
    status = controller("kubernetes", "canary").status()
    assert (status.ready, status.expected, status.is_ready) == (2, 3, False)
