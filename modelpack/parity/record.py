"""`modelpack.record()`, which runs in the training script and needs only numpy."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from modelpack.errors import UsageError
from modelpack.files import atomic_write_text
from modelpack.parity import training
from modelpack.parity.sidecar import MAX_TITLE, SCHEMA, checked_texts, record_path, text_of
from modelpack.parity.values import to_scalar

ROWS = 20
MAX_ROWS = 100
MAX_BYTES = 2**25
"""Maximum size of a record: with larger rows and answers, fewer rows are kept."""

MAX_COPIED_BYTES = 2**28
"""Size of the model's files up to which a reloaded copy of the model answers the rows."""

PathLike = str | os.PathLike[str]


def record(  # noqa: PLR0913 - as a function of users, called by name
    model: Any,
    X: Any,  # noqa: N803 - the name in scikit-learn
    path: PathLike | Sequence[PathLike],
    *,
    rows: int = ROWS,
    title: str = "",
    description: str = "",
    names: Sequence[str] = (),
) -> Path:
    """Write facts about the training data, and predictions for some rows, to `<path>.record.json`.

    Call it after the model was saved.

    `modelpack package` finds the record next to the model file. It compares the answers of the
    container with the recorded ones bit for bit, and takes the versions of the libraries, and the
    types, dtypes, categories and ranges of the columns from it.

    The record contains data: the first `rows` rows unchanged, and for each column of all rows
    its minimum, maximum, quantiles and categories. The first rows become examples in the image and
    on its page. `rows=0` keeps no row, and no answer.

    Args:
        model: The fitted model, or the list of objects that rows pass through, such as
            [vectorizer, classifier], with the list of their files as `path`.
        X: Training data: a DataFrame, an array, a sparse matrix, a list of texts or of dicts.
        path: The file that the model was saved to, or the list of files.
        rows: How many rows are kept, at most 100.
        title: What people call the model, at most 100 characters.
        description: What the model is for, as plain text of at most 1000 characters.
        names: Names of the first rows, under which the page offers them, such as "A new customer".

    Returns:
        The path of the record, which replaces an older one.

    Raises:
        UsageError: No file exists at `path`, `X` has no rows, `model` is a dict or does not return
            a prediction per row, a value has no form in JSON, or a text is too long.
    """
    if not 0 <= rows <= MAX_ROWS:
        raise UsageError(
            f"{rows} rows cannot be kept in a record.", hint=f"Give rows=0 to rows={MAX_ROWS}."
        )
    paths = [Path(p) for p in ([path] if isinstance(path, str | os.PathLike) else path)]
    names = _checked_names(names)
    members = list(model) if isinstance(model, list | tuple) else [model]
    if any(isinstance(member, Mapping) for member in members):
        raise UsageError(
            "A dict has no predictions to record.",
            hint="Give the model in it, such as record(saved['model'], X, path), or the list of"
            " objects that rows pass through: record([saved['scaler'], saved['model']], X, path).",
        )
    if not training.count(X):
        raise UsageError("There are no rows to record.", hint="Give X with at least one row.")
    document = {**_facts(paths, X), **checked_texts(title, description)}
    if sum(p.stat().st_size for p in paths) <= MAX_COPIED_BYTES:
        members = [_as_loaded(member) for member in members]
    target = record_path(paths[-1])
    atomic_write_text(target, _with_rows(document, members, X, rows, names) + "\n")
    return target


def to_rows(rows: Any) -> tuple[list[str] | None, list[Any]]:
    """Return the names of the columns, if any, and the rows as values of JSON.

    Raises:
        UsageError: The object contains no rows, or a value has no form in JSON.
    """
    training.count(rows)
    return training.names(rows), _instances(rows)


def _checked_names(names: Sequence[str]) -> list[str]:
    try:
        return [text_of("name of a row", name) for name in names]
    except ValueError as error:
        raise UsageError(
            f"The rows cannot be recorded with these names: {error}.",
            hint=f"Give names of one line with at most {MAX_TITLE} characters.",
        ) from error


def _facts(paths: Sequence[Path], X: Any) -> dict[str, Any]:  # noqa: N803 - as in `record`
    return {
        "schema": SCHEMA,
        "files": [_sha256(p) for p in paths],
        "python": "{}.{}".format(*sys.version_info[:2]),
        "platform": f"{sys.platform} {platform.machine()}",
        "versions": _versions(),
        "layout": training.row_layout(X),
        "fields": [column.to_json() for column in training.columns(X)],
    }


def _as_loaded(member: Any) -> Any:
    """Return a reloaded copy, because BLAS sums by the memory order of arrays."""
    try:
        return pickle.loads(pickle.dumps(member, protocol=5))  # noqa: S301 - created by this process
    except Exception:  # classes may raise anything; these are saved in another way
        return member


def _with_rows(
    document: dict[str, Any], members: Sequence[Any], rows: Any, count: int, names: Sequence[str]
) -> str:
    """Return the document with as many rows and answers as fit."""
    positions = training.finite_positions(rows, count)
    while True:
        head = training.take(rows, positions)
        parts = [training.single(head, position) for position in range(len(positions))]
        complete = {
            **document,
            "columns": training.names(head),
            "instances": _instances(head) if positions else [],
            "names": [names[at] if at < len(names) else "" for at in positions] if names else [],
            "together": _answers(members, [head] if positions else []),
            "alone": _answers(members, parts),
        }
        _require_prediction_per_row(complete, len(positions))
        text = json.dumps(complete, allow_nan=False, indent=1)
        if len(text) <= MAX_BYTES or not positions:
            return text
        positions = positions[: len(positions) // 2]


def _require_prediction_per_row(document: dict[str, Any], count: int) -> None:
    for answers in (document["together"], document["alone"]):
        found = len(answers["predictions"])
        if found != count:
            raise UsageError(
                f"The model returns {found} predictions for {count} rows.",
                hint="Give X as in training. A model of texts takes a Series or a list of texts,"
                " such as df['review'], and iterates over the names of a DataFrame.",
            )


def _instances(head: Any) -> list[Any]:
    names = training.names(head)
    return [_to_json(row, names) for row in training.instances(head)]


def _answers(members: Sequence[Any], parts: Sequence[Any]) -> dict[str, Any]:
    """Return the answers for all parts. A `LabelEncoder` at the end decodes predictions."""
    decoder = members[-1] if len(members) > 1 and _is_decoder(members[-1]) else None
    members = members[:-1] if decoder is not None else members
    method = "predict" if hasattr(members[-1], "predict") else "transform"
    results = [_call(members, method, part) for part in parts]
    if decoder is not None:
        results = [decoder.inverse_transform(result) for result in results]
    predictions = [row for result in results for row in _to_list(result)]
    probabilities = None
    if hasattr(members[-1], "predict_proba"):
        results = [_call(members, "predict_proba", part) for part in parts]
        probabilities = [row for result in results for row in _rows(result)]
    return {"predictions": predictions, "probabilities": probabilities}


def _is_decoder(member: Any) -> bool:
    return type(member).__name__ == "LabelEncoder" and hasattr(member, "inverse_transform")


def _call(members: Sequence[Any], method: str, rows: Any) -> Any:
    for transformer in members[:-1]:
        rows = transformer.transform(rows)
    return getattr(members[-1], method)(rows)


def _rows(result: Any) -> list[Any]:
    """Return the rows of a matrix (n_rows, n_classes), or of a list of these a list per row."""
    if isinstance(result, list):
        return [list(row) for row in zip(*map(_to_list, result), strict=True)]
    return _to_list(result)


def _to_list(values: Any) -> list[Any]:
    dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    return [_to_json(value) for value in dense.tolist()]


def _to_json(value: Any, names: Sequence[str] | None = None) -> Any:
    """Return a value, or a row with these column names, for JSON. Missing values become None."""
    if isinstance(value, list | tuple):
        labels = names or [""] * len(value)
        return [_to_json(each, [label]) for each, label in zip(value, labels, strict=True)]
    if isinstance(value, dict):
        return {str(name): _to_json(each, [str(name)]) for name, each in value.items()}
    try:
        return to_scalar(value)
    except TypeError as error:
        where = f" of the column {names[0]}" if names and names[0] else ""
        raise UsageError(
            f"The values{where} cannot be recorded: JSON has no form for {error}.",
            hint="Record rows of numbers, strings, booleans and dates, or no rows: "
            "modelpack.record(model, X, path, rows=0).",
        ) from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for block in iter(lambda: file.read(2**20), b""):
                digest.update(block)
    except OSError as error:
        raise UsageError(
            f"The model file {path} cannot be read: {error.strerror}.",
            hint="Save the model first, then call modelpack.record(model, X, path).",
        ) from error
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    """Return the versions of the distributions that this process has imported."""
    tops = {name.partition(".")[0] for name in sys.modules}
    names = {
        name
        for top, distributions in metadata.packages_distributions().items()
        if top in tops
        for name in distributions
    }
    return {name: metadata.version(name) for name in sorted(names)}
