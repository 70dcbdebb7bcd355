"""Keras, which computes with PyTorch."""

from __future__ import annotations

import io
import os
import zipfile
from contextlib import contextmanager
from typing import Any, BinaryIO, Collection, Iterator, Sequence

import numpy as np

from .. import memory
from ..data.columns import Rows
from ..manifest import Manifest
from .estimator import EstimatorRuntime
from .onnx import MATRIX, Input

MIN_NUMBERS = 1_000_000
"""Weights that a file of any size may have: layers may create some that are not saved."""
BATCH = 32
"""Rows that `Model.predict` passes to the model at once by default."""

_NARROW = {"bfloat16": "float32"}
"""Types that numpy lacks, and the type that Keras gets."""


class KerasModel:
    """A model that was loaded.

    It has no `__dict__`, in which `threads.use_one_thread` would search for estimators.
    """

    __slots__ = ("model",)

    def __init__(self, model: Any) -> None:
        self.model = model


class KerasRuntime(EstimatorRuntime):
    """Returns the bits of `Model.predict`, without its data adapters and callbacks.

    The prediction of a model with one output value is a number, of any other a list. Rows of
    several requests are never predicted together: PyTorch computes a row alone and in a batch in
    another order, so the last bits of a prediction would depend on other clients.
    """

    kind = "library"
    has_exact_batches = False

    def __init__(self, model: KerasModel, manifest: Manifest) -> None:
        import torch  # noqa: PLC0415 - a library that only these files need

        self.model = model.model
        self.classes = manifest.classes
        self._no_gradients = torch.no_grad
        # A Sequential model has no `input`.
        self._keys, tensors = _structure(getattr(self.model, "input", self.model.inputs[0]))
        width = len(manifest.inputs) if len(tensors) == 1 else 1
        self.inputs = [_input(tensor, width) for tensor in tensors]

    @staticmethod
    def supports(model: Any, manifest: Manifest) -> bool:
        return manifest.method == "predict" and isinstance(model, KerasModel)

    def has_method(self, method: str) -> bool:
        return method == "predict"

    def call(self, method: str, rows: Rows) -> Any:
        """Return what `model.predict` returns for the rows.

        Raises:
            ValueError: The model rejects the rows, such as an index beyond its embeddings.
        """
        if method != "predict":
            raise NotImplementedError(method)
        tensors = self._tensors(rows)
        parts = [
            self._run([tensor[first : first + BATCH] for tensor in tensors])
            for first in range(0, len(tensors[0]), BATCH)
        ]
        return squeezed(np.concatenate(parts))

    def call_transformed(self, method: str, values: Any) -> Any:
        dense = values.toarray() if hasattr(values, "toarray") else values
        return self.call(method, list(np.asarray(dense).T))

    def call_library(self, rows: Rows) -> Any:
        """Return the result of `Model.predict` itself, which is slow for a few rows."""
        result = self.model.predict(self._arranged(self._tensors(rows)), verbose=0)
        return squeezed(_joined(_outputs(result)))

    def _tensors(self, rows: Rows) -> list[np.ndarray]:
        columns = list(rows.T) if isinstance(rows, np.ndarray) else rows
        tensors, start = [], 0
        for each in self.inputs:
            width = each.width or len(columns)
            tensors.append(each.tensor(columns[start : start + width]))
            start += width
        return tensors

    def _run(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        try:
            with self._no_gradients(), memory.bounded():
                result = self.model(self._arranged(tensors), training=False)
        except IndexError as error:
            raise ValueError(str(error)) from error
        return _joined([_array(tensor) for tensor in _outputs(result)])

    def _arranged(self, tensors: Sequence[np.ndarray]) -> Any:
        """Return the tensors in the structure that the model was created with."""
        if isinstance(self._keys, list):
            return dict(zip(self._keys, tensors))
        return list(tensors) if self._keys else tensors[0]


def _structure(tensors: Any) -> Any:
    """Return the keys of the inputs, and the inputs in the order of the manifest.

    Keys are those of a dict, True for a list, and False for a single input.
    """
    if isinstance(tensors, dict):
        keys = sorted(tensors)
        return keys, [tensors[key] for key in keys]
    if isinstance(tensors, (list, tuple)):
        return True, list(tensors)
    return False, [tensors]


def _input(tensor: Any, width: int) -> Input:
    """Describe an input; `width` is used if the model does not fix it."""
    shape = tuple(tensor.shape)
    flat = len(shape) == 1
    if len(shape) > MATRIX:
        sizes = tuple(-1 if size is None else size for size in shape[1:])
        dtype = _NARROW.get(tensor.dtype, tensor.dtype)
        width = width if -1 in sizes else int(np.prod(sizes))
        return Input(tensor.name, np.dtype(dtype).type, width, flat, sizes)
    known = 1 if flat else shape[1] if shape[1] is not None else width
    dtype = _NARROW.get(tensor.dtype, tensor.dtype)
    return Input(tensor.name, np.dtype(dtype).type, known, flat)


def _outputs(result: Any) -> list[Any]:
    """Return all outputs, which may be in a list or a dict."""
    if isinstance(result, dict):
        return [part for key in sorted(result) for part in _outputs(result[key])]
    if isinstance(result, (list, tuple)):
        return [part for each in result for part in _outputs(each)]
    return [result]


def _array(tensor: Any) -> np.ndarray:
    is_bfloat16 = str(tensor.dtype) == "torch.bfloat16"  # which numpy lacks
    array: np.ndarray = (tensor.float() if is_bfloat16 else tensor).numpy()
    return array


def _joined(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the only output, or the values of several in one row."""
    if len(outputs) == 1:
        return outputs[0]
    return np.hstack([each.reshape(len(each), -1) for each in outputs])


def squeezed(array: np.ndarray) -> np.ndarray:
    """Return numbers for rows of one number."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def load(stream: BinaryIO, _names: Collection[str]) -> Any:
    """Load the model to predict only, with one thread, which survives the fork."""
    # Keras reads a settings file, and creates it if it can. No setting of a machine may change
    # predictions.
    os.environ["KERAS_HOME"] = os.devnull
    os.environ["KERAS_BACKEND"] = "torch"
    import torch  # noqa: PLC0415 - libraries that only these files need

    torch.set_num_threads(1)

    content = io.BytesIO(stream.read())
    if content.getvalue()[:2] == b"PK":
        from keras.src.saving import saving_lib  # noqa: PLC0415

        with zipfile.ZipFile(content) as archive:
            size = sum(member.file_size for member in archive.infolist())
        content.seek(0)
        with _limited_weights(size), memory.bounded(memory.room_to_load()):
            return KerasModel(saving_lib.load_model(content, compile=False, safe_mode=True))
    import h5py  # noqa: PLC0415
    from keras.src.legacy.saving import legacy_h5_format  # noqa: PLC0415

    with h5py.File(content, "r") as file, _limited_weights(len(content.getvalue())):
        return KerasModel(legacy_h5_format.load_model_from_hdf5(file, compile=False))


@contextmanager
def _limited_weights(size: int) -> Iterator[None]:
    """Let layers create no more weights than a file can have that contains `size` bytes.

    Keras creates them before it reads the file, with the sizes in the configuration.
    """
    from keras.layers import Layer  # noqa: PLC0415 - a library that only these files need

    own, left = Layer.add_weight, max(size, MIN_NUMBERS)

    def add_weight(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal left
        shapes = [each for each in (named.get("shape"), *arguments) if each is not None]
        sizes = shapes[0] if shapes and not isinstance(shapes[0], str) else ()
        left -= int(np.prod(np.array(sizes, dtype=object)))
        if left < 0:
            raise ValueError("its layers have more weights than the file has bytes")
        return own(self, *arguments, **named)

    Layer.add_weight = add_weight
    try:
        yield
    finally:
        Layer.add_weight = own
