"""Conversion of tensors to rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Iterable, Sequence

import numpy as np

from ...data import validation
from ...data.columns import Rows
from ...data.extra_inputs import Extras
from ...data.tensors import is_shape
from ...manifest import Field
from ...problems import Problem
from ...service import Service
from . import datatypes
from .requests import Tensor, product

MATRIX = 2
SINGLE = "input-0"
"""The name of a single tensor in the metadata. Requests may use any other."""

DATATYPE_BY_TYPE = {
    "number": "FP64",
    "integer": "INT64",
    "string": "BYTES",
    "boolean": "BOOL",
    "datetime": "BYTES",
}
DATATYPE_BY_EXAMPLE: dict[type, str] = {int: "FP64", float: "FP64", bool: "BOOL"}


def metadata(service: Service) -> list[dict[str, Any]]:
    """Return the input tensors.

    A model with unnamed numbers has one tensor (n_rows, n_inputs). Other models have a tensor
    (n_rows, 1) for each input. A model of tensors has these.
    """
    fields = service.manifest.inputs
    if service.tensors.shapes:
        return _tensors(service)
    kinds = [_datatype(field) for field in fields]
    if not service.manifest.named and set(kinds) <= {"FP64", "INT64"}:
        return [{"name": SINGLE, "datatype": _common(kinds), "shape": [-1, len(fields) or -1]}]
    return [
        {"name": field.name, "datatype": kind, "shape": [-1, 1]}
        for field, kind in zip(fields, kinds)
    ]


def _tensors(service: Service) -> list[dict[str, Any]]:
    fields, start = service.manifest.inputs, 0
    single = len(service.tensors.shapes) == 1
    listed = []
    for name, shape in service.tensors.sizes(len(fields)).items():
        end = start + (product(shape) if fields else 0)
        kind = _common([_datatype(field) for field in fields[start:end]])
        listed.append({"name": SINGLE if single else name, "datatype": kind, "shape": [-1, *shape]})
        start = end
    return listed


def _common(kinds: Sequence[str]) -> str:
    """Return the datatype of a tensor with columns of these datatypes."""
    return kinds[0] if len(set(kinds)) == 1 else "FP64"


def _datatype(field: Field) -> str:
    return DATATYPE_BY_TYPE.get(field.type) or DATATYPE_BY_EXAMPLE.get(type(field.example), "BYTES")


def raw_tensor(service: Service, data: memoryview) -> Tensor:
    """Return the only input, sent as binary data without a document.

    Raises:
        Problem: 400, the model has several inputs, or the last row is incomplete. 422, no rows.
    """
    if not data:
        raise Problem(422, "The request contains no rows. Send at least one.")
    tensors = metadata(service)
    tensor, sizes = tensors[0], tensors[0]["shape"][1:]
    width = product(sizes)
    if len(tensors) > 1 or min(sizes) < 1:
        detail = "Binary data without JSON require a model with one input tensor of known shape."
        raise Problem(400, detail)
    if tensor["datatype"] == datatypes.BYTES:
        element = datatypes.LENGTH.pack(len(data)) + bytes(data)
        return Tensor(tensor["name"], datatypes.BYTES, (1, 1), memoryview(element))
    row = width * datatypes.DTYPES[tensor["datatype"]].itemsize
    if len(data) % row:
        raise Problem(400, f"Expected rows of {row} bytes, got {len(data)} bytes of binary data.")
    return Tensor(tensor["name"], tensor["datatype"], (len(data) // row, width), data)


def rows(service: Service, tensors: Sequence[Tensor], ignored: Extras = None) -> Rows:
    """Return the rows of tensors. Sizes and shapes are checked before values.

    Raises:
        Problem: 422, the tensors do not match the signature. 413, there are too many rows. 400,
            binary data do not have the size of their shape.
    """
    if not tensors:
        raise Problem(422, "The request contains no inputs. Send at least one tensor.")
    fields = service.manifest.inputs
    tensors = _flattened(service, tensors)
    names = {field.name for field in fields}
    several = len(tensors) > 1
    if several and names:
        decoder = service.decoder(len(fields))
        stored = decoder.stored_names(_names(tensors))
        kept = names.union(decoder.rejected_names(stored, ignored))
        tensors = [tensor for tensor, name in zip(tensors, stored) if name in kept]
    for tensor in tensors:
        _check_shape(tensor, len(fields), several)
    if not all(tensor.count for tensor in tensors):
        raise Problem(422, "The request contains no rows. Send at least one.")
    if len(tensors) == 1 and not _is_input(service, tensors[0]):
        return _matrix(service, tensors[0])
    return _table(service, tensors)


def _flattened(service: Service, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return tensors of the shapes of the model as one matrix, and others as they are.

    Raises:
        Problem: 422, a tensor has the name of one of the model, and another shape.
    """
    shapes = service.tensors.shapes
    if len(shapes) == 1 and len(tensors) == 1:
        (tensor,), (shape,) = tensors, shapes.values()
        if is_shape(tensor.shape[1:], shape):
            return [replace(tensor, shape=(tensor.shape[0], product(tensor.shape[1:])))]
    is_empty = not all(tensor.count for tensor in tensors)
    if len(shapes) < 2 or is_empty or not service.tensors.are_names(_names(tensors)):
        return tensors
    by_name = {tensor.name: tensor for tensor in tensors}
    parts = []
    for name, shape in shapes.items():
        tensor = by_name[name]
        is_flat = tensor.shape[1:] == (product(shape),) or (len(tensor.shape) == 1 and shape == ())
        if not is_shape(tensor.shape[1:], shape) and not is_flat:
            raise _misshaped(tensor, f"[n, {', '.join(map(str, shape))}]")
        if tensor.datatype == datatypes.BYTES:
            raise validation.table_problem("numbers", "texts", name)
        parts.append(_column(tensor).reshape(tensor.shape[0], -1))
    heights = {len(part) for part in parts}
    if len(heights) > 1:
        raise _different_heights(heights)
    matrix = np.hstack(parts)
    datatype = "FP64" if matrix.dtype.kind == "f" else "INT64"
    data = datatypes.to_binary(datatype, matrix.astype(datatypes.DTYPES[datatype]))
    return [Tensor(SINGLE, datatype, matrix.shape, memoryview(data))]


def _names(tensors: Sequence[Tensor]) -> list[str]:
    return [tensor.name for tensor in tensors]


def _is_input(service: Service, tensor: Tensor) -> bool:
    """Return whether the only tensor is one of several inputs, and the others are missing."""
    names = [field.name for field in service.manifest.inputs]
    if len(names) < 2 or not _is_column(tensor):
        return False
    return service.decoder(len(names)).stored_names([tensor.name])[0] in names


def _is_column(tensor: Tensor) -> bool:
    return len(tensor.shape) == 1 or tensor.shape[1:] == (1,)


def _check_shape(tensor: Tensor, inputs: int, several: bool) -> None:
    if several and not _is_column(tensor):
        raise _misshaped(tensor, "[n] or [n, 1], one tensor for each input")
    if not 1 <= len(tensor.shape) <= MATRIX:
        raise _misshaped(tensor, f"[n, {inputs or 'inputs'}]")


def _misshaped(tensor: Tensor, expected: str) -> Problem:
    return validation.table_problem(f"the shape {expected}", str(list(tensor.shape)), tensor.name)


def _matrix(service: Service, tensor: Tensor) -> Rows:
    count = len(service.manifest.inputs)
    height, width = tensor.shape if len(tensor.shape) == MATRIX else (tensor.shape[0], 1)
    if len(tensor.shape) == 1 and count > 1:
        raise _misshaped(tensor, f"[n, {count}], or [1, {count}] for one row")
    if count and width != count:
        raise _misshaped(tensor, f"[n, {count}]")
    decoder = service.decoder(width)
    decoder.check_count(height)
    values = _values(tensor, lambda i: (i // width, decoder.names[i % width]))
    return service.matrix(values.reshape(height, width))


def _table(service: Service, tensors: Sequence[Tensor]) -> Rows:
    heights = {tensor.shape[0] for tensor in tensors}
    if len(heights) > 1:
        raise _different_heights(heights)
    decoder, height = service.decoder(len(tensors)), heights.pop()
    decoder.check_count(height)
    names: list[str] = _names(tensors)
    columns: list[Any] = [_column(tensor) for tensor in tensors]
    if not decoder.in_order(names):
        # Binary data have no missing integers, booleans and texts: their tensors are left out.
        present = decoder.stored_names(names)
        absent = [name for name in decoder.optional if name not in present]
        names, columns = [*names, *absent], [*columns, *([None] * height for _ in absent)]
    return service.table(names, columns)


def _different_heights(heights: Iterable[int]) -> Problem:
    got = ", ".join(map(str, sorted(heights)[: validation.MAX_ERRORS]))
    return Problem(422, f"Expected the same number of rows in every tensor, got {got}.")


def _column(tensor: Tensor) -> np.ndarray:
    name = validation.shorten(tensor.name)
    return _values(tensor, lambda i: (i, name))


def _values(tensor: Tensor, locate: Callable[[int], tuple[int, str]]) -> np.ndarray:
    """Return the flat values. `locate`: returns the row and the column of a position.

    Raises:
        Problem: 422, a value does not have the datatype. 400, see `datatypes.from_binary`.
    """
    try:
        if isinstance(tensor.data, memoryview):
            return datatypes.from_binary(tensor.datatype, tensor.data, tensor.count)
        return datatypes.from_json(tensor.datatype, tensor.data)
    except datatypes.WrongValuesError as error:
        errors = ((*locate(index), expected, got) for index, expected, got in error.errors)
        keys = ("row", "column", "expected", "got")
        raise validation.validation_problem([dict(zip(keys, each)) for each in errors]) from error
