"""The description of all routes for machines: OpenAPI 3.1."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, current_app, request

from ..data import results
from ..openapi import document, operations
from ..service import Service


def routes(service: Service) -> Blueprint:
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


def describe(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    told = operations.get("OpenAPI 3.1", operations.content({"type": "object"}))
    return {"/openapi.json": {"get": operations.conditional(told)}}
