"""What an ONNX model is made of, read out of its Protocol Buffers.

Schema: onnx/onnx.proto. All tensors are visited, wherever they stand, to see whether their values
lie in other files. Of the operators, attributes of texts and whole numbers are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..arrays import clean
from ..nodes import require
from .protobuf import fields, floats, integers, message, number, text

_DEEPEST = 16
_MOST_OPERATORS = 1_000_000
_EXTERNAL = 1


@dataclass(frozen=True)
class Attribute:
    name: str
    data: memoryview

    @property
    def text(self) -> str:
        return next((clean(text(value)) for key, value in fields(self.data) if key == 4), "")

    @property
    def integers(self) -> list[int]:
        return integers(self.data, 8)

    @property
    def number(self) -> float:
        found = [floats(value) for key, value in fields(self.data) if key == 2]
        return found[0][0] if found and found[0] else 0.0

    @property
    def floats(self) -> list[float]:
        found = (floats(value) for key, value in fields(self.data) if key == 7)
        return [number for values in found for number in values]

    @property
    def texts(self) -> list[str]:
        return [clean(text(value)) for key, value in fields(self.data) if key == 9]


@dataclass
class Operator:
    kind: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, Attribute] = field(default_factory=dict)


@dataclass
class Value:
    """An input or output. `kind`: tensor, sequence or other. `dims`: of a tensor, None where they
    are not fixed; `shaped`: its number of them is told.
    """

    name: str = ""
    kind: str = "other"
    element: int = 0
    dims: list[int | None] = field(default_factory=list)
    shaped: bool = False
    of_maps: bool = False


@dataclass
class Model:
    """`opsets`: domain -> version. `own`: the domains of functions that the file itself defines."""

    ir_version: int = 0
    producer: str = ""
    producer_version: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    initial: set[str] = field(default_factory=set)
    external: bool = False


def read(data: bytes) -> Model:
    """Raises:
    Malformed: it is cut, or no ONNX model.
    """
    model = Model()
    for key, value in fields(memoryview(data)):
        if key == 1:
            model.ir_version = number(value)
        elif key == 2:
            model.producer = clean(text(value))
        elif key == 3:
            model.producer_version = clean(text(value))
        elif key == 7:
            _read_graph(message(value), model, 0)
        elif key == 8:
            told = dict(fields(message(value)))
            model.opsets[clean(text(told.get(1, memoryview(b""))))] = number(told.get(2, 0))
        elif key == 20:
            for _, graph in fields(message(value)):
                _read_graph(message(graph), Model(), 1)
        elif key == 25:
            _read_function(message(value), model)
    require(bool(model.operators), "the ONNX model has no operators")
    used = {operator.domain for operator in model.operators} - model.own
    known = {*model.opsets, *({"", "ai.onnx"} if model.opsets.keys() & {"", "ai.onnx"} else ())}
    require(used <= known, "the ONNX model does not tell the versions of all its operators")
    return model


def _read_function(data: memoryview, model: Model) -> None:
    for key, value in fields(data):
        if key == 7:
            _read_operator(message(value), model, 1)
        elif key == 10:
            model.own.add(clean(text(value)))
        elif key == 11:
            _read_attribute(message(value), model, 1)


def _read_graph(data: memoryview, model: Model, depth: int) -> None:
    """Only the graph of the model itself tells inputs, outputs and initial values."""
    require(depth <= _DEEPEST, f"graphs are nested over {_DEEPEST} levels deep", "limit")
    for key, value in fields(data):
        if key == 1:
            _read_operator(message(value), model, depth)
        elif key == 5:
            name = _read_tensor(message(value), model)
            model.initial |= {name} if not depth else set()
        elif key == 15:
            for part, tensor in fields(message(value)):
                if part in (1, 2):
                    _read_tensor(message(tensor), model)
        elif key in (11, 12) and not depth:
            (model.inputs if key == 11 else model.outputs).append(_value(message(value)))


def _read_operator(data: memoryview, model: Model, depth: int) -> None:
    made = Operator()
    for key, value in fields(data):
        if key == 1:
            made.inputs.append(clean(text(value)))
        elif key == 2:
            made.outputs.append(clean(text(value)))
        elif key == 4:
            made.kind = clean(text(value))
        elif key == 7:
            made.domain = clean(text(value))
        elif key == 5:
            attribute = _read_attribute(message(value), model, depth)
            made.attributes[attribute.name] = attribute
    model.operators.append(made)
    require(len(model.operators) <= _MOST_OPERATORS, "the ONNX model has too many operators")


def _read_attribute(data: memoryview, model: Model, depth: int) -> Attribute:
    name = ""
    for key, value in fields(data, skip_runs=True):
        if key == 1:
            name = clean(text(value))
        elif key in (5, 10):
            _read_tensor(message(value), model)
        elif key in (6, 11):
            _read_graph(message(value), model, depth + 1)
        elif key in (22, 23):
            for part, tensor in fields(message(value)):
                if part in (1, 2):
                    _read_tensor(message(tensor), model)
    return Attribute(name, data)


def _read_tensor(data: memoryview, model: Model) -> str:
    """Its name."""
    name = ""
    for key, value in fields(data, skip_runs=True):
        if key == 8:
            name = clean(text(value))
        elif key == 13 or (key == 14 and value == _EXTERNAL):
            model.external = True
    return name


def _value(data: memoryview) -> Value:
    found = Value()
    for key, value in fields(data):
        if key == 1:
            found.name = clean(text(value))
        elif key == 2:
            for kind, inner in fields(message(value)):
                _read_type(kind, message(inner), found)
    return found


def _read_type(kind: int, data: memoryview, found: Value) -> None:
    if kind == 1:
        found.kind = "tensor"
        for key, value in fields(data):
            if key == 1:
                found.element = number(value)
            elif key == 2:
                found.shaped = True
                found.dims = list(_dims(message(value)))
    elif kind == 4:
        found.kind = "sequence"
        inner = [key for _, element in fields(data) for key, _ in fields(message(element))]
        found.of_maps = inner == [5]


def _dims(data: memoryview) -> Iterator[int | None]:
    for key, value in fields(data):
        if key == 1:
            told = dict(fields(message(value)))
            size = number(told[1]) if 1 in told else 0
            yield size if size > 0 else None
