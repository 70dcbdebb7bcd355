"""`deploy --apply`, `--status` and `--remove`: the files of a folder on their platform."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpack.deployment import SERVICES, TARGETS, Folder
from modelpack.deployment.controllers import (
    CONTROLLERS,
    Context,
    Controller,
    Location,
    Status,
)
from modelpack.engines import StepEvent
from modelpack.errors import ModelpackError, SmokeFailedError, UsageError

from .contexts import forget_applied, record_context, recorded_context, require_context
from .deploy import require_name
from .stages import Pipeline

POLL_SECONDS = 0.5
EXTRA_SECONDS = 60
"""Time to pull an image and to schedule a replica, in addition to the start of each."""


@dataclass(frozen=True)
class Deployed:
    """A deployment that was applied, as its platform reports it."""

    platform: str
    name: str
    status: Status

    def to_json(self) -> dict[str, Any]:
        """Return the document of `modelpack deploy --status --json`."""
        return {
            "to": self.platform,
            "name": self.name,
            "ready": self.status.is_ready,
            "ready_replicas": self.status.ready,
            "expected_replicas": self.status.expected,
            "failure": self.status.failure,
            "replicas": [vars(replica) for replica in self.status.replicas],
        }


def apply(run: Pipeline, path: Path, context: str | None = None) -> Deployed:
    """Apply the files of a folder, and wait until all replicas are healthy.

    If they do not become healthy, the files that were applied last are restored and applied. A
    first deployment is removed. One that another folder applied, as in a new checkout of a CI job,
    is left as it is.

    Args:
        run: The pipeline.
        path: The folder.
        context: Of kubectl (default: the current one, which must be that of the last time).

    Raises:
        UsageError: The folder is not a deployment, or the context is another one.
        SmokeFailedError: The replicas did not become healthy.
        NoEngineError: The command of the platform is not installed.
    """
    folder = Folder(path)
    used = _find_context(folder, context)
    if used:  # a cluster that does not respond is not recorded
        _open(folder, context=used)[0].status()
    record_context(folder, used)
    controller, platform, name = _open(folder, context=used)
    notify_of_context(run, used)
    with run.stage("apply") as summary:
        is_first = not folder.applied and not controller.status().exists
        try:
            controller.apply()
            status = _wait(run, controller, _seconds(folder))
        except ModelpackError as error:
            raise _roll_back(run, folder, controller, error, is_first=is_first) from error
        folder.mark_applied(TARGETS[platform].token_file)
        summary.append(status.summary)
    return Deployed(platform, name, status)


def _roll_back(
    run: Pipeline,
    folder: Folder,
    controller: Controller,
    error: ModelpackError,
    *,
    is_first: bool,
) -> ModelpackError:
    """Apply the earlier files, or remove a first deployment. Return the error to raise."""
    if not isinstance(error, SmokeFailedError):
        return error
    for line in controller.logs():  # which are gone after the rollback
        run.observer.notice(f"log: {line}")
    failed = folder.record
    restored = folder.restore_applied()
    try:
        if restored:
            run.observer.notice("The deployment failed, and is rolled back.")
            controller, _, _ = _open(folder, failed, recorded_context(folder))
            controller.apply()
            _wait(run, controller, _seconds(folder))
        elif is_first:
            controller.remove()
            folder.forget_applied()
        else:
            return SmokeFailedError(
                f"{error.message} It was deployed before, but not from {folder.path}, so that it is"
                " not rolled back.",
                hint="To roll back, deploy the earlier image: modelpack deploy IMAGE --apply",
            )
    except ModelpackError as second:
        return SmokeFailedError(
            f"{error.message} The rollback failed, too: {second.message}", hint=second.hint
        )
    result = (
        f"The files in {folder.path} and the running replicas are the earlier ones again."
        if restored
        else "There was no earlier deployment, so that it was removed."
    )
    return SmokeFailedError(f"{error.message} {result}", hint=error.hint)


def _wait(run: Pipeline, controller: Controller, seconds: float) -> Status:
    """Wait until a deployment is ready, and report each change.

    Raises:
        SmokeFailedError: It failed, or is not ready in time.
    """
    deadline, shown, started = time.monotonic() + seconds, "", time.monotonic()
    while True:
        status = controller.status()
        if status.is_ready:
            return status
        if status.summary != shown:
            shown = status.summary
            run.observer.step(StepEvent(shown, "started", time.monotonic() - started))
        if status.failure or time.monotonic() > deadline:
            reason = status.failure or f"{status.summary} after {seconds:.0f} s"
            details = "; ".join(
                f"{replica.name}: {replica.state} {replica.detail}".strip()
                for replica in status.replicas[:3]
            )
            raise SmokeFailedError(
                f"The deployment did not become healthy: {reason}."
                + (f" {details}." if details else ""),
                hint="Correct the cause, which the log of the replica shows, and deploy again.",
            )
        time.sleep(POLL_SECONDS)


def status(path: Path, context: str | None = None) -> Deployed:
    """Return the state of the deployment in a folder. `context`: see `apply`.

    Raises:
        UsageError: The folder is not a deployment, or the context is another one.
        NoEngineError: The command of the platform is not installed.
    """
    folder = Folder(path)
    controller, platform, name = _open(folder, context=_find_context(folder, context))
    return Deployed(platform, name, controller.status())


def require_success(deployed: Deployed) -> None:
    """Require that all replicas are healthy. Raise SmokeFailedError if they are not."""
    if not deployed.status.is_ready:
        status = deployed.status
        reason = status.failure or (status.summary if status.exists else "it is not deployed")
        raise SmokeFailedError(
            f"{deployed.name} is not ready: {reason}.",
            hint="Deploy it again with --apply, or read the logs of its replicas.",
        )


def remove(run: Pipeline, path: Path, context: str | None = None) -> None:
    """Remove a deployment from its platform. The files and the token stay. `context`: see `apply`.

    Raises:
        UsageError: The folder is not a deployment, or the context is another one.
        NoEngineError: The command of the platform is not installed.
    """
    folder = Folder(path)
    used = _find_context(folder, context)
    controller, _, name = _open(folder, context=used)
    notify_of_context(run, used)
    with run.stage("remove") as summary:
        controller.remove()
        forget_applied(folder, used)
        summary.append(name)


def notify_of_context(run: Pipeline, context: Context | None) -> None:
    if context:
        run.observer.notice(f"kubectl: {context}.")


def _find_context(folder: Folder, chosen: str | None) -> Context | None:
    platform, name, namespace = _names(folder)
    return require_context(folder, platform, namespace or name, chosen)


def _open(
    folder: Folder, former: Mapping[str, Any] | None = None, context: Context | None = None
) -> tuple[Controller, str, str]:
    """Return the controller of the files in a folder, its platform and the name.

    Args:
        folder: The folder.
        former: Record of the files that are deployed (default: those that were applied last).
        context: Of kubectl.

    Raises:
        UsageError: The folder is not a deployment.
    """
    platform, name, namespace = _names(folder)
    try:
        services = _services(folder.record)
        earlier = _services(folder.applied if former is None else former)
    except (KeyError, TypeError) as error:
        raise not_a_deployment(folder) from error
    location = Location(
        folder.path,
        name,
        namespace or name,
        services,
        former_services=tuple(each for each in earlier if each not in services),
        has_new_token=folder.has_new_secret(TARGETS[platform].token_file),
        context=context.name if context else "",
    )
    return CONTROLLERS[platform](location), platform, name


def _names(folder: Folder) -> tuple[str, str, str]:
    """Return the platform, the name and the namespace, "" without one. Raise UsageError."""
    platform, name, namespace = read_names(folder)
    if platform not in CONTROLLERS:
        raise not_a_deployment(folder)
    return platform, name, namespace


def read_names(folder: Folder) -> tuple[str, str, str]:
    """Return the platform, the name and the namespace, "" without one, in a record.

    Raises:
        UsageError: The folder is not a deployment, or a name is not valid.
    """
    record = folder.record
    try:
        platform, name = record["to"], require_name(record["name"])
        namespace = record.get("namespace")
        return str(platform), name, require_name(namespace) if namespace else ""
    except (KeyError, TypeError) as error:
        raise not_a_deployment(folder) from error


def not_a_deployment(folder: Folder) -> UsageError:
    return UsageError(
        f"{folder.path} is not the folder of a deployment.",
        hint="Run: modelpack deploy IMAGE --to compose -o DIR",
    )


def _services(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the services in a record. One of an earlier version of modelpack names none."""
    services = tuple(record.get("services") or ("model",))
    if not SERVICES.issuperset(services):
        raise TypeError("unknown services")
    return services


def _seconds(folder: Folder) -> float:
    """Return how long to wait: replicas are replaced one by one."""
    start, replicas = folder.record.get("start_seconds"), folder.record.get("replicas")
    return float(start or 30) * int(replicas or 1) + EXTRA_SECONDS
