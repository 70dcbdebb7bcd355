"""The table of native readers.

One file a format. Each reads as much as compiled code would believe without a look: where trees
lead, which features they ask for, what lies where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .. import limits
from ..nodes import Malformed
from . import catboost, lightgbm, onnx, xgboost, xgboost_binary
from .model import NativeModel

READERS: dict[str, Callable[[bytes], NativeModel]] = {
    "lightgbm": lightgbm.read,
    "xgboost": xgboost.read,
    "xgboost-binary": xgboost_binary.read,
    "catboost": catboost.read,
    "onnx": onnx.read,
}
"""By the `reader` of a `formats.Format`."""


def read(reader: str, chunks: Iterator[bytes]) -> NativeModel:
    """What the file tells whose bytes come in `chunks`.

    Raises:
        Malformed: it is cut, or not what its library would write.
    """
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > limits.NATIVE_BYTES:
            most = limits.NATIVE_BYTES // limits.MIB
            raise Malformed("too-large", f"the model is larger than {most:,} MiB")
    return READERS[reader](bytes(data))
