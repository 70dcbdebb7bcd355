"""Open Inference Protocol: one tensor of numbers, in JSON and binary, or one tensor per input."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from modelpack.smoke.probe import CheckFailedError, Probe, Response, shorten
from modelpack.smoke.routes.route import (
    Route,
    Rows,
    are_floats,
    input_names,
    is_numeric,
    model_path,
)
from modelpack.types import Answers, ModelSpec, Scalar

HEADER = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"
DATATYPES = {float: "FP64", int: "INT64", str: "BYTES", bool: "BOOL"}
FORMATS = {"FP64": "d", "INT64": "q", "BOOL": "?"}


def supports(model: ModelSpec) -> bool:
    """Return whether outputs have one type each: a tensor of mixed labels contains strings."""
    known = all(field.type != "any" for field in model.signature.outputs)
    return known and bool(model.signature.inputs)


def has_uniform_columns(rows: Rows) -> bool:
    """Return whether each column contains only numbers, strings or booleans."""
    return all(len(_datatypes(column)) <= 1 for column in zip(*rows, strict=True))


def _supports_matrix(model: ModelSpec) -> bool:
    return supports(model) and is_numeric(model.signature.inputs)


def _single(probe: Probe, rows: Rows) -> Answers:
    tensor = {**_tensor(rows), "data": [value for row in rows for value in row]}
    return _infer(probe, {"inputs": [tensor], "outputs": _outputs(probe, False)})


def _binary(probe: Probe, rows: Rows) -> Answers:
    values = [math.nan if value is None else value for row in rows for value in row]
    data = struct.pack(f"<{len(values)}d", *values)
    tensor = {**_tensor(rows), "parameters": {"binary_data_size": len(data)}}
    document = {"inputs": [tensor], "outputs": _outputs(probe, True)}
    return _infer(probe, document, data)


def _columns(probe: Probe, rows: Rows) -> Answers:
    """Send one tensor per input, the last one first."""
    return _infer(probe, document_by_name(probe, rows))


def document_by_name(probe: Probe, rows: Rows) -> dict[str, Any]:
    """Return a request with one tensor per input, the last one first."""
    columns = zip(input_names(probe), zip(*rows, strict=True), strict=True)
    tensors = [_column(name, values) for name, values in columns]
    return {"inputs": tensors[::-1], "outputs": _outputs(probe, False)}


ROUTES = (
    Route(
        "POST /v2/models/M/infer, one tensor",
        _single,
        supports=_supports_matrix,
        can_encode=are_floats,
    ),
    Route(
        "POST /v2/models/M/infer, binary", _binary, supports=_supports_matrix, can_encode=are_floats
    ),
    Route(
        "POST /v2/models/M/infer, tensors by name",
        _columns,
        supports=supports,
        can_encode=has_uniform_columns,
    ),
)


def _tensor(rows: Rows) -> dict[str, Any]:
    return {"name": "input-0", "datatype": "FP64", "shape": [len(rows), len(rows[0])]}


def _datatypes(values: Sequence[Scalar]) -> set[str]:
    """Return the datatypes of the present values; integers among floats are floats."""
    kinds = {DATATYPES[type(value)] for value in values if value is not None}
    return kinds - {"INT64"} if "FP64" in kinds else kinds


def _column(name: str, values: Sequence[Scalar]) -> dict[str, Any]:
    datatype = next(iter(_datatypes(values)), "FP64")
    return {"name": name, "datatype": datatype, "shape": [len(values)], "data": list(values)}


def _outputs(probe: Probe, binary: bool) -> list[dict[str, Any]]:
    methods = [probe.model.method]
    if probe.model.signature.probabilities:
        methods.append("predict_proba")
    return [{"name": name, "parameters": {"binary_data": binary}} for name in methods]


def _infer(probe: Probe, document: Mapping[str, Any], binary: bytes = b"") -> Answers:
    header = json.dumps(document).encode()
    path = f"/v2{model_path(probe)}/infer"
    response = probe.post_raw(path, header + binary, BINARY, {HEADER: str(len(header))})
    return answers(probe, _tensors(response))


def answers(probe: Probe, tensors: Mapping[str, list[Any]]) -> Answers:
    """Return the answers in the outputs of a response.

    Raises:
        CheckFailedError: The prediction is missing.
    """
    parts = [values for name, values in tensors.items() if name.startswith("predict_proba")]
    predictions = tensors.get(probe.model.method)
    if predictions is None:
        raise CheckFailedError(f"no {probe.model.method} in {shorten(list(tensors))}")
    if not parts:
        return Answers(tuple(predictions))
    rows = parts[0] if "predict_proba" in tensors else list(map(list, zip(*parts, strict=True)))
    return Answers(tuple(predictions), tuple(rows))


def _tensors(response: Response) -> dict[str, list[Any]]:
    """Return the values of each output, nested by its shape. The status must be 200.

    Raises:
        CheckFailedError: The status is not 200.
    """
    if response.status != 200:
        raise CheckFailedError(f"status {response.status} instead of 200: {shorten(response.body)}")
    size = int(response.headers.get(HEADER, len(response.content)))
    document, rest = json.loads(response.content[:size]), response.content[size:]
    tensors = {}
    for output in document["outputs"]:
        length = output.get("parameters", {}).get("binary_data_size", 0)
        values = output["data"] if "data" in output else _unpacked(output, rest[:length])
        rest = rest[length:]
        tensors[output["name"]] = _nested(values, output["shape"])
    return tensors


def _unpacked(output: Mapping[str, Any], data: bytes) -> list[Any]:
    count = math.prod(output["shape"])
    if output["datatype"] in FORMATS:
        return list(struct.unpack(f"<{count}{FORMATS[output['datatype']]}", data))
    texts = []
    while data:
        end = 4 + int.from_bytes(data[:4], "little")
        texts.append(data[4:end].decode())
        data = data[end:]
    return texts


def _nested(values: list[Any], shape: Sequence[int]) -> list[Any]:
    if len(shape) < 2:
        return values
    step = math.prod(shape[1:])
    starts = range(0, len(values), step) if step else ()
    return [_nested(values[start : start + step], shape[1:]) for start in starts]
