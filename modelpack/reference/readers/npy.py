"""numpy's own format: an array (n_rows, n_inputs) or (n_rows,), or a structured one with names."""

from __future__ import annotations

from pathlib import Path

from ..tables import NotReadableError, Table


def read(path: Path) -> Table:
    try:
        import numpy as np  # noqa: PLC0415 - modelpack does without it otherwise
    except ImportError:
        raise NotReadableError(
            "numpy is not installed here: pip install 'modelpack[rows]'"
        ) from None
    array = np.load(path, allow_pickle=False)
    if array.dtype.names:
        return Table(tuple(array.dtype.names), [list(row) for row in array.tolist()])
    if array.ndim not in {1, 2}:
        raise NotReadableError(f"it is an array of {array.ndim} dimensions")
    return Table(None, array.reshape(len(array), -1).tolist())
