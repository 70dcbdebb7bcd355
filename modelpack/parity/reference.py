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
from .precision import precision, printed
from .row_files import BINARY, MAX_FILE_BYTES, Table, read_table
from .rows import align, number_or_text


@dataclass(frozen=True)
class ReferenceSources:
    """Files of the user, and how they are compared.

    Attributes:
        models: The files of the model; a sidecar may be next to the last one.
        expected: Predictions for the rows of `example`.
        tolerance: As in `Reference`.
    """

    models: Sequence[Path] = ()
    example: Path | None = None
    expected: Path | None = None
    tolerance: float = 0.0


def prepare(spec: ModelSpec, sources: ReferenceSources) -> tuple[ModelSpec, Reference]:
    """Choose the rows to compare, and their expected answers if a file contains them.

    Answers come from the expected file, or from the sidecar that `modelpack.record` wrote, which
    has rows too. Without both, the rows come from the example file or the signature, and
    `complete_reference` adds the answers of the model itself.

    Returns:
        The model with facts about its inputs from the rows, and the reference.

    Raises:
        UsageError: A file cannot be read, does not fit the model, or is for another model file.
    """
    if sources.expected:
        return _from_files(spec, sources)
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


def untyped_notices(spec: ModelSpec, reference: Reference) -> list[str]:
    """Return the notice on inputs whose type neither the model file nor rows of the user show.

    Code of the author may read them as dates: JSON of pandas has milliseconds, and a number of
    `pandas.to_datetime` is nanoseconds.
    """
    unknown = [
        field.name
        for field in spec.signature.inputs
        if field.type == "any" and field.categories is None and field.example is not None
    ]
    if not reference.made_up or not unknown:
        return []
    shown = ", ".join(repr(name)[1:-1] for name in unknown[:_MAX_NAMED])
    more = f" and {len(unknown) - _MAX_NAMED:,} more" if len(unknown) > _MAX_NAMED else ""
    return [
        f"The model file does not contain the type of {shown}{more}, so any value reaches the model"
        " as it was sent, such as a date as a text or as a number. Rows of the training data set"
        " the type: --example FILE, or modelpack.record(model, X, path)."
    ]


_MAX_NAMED = 5


def _from_files(spec: ModelSpec, sources: ReferenceSources) -> tuple[ModelSpec, Reference]:
    if sources.example is None or sources.expected is None:
        raise UsageError(
            f"{sources.expected} contains predictions, but no file contains their rows.",
            hint="Give the rows too: --example FILE",
        )
    table = read_table(sources.example)
    spec = with_examples(spec, table)
    rows = align(table, spec.signature)
    answers = read_expected(sources.expected, spec.signature, len(rows), len(table.rows))
    return spec, Reference(
        rows,
        answers,
        source="expected",
        tolerance=sources.tolerance,
        precision=precision(answers),
    )


def read_expected(path: Path, signature: Signature, rows: int, total: int) -> Answers:
    """Read the predictions of the first `rows` of all `total` rows in the example file.

    A table with one column contains predictions. A table with a column for each class, by name or
    as an array (n_rows, n_classes), contains probabilities. Any other table contains the outputs
    of each row. JSON may be a response of the service:
    {"predictions": [...], "probabilities": [...]}. Numbers of text files may be rounded.

    Raises:
        UsageError: The file cannot be read, or does not have one prediction per row.
    """
    document = _service_response(path)
    if document is not None:
        answers = _from_document(document, _labels(signature))
    else:
        lines = _without_index(_with_all_lines(read_table(path), total))
        answers = _from_table(lines, signature)
    counts = {len(part) for part in (answers.predictions, answers.probabilities) if part}
    if counts != {total}:
        raise UsageError(
            f"{path} contains {' or '.join(map(str, counts)) or 'no'} predictions, but the example"
            f" has {total} rows.",
            hint="Give one prediction for each row, in the same order.",
        )
    parts = (answers.predictions, answers.probabilities)
    if path.suffix.lower() in BINARY:
        return Answers(*(_first(part, rows) for part in parts))
    return Answers(*(_first(None if part is None else printed(part), rows) for part in parts))


def _service_response(path: Path) -> dict[str, Any] | None:
    """Return the JSON of a response of the service; None for any other file."""
    if path.suffix.lower() != ".json":
        return None
    try:
        document = json.loads(read_regular(path, MAX_FILE_BYTES).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None  # read_table raises the reason
    is_answer = isinstance(document, dict) and {"predictions", "probabilities"} & document.keys()
    return document if is_answer else None


def _from_document(document: dict[str, Any], labels: Sequence[str]) -> Answers:
    parts = [document.get(name) for name in ("predictions", "probabilities")]
    predictions, probabilities = (p if isinstance(p, list) else None for p in parts)
    rows = [_values(row, labels) for row in probabilities] if probabilities else None
    return Answers(tuple(predictions) if predictions else None, tuple(rows) if rows else None)


def _values(row: Any, labels: Sequence[str]) -> Any:
    """Return {label: probability}, or a list of these for several outputs, as lists of numbers."""
    if isinstance(row, dict):
        return [row[label] for label in (labels if row.keys() == set(labels) else row)]
    return [_values(each, ()) if isinstance(each, dict) else each for each in row]


def _from_table(table: Table, signature: Signature) -> Answers:
    classes, labels = signature.classes or (), _labels(signature)
    texts = bool(classes) and all(isinstance(label, str) for label in classes)
    rows = [[c if texts and len(r) == 1 else number_or_text(c) for c in r] for r in table.rows]
    if len(rows[0]) == 1:
        return Answers(tuple(row[0] for row in rows))
    if table.columns is not None and set(table.columns) == set(labels):
        positions = [table.columns.index(label) for label in labels]
        return Answers(None, tuple([row[position] for position in positions] for row in rows))
    if len(rows[0]) == len(classes):
        return Answers(None, tuple(rows))
    return Answers(tuple(rows))


def _labels(signature: Signature) -> list[str]:
    """Return the class names in JSON responses of the service."""
    labels = signature.classes or ()
    return [label if isinstance(label, str) else json.dumps(label) for label in labels]


def _with_all_lines(table: Table, total: int) -> Table:
    """Return the table with its first line as a row, or as the header, as the number of rows shows.

    pandas writes the numbers 0, 1, ... as the names of columns that have none.
    """
    if table.columns is not None and table.is_text and len(table.rows) == total - 1:
        return Table(None, [list(table.columns), *table.rows], is_text=True)
    if table.columns is None and table.is_text and len(table.rows) == total + 1:
        first, *rest = table.rows
        if list(first) == [str(position) for position in range(len(first))]:
            return Table(tuple(map(str, first)), rest, is_text=True)
    return table


def _without_index(table: Table) -> Table:
    """Return the table without a first column 0, 1, ... that has no name, as pandas writes it."""
    if not table.columns or len(table.columns) < 2 or table.columns[0]:
        return table
    if [str(row[0]) for row in table.rows] != [str(number) for number in range(len(table.rows))]:
        return table
    return Table(table.columns[1:], [row[1:] for row in table.rows], is_text=table.is_text)


def _first(part: Sequence[Any] | None, rows: int) -> tuple[Any, ...] | None:
    return None if part is None else tuple(part[:rows])
