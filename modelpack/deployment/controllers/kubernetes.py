"""Kubernetes and KServe, through `kubectl` with a context of the user's."""

from __future__ import annotations

from typing import Any

from modelpack.deployment.controllers.controller import Location, Replica, Status, combine
from modelpack.deployment.controllers.kubectl import Kubectl
from modelpack.deployment.targets import KEEP, OVERLAY

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
        self._kubectl = Kubectl(location.context, location.namespace)
        self._versions = [each for each in _VERSIONS if each in location.services]
        self._former = location.former_services

    def apply(self) -> None:
        """Apply the files, and delete the objects of a second version or a route without files."""
        self._kubectl.run("apply", "--kustomize", self._overlay)
        for version in set(self._former).intersection(_VERSIONS):
            self._kubectl.delete(_VERSION_KINDS, f"{self._name}-{version}")
        if "route" in self._former:
            self._kubectl.delete("httproute", self._name)

    def status(self) -> Status:
        names = (self._name, *(f"{self._name}-{version}" for version in self._versions))
        return combine([self._status(name) for name in names])

    def _status(self, name: str) -> Status:
        resource = self._kubectl.get(self.kind, name)
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
        return self._kubectl.pods(f"{self.selector}={name}")

    def logs(self) -> list[str]:
        names = (self._name, *(f"{self._name}-{version}" for version in self._versions))
        return self._kubectl.logs(f"{self.selector} in ({', '.join(names)})")

    def remove(self) -> None:
        """Delete the objects in the files. The namespace, which may have others, stays."""
        options = ["--ignore-not-found", "--selector", f"{KEEP}!=true"]
        self._kubectl.run("delete", *options, "--kustomize", self._overlay)


class KServe(Kubernetes):
    """A `Controller` of an InferenceService, which has the revisions of a canary itself."""

    kind = "inferenceservice"
    selector = _KSERVE_SELECTOR

    def read_status(self, resource: dict[str, Any], replicas: tuple[Replica, ...]) -> Status:
        """Return the state of an InferenceService, which is ready if its condition states so."""
        status = resource.get("status") or {}
        conditions = {each.get("type"): each for each in status.get("conditions") or ()}
        is_ready = conditions.get("Ready", {}).get("status") == "True"
        observed = status.get("observedGeneration") in {
            None, resource["metadata"].get("generation")
        }  # fmt: skip
        expected = max(1, int(resource["spec"]["predictor"].get("minReplicas") or 1))
        return Status(expected if is_ready else 0, expected, replicas, is_current=observed)
