"""`prepare()`: rows and expected answers from the user's files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpack.errors import UsageError
from modelpack.files import read_regular
from modelpack.types import Answers, ModelSpec, Reference, Signature

from . import rows as parity_rows
from . import sidecar
from .merge import with_examples
from .row_files import MOST_BYTES, Table, read_table
from .rows import align, number_or_text


@dataclass(frozen=True)
class ReferenceSources:
    """`models`: the files of the model, beside the last of which a sidecar may lie."""

    models: Sequence[Path] = ()
    example: Path | None = None
    expected: Path | None = None
    tolerance: float = 0.0


def prepare(spec: ModelSpec, sources: ReferenceSources) -> tuple[ModelSpec, Reference]:
    """The rows to ask for, with the author's answers where a file holds them, and the spec with the
    first of the rows as its example.

    Answers are those of the expected file, else of the sidecar that `modelpack.record` wrote, with
    its rows. Where there is neither, the rows are those of the example file, else made from the
    signature, and the answers are left to the model itself (`completed`).

    Raises:
        UsageError: a file cannot be read, does not fit the model, or is of another model file.
    """
    if sources.expected:
        return _of_files(spec, sources)
    recorded = sidecar.read(sources.models[-1], spec) if sources.models else None
    example = read_table(sources.example) if sources.example else None
    if example:
        spec = with_examples(spec, example)
    if recorded:
        return sidecar.reference(spec, recorded, sources.tolerance)
    if example:
        rows = align(example, spec.signature)
        return spec, Reference(rows, tolerance=sources.tolerance)
    rows = parity_rows.synthetic_rows(spec.signature)
    return spec, Reference(rows, made_up=True, tolerance=sources.tolerance)


def _of_files(spec: ModelSpec, sources: ReferenceSources) -> tuple[ModelSpec, Reference]:
    if sources.example is None or sources.expected is None:
        raise UsageError(
            f"{sources.expected} holds predictions, and nothing says of which rows.",
            hint="Give the rows too: --example FILE",
        )
    table = read_table(sources.example)
    spec = with_examples(spec, table)
    rows = align(table, spec.signature)
    answers = read_expected(sources.expected, spec.signature, len(rows), len(table.rows))
    return spec, Reference(rows, answers, None, "expected", tolerance=sources.tolerance)


def read_expected(path: Path, signature: Signature, rows: int, of: int) -> Answers:
    """The predictions of the first `rows` of the `of` rows in the example file.

    A table of one column holds predictions; one with a column for each class, by name or as an
    array (n_rows, n_classes), probabilities; any other, the outputs of each row. JSON may be
    {"predictions": [...], "probabilities": [...]}, as the service answers.

    Raises:
        UsageError: the file cannot be read, or has not one prediction a row.
    """
    document = _document(path)
    if document is not None:
        answers = _of_document(document, _labels(signature))
    else:
        answers = _of_table(_with_all_lines(read_table(path), of), signature)
    counts = {len(part) for part in (answers.predictions, answers.probabilities) if part}
    if counts != {of}:
        raise UsageError(
            f"{path} holds {' or '.join(map(str, counts)) or 'no'} predictions, and the example has"
            f" {of} rows.",
            hint="Give one prediction for each row, in the same order.",
        )
    return Answers(_first(answers.predictions, rows), _first(answers.probabilities, rows))


def _document(path: Path) -> dict[str, Any] | None:
    """The JSON of the service's answer, None where the file is anything else."""
    if path.suffix.lower() != ".json":
        return None
    try:
        document = json.loads(read_regular(path, MOST_BYTES).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None  # read_table says why
    is_answer = isinstance(document, dict) and {"predictions", "probabilities"} & document.keys()
    return document if is_answer else None


def _of_document(document: dict[str, Any], labels: Sequence[str]) -> Answers:
    parts = [document.get(name) for name in ("predictions", "probabilities")]
    predictions, probabilities = (p if isinstance(p, list) else None for p in parts)
    rows = [_values(row, labels) for row in probabilities] if probabilities else None
    return Answers(tuple(predictions) if predictions else None, tuple(rows) if rows else None)


def _values(row: Any, labels: Sequence[str]) -> Any:
    """{label: probability} as the list of probabilities; several outputs as a list of such."""
    if isinstance(row, dict):
        return [row[label] for label in (labels if row.keys() == set(labels) else row)]
    return [_values(each, ()) if isinstance(each, dict) else each for each in row]


def _of_table(table: Table, signature: Signature) -> Answers:
    classes, labels = signature.classes or (), _labels(signature)
    texts = bool(classes) and all(isinstance(label, str) for label in classes)
    rows = [[c if texts and len(r) == 1 else number_or_text(c) for c in r] for r in table.rows]
    if len(rows[0]) == 1:
        return Answers(tuple(row[0] for row in rows))
    if table.columns is not None and set(table.columns) == set(labels):
        places = [table.columns.index(label) for label in labels]
        return Answers(None, tuple([row[place] for place in places] for row in rows))
    if len(rows[0]) == len(classes):
        return Answers(None, tuple(rows))
    return Answers(tuple(rows))


def _labels(signature: Signature) -> list[str]:
    """The classes as the service names them in JSON."""
    labels = signature.classes or ()
    return [label if isinstance(label, str) else json.dumps(label) for label in labels]


def _with_all_lines(table: Table, of: int) -> Table:
    """A file of labels has no line of names where it has as many lines as there are rows."""
    if table.columns is not None and table.is_text and len(table.rows) == of - 1:
        return Table(None, [list(table.columns), *table.rows], is_text=True)
    return table


def _first(part: Sequence[Any] | None, rows: int) -> tuple[Any, ...] | None:
    return None if part is None else tuple(part[:rows])
