"""The ordered table `PROTOCOLS`. A protocol is a function that creates its routes and one that
describes them for OpenAPI.
"""

from __future__ import annotations

from ..openapi.document import Protocol
from . import contributions, invocations, metadata, operations, page, predict, v1, vertex
from .v2 import routes as v2_routes

PROTOCOLS = (
    Protocol(
        "vertex",
        "Vertex AI, if it sets `AIP_PREDICT_ROUTE` and `AIP_HEALTH_ROUTE`, which may be paths of "
        "other protocols: "
        '{"instances": [...], "parameters": {...}}.',
        vertex.routes,
        vertex.describe,
    ),
    Protocol(
        "predict",
        "modelpack's own protocol: `POST /predict`, with rows and predictions in any of the media "
        'types. In JSON, rows are {"instances": [...]}, a list of rows, or one row as an object. '
        "A row is a list in the order of the signature or an object by name.",
        predict.routes,
        predict.describe,
    ),
    Protocol(
        "invocations",
        "The protocol of MLflow and SageMaker: `POST /invocations`, `GET /ping`.",
        invocations.routes,
        invocations.describe,
    ),
    Protocol(
        "v1",
        "KServe's V1 protocol, which is TensorFlow Serving's: `POST /v1/models/M:predict` or "
        '`/v1/models/M/versions/1:predict`, with {"instances": [...]}, where each row is a list '
        'or an object by name, or with {"inputs": {...}}, a list of values for each input.',
        v1.routes,
        v1.describe,
    ),
    Protocol(
        "v2",
        "The Open Inference Protocol V2 over HTTP, with Triton's binary tensor data, for one "
        "version of one model.",
        v2_routes.routes,
        v2_routes.describe,
    ),
    Protocol(
        "page",
        "`GET /`: the playground for browsers, the same facts as JSON for other clients.",
        page.routes,
        page.describe,
    ),
    Protocol(
        "contributions",
        "What each input adds to a prediction: exact for linear models, trees and boosting. The "
        "playground uses it.",
        contributions.routes,
        contributions.describe,
    ),
    Protocol(
        "health",
        "Liveness and readiness of the service.",
        operations.health_routes,
        operations.describe_health,
    ),
    Protocol(
        "metrics",
        "Metrics of all workers for Prometheus, in its text format or in OpenMetrics 1.0.",
        operations.metrics_routes,
        operations.describe_metrics,
    ),
    Protocol(
        "describe",
        "The inputs and outputs of the model.",
        metadata.signature_routes,
        metadata.describe_signature,
    ),
    Protocol(
        "openapi",
        "The description of all routes in OpenAPI 3.1.",
        metadata.openapi_routes,
        metadata.describe_openapi,
    ),
)
