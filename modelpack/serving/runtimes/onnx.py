"""ONNX Runtime."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, BinaryIO, Collection, Sequence

import numpy as np

from ..data.columns import Rows
from ..manifest import Manifest
from .estimator import EstimatorRuntime

TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(string)": object,
    "tensor(bool)": np.bool_,
    **{f"tensor({kind})": np.dtype(kind).type for kind in (
        "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
}  # fmt: skip
MATRIX = 2


@dataclass(frozen=True)
class Input:
    """An input tensor of shape (n_rows, width), or (n_rows,) if `flat`.

    `shape`: that of a row, for a tensor of more dimensions; -1 for an unknown size.
    """

    name: str
    type: Any
    width: int
    flat: bool
    shape: tuple[int, ...] = ()

    def tensor(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """Build the tensor from its columns. Raise ValueError if a number is out of range."""
        numbers = [cast(column, self.type) for column in columns]
        return numbers[0] if self.flat else shaped(np.column_stack(numbers), self.shape)


def shaped(matrix: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return a matrix as rows of a shape, unless that is empty."""
    return matrix.reshape(len(matrix), *shape) if shape else matrix


class OnnxRuntime(EstimatorRuntime):
    """The first output is the prediction, the second is the probabilities of a classifier.

    Attributes:
        batch: The only number of rows that the graph accepts, or None if it accepts any number.
    """

    kind = "library"

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self.model = model
        self.classes = manifest.classes
        self.outputs = {"predict": 0, **({"predict_proba": 1} if manifest.probabilities else {})}
        inputs = model.get_inputs()
        width = len(manifest.inputs)
        self.inputs = [_input(each, width if len(inputs) == 1 else 1) for each in inputs]
        self.batch = next((n for n in map(_rows, inputs) if n is not None), None)

    @staticmethod
    def supports(model: Any, manifest: Manifest) -> bool:
        return manifest.format == "onnx" and hasattr(model, "run")

    def has_method(self, method: str) -> bool:
        return method in self.outputs

    def call(self, method: str, rows: Rows) -> Any:
        """Return the output for `method`.

        Raises:
            ValueError: onnxruntime rejects the rows.
            RuntimeError: The graph returns another number of rows.
        """
        columns = list(rows.T) if isinstance(rows, np.ndarray) else rows
        tensors = self._tensors(columns)
        index, count = self.outputs[method], len(columns[0])
        step = self.batch or count
        parts = [self._run(index, tensors, start, step) for start in range(0, count, step)]
        result = np.concatenate([self._array(part) for part in parts])[:count]
        if len(result) != count:
            raise RuntimeError(f"the model returned {len(result)} rows for {count}")
        return result

    def call_transformed(self, method: str, values: Any) -> Any:
        dense = values.toarray() if hasattr(values, "toarray") else values
        return self.call(method, list(np.asarray(dense).T))

    def _tensors(self, columns: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Build the input tensors, padded to full batches for a graph of a fixed size."""
        tensors, start = [], 0
        for each in self.inputs:
            width = each.width or len(columns)
            tensors.append(each.tensor(columns[start : start + width]))
            start += width
        short = -len(columns[0]) % (self.batch or 1)
        return [np.concatenate([t, np.repeat(t[-1:], short, axis=0)]) for t in tensors]

    def _run(self, index: int, tensors: Sequence[np.ndarray], start: int, step: int) -> Any:
        names = [each.name for each in self.inputs]
        feed = {name: tensor[start : start + step] for name, tensor in zip(names, tensors)}
        output = self.model.get_outputs()[index].name
        try:
            return self.model.run([output], feed)[0]
        except Exception as error:  # its exception classes differ between releases
            raise ValueError(str(error)) from error

    def _array(self, result: Any) -> np.ndarray:
        """Convert a list of {label: probability} to an array in the order of the classes."""
        if isinstance(result, np.ndarray):
            return result
        return np.array([[row[label] for label in self.classes or ()] for row in result])


def _input(argument: Any, width: int) -> Input:
    """Describe an input of the graph; `width` is used if the graph does not contain it."""
    shape = argument.shape
    flat = len(shape) == 1
    if len(shape) > MATRIX:
        sizes = tuple(shape[1:])
        return Input(argument.name, TYPES[argument.type], int(np.prod(sizes)), flat, sizes)
    known = shape[1] if len(shape) == MATRIX and isinstance(shape[1], int) else width
    return Input(argument.name, TYPES[argument.type], 1 if flat else known, flat)


def _rows(argument: Any) -> int | None:
    first = argument.shape[0] if argument.shape else None
    return first if isinstance(first, int) and first > 0 else None


def cast(column: np.ndarray, kind: Any) -> np.ndarray:
    if kind in (object, np.bool_):
        return column.astype(kind)
    numbers = column.astype(np.float64) if column.dtype.kind == "O" else column
    if np.issubdtype(kind, np.integer):
        bounds = np.iinfo(kind)
        fits = (numbers >= bounds.min) & (numbers <= bounds.max)
    else:
        fits = ~(np.abs(numbers) > np.finfo(kind).max)  # NaN passes
    if not fits.all():
        raise ValueError("a number is out of range for the type of its input")
    return numbers.astype(kind)


def load(stream: BinaryIO, _names: Collection[str]) -> Any:
    """Create a session of one thread, because other threads would not survive the fork.

    The format is set, because the library would read a file with certain four bytes as its ORT
    format, which is not inspected.
    """
    # Without this, the import starts a telemetry thread that workers wait for when they exit.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: PLC0415 - a library that only these files need

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.load_model_format", "ONNX")
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(stream.read(), options, providers=providers)
