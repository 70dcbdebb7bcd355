"""modelpack.record(): what a model answers where it was trained, kept beside its file.

Runs in the training script, with whatever libraries are there; needs none but numpy.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from modelpack.errors import UsageError
from modelpack.reference.sidecar import SCHEMA, path_of
from modelpack.writing import write_whole

ROWS = 20

PathLike = str | os.PathLike[str]


def record(model: Any, X: Any, path: PathLike | Sequence[PathLike]) -> Path:  # noqa: N803 - as scikit-learn has it
    """Write what `model` answers for the first 20 rows of `X` beside the file that it was saved to,
    as `<path>.record.json`: `modelpack package` compares the container's answers with it bit for
    bit, and takes the versions of the libraries from it.

    Call it after the model was saved. `model`: the fitted model, or the list of objects that rows
    pass through, such as [vectorizer, classifier], with the list of their files as `path`. `X`:
    what it takes, of n_rows: a DataFrame, an array, a sparse matrix, a list of texts or of dicts.
    Returns the path of the sidecar, which replaces an older one.

    Raises:
        UsageError: there is no file at `path`, no row in `X`, or a value that JSON cannot hold.
    """
    paths = [Path(p) for p in ([path] if isinstance(path, str | os.PathLike) else path)]
    members = list(model) if isinstance(model, list | tuple) else [model]
    head = _head(X)
    count = head.shape[0] if hasattr(head, "shape") else len(head)
    if not count:
        raise UsageError("There are no rows to record.", hint="Give X with at least one row.")
    document = {
        "schema": SCHEMA,
        "files": [_sha256(p) for p in paths],
        "python": "{}.{}".format(*sys.version_info[:2]),
        "platform": f"{sys.platform} {platform.machine()}",
        "versions": _versions(),
        **_rows(head),
        "together": _answers(members, [head]),
        "alone": _answers(members, [_slice(head, i, i + 1) for i in range(count)]),
    }
    target = path_of(paths[-1])
    write_whole(target, json.dumps(document, allow_nan=False, indent=1) + "\n")
    return target


def _head(rows: Any) -> Any:
    return _slice(rows, 0, ROWS)


def _slice(rows: Any, start: int, stop: int) -> Any:
    return rows.iloc[start:stop] if hasattr(rows, "iloc") else rows[start:stop]


def _answers(members: Sequence[Any], parts: Sequence[Any]) -> dict[str, Any]:
    """Of all parts, one after the other."""
    method = "predict" if hasattr(members[-1], "predict") else "transform"
    predictions = [row for part in parts for row in _listed(_called(members, method, part))]
    probabilities = None
    if hasattr(members[-1], "predict_proba"):
        found = [_called(members, "predict_proba", part) for part in parts]
        probabilities = [row for each in found for row in _by_row(each)]
    return {"predictions": predictions, "probabilities": probabilities}


def _called(members: Sequence[Any], method: str, rows: Any) -> Any:
    for transformer in members[:-1]:
        rows = transformer.transform(rows)
    return getattr(members[-1], method)(rows)


def _by_row(result: Any) -> list[Any]:
    """Of one matrix (n_rows, n_classes), its rows; of a list of them, a list a row."""
    if isinstance(result, list):
        return [list(row) for row in zip(*map(_listed, result), strict=True)]
    return _listed(result)


def _rows(head: Any) -> dict[str, Any]:
    columns = [str(name) for name in head.columns] if hasattr(head, "columns") else None
    if columns is not None:
        values = [_listed(head.iloc[:, place]) for place in range(len(columns))]
        return {"columns": columns, "instances": [list(row) for row in zip(*values, strict=True)]}
    listed = head if isinstance(head, list | tuple) else _dense(head).tolist()
    return {"columns": None, "instances": [_plain(row) for row in listed]}


def _listed(values: Any) -> list[Any]:
    return [_plain(value) for value in _dense(values).tolist()]


def _dense(values: Any) -> Any:
    return values.toarray() if hasattr(values, "toarray") else np.asarray(values)


def _plain(value: Any) -> Any:
    """As JSON: what is missing (NaN, NaT, None) is null."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | bool | int):
        return value
    raise UsageError(
        f"A {type(value).__name__} cannot be recorded.",
        hint="Record rows of numbers, strings and booleans, as a service can take them.",
    )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for block in iter(lambda: file.read(2**20), b""):
                digest.update(block)
    except OSError as error:
        raise UsageError(
            f"There is no model file to record at {path}: {error.strerror}.",
            hint="Save the model first, then call modelpack.record(model, X, path).",
        ) from error
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    """Of the distributions whose modules this process has imported."""
    tops = {name.partition(".")[0] for name in sys.modules}
    names = {
        name
        for top, distributions in metadata.packages_distributions().items()
        if top in tops
        for name in distributions
    }
    return {name: metadata.version(name) for name in sorted(names)}
