"""What the model takes and gives."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from ..data import results
from ..openapi import operations
from ..service import Service

FACTS = ("estimator", "task", "method", "framework", "framework_version", "format")


def routes(service: Service) -> Blueprint:
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


def describe(service: Service) -> dict[str, Any]:  # noqa: ARG001 - of every service the same
    signature = operations.record({"model": {}, "inputs": {}, "outputs": {}, "runner": {}})
    told = operations.get("What goes in and comes out.", operations.content(signature))
    return {"/signature": {"get": told}}
