"""What is served here: the routes, the model, its signature."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app

from .. import answers
from ..openapi import operations
from ..service import Service

FACTS = ("estimator", "task", "method", "framework", "framework_version", "format")


def routes(service: Service) -> Blueprint:
    blueprint = Blueprint("describe", __name__)
    model = {fact: service.manifest.model[fact] for fact in FACTS}
    model["sha256"] = service.manifest.files[0].sha256

    @blueprint.get("/")
    def index() -> Response:
        """Summary: the model, the routes, an example."""
        summary = {"model": model, "routes": _routes(), "example": _example(service)}
        return Response(answers.dump(summary), content_type="application/json")

    @blueprint.get("/signature")
    def signature() -> Response:
        """What the model takes and gives: names, types, classes."""
        document = {"model": model, **service.manifest.model["signature"]}
        return Response(answers.dump(document), content_type="application/json")

    return blueprint


def _routes() -> list[dict[str, Any]]:
    """Method, path and first line of documentation of every route, as they are in the app."""
    return [
        {
            "method": method,
            "path": rule.rule,
            "does": (current_app.view_functions[rule.endpoint].__doc__ or "").split("\n")[0],
        }
        for rule in current_app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "DELETE"})
    ]


def _example(service: Service) -> dict[str, Any] | None:
    """A body for POST /predict."""
    row = service.manifest.example
    if row is None:
        return None
    if service.manifest.model["signature"]["named"]:
        return {"instances": [dict(zip((f.name for f in service.manifest.inputs), row))]}
    return {"instances": [row]}


def describe(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    summary = operations.content({"type": "object", "required": ["model", "routes", "example"]})
    signature = operations.content({"type": "object", "required": ["model", "inputs", "outputs"]})
    return {
        "/": {"get": operations.get("The model, the routes, an example.", summary)},
        "/signature": {"get": operations.get("What goes in and comes out.", signature)},
    }
