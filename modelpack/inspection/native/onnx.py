"""ONNX: what its graph takes and gives, as the rows of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelpack.types import Field, FieldType, Scalar, Signature, Task

from ..facts.columns import Column, scalar_type
from ..facts.inputs import MOST_INPUTS
from ..nodes import require
from . import onnx_graph, onnx_trees
from .onnx_columns import describe, example_text
from .onnx_graph import Model, Value
from .told import Told, unserved

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


def read(data: bytes) -> Told:
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
    return Told(
        estimator="onnxruntime.InferenceSession",
        framework="onnx",
        words="an ONNX model",
        signature=Signature((), ()) if problem else _signature(model, given, labels),
        task=_task(model, labels),
        requires={"onnxruntime": _reason(model)},
        locales=tuple(name for name in locales if _LOCALE.fullmatch(name)),
        protocol=model.ir_version,
        problem=unserved(problem) if problem else None,
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
    known = None not in widths and sum(w or 0 for w in widths) <= MOST_INPUTS
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
