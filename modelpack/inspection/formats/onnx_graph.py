"""The ONNX graph as protobuf messages.

All tensors are visited, wherever they stand, to see whether their values lie in other files. Of the
operators, attributes are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..encodings.protobuf import Field as ProtoField
from ..encodings.protobuf import any_text, fields, floats, integers, message, number, text
from ..nodes import require
from . import onnx_schema as schema

_MAX_DEPTH = 16
_MAX_OPERATORS = 1_000_000
_INSIDE = 0  # the file, where the values of a tensor lie


@dataclass(frozen=True)
class Attribute:
    name: str
    data: memoryview

    @property
    def text(self) -> str:
        return next((any_text(value) for key, value in self._fields() if key == 4), "")

    @property
    def integers(self) -> list[int]:
        return integers(self.data, 8, schema.ATTRIBUTE)

    @property
    def integer(self) -> int:
        return next((number(value) for key, value in self._fields() if key == 3), 0)

    @property
    def number(self) -> float:
        found = [floats(value) for key, value in self._fields() if key == 2]
        return found[0][0] if found and found[0] else 0.0

    @property
    def floats(self) -> list[float]:
        found = (floats(value) for key, value in self._fields() if key == 7)
        return [number for values in found for number in values]

    @property
    def texts(self) -> list[str]:
        return [any_text(value) for key, value in self._fields() if key == 9]

    def _fields(self) -> Iterator[ProtoField]:
        return fields(self.data, schema.ATTRIBUTE)


@dataclass
class Operator:
    """`nested`: it stands in a function, or in the graph of another operator."""

    nested: bool
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
    for key, value in fields(memoryview(data), schema.MODEL):
        if key == 1:
            model.ir_version = number(value)
        elif key == 2:
            model.producer = text(value)
        elif key == 3:
            model.producer_version = text(value)
        elif key == 7:
            _read_graph(message(value), model, 0)
        elif key == 8:
            told = dict(fields(message(value), schema.OPSET))
            model.opsets[text(told.get(1, memoryview(b"")))] = number(told.get(2, 0))
        elif key == 20:
            _read_training(message(value), model)
        elif key == 25:
            _read_function(message(value), model)
    require(bool(model.operators), "the ONNX model has no operators")
    used = {operator.domain for operator in model.operators} - model.own
    known = {*model.opsets, *({"", "ai.onnx"} if model.opsets.keys() & {"", "ai.onnx"} else ())}
    require(used <= known, "the ONNX model does not tell the versions of all its operators")
    return model


def _read_training(data: memoryview, model: Model) -> None:
    """Nothing of it is run."""
    unused = Model()
    for key, value in fields(data, schema.TRAINING):
        if key in (1, 2):
            _read_graph(message(value), unused, 1)
    model.external |= unused.external


def _read_function(data: memoryview, model: Model) -> None:
    for key, value in fields(data, schema.FUNCTION):
        if key == 7:
            _read_operator(message(value), model, 1)
        elif key == 10:
            model.own.add(text(value))
        elif key == 11:
            _read_attribute(message(value), model, 1)


def _read_graph(data: memoryview, model: Model, depth: int) -> None:
    """Only the graph of the model itself tells inputs, outputs and initial values."""
    require(depth <= _MAX_DEPTH, f"graphs are nested over {_MAX_DEPTH} levels deep", "limit")
    for key, value in fields(data, schema.GRAPH):
        if key == 1:
            _read_operator(message(value), model, depth)
        elif key == 5:
            name = _read_tensor(message(value), model)
            model.initial |= {name} if not depth else set()
        elif key == 15:
            _read_sparse(message(value), model)
        elif key in (11, 12):
            told = _value(message(value))
            if not depth:
                (model.inputs if key == 11 else model.outputs).append(told)


def _read_operator(data: memoryview, model: Model, depth: int) -> None:
    made = Operator(nested=depth > 0)
    for key, value in fields(data, schema.NODE):
        if key == 1:
            made.inputs.append(text(value))
        elif key == 2:
            made.outputs.append(text(value))
        elif key == 4:
            made.kind = text(value)
        elif key == 7:
            made.domain = text(value)
        elif key == 5:
            attribute = _read_attribute(message(value), model, depth)
            is_new = attribute.name not in made.attributes
            require(is_new, "an operator of the ONNX model has an attribute twice")
            made.attributes[attribute.name] = attribute
    model.operators.append(made)
    require(len(model.operators) <= _MAX_OPERATORS, "the ONNX model has too many operators")


def _read_attribute(data: memoryview, model: Model, depth: int) -> Attribute:
    name = ""
    for key, value in fields(data, schema.ATTRIBUTE, skip_runs=True):
        if key == 1:
            name = text(value)
        elif key in (5, 10):
            _read_tensor(message(value), model)
        elif key in (6, 11):
            _read_graph(message(value), model, depth + 1)
        elif key in (22, 23):
            _read_sparse(message(value), model)
    return Attribute(name, data)


def _read_tensor(data: memoryview, model: Model) -> str:
    """Its name."""
    name = ""
    for key, value in fields(data, schema.TENSOR):
        if key == 8:
            name = text(value)
        elif key == 13 or (key == 14 and value != _INSIDE):
            model.external = True
    return name


def _read_sparse(data: memoryview, model: Model) -> None:
    for key, value in fields(data, schema.SPARSE):
        if key in (1, 2):
            _read_tensor(message(value), model)


def _value(data: memoryview) -> Value:
    found = Value()
    for key, value in fields(data, schema.VALUE):
        if key == 1:
            found.name = text(value)
        elif key == 2 and (kind := _type(message(value))):
            _read_type(*kind, found)
    return found


def _type(data: memoryview) -> tuple[int, memoryview] | None:
    """Its kind, and what there is to tell of it."""
    parts = list(fields(data, schema.TYPE))
    found = [(key, message(value)) for key, value in parts if key in schema.KINDS_OF_TYPE]
    require(len(found) <= 1, "a type of the ONNX model is of two kinds")
    return found[0] if found else None


def _read_type(kind: int, data: memoryview, found: Value) -> None:
    if kind == 1:
        found.kind = "tensor"
        for key, value in fields(data, schema.TENSOR_TYPE):
            if key == 1:
                found.element = number(value)
            elif key == 2:
                found.shaped = True
                found.dims = list(_dims(message(value)))
    elif kind == 4:
        found.kind = "sequence"
        inner = [_type(message(value)) for _, value in fields(data, schema.SEQUENCE_TYPE)]
        found.of_maps = [kind[0] for kind in inner if kind] == [5]


def _dims(data: memoryview) -> Iterator[int | None]:
    for key, value in fields(data, schema.SHAPE):
        if key == 1:
            told = dict(fields(message(value), schema.DIMENSION))
            require(not {1, 2} <= told.keys(), "a dimension of the ONNX model has two sizes")
            size = number(told[1]) if 1 in told else 0
            yield size if size > 0 else None
