"""The document, collected from the protocols."""

from __future__ import annotations

import inspect
import os
from typing import Any, Callable, Iterable, Mapping, NamedTuple

from flask import Blueprint, Flask

from ..data import extra_inputs
from ..security import auth
from ..service import Service
from . import operations, predictions
from . import schemas as openapi_schemas

METHODS = {"GET", "POST", "PUT", "DELETE", "PATCH"}
"""The methods that are described. Flask adds HEAD and OPTIONS."""
REQUEST_ID = {
    "required": True,
    "description": "The id of the request in the log. It is the one in the request's header, if "
    "that has 1 to 64 letters, digits, _ and -.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}
HEADERS = {
    "X-Request-Id": REQUEST_ID,
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}},
    "Accept-Encoding": {"description": "The supported encodings.", "schema": {"type": "string"}},
    "Accept-Post": {"description": "The supported media types.", "schema": {"type": "string"}},
    "WWW-Authenticate": {"schema": {"type": "string"}},
    extra_inputs.HEADER: {
        "description": "The inputs that the model does not have and that were ignored, a list of "
        "strings of RFC 8941, percent-encoded.",
        "schema": {"type": "string"},
    },
}
INSTANCES = {
    "type": "object",
    "properties": {"instances": {"$ref": "#/components/schemas/Rows"}},
    "required": ["instances"],
    "additionalProperties": False,
}
COMMON_STATUSES = (400, 408, 413, 414, 417, 431, 500, 503)
"""Statuses of any route."""


SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic", "description": "The token is the password."},
}
"""The alternatives of a service with a token."""


EXTENSION = "modelpack.protocols"
"""The protocols of an application, in `Flask.extensions`."""


class Protocol(NamedTuple):
    """A wire protocol.

    Attributes:
        name: The tag of its operations in OpenAPI.
        description: The description of that tag.
    """

    name: str
    description: str
    routes: Callable[[Service], Blueprint]
    describe: Callable[[Service], dict[str, Any]]


def document(service: Service, app: Flask, protocols: Iterable[Protocol]) -> dict[str, Any]:
    registered = _registered_views(app)
    paths: dict[str, Any] = {}
    tags = []
    for protocol in protocols:
        described = _paths(protocol, service, registered)
        for path, item in described.items():  # of two operations, Flask calls the first
            paths[path] = {**item, **paths.get(path, {})}
        if described:
            tags.append({"name": protocol.name, "description": protocol.description})
    return {
        "openapi": "3.1.0",
        "info": _info(service),
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": _components(service),
    }


def _registered_views(app: Flask) -> dict[tuple[str, str], Any]:
    """Return the view function of each (path, method)."""
    return {
        (openapi_path(rule.rule), method.lower()): app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) & METHODS
    }


def openapi_path(rule: str) -> str:
    """Return Flask's /models/<name> as OpenAPI's /models/{name}."""
    return rule.replace("<", "{").replace(">", "}")


def _paths(
    protocol: Protocol, service: Service, registered: Mapping[tuple[str, str], Any]
) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for path, item in protocol.describe(service).items():
        for method, operation in item.items():
            view = registered.get((path, method))
            if view:
                secured = _with_security(path, operation)
                paths.setdefault(path, {})[method] = _operation(protocol.name, view, secured)
    return paths


def _with_security(path: str, operation: dict[str, Any]) -> dict[str, Any]:
    if not auth.is_set(os.environ) or path in auth.open_routes(os.environ):
        return operation
    responses = {**operation["responses"], **operations.references([401])}
    return {**operation, "responses": responses, "security": [{name: []} for name in SCHEMES]}


def _operation(tag: str, view: Any, operation: dict[str, Any]) -> dict[str, Any]:
    """Return an operation with what all have in common, and the docstring of its view."""
    summary = " ".join(inspect.cleandoc(view.__doc__ or "").split())
    name = view.__name__
    common = {"tags": [tag], "operationId": name if name == tag else f"{tag}_{name}"}
    responses = {**operation["responses"], **operations.references(COMMON_STATUSES)}
    for status, response in responses.items():
        if "$ref" not in response:
            headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
            headers.update(response.get("headers", {}))
            responses[status] = {**response, "headers": headers}
    return {**common, "summary": summary, **operation, "responses": dict(sorted(responses.items()))}


TASKS = {"outlier_detector": "An outlier detector", "unknown": "A model"}
"""Tasks whose name is no noun with the article "a"."""


def _info(service: Service) -> dict[str, Any]:
    model = service.manifest.model
    task = TASKS.get(model["task"], f"A {model['task']}")
    description = f"{model['description']}\n\n" if model.get("description") else ""
    digest = service.manifest.files[0].sha256
    return {
        "title": model.get("title") or model["estimator"] or "a model",
        "summary": f"{task} of {model['framework'] or 'an unknown framework'}.",
        "version": service.version,
        "description": f"{description}The sha256 of the model's file is {digest}.",
    }


def _components(service: Service) -> dict[str, Any]:
    schemas = {
        **openapi_schemas.row_schemas(service),
        "Instances": INSTANCES,
        **openapi_schemas.column_schemas(service),
        **predictions.schemas(service),
        "Problem": operations.PROBLEM,
    }
    components = {"schemas": schemas, "responses": operations.components(), "headers": HEADERS}
    return {**components, "securitySchemes": SCHEMES} if auth.is_set(os.environ) else components
