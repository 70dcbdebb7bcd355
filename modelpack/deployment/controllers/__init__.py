"""The table of controllers, which apply the files of a deployment to its platform."""

from __future__ import annotations

from collections.abc import Mapping

from modelpack.deployment.controllers.compose import Compose
from modelpack.deployment.controllers.controller import Controller, Location, Replica, Status
from modelpack.deployment.controllers.kubernetes import KServe, Kubernetes
from modelpack.deployment.controllers.swarm import Swarm

CONTROLLERS: Mapping[str, type[Controller]] = {
    "compose": Compose,
    "swarm": Swarm,
    "kubernetes": Kubernetes,
    "kserve": KServe,
}
"""By the keys of `TARGETS`."""

__all__ = ["CONTROLLERS", "Controller", "Location", "Replica", "Status"]
