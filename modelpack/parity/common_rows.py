"""The same rows for two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelpack.errors import UsageError
from modelpack.types import ModelSpec, Reference, Signature

from . import rows as parity_rows
from . import sidecar
from .merge import with_examples
from .row_files import Table, read_table
from .rows import MAX_ROWS, Row, align, join_names
from .sidecar import Recording
from .spaces import with_spaces


@dataclass(frozen=True)
class RowsUnavailable:
    """Why there are no rows for a model."""

    why: str


_UNKNOWN = "the file does not contain what a row looks like; give rows with --example FILE"

SharedRows = Reference | RowsUnavailable


def shared_rows(
    models: Sequence[ModelSpec], files: Sequence[Path | None], example: Path | None = None
) -> list[SharedRows]:
    """Return the rows for each model, with its recorded answers if a record has the same rows.

    The rows come from the example file or the first record. Without both, they are the real rows in
    the signatures, and rows generated from the signature of the first model.

    A record may be next to each of `files`, those of the models.

    Raises:
        UsageError: A file cannot be read, or its rows fit none of the models.
    """
    if example is None:
        records = [sidecar.read(f, m) if f else None for m, f in zip(models, files, strict=True)]
        if any(records):
            return _recorded(models, records)
        return _synthetic(models)
    table = read_table(example)
    shared = [_align(model, table) for model in models]
    if all(isinstance(rows, RowsUnavailable) for rows in shared):
        align(table, with_spaces(models[0], table).signature)  # raises the reason
    return shared


def _recorded(models: Sequence[ModelSpec], records: Sequence[Recording | None]) -> list[SharedRows]:
    table = next(record.table for record in records if record)
    return [
        sidecar.reference(model, record, 0.0)[1]
        if record and record.table == table
        else _align(model, table)
        for model, record in zip(models, records, strict=True)
    ]


def _synthetic(models: Sequence[ModelSpec]) -> list[SharedRows]:
    """Return the real rows in images and bundles, first, and generated ones."""
    first, *others = models
    real = _real_rows([model.signature for model in models])
    rows = tuple(dict.fromkeys((*real, *parity_rows.synthetic_rows(first.signature))))
    if not rows:
        return [RowsUnavailable(_UNKNOWN) for _ in models]
    translated = [_translate(rows, first.signature, other.signature) for other in others]
    made_up = len(real) < len(rows)
    return [
        replace(each, made_up=made_up, recorded=len(real)) if isinstance(each, Reference) else each
        for each in (Reference(rows), *translated)
    ]


def _real_rows(signatures: Sequence[Signature]) -> tuple[Row, ...]:
    """Return the real rows of all models that have the inputs of the first one."""
    first, *others = signatures
    found = list(first.samples)
    for other in others:
        translated = _translate(other.samples, other, first)
        found += translated.rows if isinstance(translated, Reference) else ()
    return tuple(dict.fromkeys(found))


def _translate(rows: Sequence[Row], first: Signature, other: Signature) -> SharedRows:
    """Return the rows of one model for another one, with None for values that may be missing.

    Inputs are matched by position if a model recorded no names.
    """
    by_name = first.named and other.named
    names = [field.name if by_name else position for position, field in enumerate(first.inputs)]
    required = [field.name if by_name else position for position, field in enumerate(other.inputs)]
    positions = [names.index(name) if name in names else None for name in required]
    pairs = list(zip(other.inputs, positions, strict=True))
    lacking = [field.name for field, position in pairs if position is None and not field.nullable]
    if lacking:
        return RowsUnavailable(f"the rows of OLD lack inputs of this model: {join_names(lacking)}")
    if not other.inputs:
        return RowsUnavailable(_UNKNOWN)
    translated = (tuple(None if at is None else row[at] for at in positions) for row in rows)
    return Reference(tuple(translated))


def _align(model: ModelSpec, table: Table) -> SharedRows:
    table = replace(table, rows=table.rows[:MAX_ROWS])
    try:
        signature = with_examples(model, table).signature
        return Reference(align(table, signature))
    except UsageError as error:
        reason = error.message.removeprefix("The ").rstrip(".")
        return RowsUnavailable(f"the {reason}")
