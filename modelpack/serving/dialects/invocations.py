"""What clients of MLflow and of SageMaker speak: `POST /invocations`, `GET /ping`.

Sources: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html. Errors are
problems, as everywhere in this service, and not of the shape that MLflow gives them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, Response, request

from .. import answers, forms, media, misfits, negotiation, wire
from ..columns import Rows
from ..problems import Problem
from ..service import Service
from .predict import switch


def routes(service: Service) -> Blueprint:
    blueprint = Blueprint("invocations", __name__)

    @blueprint.post("/invocations")
    def invocations() -> Response:
        """Predictions as MLflow and SageMaker ask for them."""
        medium, accepted = negotiation.writer(request)
        params = Params(service.manifest.method, switch("probabilities"))
        rows, params = _read(service, params)
        answer = service.answer(rows, params.probabilities, params.predict_method)
        # SageMaker puts lines of answers beside lines of rows: there must be as many.
        return negotiation.respond(answer, (medium, {"header": "absent", **accepted}))

    @blueprint.get("/ping")
    @blueprint.get("/health")
    def ping() -> Response:
        """200 once the model has answered its own example."""
        if not service.ready:
            raise Problem(503, "The model does not answer its own example. The log tells why.")
        return Response(answers.dump({"status": "ready"}), content_type="application/json")

    @blueprint.get("/version")
    def version() -> Response:
        """The version of modelpack that has made this service, as text."""
        return Response(service.manifest.modelpack, content_type="text/plain; charset=utf-8")

    return blueprint


@dataclass(frozen=True)
class Params:
    """What a client may set beside its rows. `predict_method`: one of `Service.methods`, whose
    answers are the predictions. `probabilities`: as ?probabilities=true.
    """

    predict_method: str
    probabilities: bool


def _read(service: Service, params: Params) -> tuple[Rows, Params]:
    """The rows of the request, and what it sets."""
    medium, parameters = negotiation.reader(request)
    body = wire.read_body(request, service.limits.body_bytes)
    if medium is not media.MEDIA[0]:
        return medium.read(service, body, parameters), params
    if "format" in parameters:
        detail = (
            "The parameter format in Content-Type is of MLflow before 2.0. Send "
            '{"dataframe_split": ...} or {"dataframe_records": ...} without it.'
        )
        raise Problem(415, detail)
    found = [params]

    def pick(document: Any) -> list[Any]:
        found.append(_with(params, service, document))
        return forms.rows(service, document)

    return service.read(body, pick), found[-1]


def _with(params: Params, service: Service, document: Any) -> Params:
    given = document.get(forms.PARAMS) if isinstance(document, dict) else None
    if given is None:
        return params
    takes = {"predict_method": service.methods, "probabilities": (True, False)}
    if not isinstance(given, dict):
        raise Problem(422, f"Expected an object as {forms.PARAMS}, got {misfits.got(given)}.")
    for name, value in given.items():
        if name not in takes:
            known = " and ".join(takes)
            raise Problem(422, f"{forms.PARAMS} takes {known}, not {misfits.got(name)}.")
        if not isinstance(value, (str, bool)) or value not in takes[name]:
            known = ", ".join(misfits.got(each) for each in takes[name])
            raise Problem(422, f"{name} is one of {known}; got {misfits.got(value)}.")
    return replace(params, **given)
