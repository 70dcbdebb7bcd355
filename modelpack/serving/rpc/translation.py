"""Messages of gRPC <-> requests and responses of V2 over HTTP, with binary tensor data."""

from __future__ import annotations

from typing import Any, Iterable, NamedTuple
from urllib.parse import quote

import numpy as np
import orjson

from ..problems import Problem
from ..protocols.v2.datatypes import BYTES, DTYPES, LENGTH
from .messages import CLASSES

CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""The field of the elements of a datatype. FP16 has none and is sent as raw contents."""
WIDE = {
    **dict.fromkeys(("INT8", "INT16"), DTYPES["INT32"]),
    **dict.fromkeys(("UINT8", "UINT16"), DTYPES["UINT32"]),
}
"""Datatypes whose field is wider, so that values may be out of range, and the type of the field."""


class Body(NamedTuple):
    """The body of a request, and the size of the JSON at its beginning."""

    content: bytes
    json_size: int


def model_path(name: str, version: str) -> str:
    """Return the path of a model and, unless it is empty, of its version."""
    path = f"/v2/models/{quote(name, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path


def body(request: Any) -> Body:
    """Return the body of an inference request.

    Raises:
        Problem: 400, a tensor has no contents that fit its datatype.
    """
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        detail = f"Expected raw_input_contents for {len(request.inputs)} inputs, got {len(raw)}."
        raise Problem(400, detail)
    tensors, parts = [], []
    for index, tensor in enumerate(request.inputs):
        place = f"inputs[{index}]"
        if raw and tensor.HasField("contents"):
            raise Problem(400, f"{place}: expected contents or raw_input_contents, got both.")
        data = raw[index] if raw else _data(tensor, place)
        document = _tensor(tensor)
        if data is None:
            document["data"] = []
        else:
            document["parameters"]["binary_data_size"] = len(data)
            parts.append(data)
        tensors.append(document)
    outputs = [
        {"name": each.name, "parameters": {**_parameters(each.parameters), "binary_data": True}}
        for each in request.outputs
    ]
    head = orjson.dumps(
        {
            **({"id": request.id} if request.id else {}),
            "inputs": tensors,
            **({"outputs": outputs} if outputs else {}),
            "parameters": {**_parameters(request.parameters), "binary_data_output": True},
        }
    )
    return Body(b"".join([head, *parts]), len(head))


def _tensor(tensor: Any) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
        "parameters": _parameters(tensor.parameters),
    }


def _parameters(parameters: Iterable[Any]) -> dict[str, Any]:
    """Return parameters as JSON, without those that have no value."""
    values = {}
    for each in parameters:
        field = each.value.WhichOneof("choice")
        if field is not None:
            values[each.key] = getattr(each.value, field)
    return values


def _data(tensor: Any, place: str) -> bytes | None:
    """Return the typed contents of a tensor as binary data, None for an unknown datatype.

    Elements are converted one at a time: a list of them would take 32 bytes for each, so that a
    request could need twenty times its size.
    """
    datatype = tensor.datatype
    field = CONTENTS.get(datatype)
    sent = [descriptor.name for descriptor, _ in tensor.contents.ListFields()]
    if field is None and datatype in DTYPES:
        raise Problem(400, f"{place}: send {datatype} as raw_input_contents.")
    if field is None:  # the protocol has an error for it
        return None
    if sent not in ([], [field]):
        expected = f"{field} for {datatype}"
        raise Problem(400, f"{place}: expected {expected}, got {', '.join(sent)}.")
    values = getattr(tensor.contents, field)
    if datatype == BYTES:
        return b"".join(LENGTH.pack(len(value)) + value for value in values)
    array = np.fromiter(values, WIDE.get(datatype, DTYPES[datatype]), len(values))
    if datatype in WIDE:
        array = _narrowed(array, datatype, place)
    return array.tobytes()


def _narrowed(array: np.ndarray, datatype: str, place: str) -> np.ndarray:
    """Return an array in its datatype. Raise a Problem 400 if a value is out of its range."""
    bounds = np.iinfo(DTYPES[datatype])
    if array.size and not bounds.min <= array.min() <= array.max() <= bounds.max:
        index = int(np.flatnonzero((array < bounds.min) | (array > bounds.max))[0])
        expected = f"an integer from {bounds.min} to {bounds.max}"
        raise Problem(400, f"{place}[{index}]: expected {expected}, got {int(array[index])}.")
    return array.astype(DTYPES[datatype])


def response(content: bytes, json_size: int, *, raw: bool) -> Any:
    """Return the message of a response. `raw`: with raw contents, as the request had."""
    document = orjson.loads(content[:json_size])
    message = CLASSES["InferResponse"](
        model_name=document["model_name"],
        model_version=document["model_version"],
        id=document.get("id", ""),
    )
    start = json_size
    for output in document["outputs"]:
        end = start + output["parameters"]["binary_data_size"]
        data, start = content[start:end], end
        tensor = message.outputs.add(
            name=output["name"], datatype=output["datatype"], shape=output["shape"]
        )
        if raw:
            message.raw_output_contents.append(data)
        else:
            field = getattr(tensor.contents, CONTENTS[output["datatype"]])
            field.extend(_elements(output["datatype"], data))
    return message


def _elements(datatype: str, data: bytes) -> list[Any]:
    if datatype != BYTES:
        array = np.frombuffer(data, DTYPES[datatype])
        values: list[Any] = (array.astype(bool) if datatype == "BOOL" else array).tolist()
        return values
    elements, start = [], 0
    while start < len(data):
        begin = start + LENGTH.size
        start = begin + LENGTH.unpack_from(data, begin - LENGTH.size)[0]
        elements.append(data[begin:start])
    return elements


def metadata(document: dict[str, Any]) -> Any:
    """Return the message of a model's metadata."""
    message = CLASSES["ModelMetadata"](
        name=document["name"], versions=document["versions"], platform=document["platform"]
    )
    for tensors, field in (
        (document["inputs"], message.inputs),
        (document["outputs"], message.outputs),
    ):
        for tensor in tensors:
            field.add(**tensor)
    return message
