"""GET /healthz, /readyz and /metrics."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Request, Response, request

from ..data import results
from ..observability import metrics
from ..openapi import operations
from ..service import Service


def health_routes(service: Service) -> Blueprint:
    """Create GET /healthz and GET /readyz."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        """Return 200 while the process is alive."""
        return Response(results.dump({"status": "ok"}), content_type="application/json")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        """Return 200 if the model predicts its own example."""
        service.require_ready()
        return Response(results.dump({"status": "ready"}), content_type="application/json")

    return blueprint


def describe_health(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    return {
        f"/{name}": {
            "get": operations.get(text, operations.content(operations.status_schema(word)))
        }
        for name, text, word in (("healthz", "Alive.", "ok"), ("readyz", "Ready.", "ready"))
    }


def metrics_routes(service: Service) -> Blueprint:
    """Create GET /metrics, and set the metrics of the model."""
    blueprint = Blueprint("metrics", __name__)
    facts = service.manifest.model
    metrics.READY.set(service.ready)
    metrics.MODEL.labels(
        metrics.label_text(service.name),
        metrics.label_text(service.version),
        metrics.label_text(facts["framework"]),
        metrics.label_text(facts["framework_version"]),
        service.manifest.files[0].sha256,
    ).set(1)

    @blueprint.get("/metrics")
    def scrape() -> Response:
        """Return the metrics for Prometheus: requests, latencies, rows, errors, the model."""
        content, content_type = metrics.exposition(_accepted_format(request))
        return Response(content, content_type=content_type)

    return blueprint


def _accepted_format(http_request: Request) -> str:
    """Return the first accepted key of FORMATS, whatever version the client names."""
    types = (media_type.partition(";")[0] for media_type, _ in http_request.accept_mimetypes)
    return next((type_ for type_ in types if type_ in metrics.FORMATS), "text/plain")


def describe_metrics(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    texts = {type_: {"schema": {"type": "string"}} for type_ in metrics.FORMATS}
    return {"/metrics": {"get": operations.get("The metrics of all workers.", texts)}}
