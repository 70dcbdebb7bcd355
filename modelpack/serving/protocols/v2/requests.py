"""Inference requests parsed."""

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
LONGEST_ID = 256
LONGEST_SHAPE = 8
LISTS_A_TENSOR = 4  # itself, its shape, its parameters, its data


@dataclass(frozen=True)
class Tensor:
    """`data`: values as JSON has them, flat and row-major, or binary; of as many elements as
    `shape` says if it is JSON.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Any

    @property
    def count(self) -> int:
        return product(self.shape)


@dataclass(frozen=True)
class RequestedOutput:
    """An output that was asked for. `binary`: as binary data. `classes`: if not 0, as texts of so
    many of its largest values.
    """

    name: str
    binary: bool
    classes: int = 0


@dataclass(frozen=True)
class Inference:
    """`outputs`: empty where the request leaves the choice. `binary`: unless an output says
    otherwise, it is wanted as binary data.
    """

    id: str | None
    tensors: list[Tensor]
    outputs: list[RequestedOutput]
    binary: bool


def product(shape: tuple[int, ...]) -> int:
    count = 1
    for dimension in shape:
        count *= dimension
    return count


@dataclass(frozen=True)
class Head:
    """What the head of a request tells of its body: the media type, and the size of the JSON as it
    was written, None where it was not.
    """

    mimetype: str
    json_size: str | None


def head(request: Request) -> Head:
    """Raises:
    Problem: 415 the body is of another media type.
    """
    if request.mimetype not in TYPES and not request.mimetype.endswith("+json"):
        raise Problem(415, f"Send JSON, or JSON and binary data with the header {LENGTH_HEADER}.")
    return Head(request.mimetype, request.headers.get(LENGTH_HEADER))


def read(told: Head, body: bytes, limits: Limits, inputs: int) -> tuple[Any, memoryview]:
    """The JSON document of a request, and the binary data that follow it. `inputs`: how many
    tensors may come. The document is None where there are binary data and nothing else.

    Raises:
        Problem: 400 it is not JSON or its header lies.
    """
    size = len(body) if told.json_size is None else _size(told.json_size, len(body))
    if told.json_size is not None and size == 0:
        if told.mimetype not in ("", BINARY):
            raise Problem(400, f"{LENGTH_HEADER}: 0 goes with the Content-Type {BINARY}.")
        return None, memoryview(body)
    return _parse(body[:size], limits, inputs), memoryview(body)[size:]


def _size(told: str, most: int) -> int:
    if not (told.isascii() and told.isdigit() and len(told) < 16 and int(told) <= most):
        expected = f"the size of the JSON, of a body of {most} bytes"
        raise Problem(400, f"{LENGTH_HEADER}: expected {expected}, got {describe_value(told)}.")
    return int(told)


def _parse(body: bytes, limits: Limits, inputs: int) -> Any:
    wider = replace(limits, rows=limits.rows + LISTS_A_TENSOR * max(inputs, 16))
    try:
        return json_body.parse(body, wider)
    except ValueError:
        return json_body.parse_strict(body, wider)


def inference(document: Any, binary: memoryview) -> Inference:
    """What a document asks for, its binary data given to the tensors that they are of.

    Raises:
        Problem: 400 it is no inference request, or its sizes do not agree.
    """
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise Problem(400, 'Expected {"inputs": [...]}, a list of tensors.')
    parameters = _parameters(document, "the request")
    tensors, rest = [], binary
    for index, told in enumerate(document["inputs"]):
        tensor, rest = _tensor(told, f"inputs[{index}]", rest)
        tensors.append(tensor)
    if len(rest):
        raise Problem(400, f"{len(rest)} bytes of binary data are of no input.")
    default = _flag(parameters, "binary_data_output", "the request", False)
    outputs = _outputs(document.get("outputs"), default)
    return Inference(_id(document.get("id")), tensors, outputs, default)


def _id(told: Any) -> str | None:
    if told is not None and not (isinstance(told, str) and len(told) <= LONGEST_ID):
        raise Problem(400, f"id: expected a string of at most {LONGEST_ID} characters.")
    return told


def _parameters(told: Mapping[str, Any], place: str) -> dict[str, Any]:
    parameters = told.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise Problem(400, f"Parameters of {place}: expected an object.")
    kind = parameters.get("content_type")
    if kind is not None and kind not in CONTENT_TYPES:
        expected = ", ".join(CONTENT_TYPES)
        raise Problem(
            400, f"content_type of {place}: {expected} are served, not {describe_value(kind)}."
        )
    return parameters


def _flag(parameters: Mapping[str, Any], name: str, place: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise Problem(
            400, f"{name} of {place}: expected true or false, got {describe_value(value)}."
        )
    return value


def _tensor(told: Any, place: str, rest: memoryview) -> tuple[Tensor, memoryview]:
    """The tensor, and the binary data that are not its own."""
    if not isinstance(told, dict):
        raise Problem(400, f"{place}: expected an object, got {describe_value(told)}.")
    name = told.get("name")
    if not isinstance(name, str):
        raise Problem(
            400, f"{place}: expected a name, got {describe_value(told.get('name', ...))}."
        )
    datatype = datatypes.check(told.get("datatype", ...))
    shape = _shape(told.get("shape", ...), place)
    parameters = _parameters(told, place)
    if "shared_memory_region" in parameters:
        raise Problem(400, f"{place}: shared memory is not served. Send the data.")
    if "binary_data_size" not in parameters:
        return Tensor(name, datatype, shape, _flat(told.get("data", ...), shape, place)), rest
    size = parameters["binary_data_size"]
    if "data" in told:
        raise Problem(400, f"{place}: expected data or binary_data_size, got both.")
    if type(size) is not int or not 0 <= size <= len(rest):
        expected = f"a size within the {len(rest)} bytes left"
        raise Problem(
            400, f"binary_data_size of {place}: expected {expected}, got {describe_value(size)}."
        )
    datatypes.check_size(datatype, size, product(shape))
    return Tensor(name, datatype, shape, rest[:size]), rest[size:]


def _shape(told: Any, place: str) -> tuple[int, ...]:
    if not isinstance(told, list) or len(told) > LONGEST_SHAPE:
        raise Problem(
            400, f"{place}: expected a shape, a list of sizes, got {describe_value(told)}."
        )
    for size in told:
        if type(size) is not int or size < 0:
            raise Problem(400, f"Shape of {place}: expected sizes, got {describe_value(size)}.")
    return tuple(told)


def _flat(data: Any, shape: tuple[int, ...], place: str) -> list[Any]:
    """The values of a list, or of nested lists of that shape, row-major."""
    if not isinstance(data, list):
        raise Problem(400, f"{place}: expected data, a list, got {describe_value(data)}.")
    flat, nested = data, list(shape)
    while len(nested) > 1 and flat and set(map(type, flat)) == {list}:
        if set(map(len, flat)) != {nested[1]}:
            raise Problem(400, f"{place}: the lists in data are not all of {nested[1]} values.")
        nested[:2] = [nested[0] * nested[1]]
        flat = [value for each in flat for value in each]
    if len(flat) != product(shape):
        values = f"{product(shape)} values for the shape {list(shape)}"
        raise Problem(400, f"{place}: expected {values}, got {len(flat)}.")
    return flat


def _outputs(told: Any, default: bool) -> list[RequestedOutput]:
    if told is None:
        return []
    if not isinstance(told, list):
        raise Problem(400, f"outputs: expected a list, got {describe_value(told)}.")
    outputs = [_output(each, f"outputs[{index}]", default) for index, each in enumerate(told)]
    if len({output.name for output in outputs}) < len(outputs):
        raise Problem(400, "outputs: expected each name once.")
    return outputs


def _output(told: Any, place: str, default: bool) -> RequestedOutput:
    if not isinstance(told, dict) or not isinstance(told.get("name"), str):
        raise Problem(400, f"{place}: expected an object with a name.")
    parameters = _parameters(told, place)
    if "shared_memory_region" in parameters:
        raise Problem(400, f"{place}: shared memory is not served.")
    binary = _flag(parameters, "binary_data", place, default)
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise Problem(
            400, f"classification of {place}: expected a number, got {describe_value(classes)}."
        )
    return RequestedOutput(told["name"], binary, classes)
