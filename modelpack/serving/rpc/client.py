"""`python -m modelpack.serving.rpc.client`, the client of the smoke test, which runs in the image.

Reads a document of V2 with data in JSON, and writes the outputs: {name: [value, ...], ...}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import grpc

from .. import settings
from ..protocols.v2.datatypes import BYTES
from . import translation
from .messages import CLASSES
from .server import SERVICE

SECONDS = 30.0


def infer(address: str, model: str, document: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the values of each output, row-major.

    Raises:
        grpc.RpcError: The call failed.
    """
    request = CLASSES["InferRequest"](model_name=model)
    for tensor in document["inputs"]:
        field = translation.CONTENTS[tensor["datatype"]]
        values = tensor["data"]
        if tensor["datatype"] == BYTES:
            values = [value.encode("utf-8") for value in values]
        elif tensor["datatype"].startswith("FP"):
            values = [float("nan") if value is None else value for value in values]
        message = request.inputs.add(
            name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"]
        )
        getattr(message.contents, field).extend(values)
    for output in document["outputs"]:
        request.outputs.add(name=output["name"])
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        answer = CLASSES["InferResponse"].FromString(
            call(request.SerializeToString(), timeout=SECONDS, wait_for_ready=True)
        )
    return {tensor.name: _values(tensor) for tensor in answer.outputs}


def _values(tensor: Any) -> list[Any]:
    """Return the values of a tensor, nested by its shape."""
    values = list(getattr(tensor.contents, translation.CONTENTS[tensor.datatype]))
    if tensor.datatype == BYTES:
        values = [value.decode("utf-8") for value in values]
    for size in reversed(tensor.shape[1:]):
        values = [values[start : start + size] for start in range(0, len(values), size)]
    return values


def main(document: str) -> None:
    """Write the outputs to standard output. Exit with a message if the call fails."""
    parsed = json.loads(document)
    try:
        outputs = infer(f"127.0.0.1:{settings.grpc_port()}", parsed["model"], parsed)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
    sys.stdout.write(json.dumps(outputs))


if __name__ == "__main__":
    main(sys.argv[1])
