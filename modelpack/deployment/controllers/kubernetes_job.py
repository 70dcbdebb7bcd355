"""An indexed Job of Kubernetes."""

from __future__ import annotations

from typing import Any

from modelpack.deployment.controllers.controller import Location
from modelpack.deployment.controllers.job import LOG_LINES, JobStatus, find_report
from modelpack.deployment.controllers.kubectl import Kubectl
from modelpack.errors import SmokeFailedError, UsageError

_NAME = "app.kubernetes.io/name"
_OWN = "dev.modelpack.model.sha256"


class KubernetesJob:
    """A `JobController` of a Job, whose pods are its shards."""

    def __init__(self, location: Location) -> None:
        # The namespace is in the files, or is that of the context.
        self._files = ("--kustomize", str(location.directory))
        self._name = location.name
        self._selector = f"{_NAME}={location.name}"
        self._kubectl = Kubectl(location.context, location.namespace)

    def apply(self, *, has_changed: bool) -> None:  # noqa: ARG002 - kubectl compares the files
        """Apply the files. A Job that failed or has other files is deleted first.

        A Job cannot be changed. A new one goes on with the parts that are not finished.
        """
        job = self._require_own()
        if job and _condition(job, "Failed"):
            self._kubectl.delete("job", self._name)
        command = ("apply", *self._files)
        try:
            self._kubectl.run(*command)
        except SmokeFailedError as error:
            if not job or "immutable" not in error.message:
                raise
            self._kubectl.delete("job", self._name)
            self._kubectl.run(*command)

    def _require_own(self) -> dict[str, Any]:
        """Return the Job, which is empty if it does not exist.

        Raises:
            UsageError: A Job of this name is not one of modelpack.
        """
        job = self._kubectl.get("job", self._name)
        if job and _OWN not in (job["metadata"].get("annotations") or {}):
            raise UsageError(
                f"The Job {self._name} is not of this deployment.",
                hint="Delete it, or give this job another name: --name NAME",
            )
        return job

    def status(self) -> JobStatus:
        job = self._kubectl.get("job", self._name)
        if not job:
            return JobStatus(0)
        status = job.get("status") or {}
        failure = _condition(job, "Failed") or _condition(job, "FailureTarget")
        failed = _count(str(status.get("failedIndexes") or ""))
        if failed and not failure:
            failure = f"index {status['failedIndexes']} failed"
        pods = self._kubectl.pods(self._selector)
        return JobStatus(
            int(job["spec"].get("completions") or 1),
            _count(str(status.get("completedIndexes") or "")) or int(status.get("succeeded") or 0),
            max(failed, 1) if failure else 0,
            tuple(pod for pod in pods if pod.state != "Succeeded"),
            is_complete=bool(_condition(job, "Complete")),
            failure=failure,
        )

    def logs(self) -> list[str]:
        return self._kubectl.logs(self._selector)

    def report(self) -> dict[str, Any] | None:
        return find_report(self._kubectl.log(self._selector, LOG_LINES).splitlines())

    def remove(self) -> None:
        self._require_own()
        self._kubectl.run("delete", "--ignore-not-found", *self._files)


def _condition(job: dict[str, Any], kind: str) -> str:
    """Return the message of a condition, or its kind; "" if it is not true."""
    for each in (job.get("status") or {}).get("conditions") or ():
        if each.get("type") == kind and each.get("status") == "True":
            return str(each.get("message") or kind)
    return ""


def _count(indexes: str) -> int:
    """Return how many indexes a text such as "0,2-4" contains."""
    spans = [part.split("-") for part in indexes.split(",") if part]
    return sum(int(span[-1]) - int(span[0]) + 1 for span in spans)
