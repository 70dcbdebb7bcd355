"""Readers of the formats that libraries other than pickle and skops define, one file each.

To add a format:

1. Write `NAME.py` with `read(data: bytes) -> NativeModel`. It parses the whole file as data,
   without the library, and raises `Malformed` for a file that the library does not write.
   `encodings` contains decoders of common binary encodings.
2. Check what the compiled code of the library uses without a check: child nodes of trees, feature
   indices, offsets, sizes. Call `require(condition, message, CODE)` for each of them. A message is
   a clause about the file: "a tree uses a split that does not exist".
3. Describe inputs as `Column`s (`model.columns`), and the prediction as a `Field`.
4. Add the function to `READERS`, and the first bytes of the format to `MAGIC` in
   `../known_formats.py`.
5. Add a loader to the service. See "Where a new part goes" in `docs/architecture.md`.

`lightgbm.py` is the shortest reader of a format with trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .. import limits
from ..nodes import Malformed
from . import (
    catboost,
    keras,
    lightgbm,
    onnx,
    torch_export,
    torchscript,
    xgboost,
    xgboost_binary,
)
from .model import NativeModel

READERS: dict[str, Callable[[bytes], NativeModel]] = {
    "lightgbm": lightgbm.read,
    "xgboost": xgboost.read,
    "xgboost-binary": xgboost_binary.read,
    "catboost": catboost.read,
    "onnx": onnx.read,
    "torch-export": torch_export.read,
    "torchscript": torchscript.read,
    "keras": keras.read,
    "keras-h5": keras.read_h5,
}
"""The key is `Format.reader` of `known_formats.py`."""


def read(reader: str, chunks: Iterator[bytes]) -> NativeModel:
    """Read the file whose bytes are in `chunks`.

    Raises:
        Malformed: The file is truncated, or its library does not write such files.
    """
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > limits.NATIVE_BYTES:
            maximum = limits.NATIVE_BYTES // limits.MIB
            raise Malformed("too-large", f"the model is larger than {maximum:,} MiB")
    return READERS[reader](bytes(data))
