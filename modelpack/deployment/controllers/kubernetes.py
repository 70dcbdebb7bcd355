"""Kubernetes and KServe, through `kubectl` with the user's current context."""

from __future__ import annotations

import json
from typing import Any

from modelpack.deployment.controllers.controller import Location, Replica, Status, run
from modelpack.deployment.targets import OVERLAY

_HINT = "Install kubectl, and select a context: kubectl config use-context NAME"
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

    def apply(self) -> None:
        run(["kubectl", "apply", "--kustomize", self._overlay], _HINT)

    def status(self) -> Status:
        resource = self._get(self.kind, self._name)
        return self.read_status(resource, self._replicas()) if resource else Status(0, 0)

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

    def _replicas(self) -> tuple[Replica, ...]:
        pods = self._get("pods", "--selector", f"{self.selector}={self._name}")
        return tuple(map(_replica, pods.get("items") or ()))

    def _get(self, *arguments: str) -> dict[str, Any]:
        command = ["kubectl", "get", *arguments, *self._namespace, "--output=json"]
        text = run([*command, "--ignore-not-found"], _HINT)
        document: dict[str, Any] = json.loads(text) if text.strip() else {}
        return document

    def remove(self) -> None:
        run(["kubectl", "delete", "--ignore-not-found", "--kustomize", self._overlay], _HINT)


class KServe(Kubernetes):
    """A `Controller` of an InferenceService."""

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
