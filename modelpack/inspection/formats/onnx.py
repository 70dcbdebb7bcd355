"""ONNX: signature and columns."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from modelpack.types import Field, FieldType, Scalar, Signature, Task

from ..facts.columns import Column, scalar_type
from ..facts.signature import MAX_INPUTS
from ..nodes import require
from . import onnx_graph, onnx_trees
from .model import NativeModel, no_prediction_finding
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
    """Raises:
    Malformed: it is cut, no ONNX model, or its values lie in other files.
    """
    model = onnx_graph.read(data)
    require(not model.external, "the weights of the ONNX model lie in other files, which a path in "
            "the file tells; save it as one file", "external-data")  # fmt: skip
    given = [value for value in model.inputs if value.name not in model.initial]
    onnx_trees.check(model, {value.name: _width(value) for value in given})
    locales = sorted(set(_locales(model)))
    problem = _problem(model, given, locales)
    labels = None if problem else _labels(model)
    return NativeModel(
        estimator="onnxruntime.InferenceSession",
        framework="onnx",
        words="an ONNX model",
        signature=Signature((), ()) if problem else _signature(model, given, labels),
        task=_task(model, labels),
        requires={"onnxruntime": _reason(model)},
        locales=tuple(name for name in locales if _LOCALE.fullmatch(name)),
        protocol=model.ir_version,
        problem=no_prediction_finding(problem) if problem else None,
    )


def _reason(model: Model) -> str:
    version = model.opsets.get("") or model.opsets.get("ai.onnx")
    opset = f", opset {version}" if version else ""
    maker = f"{model.producer} {model.producer_version}".strip()[:_SHOWN]
    return f"it runs ONNX models{opset}{', made by ' if maker else ''}{maker}"


def _problem(model: Model, given: list[Value], locales: list[str]) -> str | None:
    """What keeps the model from being served."""
    foreign = {operator.domain for operator in model.operators} - _STANDARD - model.own
    if foreign:
        named = ", ".join(sorted(ascii(domain[:_SHOWN])[1:-1] for domain in foreign)[:3])
        return f"it uses operators of {named}, which onnxruntime has only with additions"
    if unknown := [name for name in locales if not _LOCALE.fullmatch(name)]:
        return f"it asks for the locale {unknown[0][:_SHOWN]!a}"
    if not given or not model.outputs:
        return "it has no inputs or no outputs"
    for value in given:
        if reason := _no_column(value):
            return f"its input {value.name[:_SHOWN]!a} {reason}, and rows of a table are served"
    first = model.outputs[0]
    if first.kind != "tensor" or first.element not in _TYPES:
        return f"its first output, {first.name[:_SHOWN]!a}, is no tensor of numbers or texts"
    return None


def _no_column(value: Value) -> str:
    if value.kind != "tensor" or value.element not in _TYPES:
        return "is no tensor of numbers, texts or booleans"
    if value.shaped and not 0 < len(value.dims) <= _MATRIX:
        return f"has {len(value.dims)} dimensions"
    return ""


def _locales(model: Model) -> Iterator[str]:
    """What operators that change the case of texts ask the C++ library for."""
    for operator in model.operators:
        if operator.kind == "StringNormalizer":
            told = operator.attributes.get("locale")
            name = told.text if told else f"{_DEFAULT_LOCALE}.UTF-8"
            if name not in _NO_LOCALES:
                yield name


def _signature(model: Model, given: list[Value], labels: tuple[Scalar, ...] | None) -> Signature:
    widths = [_width(value) for value in given]
    known = None not in widths and sum(w or 0 for w in widths) <= MAX_INPUTS
    is_text = len(given) == 1 and widths == [1] and given[0].element == 8
    inputs = _inputs(model, given, [w or 0 for w in widths]) if known else ()
    return Signature(
        inputs=tuple(inputs),
        outputs=(_output(model.outputs[0], labels),),
        classes=labels,
        layout="text" if is_text else "array",
        named=known and len(given) > 1 and len({field.name for field in inputs}) == len(inputs),
        probabilities=labels is not None,
    )


def _width(value: Value) -> int | None:
    """How many columns of a row it takes; None where the file does not tell."""
    if not value.shaped:
        return None
    return value.dims[1] if len(value.dims) == _MATRIX else 1


def _inputs(model: Model, given: list[Value], widths: list[int]) -> list[Field]:
    made: list[Column] = []
    places: dict[str, range] = {}
    for value, width in zip(given, widths, strict=True):
        places[value.name] = range(len(made), len(made) + width)
        names = [_name(value, index, width, alone=len(given) == 1) for index in range(width)]
        made += [Column(name, _TYPES[value.element]) for name in names]
    describe(made, places, model)
    if len(made) == 1 and made[0].type == "string" and made[0].example is None:
        made[0].example = example_text(model)
    return [column.field("number") for column in made]


def _name(value: Value, index: int, width: int, *, alone: bool) -> str:
    if width == 1:
        return value.name
    return f"x{index}" if alone else f"{value.name}_{index}"


def _output(value: Value, labels: tuple[Scalar, ...] | None) -> Field:
    shape = tuple(size or -1 for size in value.dims[1:])
    kind = scalar_type(labels) if labels else _TYPES[value.element]
    return Field("prediction", kind, shape, labels)


def _labels(model: Model) -> tuple[Scalar, ...] | None:
    """The labels of a classifier whose second output is their probabilities."""
    first, *others = model.outputs
    if not others or _TYPES[first.element] == "number":
        return None
    maps = [op for op in model.operators if op.kind == "ZipMap"]
    told = [op for op in maps or model.operators if any(name in op.attributes for name in _LABELS)]
    is_matrix = others[0].kind == "tensor" and _TYPES.get(others[0].element) == "number"
    if len(told) != 1 or not (is_matrix or (maps and others[0].of_maps)):
        return None
    name = next(name for name in _LABELS if name in told[0].attributes)
    attribute = told[0].attributes[name]
    return tuple(attribute.texts if name == "classlabels_strings" else attribute.integers) or None


def _task(model: Model, labels: tuple[Scalar, ...] | None) -> Task:
    if labels:
        return "classifier"
    kinds = {operator.kind for operator in model.operators}
    return "regressor" if kinds & _REGRESSORS else "unknown"


_PASSING = {"Identity", "Reshape", "Cast", "Flatten", "Gather"}
"""What gives on a column as it is. skl2onnx picks it by Gather out of an input that has but one."""

_MAX_STEPS = 8


def describe(columns: Sequence[Column], places: Mapping[str, Sequence[int]], model: Model) -> None:
    """Tell the columns what is known of them. `places`: input -> the columns that it takes."""
    origins = _Origins(places, len(columns), model)
    for operator in model.operators:
        told = _TELLING.get(operator.kind)
        if told is not None and operator.inputs:
            found = origins.of(operator.inputs[0], 0)
            told(operator, [columns[index] for index in found])


class _Origins:
    """Which columns the values inside the graph hold, unchanged. Each value is looked at once."""

    def __init__(self, places: Mapping[str, Sequence[int]], count: int, model: Model) -> None:
        self._found: dict[str, list[int]] = {name: list(held) for name, held in places.items()}
        self._makers = {output: op for op in model.operators for output in op.outputs}
        self._count = count

    def of(self, name: str, steps: int) -> list[int]:
        """The columns, by their numbers; none if the value holds others."""
        if name not in self._found:
            self._found[name] = []  # of what leads back to itself
            maker = self._makers.get(name)
            found = self._through(maker, steps) if maker and steps < _MAX_STEPS else []
            self._found[name] = found if len(found) <= self._count else []
        return self._found[name]

    def _through(self, maker: Operator, steps: int) -> list[int]:
        if maker.kind in _PASSING:
            found = self.of(maker.inputs[0], steps + 1) if maker.inputs else []
            return found if maker.kind != "Gather" or len(found) == 1 else []
        if maker.kind != "Concat" or len(maker.inputs) > self._count:
            return []
        parts = [self.of(part, steps + 1) for part in maker.inputs]
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


_TELLING: dict[str, Callable[[Operator, Sequence[Column]], None]] = {
    "OneHotEncoder": _one_hot,
    "Scaler": _scaler,
    "Imputer": _imputer,
}


def example_text(model: Model) -> str:
    """A text that the model knows, of those that it looks up."""
    pools = (operator.attributes.get("pool_strings") for operator in model.operators)
    return next((pool.texts[0] for pool in pools if pool is not None and pool.texts), "")
