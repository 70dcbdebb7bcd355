"""Whether the service lives, and whether it is ready for requests."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from ..data import results
from ..openapi import operations
from ..service import Service


def routes(service: Service) -> Blueprint:
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


def describe(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    return {
        f"/{name}": {"get": operations.get(told, operations.content(operations.status(word)))}
        for name, told, word in (("healthz", "It lives.", "ok"), ("readyz", "It is.", "ready"))
    }
