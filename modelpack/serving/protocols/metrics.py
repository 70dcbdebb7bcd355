"""Metrics for Prometheus, over all workers: its text format, or OpenMetrics 1.0 where that is
asked for first.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Request, Response, request

from ..observability import metrics
from ..openapi import operations
from ..service import Service


def routes(service: Service) -> Blueprint:
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
        content, content_type = metrics.exposition(_wanted(request))
        return Response(content, content_type=content_type)

    return blueprint


def _wanted(asked: Request) -> str:
    """A key of FORMATS; the versions that a client names are those that there are."""
    wanted = (media_type.partition(";")[0] for media_type, _ in asked.accept_mimetypes)
    return next((one for one in wanted if one in metrics.FORMATS), "text/plain")


def describe(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    texts = {type_: {"schema": {"type": "string"}} for type_ in metrics.FORMATS}
    return {"/metrics": {"get": operations.get("All metrics, over all workers.", texts)}}
