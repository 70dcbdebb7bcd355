"""The ordered table `PROTOCOLS`."""

from __future__ import annotations

from ..openapi.document import Protocol
from . import invocations, metadata, operations, page, predict, v1
from .v2 import routes as v2_routes

PROTOCOLS = (
    Protocol(
        "predict",
        "The friendly dialect: `POST /predict`, rows and answers in any of the media types. In "
        'JSON, rows are {"instances": [...]}, a list of them, or one row as an object; each is a '
        "list in the signature's order or an object by name.",
        predict.routes,
        predict.describe,
    ),
    Protocol(
        "invocations",
        "What clients of MLflow and of SageMaker speak: `POST /invocations`, `GET /ping`.",
        invocations.routes,
        invocations.describe,
    ),
    Protocol(
        "v1",
        "KServe's V1 protocol, which is TensorFlow Serving's: `POST /v1/models/M:predict` with "
        '{"instances": [...]}, each row a list or an object by name, or with {"inputs": {...}}, a '
        "list of values an input; or `/v1/models/M/versions/1:predict`.",
        v1.routes,
        v1.describe,
    ),
    Protocol(
        "v2",
        "The Open Inference Protocol V2 over HTTP, with Triton's binary tensor data: one model, "
        "one version, tensors in and out.",
        v2_routes.routes,
        v2_routes.describe,
    ),
    Protocol(
        "page",
        "`GET /`: the playground for a browser, the same facts as JSON for everything else.",
        page.routes,
        page.describe,
    ),
    Protocol(
        "health",
        "Whether the service lives, and whether it is ready for requests.",
        operations.health_routes,
        operations.describe_health,
    ),
    Protocol(
        "metrics",
        "Metrics for Prometheus, over all workers: its text format, or OpenMetrics 1.0 where that "
        "is asked for first.",
        operations.metrics_routes,
        operations.describe_metrics,
    ),
    Protocol(
        "describe",
        "What the model takes and gives.",
        metadata.signature_routes,
        metadata.describe_signature,
    ),
    Protocol(
        "openapi",
        "The description of all routes for machines: OpenAPI 3.1.",
        metadata.openapi_routes,
        metadata.describe_openapi,
    ),
)
