"""GET /signature and GET /openapi.json."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, current_app, request

from ..data import results
from ..openapi import document, operations
from ..service import Service

FACTS = ("estimator", "task", "method", "framework", "framework_version", "format")


def signature_routes(service: Service) -> Blueprint:
    """Create GET /signature."""
    blueprint = Blueprint("describe", __name__)
    model = {fact: service.manifest.model[fact] for fact in FACTS}
    model["sha256"] = service.manifest.files[0].sha256

    @blueprint.get("/signature")
    def signature() -> Response:
        """Return the inputs, outputs and classes of the model, and how it is run."""
        runner = service.runner
        facts = {"kind": runner.kind, "reason": runner.reason, "merges": runner.can_batch}
        content = {"model": model, **service.manifest.model["signature"], "runner": facts}
        return Response(results.dump(content), content_type="application/json")

    return blueprint


def describe_signature(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    signature = operations.object_schema({"model": {}, "inputs": {}, "outputs": {}, "runner": {}})
    operation = operations.get("The signature.", operations.content(signature))
    return {"/signature": {"get": operation}}


def openapi_routes(service: Service) -> Blueprint:
    """Create GET /openapi.json."""
    blueprint = Blueprint("openapi", __name__)

    @lru_cache(maxsize=1)
    def body() -> bytes:
        protocols = current_app.extensions[document.EXTENSION]
        return results.dump(document.document(service, current_app, protocols))

    @blueprint.get("/openapi.json")
    def openapi() -> Response:
        """Return the OpenAPI 3.1 document of all routes."""
        response = Response(body(), content_type="application/json")
        response.headers["Cache-Control"] = "no-cache"  # clients revalidate it by its ETag
        response.add_etag()
        response.make_conditional(request)
        return response

    return blueprint


def describe_openapi(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    operation = operations.get("The OpenAPI document.", operations.content({"type": "object"}))
    return {"/openapi.json": {"get": operations.conditional(operation)}}
