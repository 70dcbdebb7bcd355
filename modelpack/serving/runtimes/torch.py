"""PyTorch: programs of torch.export, and TorchScript."""

from __future__ import annotations

from typing import Any, BinaryIO, Collection, Sequence

import numpy as np

from .. import memory
from ..data.columns import Rows
from ..manifest import Manifest
from .estimator import EstimatorRuntime
from .onnx import cast, shaped
from .torch_checks import add_checks

MATRIX = 2
NO_MEMORY = "can't allocate memory"
"""A part of the message of PyTorch's allocator."""


class TorchInput:
    """An input tensor of shape (n_rows, width), or (n_rows,) if `flat`.

    Attributes:
        type: The type of its elements in numpy.
        dtype: Their type in PyTorch.
        width: The number of columns; 0 for all columns of the row.
        shape: That of a row, for a tensor of more dimensions.
    """

    def __init__(self, dtype: Any, width: int, *, flat: bool, shape: Sequence[int] = ()) -> None:
        name = str(dtype).rpartition(".")[2]
        self.type = np.float32 if name == "bfloat16" else np.dtype(name).type
        self.dtype = dtype
        self.width = width
        self.flat = flat
        self.shape = tuple(shape)

    def array(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """Build the tensor from its columns. Raise ValueError if a number is out of range."""
        numbers = [cast(column, self.type) for column in columns]
        return numbers[0] if self.flat else shaped(np.column_stack(numbers), self.shape)


class TorchModel:
    """A module that was loaded, and the numbers of rows that it accepts at once.

    It has no `__dict__`, in which `threads.use_one_thread` would search for estimators.
    """

    __slots__ = ("inputs", "largest", "module", "smallest")

    def __init__(
        self, module: Any, inputs: Sequence[TorchInput], smallest: int, largest: int | None
    ) -> None:
        self.module = module
        self.inputs = inputs
        self.smallest = smallest
        self.largest = largest


class TorchRuntime(EstimatorRuntime):
    """The first tensor that the module returns is the prediction.

    Rows of several requests are never predicted together: PyTorch computes a row alone and in a
    batch in another order, so the last bits of a prediction would depend on other clients.
    """

    kind = "library"
    has_exact_batches = False

    def __init__(self, model: TorchModel, manifest: Manifest) -> None:
        self.model = model
        self.classes = manifest.classes

    @staticmethod
    def supports(model: Any, manifest: Manifest) -> bool:
        return isinstance(model, TorchModel) and manifest.method == "predict"

    def has_method(self, method: str) -> bool:
        return method == "predict"

    def call(self, method: str, rows: Rows) -> Any:
        """Return the result of `method`, which is the only one.

        Raises:
            ValueError: PyTorch rejects the rows.
            RuntimeError: The module returns another number of rows.
        """
        if not self.has_method(method):
            raise AttributeError(method)
        arrays = self._arrays(rows)
        count = len(arrays[0])
        step = self.model.largest or max(count, 1)
        parts = [self._run(arrays, start, step) for start in range(0, count, step)]
        result = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if len(result) < count:
            raise RuntimeError(f"the model returned {len(result)} rows for {count}")
        result = result[:count]
        return result[:, 0] if result.ndim == MATRIX and result.shape[1] == 1 else result

    def call_transformed(self, method: str, values: Any) -> Any:
        dense = values.toarray() if hasattr(values, "toarray") else values
        return self.call(method, list(np.asarray(dense).T))

    def _arrays(self, rows: Rows) -> list[np.ndarray]:
        first, *others = self.model.inputs
        if isinstance(rows, np.ndarray) and not others and not first.flat:
            return [shaped(cast(rows, first.type), first.shape)]
        columns = list(rows.T) if isinstance(rows, np.ndarray) else rows
        arrays, start = [], 0
        for each in self.model.inputs:
            width = each.width or len(columns)
            arrays.append(each.array(columns[start : start + width]))
            start += width
        return arrays

    def _run(self, arrays: Sequence[np.ndarray], start: int, step: int) -> np.ndarray:
        """Predict some rows. The last row is repeated if the module needs more rows."""
        import torch  # noqa: PLC0415 - a library that only these files need

        parts = [array[start : start + step] for array in arrays]
        short = self.model.smallest - len(parts[0])
        if short > 0:
            parts = [np.concatenate([p, np.repeat(p[-1:], short, axis=0)]) for p in parts]
        tensors = [
            torch.from_numpy(np.ascontiguousarray(part)).to(each.dtype)
            for part, each in zip(parts, self.model.inputs)
        ]
        try:
            with torch.no_grad(), memory.bounded():  # a program can allocate any size for a row
                result = _first_tensor(self.model.module(*tensors))
        except Exception as error:  # its exception classes differ between releases
            if NO_MEMORY in str(error):
                raise MemoryError(str(error).partition("\n")[0]) from error
            raise ValueError(str(error).partition("\n")[0]) from error
        if result.dtype is torch.bfloat16:
            result = result.float()
        array: np.ndarray = result.numpy()
        return array[: len(array) - short] if short > 0 else array


def _first_tensor(result: Any) -> Any:
    while isinstance(result, (tuple, list, dict)):
        result = next(iter(result.values())) if isinstance(result, dict) else result[0]
    return result


def _library() -> Any:
    """Import PyTorch, and let it use one thread: others would not survive the fork."""
    import torch  # noqa: PLC0415 - a library that only these files need

    torch.set_num_threads(1)
    return torch


def load_exported(stream: BinaryIO, _names: Collection[str]) -> TorchModel:
    """Load a program of torch.export that was inspected."""
    torch = _library()
    with memory.bounded(memory.room_to_load()):
        program = torch.export.load(stream)
    inputs, batch = [], None
    named = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    for name in program.graph_signature.user_inputs:
        value = named[name].meta["val"]
        batch = value.shape[0] if batch is None else batch
        sizes = [int(size) for size in value.shape[1:]]
        width, shape = int(np.prod(sizes)), sizes if len(sizes) > 1 else ()
        inputs.append(TorchInput(value.dtype, width, flat=not sizes, shape=shape))
    smallest, largest = _batch_sizes(batch, program.range_constraints)
    return TorchModel(add_checks(program.module()), inputs, smallest, largest)


def load_script(stream: BinaryIO, _names: Collection[str]) -> TorchModel:
    """Load a TorchScript archive that was inspected: one matrix, or a column for each tensor."""
    torch = _library()
    with memory.bounded(memory.room_to_load()):
        module = torch.jit.load(stream, map_location="cpu").eval()
    numbers = [each.dtype for each in module.parameters() if each.dtype.is_floating_point]
    dtype = numbers[0] if numbers else torch.float32
    count = len(module.forward.schema.arguments) - 1
    one, several = TorchInput(dtype, 0, flat=False), TorchInput(dtype, 1, flat=True)
    return TorchModel(module, [one] if count == 1 else [several] * count, 1, None)


def _batch_sizes(batch: Any, ranges: Any) -> tuple[int, int | None]:
    """Return the smallest and the largest number of rows; None if there is no largest one."""
    if isinstance(batch, int):
        return batch, batch
    known = ranges.get(batch.node.expr)
    if known is None:
        return 1, None
    lower, upper = str(known.lower), str(known.upper)  # numbers, or infinities of PyTorch
    return max(int(lower), 1) if lower.isdigit() else 1, int(upper) if upper.isdigit() else None
