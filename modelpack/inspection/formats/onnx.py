"""ONNX: signature and columns."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod

from modelpack.types import Field, FieldType, Scalar, Signature, Task, Tensor

from ..facts.columns import Column, scalar_type
from ..facts.signature import MAX_INPUTS
from ..nodes import require
from . import onnx_graph, onnx_trees
from .model import NativeModel, no_prediction_finding, tensors, width_problem
from .onnx_graph import Model, Operator, Value

_TYPES: dict[int, FieldType] = {
    1: "number", 10: "number", 11: "number", 8: "string", 9: "boolean",
    **dict.fromkeys((2, 3, 4, 5, 6, 7, 12, 13), "integer"),
}  # fmt: skip
_STANDARD = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
_DEFAULT_LOCALE = "en_US"
_LOCALE = re.compile(r"[a-z]{2,3}_[A-Z]{2}(\.UTF-8)?")
_NO_LOCALES = {"", "C", "POSIX", "C.UTF-8"}
_LABELS = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")
_REGRESSORS = {"TreeEnsembleRegressor", "LinearRegressor", "SVMRegressor"}
_MATRIX = 2
_SHOWN = 60


def read(data: bytes) -> NativeModel:
    """Read an ONNX file.

    Raises:
        Malformed: The file is truncated, not an ONNX model, or has its weights in other files.
    """
    model = onnx_graph.read(data)
    require(not model.external, "the weights of the ONNX model are in other files; save the model "
            "as one file", "external-data")  # fmt: skip
    inputs = [value for value in model.inputs if value.name not in model.initial]
    widths = {value.name: _width(value) for value in inputs}
    if len(inputs) > 1:  # a service passes one column to each that has no width
        widths = {name: 1 if width is None else width for name, width in widths.items()}
    min_width = onnx_trees.check(model, widths)
    locales = sorted(set(_locales(model)))
    problem = _problem(model, inputs, locales)
    labels = None if problem else _labels(model)
    return NativeModel(
        estimator="onnxruntime.InferenceSession",
        framework="onnx",
        description="an ONNX model",
        signature=Signature((), ()) if problem else _signature(model, inputs, labels),
        task=_task(model, labels),
        requires={"onnxruntime": _reason(model)},
        locales=tuple(name for name in locales if _LOCALE.fullmatch(name)),
        protocol=model.ir_version,
        min_width=min_width,
        problem=no_prediction_finding(problem) if problem else None,
    )


def _reason(model: Model) -> str:
    version = model.opsets.get("") or model.opsets.get("ai.onnx")
    opset = f", opset {version}" if version else ""
    producer = f"{model.producer} {model.producer_version}".strip()[:_SHOWN]
    return f"it runs ONNX models{opset}{', written by ' if producer else ''}{producer}"


def _problem(model: Model, inputs: list[Value], locales: list[str]) -> str | None:
    """Return why the model cannot be served."""
    foreign = {operator.domain for operator in model.operators} - _STANDARD - model.own
    if foreign:
        named = ", ".join(sorted(repr(domain[:_SHOWN])[1:-1] for domain in foreign)[:3])
        return f"it uses operators of {named}, which onnxruntime supports only with extensions"
    if unknown := [name for name in locales if not _LOCALE.fullmatch(name)]:
        return f"it uses the locale {unknown[0][:_SHOWN]!r}, which is not a valid name"
    if not inputs or not model.outputs:
        return "it has no inputs or no outputs"
    for value in inputs:
        if reason := _not_a_column(value):
            return f"its input {value.name[:_SHOWN]!r} {reason}, but modelpack serves table rows"
    first = model.outputs[0]
    if first.kind != "tensor" or first.element not in _TYPES:
        return f"its first output, {first.name[:_SHOWN]!r}, is not a tensor of numbers or strings"
    return width_problem([tuple(size or 1 for size in value.dims[1:]) for value in inputs]) or None


def _not_a_column(value: Value) -> str:
    if value.kind != "tensor" or value.element not in _TYPES:
        return "is not a tensor of numbers, strings or booleans"
    if value.shaped and not value.dims:
        return "is a single value"
    if value.shaped and len(value.dims) > _MATRIX and not all(value.dims[1:]):
        return "has sizes that the graph does not fix"
    return ""


def _locales(model: Model) -> Iterator[str]:
    """Yield the locales that operators which change the case of strings look up."""
    for operator in model.operators:
        if operator.kind == "StringNormalizer":
            attribute = operator.attributes.get("locale")
            name = attribute.text if attribute else f"{_DEFAULT_LOCALE}.UTF-8"
            if name not in _NO_LOCALES:
                yield name


def _signature(model: Model, inputs: list[Value], labels: tuple[Scalar, ...] | None) -> Signature:
    widths = [_width(value) for value in inputs]
    known = None not in widths and sum(w or 0 for w in widths) <= MAX_INPUTS
    is_text = len(inputs) == 1 and widths == [1] and inputs[0].element == 8
    fields = _fields(model, inputs, [w or 0 for w in widths]) if known else ()
    return Signature(
        inputs=tuple(fields),
        outputs=(_output(model.outputs[0], labels),),
        classes=labels,
        layout="text" if is_text else "array",
        named=known and len(inputs) > 1 and len({field.name for field in fields}) == len(fields),
        probabilities=labels is not None,
        tensors=_tensors(inputs, widths),
    )


def _tensors(inputs: list[Value], widths: list[int | None]) -> tuple[Tensor, ...]:
    """Return the tensors whose sizes are known. The service has no tensors of others."""
    if None in widths and len(inputs) == 1:
        return ()
    return tensors([(value.name, tuple(size or 1 for size in value.dims[1:])) for value in inputs])


def _width(value: Value) -> int | None:
    """Return the number of columns of an input. None if the file does not fix it."""
    if not value.shaped:
        return None
    sizes = value.dims[1:]
    return prod(size or 0 for size in sizes) or None if sizes else 1


def _fields(model: Model, inputs: list[Value], widths: list[int]) -> list[Field]:
    columns: list[Column] = []
    indices: dict[str, range] = {}
    for value, width in zip(inputs, widths, strict=True):
        indices[value.name] = range(len(columns), len(columns) + width)
        names = [_name(value, index, width, single=len(inputs) == 1) for index in range(width)]
        columns += [Column(name, _TYPES[value.element]) for name in names]
    describe(columns, indices, model)
    if len(columns) == 1 and columns[0].type == "string" and columns[0].example is None:
        columns[0].example = example_text(model)
    return [column.field("number") for column in columns]


def _name(value: Value, index: int, width: int, *, single: bool) -> str:
    if width == 1:
        return value.name
    return f"x{index}" if single else f"{value.name}_{index}"


def _output(value: Value, labels: tuple[Scalar, ...] | None) -> Field:
    shape = tuple(size or -1 for size in value.dims[1:])
    kind = scalar_type(labels) if labels else _TYPES[value.element]
    return Field("prediction", kind, shape, labels)


def _labels(model: Model) -> tuple[Scalar, ...] | None:
    """Return the labels of a classifier whose second output contains their probabilities."""
    first, *others = model.outputs
    if not others or _TYPES[first.element] == "number":
        return None
    maps = [op for op in model.operators if op.kind == "ZipMap"]
    with_labels = [
        op for op in maps or model.operators if any(name in op.attributes for name in _LABELS)
    ]
    is_matrix = others[0].kind == "tensor" and _TYPES.get(others[0].element) == "number"
    if len(with_labels) != 1 or not (is_matrix or (maps and others[0].has_maps)):
        return None
    attributes = with_labels[0].attributes
    name = next(name for name in _LABELS if name in attributes)
    attribute = attributes[name]
    return tuple(attribute.texts if name == "classlabels_strings" else attribute.integers) or None


def _task(model: Model, labels: tuple[Scalar, ...] | None) -> Task:
    if labels:
        return "classifier"
    kinds = {operator.kind for operator in model.operators}
    return "regressor" if kinds & _REGRESSORS else "unknown"


_PASSING = {"Identity", "Reshape", "Cast", "Flatten", "Gather"}
"""Operators that do not change a column. skl2onnx applies Gather to inputs of one column."""

_MAX_STEPS = 8


def describe(columns: Sequence[Column], indices: Mapping[str, Sequence[int]], model: Model) -> None:
    """Record in `columns` what the operators reveal. `indices`: input -> its columns."""
    origins = _Origins(indices, len(columns), model)
    for operator in model.operators:
        record = _RECORDERS.get(operator.kind)
        if record is not None and operator.inputs:
            record(operator, [columns[index] for index in origins.find(operator.inputs[0], 0)])


class _Origins:
    """The columns that values inside the graph contain unchanged. Each value is visited once."""

    def __init__(self, indices: Mapping[str, Sequence[int]], count: int, model: Model) -> None:
        self._known: dict[str, list[int]] = {name: list(own) for name, own in indices.items()}
        self._producers = {output: op for op in model.operators for output in op.outputs}
        self._count = count

    def find(self, name: str, steps: int) -> list[int]:
        """Return the indices of the columns; [] if the value contains anything else."""
        if name not in self._known:
            self._known[name] = []  # ends cycles
            producer = self._producers.get(name)
            origins = self._through(producer, steps) if producer and steps < _MAX_STEPS else []
            self._known[name] = origins if len(origins) <= self._count else []
        return self._known[name]

    def _through(self, producer: Operator, steps: int) -> list[int]:
        if producer.kind in _PASSING:
            origins = self.find(producer.inputs[0], steps + 1) if producer.inputs else []
            return origins if producer.kind != "Gather" or len(origins) == 1 else []
        if producer.kind != "Concat" or len(producer.inputs) > self._count:
            return []
        parts = [self.find(part, steps + 1) for part in producer.inputs]
        return [index for part in parts for index in part] if all(parts) else []


def _one_hot(operator: Operator, columns: Sequence[Column]) -> None:
    texts, numbers = (operator.attributes.get(f"cats_{kind}") for kind in ("strings", "int64s"))
    if len(columns) == 1 and texts is not None:
        columns[0].category(texts.texts)
    elif len(columns) == 1 and numbers is not None and columns[0].type == "integer":
        columns[0].type = None
        columns[0].category(numbers.integers)


def _scaler(operator: Operator, columns: Sequence[Column]) -> None:
    offset = operator.attributes.get("offset")
    means = offset.floats if offset else []
    if len(means) == len(columns):
        for column, mean in zip(columns, means, strict=True):
            column.number(example=mean)


def _imputer(operator: Operator, columns: Sequence[Column]) -> None:
    replaced = operator.attributes.get("replaced_value_float")
    for column in columns:
        column.nullable |= replaced is not None and math.isnan(replaced.number)


_RECORDERS: dict[str, Callable[[Operator, Sequence[Column]], None]] = {
    "OneHotEncoder": _one_hot,
    "Scaler": _scaler,
    "Imputer": _imputer,
}


def example_text(model: Model) -> str:
    """Return one of the strings that the model looks up."""
    pools = (operator.attributes.get("pool_strings") for operator in model.operators)
    return next((pool.texts[0] for pool in pools if pool is not None and pool.texts), "")
