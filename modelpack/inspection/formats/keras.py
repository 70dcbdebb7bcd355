"""Models of Keras: `.keras` archives, and HDF5 files of `model.save("model.h5")`.

Source: saving_lib.py and legacy_h5_format.py in keras/src of Keras 3.15.
A `.keras` file is a zip archive of `metadata.json`, `config.json` and `model.weights.h5`. An HDF5
file has the configuration in the attribute `model_config` of its root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from packaging.version import InvalidVersion, Version

from modelpack.types import Field, FieldType, Signature

from ..encodings import hdf5
from ..facts.columns import Column
from ..facts.signature import MAX_INPUTS
from ..nodes import Malformed, require
from ..skops.archive import Budget, malformed_archive, members
from ..stream import Reader
from . import keras_config, keras_layers
from .keras_layers import Input
from .model import NativeModel, inputs_finding, tensors, width_problem

OLDEST = Version("3.15")
"""Older releases load what their safe mode should refuse, and HDF5 files that read other files:
CVE-2025-1550, -8747, -9905, -9906 and CVE-2026-1669. Newer releases read older files."""

WEIGHTS_ONLY, OLD = "keras-weights", "keras-2"
"""Codes of findings: a file without layers, a model that only Keras 2 loads."""

_FIRST = Version("3")
_METADATA, _CONFIG, _WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
_MATRIX = 2
_SHOWN = 60
_MAX_SHOWN = 5
_MAX_VERSION = 40
_TYPES: dict[str, FieldType] = {
    "string": "string", "bool": "boolean",
    **dict.fromkeys(("float16", "bfloat16", "float32", "float64"), "number"),
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"), "integer"),
}  # fmt: skip
_PROBABILITIES = {"softmax", "sigmoid"}
_OUTPUTS = Field("prediction", "number", (-1,))
"""The values of several outputs, one behind the other."""


def read(data: bytes) -> NativeModel:
    """Read a `.keras` file.

    Raises:
        Malformed: Keras writes no such archive, or its configuration names what modelpack does not
            allow.
    """
    budget = Budget(len(data))
    files: dict[str, bytes] = {}
    model: dict[str, Any] = {}
    for member, body in members(Reader(iter([data])), budget):
        if member.name not in {_METADATA, _CONFIG, _WEIGHTS}:
            raise malformed_archive(f"it has a member named {member.name}")
        files[member.name] = body.take(member.size)
        if member.name == _CONFIG:  # layers that are not served have files of their own
            model = _checked(files[_CONFIG], _CONFIG)
    for name in (_METADATA, _CONFIG, _WEIGHTS):
        require(name in files, f"the archive has no {name}")
    metadata = keras_config.parse(files[_METADATA], _METADATA)
    version = _version(metadata.get("keras_version"))
    if version is not None and version < _FIRST:
        raise Malformed(OLD, f"Keras {version} wrote the archive, and Keras 3 does not load it")
    weights = hdf5.read(files[_WEIGHTS])
    return _native_model(model, weights, version, "a Keras model (.keras)")


def read_h5(data: bytes) -> NativeModel:
    """Read an HDF5 file of Keras.

    Raises:
        Malformed: Keras writes no such file, it has no model, or its configuration names what
            modelpack does not allow.
    """
    root = hdf5.read(data)
    text = root.attributes.get("model_config")
    if text is None:
        message = "the file has the weights of a Keras model without its layers"
        raise Malformed(WEIGHTS_ONLY, message)
    require(isinstance(text, str), "the configuration of the Keras model is not a text")
    model = _checked(str(text).encode(), "model_config")
    require("model_weights" in root.members, "the file has no weights")
    version = _version(root.attributes.get("keras_version"))
    if (version is None or version < _FIRST) and (reason := keras_layers.not_of_keras_3(model)):
        raise Malformed(OLD, f"Keras 2 wrote it, and Keras 3 does not load {reason} as it was")
    return _native_model(model, root, version, "a Keras model (HDF5)")


def _checked(data: bytes, name: str) -> dict[str, Any]:
    """Return a configuration without the part that only training needs."""
    model = keras_config.parse(data, name)
    model.pop("compile_config", None)
    keras_config.check_names(model)
    require(keras_layers.is_model(model), "the configuration is not that of a model")
    return model


def _native_model(
    model: dict[str, Any], weights: hdf5.Group, written: Version | None, description: str
) -> NativeModel:
    keras_config.check_sizes(model, sum(each.count for _, each in weights.datasets()))
    inputs = keras_layers.inputs(model)
    problem = _problem(model, inputs)
    names = keras_layers.output_names(model)
    activation = keras_layers.output(model)[1] if len(names) == 1 else ""
    return NativeModel(
        estimator="keras.Model",
        framework="keras",
        description=description,
        signature=Signature((), ()) if problem else _signature(model, inputs),
        task="classifier" if activation in _PROBABILITIES else "unknown",
        version=_specifier(written),
        requires={
            "keras": _reason(written),
            "torch": "Keras computes with PyTorch",
        },
        problem=inputs_finding(problem) if problem else None,
        notices=() if len(names) == 1 else (_outputs_notice(names),),
    )


def _outputs_notice(names: list[str]) -> str:
    shown = ", ".join(map(_text, names[:_MAX_SHOWN])) + (", ..." if len(names) > _MAX_SHOWN else "")
    return f"A prediction has the values of {len(names)} outputs, in this order: {shown}."


def _version(value: Any) -> Version | None:
    if not isinstance(value, str) or len(value) > _MAX_VERSION:
        return None
    try:
        return Version(value)
    except InvalidVersion:
        return None


def _specifier(written: Version | None) -> str:
    is_safe = written is not None and written >= OLDEST
    return str(written) if is_safe else f">={OLDEST}"


def _reason(written: Version | None) -> str:
    if written is None:
        return f"safe mode is complete since {OLDEST}"
    if written >= OLDEST:
        return f"the file records keras {written}"
    return f"the file is of keras {written}, whose safe mode is incomplete"


def _problem(model: Mapping[str, Any], inputs: tuple[Input, ...]) -> str | None:
    """Return why the model cannot be served."""
    if not inputs:
        return "the shapes of its inputs are not in the file; build it before it is saved"
    for each in inputs:
        if reason := _not_a_tensor(each, single=len(inputs) == 1):
            return f"its input {_text(each.name)} {reason}"
    shapes = [_known(each.shape) for each in inputs]
    if reason := width_problem([shape for shape in shapes if -1 not in shape]):
        return reason
    if keras_layers.is_stateful(model):
        return "its predictions depend on earlier ones (stateful=True)"
    if not keras_layers.output_names(model):
        return "its outputs are not in the file"
    return None


def _known(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(-1 if size is None else size for size in shape)


def _not_a_tensor(one: Input, *, single: bool) -> str:
    kind = _TYPES.get(one.dtype)
    if kind is None:
        return f"has the type {_text(one.dtype)}, but modelpack serves numbers"
    if kind == "string":
        return "takes texts, which Keras processes with TensorFlow only"
    if not one.is_dense:
        return "is sparse or ragged, but modelpack serves table rows"
    unknown = one.shape.count(None)
    if len(one.shape) >= _MATRIX and unknown > int(single):
        return f"has sizes that the file does not fix: ({_shape_text(one)})"
    return ""


def _shape_text(one: Input) -> str:
    return ", ".join("any" if size is None else str(size) for size in (None, *one.shape))


def _text(value: str) -> str:
    return repr(value[:_SHOWN])


def _signature(model: Mapping[str, Any], inputs: tuple[Input, ...]) -> Signature:
    widths = [None if None in each.shape else prod(_known(each.shape)) for each in inputs]
    if len(inputs) > 1:  # a service passes one column to each that has no width
        widths = [1 if width is None else width for width in widths]
    known = [width for width in widths if width is not None]
    is_listed = len(known) == len(widths) and sum(known) <= MAX_INPUTS
    columns = list(_columns(inputs, known)) if is_listed else []
    width, activation = keras_layers.output(model)
    fields = tuple(column.field("number") for column in columns)
    shapes = [_known(each.shape) for each in inputs]
    if len(inputs) > 1:
        shapes = [tuple(1 if size < 0 else size for size in shape) for shape in shapes]
    count = len(keras_layers.output_names(model))
    names = [each.name or f"input_{index}" for index, each in enumerate(inputs)]
    return Signature(
        inputs=fields,
        outputs=(_output(width, activation) if count == 1 else _OUTPUTS,),
        tensors=tensors(list(zip(names, shapes, strict=True))),
        named=is_listed and len(inputs) > 1 and len({f.name for f in fields}) == len(fields),
    )


def _columns(inputs: tuple[Input, ...], widths: list[int]) -> Iterator[Column]:
    for one, width in zip(inputs, widths, strict=True):
        for index in range(width):
            column = Column(_column_name(one, index, width, single=len(inputs) == 1))
            column.type = "integer" if one.indices else _TYPES[one.dtype]
            if one.indices:
                column.minimum, column.maximum = 0, one.indices - 1
            yield column


def _column_name(one: Input, index: int, width: int, *, single: bool) -> str:
    if width == 1:
        return one.name or f"x{index}"
    return f"x{index}" if single else f"{one.name}_{index}"


def _output(width: int | None, activation: str) -> Field:
    is_share = activation in _PROBABILITIES
    shape = () if width in (None, 1) else (width,)
    low, high = (0.0, 1.0) if is_share else (None, None)
    return Field("prediction", "number", tuple(shape), minimum=low, maximum=high)
