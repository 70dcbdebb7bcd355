"""What hosting platforms set in the environment of a container, and what follows for the service.

Sources: SageMaker's "Use Your Own Inference Code" for endpoints and for batch transform, Vertex
AI's "Custom container requirements", the container contracts of Cloud Run and Knative, and the
documentation of the Lambda Web Adapter.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Mapping

from . import settings
from .errors import StartupError
from .settings import Limits

PREDICT_ROUTE, HEALTH_ROUTE = "AIP_PREDICT_ROUTE", "AIP_HEALTH_ROUTE"
"""The paths that Vertex AI requests."""
ROUTE = re.compile(r"(?:/[A-Za-z0-9._~:@-]+)+|/")
MAX_ROUTE_LENGTH = 1024

KNATIVE = "K_SERVICE"
"""The name of the service on Cloud Run and Knative."""
DRAIN_SECONDS, KNATIVE_DRAIN_SECONDS = 30, 8
"""Cloud Run kills a container 10 s after SIGTERM."""

LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"
FROZEN_SECONDS = 24 * 3600
"""Between two requests, AWS Lambda freezes the processes, longer than any usual time-out."""

BATCH, SINGLE_RECORD = "SAGEMAKER_BATCH", "SINGLE_RECORD"
STRATEGY = "SAGEMAKER_BATCH_STRATEGY"
MAX_PAYLOAD, MAX_TRANSFORMS = "SAGEMAKER_MAX_PAYLOAD_IN_MB", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"
PAYLOAD_MB = 6
"""The payload of a batch transform that does not set its size."""
BATCH_SECONDS = 600
"""The time that a batch transform waits for a response, unless its job sets another one."""
OTHER_CONNECTIONS = 16
"""For GET /ping next to the transforms."""
MIB = 2**20


def limits(environ: Mapping[str, str] = os.environ) -> Limits:
    """Return the limits that variables set, and those that the platform needs for the others.

    Raises:
        StartupError: A variable is not a positive integer.
    """
    defaults = Limits()
    if environ.get(LAMBDA):
        defaults = replace(defaults, idle_seconds=FROZEN_SECONDS)
    if environ.get(BATCH, "").lower() == "true":
        defaults = _limits_of_batch(environ, defaults)
    return settings.from_environment(environ, defaults)


def _limits_of_batch(environ: Mapping[str, str], defaults: Limits) -> Limits:
    """Return limits for the payloads of a batch transform, which are all from one trusted client.

    SageMaker fills payloads by their size, whatever the number of rows.
    """
    size = _integer(environ, MAX_PAYLOAD, PAYLOAD_MB) * MIB
    transforms = _integer(environ, MAX_TRANSFORMS, 1)
    rows = defaults.rows if environ.get(STRATEGY) == SINGLE_RECORD else max(defaults.rows, size)
    return replace(
        defaults,
        body_bytes=max(defaults.body_bytes, size),
        rows=rows,
        queue=max(defaults.queue, transforms),
        connections=max(defaults.connections, transforms + OTHER_CONNECTIONS),
        held_bytes=max(defaults.held_bytes, 2 * transforms * size),
        predict_seconds=BATCH_SECONDS,
    )


def _integer(environ: Mapping[str, str], variable: str, default: int) -> int:
    """Return a variable. SageMaker's API takes 0, too, for its default."""
    value = environ.get(variable)
    return settings.positive_integer(variable, value) if value and value != "0" else default


def worker_count(environ: Mapping[str, str] = os.environ) -> int:
    """Return the number of workers. Lambda sends one request at a time to each container.

    Raises:
        StartupError: WEB_CONCURRENCY is not a positive integer.
    """
    if environ.get(LAMBDA) and not environ.get("WEB_CONCURRENCY"):
        return 1
    return settings.worker_count(environ)


def drain_seconds(environ: Mapping[str, str] = os.environ) -> int:
    """Return the seconds for open requests after SIGTERM."""
    return KNATIVE_DRAIN_SECONDS if environ.get(KNATIVE) else DRAIN_SECONDS


def worker_seconds(predict_seconds: int, environ: Mapping[str, str] = os.environ) -> int:
    """Return after how many seconds a worker that does not respond is replaced, 0 for never.

    After a freeze, no worker has sent a heartbeat in time. Lambda ends a function that hangs.
    """
    return 0 if environ.get(LAMBDA) else 2 * predict_seconds


def vertex_route(environ: Mapping[str, str], variable: str) -> str | None:
    """Return PREDICT_ROUTE or HEALTH_ROUTE, None if it is not set.

    Raises:
        StartupError: The variable is not a path.
    """
    path = environ.get(variable)
    if not path:
        return None
    if len(path) > MAX_ROUTE_LENGTH or not ROUTE.fullmatch(path):
        raise StartupError(
            f"{variable} is {path[:MAX_ROUTE_LENGTH]!r}, not a path of letters, digits and ._~:@-."
        )
    return path
