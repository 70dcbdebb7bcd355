"""NumPy's file format, see `media.npy`."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Collection, Iterator, Sequence

import numpy as np

from ...data.columns import Rows
from ...data.extra_inputs import Extras
from ...media import npy as media
from ...problems import Problem
from ...service import Service
from ..chunks import Chunk, ChunkResult

EXTENSIONS = (".npy",)
START = media.MAGIC


class Matrix(Chunk):
    """An array (n_rows, n_inputs), or (n_rows,) for one input."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def decode(
        self,
        service: Service,
        extra: Collection[str],  # noqa: ARG002 - no names
        ignored: Extras = None,  # noqa: ARG002
    ) -> Rows:
        array = self._array
        one = array.ndim == 1 and len(service.manifest.inputs) == 1
        return service.matrix(array.reshape(-1, 1) if one else array)

    def take(self, indexes: Sequence[int]) -> Matrix:
        return Matrix(self._array[list(indexes)])

    def values(self, index: int, name: str) -> Any:  # noqa: ARG002 - there are none
        return self._array[:, index] if self._array.ndim > 1 else self._array


def read(stream: BinaryIO, max_rows: int, service: Service, header: str | None) -> Iterator[Chunk]:  # noqa: ARG001
    """Return chunks of an array. An array in Fortran order is read completely.

    Raises:
        Problem: 400, the file is malformed or incomplete.
    """
    dtype, fortran, shape, _ = media.parse_header(_head(stream))
    if not shape:
        raise Problem(422, "Expected rows and columns, got 0 dimensions.")
    count, width = shape[0], int(np.prod(shape[1:]))
    if fortran and len(shape) > 1:
        array = _read_values(stream, count * width, dtype).reshape(shape, order="F")
        return (Matrix(array[start : start + max_rows]) for start in range(0, count, max_rows))
    sizes = (min(max_rows, count - start) for start in range(0, count, max_rows))
    parts = (_read_values(stream, size * width, dtype).reshape(size, *shape[1:]) for size in sizes)
    return (Matrix(part) for part in parts)


def _head(stream: BinaryIO) -> bytes:
    start = stream.read(12)
    form = media.LENGTHS.get(start[6] if len(start) == 12 else 0, "<H")
    (length,) = struct.unpack_from(form, start.ljust(12), 8)
    end = 8 + struct.calcsize(form) + min(length, media.MAX_HEADER_BYTES)
    return start + stream.read(end - len(start))


def _read_values(stream: BinaryIO, count: int, dtype: np.dtype[Any]) -> np.ndarray:
    data = stream.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise Problem(400, "The file ends before the array does.")
    return np.frombuffer(data, dtype)


class Writer:
    """Writes the array of `media.npy` at the end, as its header contains the length."""

    def __init__(self, stream: BinaryIO, like: ChunkResult) -> None:
        self._stream = stream
        self._single = like.answer.probabilities is None and not like.kept
        self._parts: list[np.ndarray] = []

    def write(self, answered: ChunkResult) -> None:
        if self._single:
            self._parts.append(media.to_plain_array(answered.answer.predictions))
        else:
            self._parts.append(media.to_structured_array(answered.columns()))

    def close(self) -> None:
        array = np.concatenate(self._parts) if self._parts else np.empty(0)
        np.lib.format.write_array(self._stream, array, allow_pickle=False)
