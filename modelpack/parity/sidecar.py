"""The `.record.json` sidecar, read and validated.

The file NAME.record.json is next to the model file NAME, and as untrusted as that.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelpack.errors import UsageError
from modelpack.files import read_regular
from modelpack.types import Answers, Field, ModelSpec, Reference

from . import rows as parity_rows
from .columns import from_json
from .merge import with_examples
from .row_files import RowFileError, Table, table_from_json
from .rows import align

SCHEMA = 1
MAX_TITLE = 100  # characters
MAX_DESCRIPTION = 1000
SUFFIX = ".record.json"
MAX_FILE_BYTES = 2**26
_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
_MAX_LEVELS = 8  # of nested lists: outputs, rows, classes, and a reserve


@dataclass(frozen=True)
class Recording:
    """The content of a record.

    Attributes:
        answers: For all rows in one call.
        alone: For each row in a separate call.
        python: The Python version of training ("3.11").
        versions: Distribution -> version, of all that the training script had imported.
        digests: Of the files of the model.
        are_texts: Whether the rows are texts, not columns.
        title, description: As in `ModelSpec`.
        names: Of the rows, "" for one without a name; empty if none has one.
    """

    table: Table
    answers: Answers
    alone: Answers
    python: str
    versions: Mapping[str, str]
    digests: frozenset[str]
    are_texts: bool
    title: str = ""
    description: str = ""
    names: tuple[str, ...] = ()


def checked_texts(title: str | None, description: str | None) -> dict[str, str]:
    """Return the texts that are given, without spaces around them.

    Raises:
        UsageError: One is too long, or contains control characters.
    """
    given = {"title": title, "description": description}
    try:
        return {name: text_of(name, text) for name, text in given.items() if text is not None}
    except ValueError as error:
        raise UsageError(
            f"The model cannot be shown with this text: {error}.",
            hint=f"Give a title of one line with at most {MAX_TITLE} characters, and a description"
            f" with at most {MAX_DESCRIPTION}.",
        ) from error


def with_texts(spec: ModelSpec, title: str | None, description: str | None) -> ModelSpec:
    """Return the spec with the texts that are given.

    Raises:
        UsageError: See `checked_texts`.
    """
    texts = checked_texts(title, description)
    return replace(
        spec,
        title=texts.get("title", spec.title),
        description=texts.get("description", spec.description),
    )


def text_of(name: str, text: Any) -> str:
    """Return a "title", a "description" or the name of a row, without spaces around it.

    Raises:
        ValueError: A page cannot show it.
    """
    if not isinstance(text, str):
        raise ValueError(f"its {name} is not a string")  # noqa: TRY004 - as all of a record
    stripped = text.strip()
    longest, allowed = (MAX_DESCRIPTION, "\n") if name == "description" else (MAX_TITLE, "")
    if len(stripped) > longest:
        raise ValueError(f"its {name} has {len(stripped)} characters")
    if any(unicodedata.category(c) in _CONTROLS and c not in allowed for c in stripped):
        raise ValueError(f"its {name} contains control characters")
    return stripped


def record_path(model: Path) -> Path:
    return model.with_name(model.name + SUFFIX)


def read(model: Path, spec: ModelSpec) -> Recording | None:
    """Read the record of the model whose last file is `model`; None if no record exists.

    Raises:
        UsageError: The record is malformed, or is for another file.
    """
    path = record_path(model)
    try:
        recorded = _parse(_document(path))
    except FileNotFoundError:
        return None
    except (
        OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError,
        RowFileError,
    ) as error:  # fmt: skip
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(
            f"{path} is not a valid record: {reason}.",
            hint="Create it again with modelpack.record(model, X, path), or remove it.",
        ) from error
    if recorded.digests != {file.sha256 for file in spec.files}:
        raise UsageError(
            f"{path} was recorded for another file: {model.name} was saved again afterwards.",
            hint="Call modelpack.record(model, X, path) each time after the model is saved, or "
            "remove the record.",
        )
    return recorded


def reference(
    spec: ModelSpec, recorded: Recording, tolerance: float
) -> tuple[ModelSpec, Reference]:
    """Return the spec with the recorded facts, and the reference.

    Without recorded rows, the reference has synthetic rows and no answers.
    """
    if recorded.are_texts and not spec.signature.inputs:
        texts = replace(spec.signature, inputs=(Field("text", "string"),), layout="text")
        spec = replace(spec, signature=texts)
    spec = replace(
        _with_names(with_examples(spec, recorded.table, answered=True), recorded.names),
        trained_on=recorded.python,
        recorded=recorded.versions,
        title=recorded.title,
        description=recorded.description,
    )
    if not recorded.table.rows:
        rows = parity_rows.synthetic_rows(spec.signature)
        return spec, Reference(rows, made_up=True, tolerance=tolerance)
    rows = align(recorded.table, spec.signature)
    answers, alone = (
        _with_labels(_first(part, len(rows)), spec) for part in (recorded.answers, recorded.alone)
    )
    return spec, Reference(rows, answers, alone, "record", tolerance=tolerance)


def _with_names(spec: ModelSpec, names: tuple[str, ...]) -> ModelSpec:
    shown = names[: len(spec.signature.samples)]
    return replace(spec, signature=replace(spec.signature, sample_names=shown))


def _first(answers: Answers, count: int) -> Answers:
    parts = (answers.predictions, answers.probabilities)
    return Answers(*(None if part is None else part[:count] for part in parts))


def _with_labels(answers: Answers, spec: ModelSpec) -> Answers:
    """Return the answers with labels instead of the numbers that the model predicted."""
    labels, predictions = spec.labels, answers.predictions
    if labels is None or predictions is None:
        return answers
    if not all(type(each) is int and 0 <= each < len(labels) for each in predictions):
        return answers
    return replace(answers, predictions=tuple(labels[each] for each in predictions))


def _document(path: Path) -> Any:
    """Read a JSON file. Raise OSError, or ValueError if it is not a file, too large or invalid."""
    content = read_regular(path, MAX_FILE_BYTES)
    return json.loads(content, parse_constant=_refuse_constant)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"it contains {text}")


def _parse(document: Any) -> Recording:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r} instead of {SCHEMA}")
    answers, alone = (_answers(document[name]) for name in ("together", "alone"))
    table = _table(document)
    counts = {len(answers.predictions or ()), len(alone.predictions or ()), len(table.rows)}
    if len(counts) != 1:
        raise ValueError("it does not have one prediction per row")
    versions = {str(name): str(text) for name, text in document["versions"].items()}
    known: dict[str, str] = {
        str(canonicalize_name(n)): text for n, text in versions.items() if _is_on_an_index(text)
    }
    python = str(document["python"])
    if not re.fullmatch(r"3\.[0-9]{1,2}", python):
        raise ValueError(f"{python[:20]!r} is not a Python version")
    files = document["files"]
    if not isinstance(files, list) or not all(isinstance(each, str) for each in files):
        raise ValueError("it has no digests of the model files")
    are_texts = document.get("layout") == "text"
    title, description = (text_of(n, document.get(n, "")) for n in ("title", "description"))
    names = tuple(text_of("name of a row", name) for name in document.get("names", ()))
    return Recording(
        table, answers, alone, python, known, frozenset(files), are_texts, title, description, names
    )


def _table(document: Mapping[str, Any]) -> Table:
    columns = document["columns"]
    if columns is not None and not _are_texts(columns):
        raise ValueError("its column names are not a list of strings")
    rows = {"columns": columns, "instances": document["instances"]}
    if not isinstance(rows["instances"], list):
        raise TypeError("its rows are not a list")
    table = table_from_json(rows) if rows["instances"] else Table(columns and tuple(columns), ())
    table = replace(table, source="recorded rows")
    facts = tuple(map(from_json, document.get("fields", ())))
    if not facts:
        return table
    if table.columns is not None and columns is None:  # the first dicts lack some keys
        table = _with_all_keys(table, [column.name for column in facts])
    width = len(table.rows[0]) if table.rows else len(table.columns or facts)
    if len(facts) != width:
        raise ValueError(f"it has {len(facts)} fields, and its rows have {width} values")
    return replace(table, facts=facts, is_typed=True)


def _with_all_keys(table: Table, names: Sequence[str]) -> Table:
    positions = {name: position for position, name in enumerate(table.columns or ())}
    rows = [[row[positions[n]] if n in positions else None for n in names] for row in table.rows]
    return replace(table, columns=tuple(names), rows=rows)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _answers(document: Mapping[str, Any]) -> Answers:
    predictions, probabilities = document["predictions"], document["probabilities"]
    for part in (predictions, [] if probabilities is None else probabilities):
        if not isinstance(part, list):
            raise TypeError("its answers are not lists")
        _require_values(part)
    return Answers(tuple(predictions), None if probabilities is None else tuple(probabilities))


def _require_values(value: Any, levels: int = _MAX_LEVELS) -> None:
    """Require lists of comparable values. Raise ValueError for objects and for too many levels."""
    if isinstance(value, dict) or not levels:
        raise ValueError("its answers are not lists of values")
    for item in value if isinstance(value, list) else ():
        _require_values(item, levels - 1)


def _is_on_an_index(text: str) -> bool:
    """Return whether an index may have this version, unlike "2.1+cu118" or "1.8.dev0"."""
    try:
        version = Version(text)
    except InvalidVersion:
        return False
    return not (version.local or version.is_devrelease or len(text) > 40)
