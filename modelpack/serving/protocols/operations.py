"""GET /healthz, /readyz and /metrics."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Request, Response, request

from ..data import results
from ..observability import metrics
from ..openapi import operations
from ..service import Service


def health_routes(service: Service) -> Blueprint:
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        """200 while the process lives."""
        return Response(results.dump({"status": "ok"}), content_type="application/json")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        """200 once the model has answered its own example."""
        service.require_ready()
        return Response(results.dump({"status": "ready"}), content_type="application/json")

    return blueprint


def describe_health(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    return {
        f"/{name}": {"get": operations.get(told, operations.content(operations.status(word)))}
        for name, told, word in (("healthz", "It lives.", "ok"), ("readyz", "It is.", "ready"))
    }


def metrics_routes(service: Service) -> Blueprint:
    blueprint = Blueprint("metrics", __name__)
    facts = service.manifest.model
    metrics.READY.set(service.ready)
    metrics.MODEL.labels(
        metrics.text(service.name),
        metrics.text(service.version),
        metrics.text(facts["framework"]),
        metrics.text(facts["framework_version"]),
        service.manifest.files[0].sha256,
    ).set(1)

    @blueprint.get("/metrics")
    def scrape() -> Response:
        """What Prometheus collects: requests, latencies, rows, errors, the model."""
        content, content_type = metrics.exposition(_accepted_format(request))
        return Response(content, content_type=content_type)

    return blueprint


def _accepted_format(asked: Request) -> str:
    """A key of FORMATS; the versions that a client names are those that there are."""
    wanted = (media_type.partition(";")[0] for media_type, _ in asked.accept_mimetypes)
    return next((one for one in wanted if one in metrics.FORMATS), "text/plain")


def describe_metrics(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    texts = {type_: {"schema": {"type": "string"}} for type_ in metrics.FORMATS}
    return {"/metrics": {"get": operations.get("All metrics, over all workers.", texts)}}
