"""The ONNX graph as protobuf messages.

All tensors are visited, at any depth, to find those with values in other files. Attributes of
operators are kept as bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..encodings.protobuf import Field as ProtoField
from ..encodings.protobuf import any_text, fields, floats, integers, message, number, numbers, text
from ..nodes import require
from . import onnx_schema as schema

_MAX_DEPTH = 16
_MAX_OPERATORS = 1_000_000
_INT64 = 7
_MAX_KEPT = 8  # integers of a constant
_INSIDE = 0  # data_location of a tensor with its values in this file


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
        values = [floats(value) for key, value in self._fields() if key == 2]
        return values[0][0] if values and values[0] else 0.0

    @property
    def floats(self) -> list[float]:
        parts = (floats(value) for key, value in self._fields() if key == 7)
        return [number for values in parts for number in values]

    @property
    def texts(self) -> list[str]:
        return [any_text(value) for key, value in self._fields() if key == 9]

    def _fields(self) -> Iterator[ProtoField]:
        return fields(self.data, schema.ATTRIBUTE)


@dataclass
class Operator:
    """An operator. `nested`: it is in a function, or in the graph of another operator."""

    nested: bool
    kind: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, Attribute] = field(default_factory=dict)


@dataclass
class Value:
    """An input or output.

    Attributes:
        kind: "tensor", "sequence" or "other".
        element: The element type of a tensor, as in TensorProto.DataType.
        dims: Sizes of a tensor, None where they are not fixed.
        shaped: Whether the number of `dims` is fixed.
        has_maps: Whether it is a sequence of maps.
    """

    name: str = ""
    kind: str = "other"
    element: int = 0
    dims: list[int | None] = field(default_factory=list)
    shaped: bool = False
    has_maps: bool = False


@dataclass(frozen=True)
class Constant:
    """A tensor with its values in the graph.

    Attributes:
        integers: The values of a short list of 64-bit integers, such as a shape; otherwise none.
    """

    dims: tuple[int, ...]
    integers: tuple[int, ...] = ()


@dataclass
class Model:
    """The parts of a ModelProto that inspection needs.

    Attributes:
        opsets: Domain -> version.
        own: Domains of the functions that the file defines.
        initial: Names of values with an initializer.
        constants: Name -> its initializer, unless the graph has two of this name.
        sparse: Whether the graph has an initializer of another kind, which could have any name.
        external: Whether a tensor has its values in another file.
    """

    ir_version: int = 0
    producer: str = ""
    producer_version: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    initial: set[str] = field(default_factory=set)
    constants: dict[str, Constant] = field(default_factory=dict)
    sparse: bool = False
    external: bool = False


def read(data: bytes) -> Model:
    """Read the messages of an ONNX file. Raise Malformed for truncated and for other files."""
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
            opset = dict(fields(message(value), schema.OPSET))
            model.opsets[text(opset.get(1, memoryview(b"")))] = number(opset.get(2, 0))
        elif key == 20:
            _read_training(message(value), model)
        elif key == 25:
            _read_function(message(value), model)
    require(bool(model.operators), "the ONNX model has no operators")
    used = {operator.domain for operator in model.operators} - model.own
    known = {*model.opsets, *({"", "ai.onnx"} if model.opsets.keys() & {"", "ai.onnx"} else ())}
    require(used <= known, "the ONNX model has no version for some of its operators")
    return model


def _read_training(data: memoryview, model: Model) -> None:
    """Look for external tensors only: the service does not run this part."""
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
    """Read a graph. Only that of the model (depth 0) has its inputs, outputs and initializers."""
    require(depth <= _MAX_DEPTH, f"graphs are nested over {_MAX_DEPTH} levels deep", "limit")
    for key, value in fields(data, schema.GRAPH):
        if key == 1:
            _read_operator(message(value), model, depth)
        elif key == 5:
            name, constant = _read_tensor(message(value), model)
            if not depth:
                _add_constant(model, name, constant)
        elif key == 15:
            _read_sparse(message(value), model)
            model.sparse |= not depth
        elif key in (11, 12):
            declared = _value(message(value))
            if not depth:
                (model.inputs if key == 11 else model.outputs).append(declared)


def _read_operator(data: memoryview, model: Model, depth: int) -> None:
    operator = Operator(nested=depth > 0)
    for key, value in fields(data, schema.NODE):
        if key == 1:
            operator.inputs.append(text(value))
        elif key == 2:
            operator.outputs.append(text(value))
        elif key == 4:
            operator.kind = text(value)
        elif key == 7:
            operator.domain = text(value)
        elif key == 5:
            attribute = _read_attribute(message(value), model, depth)
            is_new = attribute.name not in operator.attributes
            require(is_new, "an operator of the ONNX model has an attribute twice")
            operator.attributes[attribute.name] = attribute
    model.operators.append(operator)
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


def _add_constant(model: Model, name: str, constant: Constant) -> None:
    if name in model.initial:  # runtimes differ in which of two they use
        model.constants.pop(name, None)
    else:
        model.constants[name] = constant
    model.initial.add(name)


def _read_tensor(data: memoryview, model: Model) -> tuple[str, Constant]:
    name, kind, raw = "", 0, memoryview(b"")
    dims: list[int] = []
    values: list[int] = []
    for key, value in fields(data, schema.TENSOR):
        if key == 1:
            dims += numbers(value)
        elif key == 2:
            kind = number(value)
        elif key == 7 and len(values) <= _MAX_KEPT:
            values += numbers(value)
        elif key == 8:
            name = text(value)
        elif key == 9:
            raw = message(value)
        elif key == 13 or (key == 14 and value != _INSIDE):
            model.external = True
    return name, Constant(tuple(dims), _integers(kind, dims, values, raw))


def _integers(kind: int, dims: list[int], values: list[int], raw: memoryview) -> tuple[int, ...]:
    """Return the values of a short list of integers; none if they are missing or written twice."""
    if (
        kind != _INT64
        or len(dims) != 1
        or not 0 < dims[0] <= _MAX_KEPT
        or bool(values) == bool(raw)
    ):
        return ()
    if raw:
        values = [each for (each,) in struct.iter_unpack("<q", raw)] if len(raw) % 8 == 0 else []
    return tuple(values) if len(values) == dims[0] else ()


def _read_sparse(data: memoryview, model: Model) -> None:
    for key, value in fields(data, schema.SPARSE):
        if key in (1, 2):
            _read_tensor(message(value), model)


def _value(data: memoryview) -> Value:
    declared = Value()
    for key, value in fields(data, schema.VALUE):
        if key == 1:
            declared.name = text(value)
        elif key == 2 and (kind := _type(message(value))):
            _read_type(*kind, declared)
    return declared


def _type(data: memoryview) -> tuple[int, memoryview] | None:
    """Return the kind of a TypeProto (its field number) and its message."""
    parts = list(fields(data, schema.TYPE))
    kinds = [(key, message(value)) for key, value in parts if key in schema.TYPE_KINDS]
    require(len(kinds) <= 1, "a type of the ONNX model is of two kinds")
    return kinds[0] if kinds else None


def _read_type(kind: int, data: memoryview, declared: Value) -> None:
    if kind == 1:
        declared.kind = "tensor"
        for key, value in fields(data, schema.TENSOR_TYPE):
            if key == 1:
                declared.element = number(value)
            elif key == 2:
                declared.shaped = True
                declared.dims = list(_dims(message(value)))
    elif kind == 4:
        declared.kind = "sequence"
        inner = [_type(message(value)) for _, value in fields(data, schema.SEQUENCE_TYPE)]
        declared.has_maps = [kind[0] for kind in inner if kind] == [5]


def _dims(data: memoryview) -> Iterator[int | None]:
    for key, value in fields(data, schema.SHAPE):
        if key == 1:
            dimension = dict(fields(message(value), schema.DIMENSION))
            require(not {1, 2} <= dimension.keys(), "a dimension of the ONNX model has two sizes")
            size = number(dimension[1]) if 1 in dimension else 0
            yield size if size > 0 else None
