"""`modelpack.record()`, which runs in the training script.

Runs in the training script, with whatever libraries are there; needs none but numpy.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from modelpack.errors import UsageError
from modelpack.files import atomic_write_text
from modelpack.parity import training
from modelpack.parity.sidecar import SCHEMA, path_of
from modelpack.parity.values import to_scalar

ROWS = 20
MAX_ROWS = 100
MAX_BYTES = 2**25
"""Of a record: fewer rows are kept if they and the answers to them are larger."""

MAX_COPIED_BYTES = 2**28
"""Of the model's files: larger models are asked as they are, not as they were saved."""

PathLike = str | os.PathLike[str]


def record(
    model: Any,
    X: Any,  # noqa: N803 - as scikit-learn has it
    path: PathLike | Sequence[PathLike],
    *,
    rows: int = ROWS,
) -> Path:
    """Write what is known of the training data, and what `model` answers for some of its rows, to
    `<path>.record.json`. Call it after the model was saved.

    `modelpack package` finds the record next to the model file. It compares the answers of the
    container with the recorded ones bit for bit, and takes the versions of the libraries, and the
    types, dtypes, categories and ranges of the columns from it.

    The record contains data: the first `rows` rows as they are, and for each column of all rows
    its minimum, maximum, quantiles and categories. The first rows become examples in the image and
    on its page. `rows=0` keeps no row, and no answer.

    Args:
        model: The fitted model, or the list of objects that rows pass through, such as
            [vectorizer, classifier], with the list of their files as `path`.
        X: Training data: a DataFrame, an array, a sparse matrix, a list of texts or of dicts.
        path: The file that the model was saved to, or the list of files.
        rows: How many rows are kept, at most 100.

    Returns:
        The path of the record, which replaces an older one.

    Raises:
        UsageError: No file exists at `path`, `X` has no row, or a row has a value that JSON cannot
            hold.
    """
    if not 0 <= rows <= MAX_ROWS:
        raise UsageError(
            f"{rows} rows cannot be kept in a record.", hint=f"Give rows=0 to rows={MAX_ROWS}."
        )
    paths = [Path(p) for p in ([path] if isinstance(path, str | os.PathLike) else path)]
    members = list(model) if isinstance(model, list | tuple) else [model]
    if not training.count(X):
        raise UsageError("There are no rows to record.", hint="Give X with at least one row.")
    document = {
        "schema": SCHEMA,
        "files": [_sha256(p) for p in paths],
        "python": "{}.{}".format(*sys.version_info[:2]),
        "platform": f"{sys.platform} {platform.machine()}",
        "versions": _versions(),
        "layout": training.kind_of_rows(X),
        "fields": [column.to_json() for column in training.columns(X)],
    }
    if sum(p.stat().st_size for p in paths) <= MAX_COPIED_BYTES:
        members = [_as_loaded(member) for member in members]
    target = path_of(paths[-1])
    atomic_write_text(target, _with_rows(document, members, X, rows) + "\n")
    return target


def _as_loaded(member: Any) -> Any:
    """Return a copy as loading a file gives it. Its arrays may lie in memory in another order than
    those of training, and then BLAS adds up numbers in another order.
    """
    try:
        return pickle.loads(pickle.dumps(member, protocol=5))  # noqa: S301 - of this process
    except Exception:  # whatever the classes in it raise: they are saved in another way
        return member


def _with_rows(document: dict[str, Any], members: Sequence[Any], rows: Any, wanted: int) -> str:
    """The document with as many rows and answers as fit."""
    places = training.finite_places(rows, wanted)
    while True:
        head = training.take(rows, places)
        parts = [training.single(head, place) for place in range(len(places))]
        whole = {
            **document,
            "columns": training.names(head),
            "instances": _instances(head) if places else [],
            "together": _answers(members, [head] if places else []),
            "alone": _answers(members, parts),
        }
        text = json.dumps(whole, allow_nan=False, indent=1)
        if len(text) <= MAX_BYTES or not places:
            return text
        places = places[: len(places) // 2]


def _instances(head: Any) -> list[Any]:
    names = training.names(head)
    return [_json(row, names) for row in training.instances(head)]


def _answers(members: Sequence[Any], parts: Sequence[Any]) -> dict[str, Any]:
    """Of all parts, one after the other. An encoder of labels at the end decodes predictions."""
    decoder = members[-1] if len(members) > 1 and _is_decoder(members[-1]) else None
    members = members[:-1] if decoder is not None else members
    method = "predict" if hasattr(members[-1], "predict") else "transform"
    found = [_called(members, method, part) for part in parts]
    if decoder is not None:
        found = [decoder.inverse_transform(each) for each in found]
    predictions = [row for each in found for row in _listed(each)]
    probabilities = None
    if hasattr(members[-1], "predict_proba"):
        found = [_called(members, "predict_proba", part) for part in parts]
        probabilities = [row for each in found for row in _by_row(each)]
    return {"predictions": predictions, "probabilities": probabilities}


def _is_decoder(member: Any) -> bool:
    return type(member).__name__ == "LabelEncoder" and hasattr(member, "inverse_transform")


def _called(members: Sequence[Any], method: str, rows: Any) -> Any:
    for transformer in members[:-1]:
        rows = transformer.transform(rows)
    return getattr(members[-1], method)(rows)


def _by_row(result: Any) -> list[Any]:
    """Of one matrix (n_rows, n_classes), its rows; of a list of them, a list a row."""
    if isinstance(result, list):
        return [list(row) for row in zip(*map(_listed, result), strict=True)]
    return _listed(result)


def _listed(values: Any) -> list[Any]:
    dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    return [_json(value) for value in dense.tolist()]


def _json(value: Any, names: Sequence[str] | None = None) -> Any:
    """As JSON: what is missing (NaN, NaT, None) is null. `names`: of the values of a row."""
    if isinstance(value, list | tuple):
        labels = names or [""] * len(value)
        return [_json(each, [label]) for each, label in zip(value, labels, strict=True)]
    if isinstance(value, dict):
        return {str(name): _json(each, [str(name)]) for name, each in value.items()}
    try:
        return to_scalar(value)
    except TypeError as error:
        where = f" of the column {names[0]}" if names and names[0] else ""
        raise UsageError(
            f"The values{where} cannot be recorded: JSON has nothing for {error}.",
            hint="Record rows of numbers, texts, booleans and dates, as a service can take them, "
            "or keep no rows: modelpack.record(model, X, path, rows=0).",
        ) from error


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
