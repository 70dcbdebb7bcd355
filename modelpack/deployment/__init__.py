"""Image and measurements -> `Plan` -> the files of a deployment.

`plan` computes numbers, `targets` renders them, and `folder` writes the files.
"""

from __future__ import annotations

from modelpack.deployment.folder import Folder, WriteResult
from modelpack.deployment.plan import Demand, Number, Plan, create_plan
from modelpack.deployment.targets import (
    SERVICES,
    TARGETS,
    Deployment,
    Gateway,
    ImageFacts,
    Version,
    render,
)

__all__ = [
    "SERVICES",
    "TARGETS",
    "Demand",
    "Deployment",
    "Folder",
    "Gateway",
    "ImageFacts",
    "Number",
    "Plan",
    "Version",
    "WriteResult",
    "create_plan",
    "render",
]
