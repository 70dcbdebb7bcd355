"""An inference request: rows, methods, and how the results are written."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple

from flask import Blueprint, Request, Response, g, request

from .data import extra_inputs, json_body
from .data import results as data_results
from .data.columns import Rows
from .data.extra_inputs import Extras
from .observability import requests
from .service import Service

EXTENSION = "modelpack.routes"
"""The inference routes of an application by path, in `Flask.extensions`."""
JSON = "application/json"


class InferenceResponse(NamedTuple):
    """The body of a response, and the headers that differ between responses."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = {}


class InferenceRequest(NamedTuple):
    """A parsed request. `write` returns the response from {method: result}, or raises a Problem."""

    rows: Rows
    methods: tuple[str, ...]
    write: Callable[[Mapping[str, Any]], InferenceResponse]
    ignored: Extras = None

    def response(self, results: Mapping[str, Any]) -> InferenceResponse:
        """Return the response, with a header that names the ignored inputs.

        Raises:
            Problem: The results cannot be written.
        """
        response = self.write(results)
        if not self.ignored:
            return response
        headers = {**response.headers, extra_inputs.HEADER: extra_inputs.header(self.ignored)}
        return response._replace(headers=headers)


BodyParser = Callable[[bytes], InferenceRequest]
"""Parses a body. Raises a Problem, or any other exception if the body needs a closer look."""

RequestParser = Callable[[Request], BodyParser]
"""Selects the parser of a body and the form of the response by headers and query parameters alone.
Raises a Problem."""


class Route(NamedTuple):
    """A route that predicts. In Flask it has the URL `rule` and the view `endpoint`."""

    service: Service
    rule: str
    endpoint: str
    parse: RequestParser


def register_route(
    blueprint: Blueprint, service: Service, rule: str, parse: RequestParser, **values: str
) -> None:
    """Let the fast path answer requests that are POSTed to a route.

    The view has the name of the last word of `rule`. `values` are those of the variables in `rule`.
    If two routes have the same path, Flask and the fast path use the one that is registered first.
    """
    endpoint = view_name(rule)

    def register(state: Any) -> None:
        full_rule = (state.url_prefix or "") + rule
        routes: dict[str, Route] = state.app.extensions.setdefault(EXTENSION, {})
        path = full_rule
        for name, value in values.items():
            path = path.replace(f"<{name}>", value)
        routes.setdefault(path, Route(service, full_rule, f"{state.name}.{endpoint}", parse))

    blueprint.record(register)


def view_name(rule: str) -> str:
    """Return the last word of a rule, without dots, which Flask does not allow in names."""
    return rule.replace(":", "/").rpartition("/")[2].replace(".", "_") or "root"


def handle_request(service: Service, parse: RequestParser) -> Response:
    """Return the response to the current request of Flask.

    Raises:
        Problem: The request is invalid, or the model failed.
    """
    parse_body = parse(request)
    inference = parse_body(json_body.read_body(request, service.limits.body_bytes))
    results = {method: service.output(method, inference.rows) for method in inference.methods}
    response = inference.response(results)
    if inference.ignored:
        requests.record_ignored_inputs(len(inference.ignored))
    service.record_response(g.request_id, inference.rows, results)
    return Response(
        response.body, headers=dict(response.headers), content_type=response.content_type
    )


def build_request(
    service: Service,
    rows: Rows,
    write: Callable[[data_results.Prediction], InferenceResponse],
    methods: tuple[str, ...],
    ignored: Extras = None,
) -> InferenceRequest:
    """Return a request for predictions, whose `methods` come from `Service.methods_for`."""
    return InferenceRequest(
        rows, methods, lambda results: write(service.prediction(methods, results)), ignored
    )
