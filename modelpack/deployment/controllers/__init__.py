"""The table of controllers, which apply the files of a deployment to its platform."""

from __future__ import annotations

from collections.abc import Mapping

from modelpack.deployment.controllers.compose import Compose
from modelpack.deployment.controllers.controller import Controller, Location, Replica, Status
from modelpack.deployment.controllers.job import JobController, JobStatus
from modelpack.deployment.controllers.kubectl import Context, find_context
from modelpack.deployment.controllers.kubernetes import KServe, Kubernetes
from modelpack.deployment.controllers.kubernetes_job import KubernetesJob
from modelpack.deployment.controllers.swarm import Swarm
from modelpack.deployment.controllers.swarm_job import SwarmJob

CONTROLLERS: Mapping[str, type[Controller]] = {
    "compose": Compose,
    "swarm": Swarm,
    "kubernetes": Kubernetes,
    "kserve": KServe,
}
"""By the keys of `TARGETS`."""

JOB_CONTROLLERS: Mapping[str, type[JobController]] = {
    "swarm": SwarmJob,
    "kubernetes": KubernetesJob,
}
"""By the keys of `JOBS`."""

KUBECTL = frozenset({"kubernetes", "kserve"})
"""Platforms that have contexts of kubectl."""

__all__ = [
    "CONTROLLERS",
    "JOB_CONTROLLERS",
    "KUBECTL",
    "Context",
    "Controller",
    "JobController",
    "JobStatus",
    "Location",
    "Replica",
    "Status",
    "find_context",
]
