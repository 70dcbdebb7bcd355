"""The Open Inference Protocol over gRPC, by the client in the image, which has grpcio."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from modelpack.smoke.probe import CheckFailedError, Probe, shorten
from modelpack.smoke.routes import v2
from modelpack.smoke.routes.route import Route, Rows, model_path
from modelpack.types import Answers

CLIENT = "modelpack.serving.rpc.client"
MAX_TEXT, MAX_INPUTS = 50_000, 200
LOCAL = ("process", "bubblewrap")
"""Engines without a container, where no port of gRPC is set."""


def _is_offered(probe: Probe) -> bool:
    """Return whether the service has gRPC."""
    if probe.service.engine in LOCAL:
        return False
    summary = probe.get("/").body
    service = summary.get("service") if isinstance(summary, dict) else None
    return isinstance(service, dict) and service.get("grpc") is not None


def _model_name(probe: Probe) -> str:
    return unquote(model_path(probe).rpartition("/")[2])


def _can_encode(rows: Rows) -> bool:
    """Return whether the rows fit in an argument of a command, of 128 KiB with the names."""
    few = len(json.dumps(rows)) <= MAX_TEXT and all(len(row) <= MAX_INPUTS for row in rows)
    return few and v2.has_uniform_columns(rows)


def _infer(probe: Probe, rows: Rows) -> Answers:
    """Send one tensor per input, the last one first."""
    document = {**v2.document_by_name(probe, rows), "model": _model_name(probe)}
    output = probe.service.run_python("-m", CLIENT, json.dumps(document))
    try:
        tensors: dict[str, list[Any]] = json.loads(output)
    except ValueError:
        reason = output.decode(errors="replace").strip().rpartition("\n")[2]
        raise CheckFailedError(f"gRPC ModelInfer: {shorten(reason)}") from None
    return v2.answers(probe, tensors)


ROUTES = (
    Route(
        "gRPC ModelInfer, tensors by name",
        _infer,
        supports=v2.supports,
        can_encode=_can_encode,
        is_offered=_is_offered,
    ),
)
