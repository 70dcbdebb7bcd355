"""numpy's .npy, version 1 to 3, of numbers, booleans or texts (numpy/lib/format.py)."""

from __future__ import annotations

from typing import Any, BinaryIO, Iterator

import numpy as np

from ...problems import Problem
from ...service import Service
from ..answers import Answered, columns
from ..chunks import Chunk, Matrix

EXTENSIONS = (".npy",)
START = b"\x93NUMPY"
KINDS = "biufU"
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,  # the same, in UTF-8
}


def read(stream: BinaryIO, most: int, service: Service) -> Iterator[Chunk]:  # noqa: ARG001
    """An array (n_rows, n_inputs), or (n_rows,) where there is one input. In the order of Fortran
    it lies column by column, and is read whole.
    """
    shape, fortran, dtype = _header(stream)
    if dtype.kind not in KINDS:
        raise Problem(400, f"The array holds {dtype.name}s: numbers, booleans or texts are taken.")
    if len(shape) not in (1, 2):
        raise Problem(400, f"Expected rows and columns, got {len(shape)} dimensions.")
    count, width = shape[0], shape[1] if len(shape) == 2 else 1
    if fortran and width > 1:
        whole = _taken(stream, count * width, dtype).reshape(width, count).T
        chunks = (whole[start : start + most] for start in range(0, count, most))
    else:
        sizes = (min(most, count - start) for start in range(0, count, most))
        chunks = (_taken(stream, size * width, dtype).reshape(size, width) for size in sizes)
    return (Matrix(chunk) for chunk in chunks)


def _header(stream: BinaryIO) -> Any:
    try:
        return HEADERS[np.lib.format.read_magic(stream)](stream)
    except (ValueError, KeyError) as error:
        raise Problem(
            400, "The file is no array in .npy format: its header is malformed."
        ) from error


def _taken(stream: BinaryIO, count: int, dtype: np.dtype) -> np.ndarray:
    data = stream.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise Problem(400, "The file ends before the array does.")
    return np.frombuffer(data, dtype)


class Writer:
    """The array of predictions, or where there is more than these, a column each. Its size stands
    at its beginning, so it is written at the end.
    """

    def __init__(self, stream: BinaryIO, first: Answered) -> None:
        self._stream = stream
        self._first = first
        self._parts: list[np.ndarray] = []

    def write(self, answered: Answered) -> None:
        table = [np.asarray(values) for _, values in columns(answered, self._first)]
        self._parts.append(table[0] if len(table) == 1 else np.column_stack(table))

    def close(self) -> None:
        whole = np.concatenate(self._parts) if self._parts else np.empty(0)
        np.lib.format.write_array(self._stream, whole, allow_pickle=False)
