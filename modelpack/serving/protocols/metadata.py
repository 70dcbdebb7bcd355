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
    blueprint = Blueprint("describe", __name__)
    model = {fact: service.manifest.model[fact] for fact in FACTS}
    model["sha256"] = service.manifest.files[0].sha256

    @blueprint.get("/signature")
    def signature() -> Response:
        """What the model takes and gives: names, types, classes; and how it is asked."""
        runner = service.runner
        told = {"kind": runner.kind, "reason": runner.told, "merges": runner.merges}
        document = {"model": model, **service.manifest.model["signature"], "runner": told}
        return Response(results.dump(document), content_type="application/json")

    return blueprint


def describe_signature(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    signature = operations.record({"model": {}, "inputs": {}, "outputs": {}, "runner": {}})
    told = operations.get("What goes in and comes out.", operations.content(signature))
    return {"/signature": {"get": told}}


def openapi_routes(service: Service) -> Blueprint:
    blueprint = Blueprint("openapi", __name__)

    @lru_cache(maxsize=1)
    def body() -> bytes:
        protocols = current_app.extensions[document.EXTENSION]
        return results.dump(document.document(service, current_app, protocols))

    @blueprint.get("/openapi.json")
    def openapi() -> Response:
        """All routes for machines: OpenAPI 3.1."""
        response = Response(body(), content_type="application/json")
        response.headers["Cache-Control"] = "no-cache"  # to be asked for again, by its tag
        response.add_etag()
        response.make_conditional(request)
        return response

    return blueprint


def describe_openapi(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    told = operations.get("OpenAPI 3.1", operations.content({"type": "object"}))
    return {"/openapi.json": {"get": operations.conditional(told)}}
