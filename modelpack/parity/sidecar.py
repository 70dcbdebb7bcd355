"""The `.record.json` sidecar, read and validated.

It lies beside the file as NAME.record.json, and is data of the same origin as the file: it is read,
checked, and never trusted to say more than what the model answered and with which versions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from modelpack.errors import UsageError
from modelpack.files import read_regular
from modelpack.types import Answers, ModelSpec, Reference

from . import rows as parity_rows
from .columns import from_json
from .merge import with_examples
from .row_files import RowFileError, Table, table_from_json
from .rows import align

SCHEMA = 1
SUFFIX = ".record.json"
MOST_BYTES = 2**26
_LEVELS = 8  # of lists in lists: of outputs, rows, classes, and some to spare


@dataclass(frozen=True)
class Recording:
    """`answers` of all rows in one call, `alone` of each in its own. `versions`: distribution ->
    version, of all that the training had imported; `python`: its version ("3.11"). `digests`: of
    the files of the model.
    """

    table: Table
    answers: Answers
    alone: Answers
    python: str
    versions: Mapping[str, str]
    digests: frozenset[str]


def path_of(model: Path) -> Path:
    return model.with_name(model.name + SUFFIX)


def read(model: Path, spec: ModelSpec) -> Recording | None:
    """What was recorded of the model whose last file is `model`; None where nothing was.

    Raises:
        UsageError: it is malformed, or was recorded of another file.
    """
    path = path_of(model)
    try:
        recorded = _recorded(_document(path))
    except FileNotFoundError:
        return None
    except (
        OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError,
        RowFileError,
    ) as error:  # fmt: skip
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(
            f"{path} is no record that this modelpack reads: {reason}.",
            hint="Make it anew with modelpack.record(model, X, path), or remove it.",
        ) from error
    if recorded.digests != {file.sha256 for file in spec.files}:
        raise UsageError(
            f"{path} was recorded of another file than {model.name}: the model was saved again"
            " after it.",
            hint="Call modelpack.record(model, X, path) after each time the model is saved, or "
            "remove the record.",
        )
    return recorded


def reference(
    spec: ModelSpec, recorded: Recording, tolerance: float
) -> tuple[ModelSpec, Reference]:
    """The spec with what was recorded of the inputs and the environment; and the reference. Without
    recorded rows, that has no answers, and rows are made from what is known of the inputs.
    """
    spec = replace(
        with_examples(spec, recorded.table, answered=True),
        trained_on=recorded.python,
        recorded=recorded.versions,
    )
    if not recorded.table.rows:
        rows = parity_rows.synthetic_rows(spec.signature)
        return spec, Reference(rows, made_up=True, tolerance=tolerance)
    rows = align(recorded.table, spec.signature)
    answers, alone = (
        _decoded(_first(part, len(rows)), spec) for part in (recorded.answers, recorded.alone)
    )
    return spec, Reference(rows, answers, alone, "record", tolerance=tolerance)


def _first(answers: Answers, count: int) -> Answers:
    parts = (answers.predictions, answers.probabilities)
    return Answers(*(None if part is None else part[:count] for part in parts))


def _decoded(answers: Answers, spec: ModelSpec) -> Answers:
    """The answers with labels in place of the numbers that the model itself predicted."""
    labels, predictions = spec.labels, answers.predictions
    if labels is None or predictions is None:
        return answers
    if not all(type(each) is int and 0 <= each < len(labels) for each in predictions):
        return answers
    return replace(answers, predictions=tuple(labels[each] for each in predictions))


def _document(path: Path) -> Any:
    """The JSON of a file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no regular file, too large, or no JSON.
    """
    content = read_regular(path, MOST_BYTES)
    return json.loads(content, parse_constant=_refuse_constant)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"it contains {text}")


def _recorded(document: Any) -> Recording:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r}, and {SCHEMA} is known")
    answers, alone = (_answers(document[name]) for name in ("together", "alone"))
    table = _table(document)
    counts = {len(answers.predictions or ()), len(alone.predictions or ()), len(table.rows)}
    if len(counts) != 1:
        raise ValueError("it has not one prediction a row")
    versions = {str(name): str(text) for name, text in document["versions"].items()}
    known: dict[str, str] = {
        str(canonicalize_name(n)): text for n, text in versions.items() if _is_on_an_index(text)
    }
    python = str(document["python"])
    if not re.fullmatch(r"3\.[0-9]{1,2}", python):
        raise ValueError(f"{python[:20]!r} is no version of Python")
    files = document["files"]
    if not isinstance(files, list) or not all(isinstance(each, str) for each in files):
        raise ValueError("it does not name the digests of the model files")
    return Recording(table, answers, alone, python, known, frozenset(files))


def _table(document: Mapping[str, Any]) -> Table:
    columns = document["columns"]
    if columns is not None and not _are_texts(columns):
        raise ValueError("the names of its columns are no list of texts")
    rows = {"columns": columns, "instances": document["instances"]}
    if not isinstance(rows["instances"], list):
        raise TypeError("its rows are no list")
    table = table_from_json(rows) if rows["instances"] else Table(columns and tuple(columns), ())
    facts = tuple(map(from_json, document.get("fields", ())))
    if not facts:
        return table
    if table.columns is not None and columns is None:  # dicts, of which the first lack some keys
        table = _with_all_keys(table, [column.name for column in facts])
    width = len(table.rows[0]) if table.rows else len(table.columns or facts)
    if len(facts) != width:
        raise ValueError(f"it has {len(facts)} fields, and its rows have {width} values")
    return replace(table, facts=facts, is_typed=True)


def _with_all_keys(table: Table, names: Sequence[str]) -> Table:
    places = {name: place for place, name in enumerate(table.columns or ())}
    rows = [[row[places[n]] if n in places else None for n in names] for row in table.rows]
    return replace(table, columns=tuple(names), rows=rows)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _answers(document: Mapping[str, Any]) -> Answers:
    predictions, probabilities = document["predictions"], document["probabilities"]
    for part in (predictions, [] if probabilities is None else probabilities):
        if not isinstance(part, list):
            raise TypeError("its answers are no lists")
        _require_values(part)
    return Answers(tuple(predictions), None if probabilities is None else tuple(probabilities))


def _require_values(value: Any, levels: int = _LEVELS) -> None:
    """Require lists of values: nothing else can be compared.

    Raises:
        ValueError: It has objects, or too many levels.
    """
    if isinstance(value, dict) or not levels:
        raise ValueError("its answers are no lists of values")
    for item in value if isinstance(value, list) else ():
        _require_values(item, levels - 1)


def _is_on_an_index(text: str) -> bool:
    """Not so for builds of one's own ("2.1+cu118", "1.8.dev0")."""
    try:
        version = Version(text)
    except InvalidVersion:
        return False
    return not (version.local or version.is_devrelease or len(text) > 40)
