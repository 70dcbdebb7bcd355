"""What clients of MLflow and of SageMaker speak: `POST /invocations`, `GET /ping`.

Sources: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ and
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html. Errors are
problems, as everywhere in this service, and not of the shape that MLflow gives them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable

from flask import Blueprint, Request, Response

from .. import answers, forms, media, misfits, negotiation, questions
from ..columns import Rows
from ..extras import Extras
from ..openapi import bodies, columns, examples, operations, predictions
from ..problems import Problem
from ..service import Service
from .predict import parameters, switch


def routes(service: Service) -> Blueprint:
    blueprint = Blueprint("invocations", __name__)

    def ask(asked: Request) -> questions.Read:
        medium, accepted = negotiation.writer(asked)
        # SageMaker puts lines of answers beside lines of rows: there must be as many.
        write = negotiation.write((medium, {"header": "absent", **accepted}))
        told = Params(service.manifest.method, switch(asked, "probabilities"))
        read = _reader(service, asked, told)

        def question(body: bytes) -> questions.Question:
            ignored = service.extras
            rows, params = read(body, ignored)
            methods = service.asked(params.probabilities, params.predict_method)
            return questions.of(service, rows, write, methods, ignored)

        return question

    @blueprint.post("/invocations")
    def invocations() -> Response:
        """Predictions as MLflow and SageMaker ask for them."""
        return questions.answer(service, ask)

    questions.offer(blueprint, service, "/invocations", ask)

    @blueprint.get("/ping")
    @blueprint.get("/health")
    def ping() -> Response:
        """200 once the model has answered its own example."""
        service.require_ready()
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


def _reader(
    service: Service, request: Request, params: Params
) -> Callable[[bytes, Extras], tuple[Rows, Params]]:
    """What reads the rows of a body, and what it sets."""
    medium, parameters = negotiation.reader(request)
    if medium is not media.MEDIA[0]:
        return lambda body, ignored: (medium.read(service, body, parameters, ignored), params)
    if "format" in parameters:
        detail = (
            "The parameter format in Content-Type is of MLflow before 2.0. Send "
            '{"dataframe_split": ...} or {"dataframe_records": ...} without it.'
        )
        raise Problem(415, detail)

    def read(body: bytes, ignored: Extras) -> tuple[Rows, Params]:
        found = [params]

        def pick(document: Any) -> list[Any]:
            found.append(_with(params, service, document))
            return forms.rows(service, document, ignored)

        return service.read(body, pick, ignored), found[-1]

    return read


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


def describe(service: Service) -> dict[str, Any]:
    ready = operations.get("It is.", operations.content(operations.status("ready")))
    version = operations.content({"type": "string"}, type_="text/plain")
    taken, given = bodies.taken(service, _documents(service)), bodies.given(service)
    given.update(operations.content(_answers(), predictions.listed_example(service)))
    invocations = operations.post(taken, "The predictions.", given, [406], parameters(service))
    return {
        "/invocations": {"post": invocations},
        "/ping": {"get": ready},
        "/health": {"get": {**ready, "operationId": "invocations_health"}},
        "/version": {"get": operations.get("The version.", version)},
    }


def _documents(service: Service) -> dict[str, Any]:
    """Each of the forms by itself."""
    told = _forms(service)
    params = {forms.PARAMS: {"anyOf": [_params(service), {"type": "null"}]}}
    shapes = [operations.record({name: form}, params, False) for name, form in told.items()]
    row, named, listed = examples.row(service), examples.by_name(service), columns.example(service)
    shown = {
        "dataframe_split": named and {"columns": list(named), "data": [list(named.values())]},
        "dataframe_records": named and [named],
        "instances": row and [row],
        "inputs": listed,
    }
    values = {name: {name: value} for name, value in shown.items() if value and name in told}
    return operations.content({"anyOf": [*shapes, operations.schema("Rows")]}, values)


def _forms(service: Service) -> dict[str, Any]:
    rows, named = operations.schema("Rows"), operations.schema("RowByName")
    inputs = [rows, operations.schema("Columns")]
    told = {"dataframe_split": _split(service), "instances": rows}
    if service.manifest.inputs:
        told["dataframe_records"] = {"type": "array", "items": named, "minItems": 1}
        inputs.append(named)
    return {**told, "inputs": {"anyOf": inputs}}


def _split(service: Service) -> dict[str, Any]:
    row = operations.schema("RowInOrder")
    data = {"data": {"type": "array", "items": row, "minItems": 1}}
    names = {"anyOf": [columns.names(service), {"type": "null"}]}
    return operations.record(data, {"columns": names, "index": {}}, False)


def _params(service: Service) -> dict[str, Any]:
    switch = {"type": "boolean"} if "predict_proba" in service.methods else {"const": False}
    methods = {"enum": list(service.methods)}
    return operations.record({}, {"predict_method": methods, "probabilities": switch}, False)


def _answers() -> dict[str, Any]:
    """Of any predict_method."""
    several = {"type": "array", "items": {}}
    kinds = [operations.schema("Prediction"), {"type": ["number", "null"]}, several]
    told = {"predictions": {**several, "items": {"anyOf": kinds}}}
    return operations.record(told, {"probabilities": several})
