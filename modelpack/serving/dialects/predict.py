"""The friendly dialect: `POST /predict`, rows and answers in any of the media types. In JSON, rows
are {"instances": [...]}, a list of them, or one row as an object; each is a list in the signature's
order or an object by name.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from .. import negotiation
from ..problems import Problem
from ..service import Service

SWITCH = {"true": True, "1": True, "false": False, "0": False}


def routes(service: Service) -> Blueprint:
    blueprint = Blueprint("predict", __name__)

    @blueprint.post("/predict")
    def predict() -> Response:
        """Predictions for rows; with ?probabilities=true also the probability of each class."""
        choice = negotiation.writer(request)
        also = switch("probabilities")
        rows = negotiation.read(service, request)
        return negotiation.respond(service.answer(rows, also), choice)

    return blueprint


def switch(name: str) -> bool:
    """The parameter of the URL that is true or false.

    Raises:
        Problem: 400 it is neither.
    """
    value = request.args.get(name, "false").lower()
    if value not in SWITCH:
        raise Problem(400, f"?{name}= takes true or false.")
    return SWITCH[value]
