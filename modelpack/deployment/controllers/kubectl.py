"""`kubectl` with one context and one namespace, and which contexts it has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from modelpack.deployment.controllers.controller import Replica, read_log, run
from modelpack.errors import UsageError

HINT = "Install kubectl, and select a context: kubectl config use-context NAME"


@dataclass(frozen=True)
class Context:
    """The cluster and the namespace that `kubectl` changes.

    Attributes:
        name: Of the context; "" if the configuration has none, as in a pod of the cluster.
        cluster: Address of the API server, without a password; "" without a context.
        namespace: That of the deployment, or of the context; "" if kubectl finds it elsewhere.
    """

    name: str
    cluster: str
    namespace: str

    def __str__(self) -> str:
        name = f"context {self.name} ({self.cluster})" if self.name else "no context"
        return f"{name}, namespace {self.namespace}" if self.namespace else name


def find_context(chosen: str | None, namespace: str) -> Context:
    """Return a context of the user's configuration.

    Args:
        chosen: Its name (default: the current one).
        namespace: Of the deployment; "" for that of the context.

    Raises:
        UsageError: No such context exists.
        NoEngineError: kubectl is not installed.
        SmokeFailedError: kubectl cannot read the configuration.
    """
    text = run(["kubectl", "config", "view", "--output=json"], HINT)
    document = json.loads(text) if text.strip() else {}
    contexts = {each["name"]: each.get("context") or {} for each in document.get("contexts") or ()}
    clusters = {each["name"]: each.get("cluster") or {} for each in document.get("clusters") or ()}
    name = chosen or str(document.get("current-context") or "")
    if name and name not in contexts:
        raise UsageError(
            f"kubectl has no context {name[:300]!r}.",
            hint="To list contexts, run: kubectl config get-contexts",
        )
    context = contexts.get(name, {})
    server = str(clusters.get(context.get("cluster"), {}).get("server") or "")
    default = str(context.get("namespace") or "default") if name else ""
    return Context(name, _without_password(server), namespace or default)


def _without_password(server: str) -> str:
    parts = urlsplit(server)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class Kubectl:
    """Runs commands. Its methods raise the errors of `controller.run`."""

    def __init__(self, context: str, namespace: str) -> None:
        self._context = ["--context", context] if context else []
        self._namespace = ["--namespace", namespace] if namespace else []

    def run(self, *arguments: str) -> str:
        """Run a command, with files that contain their namespace."""
        return run(["kubectl", *arguments, *self._context], HINT)

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return an object or a list, which is empty if it does not exist."""
        options = [*self._namespace, "--output=json", "--ignore-not-found"]
        text = self.run("get", *arguments, *options)
        document: dict[str, Any] = json.loads(text) if text.strip() else {}
        return document

    def delete(self, kinds: str, name: str) -> None:
        """Delete objects, and wait until they are gone."""
        self.run("delete", kinds, name, *self._namespace, "--ignore-not-found")

    def pods(self, selector: str) -> tuple[Replica, ...]:
        items = self.get("pods", "--selector", selector).get("items") or ()
        return tuple(map(_replica, items))

    def logs(self, selector: str) -> list[str]:
        """Return the last lines that pods logged, or none if they cannot be read."""
        options = ["--all-containers", "--prefix", "--tail=4", *self._namespace, *self._context]
        return read_log(["kubectl", "logs", "--selector", selector, *options])

    def log(self, selector: str, lines: int) -> str:
        """Return the last lines of each pod as they are."""
        options = [*self._namespace, *self._context, f"--tail={lines}"]
        return run(["kubectl", "logs", "--selector", selector, *options], HINT, check=False)


def _replica(pod: dict[str, Any]) -> Replica:
    status = pod.get("status") or {}
    states = [each.get("state") or {} for each in status.get("containerStatuses") or ()]
    waiting = [state["waiting"] for state in states if state.get("waiting")]
    reason = next((str(each.get("reason") or "") for each in waiting), "")
    detail = next((str(each.get("message") or "") for each in waiting), "")
    return Replica(pod["metadata"]["name"], reason or str(status.get("phase") or ""), detail)
