"""Whether the service lives, and whether it is ready for requests."""

from __future__ import annotations

from flask import Blueprint, Response

from .. import answers
from ..problems import Problem
from ..service import Service


def routes(service: Service) -> Blueprint:
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        """200 while the process lives."""
        return Response(answers.dump({"status": "ok"}), content_type="application/json")

    @blueprint.get("/readyz")
    def readyz() -> Response:
        """200 once the model has answered its own example."""
        if not service.ready:
            raise Problem(503, "The model does not answer its own example. The log tells why.")
        return Response(answers.dump({"status": "ready"}), content_type="application/json")

    return blueprint
