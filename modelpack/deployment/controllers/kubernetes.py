"""Kubernetes and KServe, through `kubectl` with the user's current context."""

from __future__ import annotations

import json
from typing import Any

from modelpack.deployment.controllers.controller import (
    Location,
    Replica,
    Status,
    combine,
    read_log,
    run,
)
from modelpack.deployment.targets import KEEP, OVERLAY

_HINT = "Install kubectl, and select a context: kubectl config use-context NAME"
_VERSIONS = ("canary", "shadow")
_VERSION_KINDS = "deployment,service,horizontalpodautoscaler,poddisruptionbudget,networkpolicy"
_SELECTOR = "app.kubernetes.io/name"
_KSERVE_SELECTOR = "serving.kserve.io/inferenceservice"


class Kubernetes:
    """A `Controller` of a Deployment."""

    kind = "deployment"
    selector = _SELECTOR

    def __init__(self, location: Location) -> None:
        self._overlay = str(location.directory / OVERLAY)
        self._name = location.name
        self._namespace = ["--namespace", location.namespace]
        self._versions = [each for each in _VERSIONS if each in location.services]
        self._former = location.former_services

    def apply(self) -> None:
        """Apply the files, and delete the objects of a second version or a route without files."""
        run(["kubectl", "apply", "--kustomize", self._overlay], _HINT)
        for version in set(self._former).intersection(_VERSIONS):
            self._delete(_VERSION_KINDS, f"{self._name}-{version}")
        if "route" in self._former:
            self._delete("httproute", self._name)

    def _delete(self, kinds: str, name: str) -> None:
        command = ["kubectl", "delete", kinds, name, *self._namespace, "--ignore-not-found"]
        run(command, _HINT)

    def status(self) -> Status:
        names = (self._name, *(f"{self._name}-{version}" for version in self._versions))
        return combine([self._status(name) for name in names])

    def _status(self, name: str) -> Status:
        resource = self._get(self.kind, name)
        return self.read_status(resource, self._replicas(name)) if resource else Status(0, 0)

    def read_status(self, resource: dict[str, Any], replicas: tuple[Replica, ...]) -> Status:
        """Return the state of a Deployment. See the source of `kubectl rollout status`."""
        spec, status = resource["spec"], resource.get("status") or {}
        expected = int(spec.get("replicas", 1))
        observed = status.get("observedGeneration") == resource["metadata"].get("generation")
        updated = int(status.get("updatedReplicas") or 0)
        old = int(status.get("replicas") or 0) - updated
        return Status(
            int(status.get("availableReplicas") or 0),
            expected,
            replicas,
            is_current=observed and updated >= expected and old <= 0,
            failure=next(
                (
                    str(condition.get("message"))
                    for condition in status.get("conditions") or ()
                    if condition.get("reason") == "ProgressDeadlineExceeded"
                ),
                "",
            ),
        )

    def _replicas(self, name: str) -> tuple[Replica, ...]:
        pods = self._get("pods", "--selector", f"{self.selector}={name}")
        return tuple(map(_replica, pods.get("items") or ()))

    def _get(self, *arguments: str) -> dict[str, Any]:
        command = ["kubectl", "get", *arguments, *self._namespace, "--output=json"]
        text = run([*command, "--ignore-not-found"], _HINT)
        document: dict[str, Any] = json.loads(text) if text.strip() else {}
        return document

    def logs(self) -> list[str]:
        names = (self._name, *(f"{self._name}-{version}" for version in self._versions))
        selector = f"{self.selector} in ({', '.join(names)})"
        options = ["--all-containers", "--prefix", "--tail=4", *self._namespace]
        return read_log(["kubectl", "logs", "--selector", selector, *options])

    def remove(self) -> None:
        """Delete the objects in the files. The namespace, which may have others, stays."""
        command = ["kubectl", "delete", "--ignore-not-found", "--selector", f"{KEEP}!=true"]
        run([*command, "--kustomize", self._overlay], _HINT)


class KServe(Kubernetes):
    """A `Controller` of an InferenceService, which has the revisions of a canary itself."""

    kind = "inferenceservice"
    selector = _KSERVE_SELECTOR

    def read_status(self, resource: dict[str, Any], replicas: tuple[Replica, ...]) -> Status:
        """Return the state of an InferenceService, which is ready if its condition says so."""
        status = resource.get("status") or {}
        conditions = {each.get("type"): each for each in status.get("conditions") or ()}
        is_ready = conditions.get("Ready", {}).get("status") == "True"
        observed = status.get("observedGeneration") in {
            None, resource["metadata"].get("generation")
        }  # fmt: skip
        expected = max(1, int(resource["spec"]["predictor"].get("minReplicas") or 1))
        return Status(expected if is_ready else 0, expected, replicas, is_current=observed)


def _replica(pod: dict[str, Any]) -> Replica:
    status = pod.get("status") or {}
    states = [each.get("state") or {} for each in status.get("containerStatuses") or ()]
    waiting = [state["waiting"] for state in states if state.get("waiting")]
    reason = next((str(each.get("reason") or "") for each in waiting), "")
    detail = next((str(each.get("message") or "") for each in waiting), "")
    return Replica(pod["metadata"]["name"], reason or str(status.get("phase") or ""), detail)
