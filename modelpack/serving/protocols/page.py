"""GET /: the playground for browsers, the same facts as JSON for other clients."""

from __future__ import annotations

import os
from typing import Any

from flask import Blueprint, Response, current_app, request

from .. import playground as serving_playground
from .. import settings
from ..data import results
from ..openapi import operations
from ..service import Service
from .metadata import FACTS


def routes(service: Service) -> Blueprint:
    """Create GET /."""
    blueprint = Blueprint("page", __name__)
    playground = serving_playground.assemble()

    @blueprint.get("/")
    def index() -> Response:
        """Return the playground to browsers; as JSON the model, the routes, an example."""
        if serving_playground.prefers_html(request):
            response = Response(playground.html, content_type="text/html; charset=utf-8")
            response.headers["Content-Security-Policy"] = playground.policy
            response.headers["Cache-Control"] = "no-cache"  # clients revalidate it by its ETag
            response.add_etag()
            response.make_conditional(request)
        else:
            response = Response(results.dump(_summary(service)), content_type="application/json")
        response.vary.add("Accept")
        return response

    return blueprint


def _summary(service: Service) -> dict[str, Any]:
    facts = service.manifest
    return {
        "model": _model(service),
        "environment": {
            "python": facts.environment.get("python"),
            "versions": _versions(service),
            "warnings": facts.environment.get("warnings", []),
        },
        "service": {
            "ready": service.ready,
            "grpc": settings.grpc_port(os.environ),
            "parity": os.environ.get("MODELPACK_PARITY") or None,
            "proof": os.environ.get("MODELPACK_PROOF") or None,
        },
        "modelpack": facts.modelpack,
        "openapi": "/openapi.json",
        "routes": _routes(),
        "example": _example(service),
    }


def _model(service: Service) -> dict[str, Any]:
    model = service.manifest.model
    files = [model["file"], *model["more_files"]]
    return {
        "name": service.name,
        "version": service.version,
        "title": model.get("title") or None,
        "description": model.get("description") or None,
        **{fact: model[fact] for fact in FACTS},
        "steps": [step["type"] for step in model["steps"]],
        "sha256": files[0]["sha256"],
        "size": sum(file["size"] for file in files),
    }


def _versions(service: Service) -> dict[str, Any]:
    """Return the recorded and the installed version of each library."""
    installed = service.manifest.environment.get("requirements", {})
    recorded = service.manifest.model["versions"]
    return {
        name: {"recorded": version, "installed": installed.get(name)}
        for name, version in recorded.items()
    }


def _routes() -> list[dict[str, Any]]:
    """Return method, path and first docstring line of every route of the application."""
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
    """Return a body for POST /predict."""
    row = service.manifest.example
    if row is None:
        return None
    if service.tensors.shapes:
        return {"instances": [service.tensors.nested(row)]}
    if service.manifest.model["signature"]["named"]:
        return {"instances": [dict(zip((f.name for f in service.manifest.inputs), row))]}
    return {"instances": [row]}


def describe(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    facts = ("model", "environment", "service", "modelpack", "openapi", "routes", "example")
    content = {
        **operations.content(operations.object_schema({fact: {} for fact in facts})),
        **operations.content({"type": "string"}, type_="text/html"),
    }
    return {"/": {"get": operations.conditional(operations.get("The model.", content))}}
