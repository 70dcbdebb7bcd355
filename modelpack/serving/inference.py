"""An inference request: rows, methods, and how the result is written."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

from flask import Blueprint, Request, Response, request

from .data import extra_inputs, json_body
from .data import results as data_results
from .data.columns import Rows
from .data.extra_inputs import Extras
from .observability import requests
from .service import Service

EXTENSION = "modelpack.offers"
JSON = "application/json"


class InferenceResponse(NamedTuple):
    """An answer's body, and the headers that are not the same for all."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = {}


class InferenceRequest(NamedTuple):
    """`methods`: of the model. `tell`: makes the reply of {method: what it gives for the rows}; it
    raises a Problem where there is none. `ignored`: names of what came and is no input.
    """

    rows: Rows
    methods: tuple[str, ...]
    tell: Callable[[Mapping[str, Any]], InferenceResponse]
    ignored: Extras = None

    def reply(self, results: Mapping[str, Any]) -> InferenceResponse:
        """The reply, with a header that names the inputs that were ignored.

        Raises:
            Problem: none can be made.
        """
        reply = self.tell(results)
        if not self.ignored:
            return reply
        named = {**reply.headers, extra_inputs.HEADER: extra_inputs.header(self.ignored)}
        return reply._replace(headers=named)


BodyParser = Callable[[bytes], InferenceRequest]
"""From a body to what it asks. Raises a Problem, or what it has no words for."""

RequestParser = Callable[[Request], BodyParser]
"""From the head of a request to how its body is read: that and the reply's form are settled by the
head. It looks at headers and the URL's parameters, and raises a Problem."""


class Route(NamedTuple):
    """A route at which `service` is asked. `rule`: as Flask knows it; `endpoint`: of its view."""

    service: Service
    rule: str
    endpoint: str
    ask: RequestParser


def register_route(
    blueprint: Blueprint, service: Service, rule: str, ask: RequestParser, **values: str
) -> None:
    """Tell whoever serves the application that what is POSTed to `rule` may be asked by `ask`, if
    the rule's variables have these `values`. The name of its view is the last word of the rule.
    """
    endpoint = rule.replace(":", "/").rpartition("/")[2]

    def tell(state: Any) -> None:
        path = (state.url_prefix or "") + rule
        offers: dict[str, Route] = state.app.extensions.setdefault(EXTENSION, {})
        place = path
        for name, value in values.items():
            place = place.replace(f"<{name}>", value)
        offers[place] = Route(service, path, f"{state.name}.{endpoint}", ask)

    blueprint.record(tell)


def handle_request(service: Service, ask: RequestParser) -> Response:
    """The response to the request at hand.

    Raises:
        Problem: it gets none.
    """
    read = ask(request)
    question = read(json_body.read_body(request, service.limits.body_bytes))
    results = {method: service.output(method, question.rows) for method in question.methods}
    reply = question.reply(results)
    if question.ignored:
        requests.ignored(len(question.ignored))
    return Response(reply.body, headers=dict(reply.headers), content_type=reply.content_type)


def build_request(
    service: Service,
    rows: Rows,
    write: Callable[[data_results.Prediction], InferenceResponse],
    methods: tuple[str, ...],
    ignored: Extras = None,
) -> InferenceRequest:
    """The question for predictions, and for the probabilities of classes if they are wanted, too:
    `methods` as in `Service.asked`. `ignored`: as in `Question`.
    """
    return InferenceRequest(
        rows, methods, lambda results: write(service.prediction(methods, results)), ignored
    )
