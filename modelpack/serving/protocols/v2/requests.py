"""Parsing of inference requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping

from flask import Request

from ...data import json_body
from ...data.validation import describe_value
from ...problems import Problem
from ...settings import Limits
from . import datatypes

LENGTH_HEADER = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"
TYPES = ("", "application/json", BINARY)
CONTENT_TYPES = ("pd", "np", "str")
MAX_ID_LENGTH = 256
MAX_DIMENSIONS = 8
LISTS_PER_TENSOR = 4  # the tensor, its shape, its parameters, its data


@dataclass(frozen=True)
class Tensor:
    """An input tensor. `data` is a flat, row-major list of JSON values, or binary."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any

    @property
    def count(self) -> int:
        """The number of elements."""
        return product(self.shape)


@dataclass(frozen=True)
class RequestedOutput:
    """A requested output, as texts of the `classes` largest values unless that is 0."""

    name: str
    binary: bool
    classes: int = 0


@dataclass(frozen=True)
class Inference:
    """A parsed request.

    Attributes:
        id: The id that the response repeats.
        outputs: The requested outputs, empty for the default.
        binary: Return the default output as binary data.
    """

    id: str | None
    tensors: list[Tensor]
    outputs: list[RequestedOutput]
    binary: bool


def product(shape: tuple[int, ...]) -> int:
    """Return the number of elements of a shape."""
    count = 1
    for dimension in shape:
        count *= dimension
    return count


@dataclass(frozen=True)
class Head:
    """The media type of a request, and the header with the size of its JSON, if it was sent."""

    mimetype: str
    json_size: str | None


def head(request: Request) -> Head:
    """Return the head of a request. Raise a Problem 415 if the media type is not supported."""
    if request.mimetype not in TYPES and not request.mimetype.endswith("+json"):
        raise Problem(415, f"Send JSON, or JSON and binary data with the header {LENGTH_HEADER}.")
    return Head(request.mimetype, request.headers.get(LENGTH_HEADER))


def read(head: Head, body: bytes, limits: Limits, inputs: int) -> tuple[Any, memoryview]:
    """Return the JSON document of a request, and the binary data that follow it.

    The document is None if the body contains only binary data. `inputs`: of the model.

    Raises:
        Problem: 400, the document is not JSON, or its size is wrong.
    """
    size = len(body) if head.json_size is None else _size(head.json_size, len(body))
    if head.json_size is not None and size == 0:
        if head.mimetype not in ("", BINARY):
            raise Problem(400, f"{LENGTH_HEADER}: 0 requires the Content-Type {BINARY}.")
        return None, memoryview(body)
    return _parse(body[:size], limits, inputs), memoryview(body)[size:]


def _size(text: str, max_size: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) <= max_size):
        expected = f"the size of the JSON in a body of {max_size} bytes"
        raise Problem(400, f"{LENGTH_HEADER}: expected {expected}, got {describe_value(text)}.")
    return int(text)


def _parse(body: bytes, limits: Limits, inputs: int) -> Any:
    wider = replace(limits, rows=limits.rows + LISTS_PER_TENSOR * max(inputs, 16))
    try:
        return json_body.parse(body, wider)
    except ValueError:
        return json_body.parse_strict(body, wider)


def inference(document: Any, binary: memoryview) -> Inference:
    """Parse a document, and assign the binary data to its tensors.

    Raises:
        Problem: 400, the document is not an inference request, or sizes differ.
    """
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise Problem(400, 'Expected {"inputs": [...]}, a list of tensors.')
    parameters = _parameters(document, "the request")
    tensors, rest = [], binary
    for index, part in enumerate(document["inputs"]):
        tensor, rest = _tensor(part, f"inputs[{index}]", rest)
        tensors.append(tensor)
    if len(rest):
        raise Problem(400, f"{len(rest)} bytes of binary data belong to no input.")
    default = _flag(parameters, "binary_data_output", "the request", False)
    outputs = _outputs(document.get("outputs"), default)
    return Inference(_id(document.get("id")), tensors, outputs, default)


def _id(value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and len(value) <= MAX_ID_LENGTH):
        raise Problem(400, f"id: expected a string of at most {MAX_ID_LENGTH} characters.")
    return value


def _parameters(part: Mapping[str, Any], place: str) -> dict[str, Any]:
    parameters = part.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise Problem(400, f"Parameters of {place}: expected an object.")
    kind = parameters.get("content_type")
    if kind is not None and kind not in CONTENT_TYPES:
        expected = ", ".join(CONTENT_TYPES)
        raise Problem(
            400, f"content_type of {place}: expected one of {expected}, got {describe_value(kind)}."
        )
    return parameters


def _flag(parameters: Mapping[str, Any], name: str, place: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise Problem(
            400, f"{name} of {place}: expected true or false, got {describe_value(value)}."
        )
    return value


def _tensor(part: Any, place: str, rest: memoryview) -> tuple[Tensor, memoryview]:
    """Return a tensor, and the binary data that follow its own."""
    if not isinstance(part, dict):
        raise Problem(400, f"{place}: expected an object, got {describe_value(part)}.")
    name = part.get("name")
    if not isinstance(name, str):
        raise Problem(
            400, f"{place}: expected a name, got {describe_value(part.get('name', ...))}."
        )
    datatype = datatypes.check(part.get("datatype", ...))
    shape = _shape(part.get("shape", ...), place)
    parameters = _parameters(part, place)
    if "shared_memory_region" in parameters:
        raise Problem(400, f"{place}: shared memory is not supported. Send the data.")
    if "binary_data_size" not in parameters:
        return Tensor(name, datatype, shape, _flat(part.get("data", ...), shape, place)), rest
    size = parameters["binary_data_size"]
    if "data" in part:
        raise Problem(400, f"{place}: expected data or binary_data_size, got both.")
    if type(size) is not int or not 0 <= size <= len(rest):
        expected = f"at most the remaining {len(rest)} bytes"
        raise Problem(
            400, f"binary_data_size of {place}: expected {expected}, got {describe_value(size)}."
        )
    datatypes.check_size(datatype, size, product(shape))
    return Tensor(name, datatype, shape, rest[:size]), rest[size:]


def _shape(sizes: Any, place: str) -> tuple[int, ...]:
    if not isinstance(sizes, list) or len(sizes) > MAX_DIMENSIONS:
        raise Problem(
            400, f"{place}: expected a shape, a list of sizes, got {describe_value(sizes)}."
        )
    for size in sizes:
        if type(size) is not int or size < 0:
            raise Problem(400, f"Shape of {place}: expected sizes, got {describe_value(size)}.")
    return tuple(sizes)


def _flat(data: Any, shape: tuple[int, ...], place: str) -> list[Any]:
    """Return the values of a flat list, or of nested lists of `shape`, row-major."""
    if not isinstance(data, list):
        raise Problem(400, f"{place}: expected data, a list, got {describe_value(data)}.")
    flat, nested = data, list(shape)
    while len(nested) > 1 and flat and set(map(type, flat)) == {list}:
        if set(map(len, flat)) != {nested[1]}:
            raise Problem(400, f"{place}: expected lists of {nested[1]} values in data.")
        nested[:2] = [nested[0] * nested[1]]
        flat = [value for each in flat for value in each]
    if len(flat) != product(shape):
        values = f"{product(shape)} values for the shape {list(shape)}"
        raise Problem(400, f"{place}: expected {values}, got {len(flat)}.")
    return flat


def _outputs(parts: Any, default: bool) -> list[RequestedOutput]:
    if parts is None:
        return []
    if not isinstance(parts, list):
        raise Problem(400, f"outputs: expected a list, got {describe_value(parts)}.")
    outputs = [_output(part, f"outputs[{index}]", default) for index, part in enumerate(parts)]
    if len({output.name for output in outputs}) < len(outputs):
        raise Problem(400, "outputs: expected each name once.")
    return outputs


def _output(part: Any, place: str, default: bool) -> RequestedOutput:
    if not isinstance(part, dict) or not isinstance(part.get("name"), str):
        raise Problem(400, f"{place}: expected an object with a name.")
    parameters = _parameters(part, place)
    if "shared_memory_region" in parameters:
        raise Problem(400, f"{place}: shared memory is not supported.")
    binary = _flag(parameters, "binary_data", place, default)
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise Problem(
            400, f"classification of {place}: expected a number, got {describe_value(classes)}."
        )
    return RequestedOutput(part["name"], binary, classes)
