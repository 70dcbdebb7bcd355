"""Routes, and errors in KServe's form.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Request, Response, request

from ... import inference
from ...data import json_body
from ...data import results as data_results
from ...problems import Problem
from ...service import Service
from . import inputs, outputs, requests
from .description import describe

__all__ = ["describe", "routes"]

EXTENSIONS = ("binary_tensor_data", "classification")


def routes(service: Service) -> Blueprint:
    blueprint = Blueprint("v2", __name__, url_prefix="/v2")
    blueprint.after_app_request(add_error_member)
    _server(blueprint, service)
    _model(blueprint, service)
    return blueprint


def _server(blueprint: Blueprint, service: Service) -> None:
    @blueprint.get("", strict_slashes=False)  # clients request /v2/ too
    def server() -> Response:
        """Open Inference Protocol: the server and its extensions."""
        version = service.manifest.modelpack
        return _json({"name": "modelpack", "version": version, "extensions": EXTENSIONS})

    @blueprint.get("/health/live")
    def live() -> Response:
        """Open Inference Protocol: 200 while the process lives."""
        return _json({"live": True})

    @blueprint.get("/health/ready")
    def ready() -> Response:
        """Open Inference Protocol: 200 once the model has answered its own example."""
        service.require_ready()
        return _json({"ready": True})

    @blueprint.get("/models")
    def models() -> Response:
        """Open Inference Protocol: the name of the model."""
        return _json({"models": [service.name]})

    @blueprint.post("/repository/index")
    def index() -> Response:
        """Open Inference Protocol: the model, its version and its state."""
        body = json_body.read_body(request, service.limits.body_bytes)
        asked = json_body.parse_strict(body, service.limits) if body else {}
        only = isinstance(asked, dict) and asked.get("ready") is True
        return _json([] if only and not service.ready else [_state(service)])


def _state(service: Service) -> dict[str, str]:
    known = {"name": service.name, "version": service.version}
    if service.ready:
        return {**known, "state": "READY", "reason": ""}
    return {**known, "state": "UNAVAILABLE", "reason": "it does not answer its own example"}


def _model(blueprint: Blueprint, service: Service) -> None:
    given = outputs.Outputs(service)

    def metadata(name: str, version: str | None = None) -> Response:
        """Open Inference Protocol: what the model takes and gives."""
        check_name(service, name, version)
        return _json(
            {
                "name": service.name,
                "versions": [service.version],
                "platform": _platform(service),
                "inputs": inputs.metadata(service),
                "outputs": given.metadata(),
            }
        )

    def model_ready(name: str, version: str | None = None) -> Response:
        """Open Inference Protocol: 200 once the model has answered its own example."""
        check_name(service, name, version)
        service.require_ready()
        return _json({"name": service.name, "ready": True})

    def infer(name: str, version: str | None = None) -> Response:
        """Open Inference Protocol: tensors in, tensors out."""
        check_name(service, name, version)
        return inference.handle_request(service, ask)

    def ask(asked: Request) -> inference.BodyParser:
        head = requests.head(asked)
        return lambda body: _question(service, given, _inference(service, head, body))

    for path in ("/models/<name>", "/models/<name>/versions/<version>"):
        blueprint.get(path)(metadata)
        blueprint.get(f"{path}/ready")(model_ready)
        blueprint.post(f"{path}/infer")(infer)
        values = {"name": service.name, "version": service.version}
        inference.register_route(blueprint, service, f"{path}/infer", ask, **values)


def _platform(service: Service) -> str:
    """<project>_<format>, as the protocol has it."""
    model = service.manifest.model
    return f"{model['framework'] or 'unknown'}_{model['format']}"


def _question(
    service: Service, given: outputs.Outputs, asked: requests.Inference
) -> inference.InferenceRequest:
    wanted = asked.outputs or [requests.RequestedOutput(service.manifest.method, asked.binary)]
    methods = given.methods(wanted)
    ignored = service.extras
    rows = inputs.rows(service, asked.tensors, ignored)
    tell = lambda results: outputs.reply(service, asked, given.of(wanted, results))  # noqa: E731
    return inference.InferenceRequest(rows, methods, tell, ignored)


def _inference(service: Service, head: requests.Head, body: bytes) -> requests.Inference:
    count = len(service.manifest.inputs)
    document, binary = requests.read(head, body, service.limits, count)
    if document is None:
        return requests.Inference(None, [inputs.raw(service, binary)], [], True)
    return requests.inference(document, binary)


def check_name(service: Service, name: str, version: str | None = None) -> None:
    """Raises:
    Problem: 404 it is not the model, or not the version, that is served.
    """
    if name != service.name:
        raise Problem(404, f"There is no model of this name. {_quoted(service.name)} is served.")
    if version not in (None, service.version):
        raise Problem(404, f"There is no such version. {_quoted(service.version)} is served.")


def _quoted(text: str) -> str:
    return data_results.dump(text).decode()


def _json(document: Any) -> Response:
    return Response(data_results.dump(document), content_type="application/json")


# RFC 9457 (section 3.2) lets a problem have members of its own; the protocols want {"error":
# $string}.
def add_error_member(response: Response) -> Response:
    """What a route of /v1 or /v2 answers, with `error` if it is a problem."""
    version = request.path.split("/", 2)[1]
    if version in ("v1", "v2") and response.mimetype == "application/problem+json":
        response.set_data(with_error(response.get_data()))
    return response


def with_error(problem: bytes) -> bytes:
    """Return a problem with its detail as the member `error`, too."""
    document = orjson.loads(problem)
    return orjson.dumps({**document, "error": document["detail"]})
