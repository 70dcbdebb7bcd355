"""The routes, and errors in KServe's form.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

from typing import Any, Mapping

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
    """Create the routes of the Open Inference Protocol for the one model."""
    blueprint = Blueprint("v2", __name__, url_prefix="/v2")
    blueprint.after_app_request(add_error_member)
    _server(blueprint, service)
    _model(blueprint, service)
    return blueprint


def _server(blueprint: Blueprint, service: Service) -> None:
    @blueprint.get("", strict_slashes=False)  # clients request /v2/ too
    def server() -> Response:
        """Open Inference Protocol: return the server and its extensions."""
        version = service.manifest.modelpack
        return _json({"name": "modelpack", "version": version, "extensions": EXTENSIONS})

    @blueprint.get("/health/live")
    def live() -> Response:
        """Open Inference Protocol: return 200 while the process is alive."""
        return _json({"live": True})

    @blueprint.get("/health/ready")
    def ready() -> Response:
        """Open Inference Protocol: return 200 if the model predicts its own example."""
        service.require_ready()
        return _json({"ready": True})

    @blueprint.get("/models")
    def models() -> Response:
        """Open Inference Protocol: return the name of the model."""
        return _json({"models": [service.name]})

    @blueprint.post("/repository/index")
    def index() -> Response:
        """Open Inference Protocol: return the model, its version and its state."""
        body = json_body.read_body(request, service.limits.body_bytes)
        document = json_body.parse_strict(body, service.limits) if body else {}
        only_ready = isinstance(document, dict) and document.get("ready") is True
        return _json([] if only_ready and not service.ready else [_state(service)])


def _state(service: Service) -> dict[str, str]:
    known = {"name": service.name, "version": service.version}
    if service.ready:
        return {**known, "state": "READY", "reason": ""}
    return {**known, "state": "UNAVAILABLE", "reason": "the model fails on its own example"}


def _model(blueprint: Blueprint, service: Service) -> None:
    model_outputs = outputs.Outputs(service)

    def metadata(name: str, version: str | None = None) -> Response:
        """Open Inference Protocol: return the inputs and outputs of the model."""
        check_name(service, name, version)
        return _json(
            {
                "name": service.name,
                "versions": [service.version],
                "platform": _platform(service),
                "inputs": inputs.metadata(service),
                "outputs": model_outputs.metadata(),
            }
        )

    def model_ready(name: str, version: str | None = None) -> Response:
        """Open Inference Protocol: return 200 if the model predicts its own example."""
        check_name(service, name, version)
        service.require_ready()
        return _json({"name": service.name, "ready": True})

    def infer(name: str, version: str | None = None) -> Response:
        """Open Inference Protocol: predict the rows of tensors."""
        check_name(service, name, version)
        return inference.handle_request(service, parse)

    def parse(http_request: Request) -> inference.BodyParser:
        head = requests.head(http_request)
        return lambda body: _inference_request(service, model_outputs, _parse(service, head, body))

    for path in ("/models/<name>", "/models/<name>/versions/<version>"):
        blueprint.get(path)(metadata)
        blueprint.get(f"{path}/ready")(model_ready)
        blueprint.post(f"{path}/infer")(infer)
        values = {"name": service.name, "version": service.version}
        inference.register_route(blueprint, service, f"{path}/infer", parse, **values)


def _platform(service: Service) -> str:
    """Return <project>_<format>, as the protocol defines it."""
    model = service.manifest.model
    return f"{model['framework'] or 'unknown'}_{model['format']}"


def _inference_request(
    service: Service, model_outputs: outputs.Outputs, parsed: requests.Inference
) -> inference.InferenceRequest:
    default = requests.RequestedOutput(service.manifest.method, parsed.binary)
    requested = parsed.outputs or [default]
    methods = model_outputs.methods(requested)
    ignored = service.extras
    rows = inputs.rows(service, parsed.tensors, ignored)

    def write(results: Mapping[str, Any]) -> inference.InferenceResponse:
        arrays = model_outputs.select(requested, results)
        return outputs.write_response(service, parsed.id, arrays)

    return inference.InferenceRequest(rows, methods, write, ignored)


def _parse(service: Service, head: requests.Head, body: bytes) -> requests.Inference:
    count = len(service.manifest.inputs)
    document, binary = requests.read(head, body, service.limits, count)
    if document is None:
        return requests.Inference(None, [inputs.raw_tensor(service, binary)], [], True)
    return requests.inference(document, binary)


def check_name(service: Service, name: str, version: str | None = None) -> None:
    """Raise a Problem 404 unless the service has the model and the version of a URL."""
    if name != service.name:
        raise Problem(404, f"Unknown model. This service has {_quoted(service.name)}.")
    if version not in (None, service.version):
        raise Problem(404, f"Unknown version. This service has {_quoted(service.version)}.")


def _quoted(text: str) -> str:
    return data_results.dump(text).decode()


def _json(document: Any) -> Response:
    return Response(data_results.dump(document), content_type="application/json")


def add_error_member(response: Response) -> Response:
    """Add the member `error` of both protocols to problems of /v1 and /v2. See RFC 9457, 3.2."""
    version = request.path.split("/", 2)[1]
    if version in ("v1", "v2") and response.mimetype == "application/problem+json":
        response.set_data(with_error(response.get_data()))
    return response


def with_error(problem: bytes) -> bytes:
    """Return a problem whose detail is also the member `error`."""
    document = orjson.loads(problem)
    return orjson.dumps({**document, "error": document["detail"]})
