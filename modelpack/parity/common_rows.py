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
from .rows import MOST_ROWS, Row, align
from .sidecar import Recording


@dataclass(frozen=True)
class RowsUnavailable:
    """Why there are no rows for a model."""

    why: str


_UNKNOWN = "the file does not tell what a row looks like: --example FILE gives rows"
_MOST_NAMES = 5

SharedRows = Reference | RowsUnavailable


def shared_rows(
    models: Sequence[ModelSpec], files: Sequence[Path | None], example: Path | None = None
) -> list[SharedRows]:
    """For each of the models the rows, and what it said of them where a record tells. `files`:
    beside which a record may lie.

    The rows are those of the example file, else of the first record, else they are made from the
    first model's signature.

    Raises:
        UsageError: a file cannot be read, or its rows fit none of the models.
    """
    if example is None:
        records = [sidecar.read(f, m) if f else None for m, f in zip(models, files, strict=True)]
        if any(records):
            return _recorded(models, records)
        return _made_up(models)
    table = read_table(example)
    shared = [_fitted(model, table) for model in models]
    if all(isinstance(rows, RowsUnavailable) for rows in shared):
        align(table, models[0].signature)  # says why
    return shared


def _recorded(models: Sequence[ModelSpec], records: Sequence[Recording | None]) -> list[SharedRows]:
    table = next(record.table for record in records if record)
    return [
        sidecar.reference(model, record, 0.0)[1]
        if record and record.table == table
        else _fitted(model, table)
        for model, record in zip(models, records, strict=True)
    ]


def _made_up(models: Sequence[ModelSpec]) -> list[SharedRows]:
    first, *others = models
    rows = parity_rows.synthetic_rows(first.signature)
    if not rows:
        return [RowsUnavailable(_UNKNOWN) for _ in models]
    mine = Reference(rows, made_up=True)
    return [mine, *(_translated(rows, first.signature, each.signature) for each in others)]


def _translated(rows: Sequence[Row], first: Signature, other: Signature) -> SharedRows:
    """Rows of one model as another one takes them, with nothing where that lacks a value and may.

    The names of a model that recorded none are no names.
    """
    by_name = first.named and other.named
    names = [field.name if by_name else place for place, field in enumerate(first.inputs)]
    wanted = [field.name if by_name else place for place, field in enumerate(other.inputs)]
    places = [names.index(name) if name in names else None for name in wanted]
    pairs = list(zip(other.inputs, places, strict=True))
    lacking = [field.name for field, place in pairs if place is None and not field.nullable]
    if lacking:
        return RowsUnavailable(f"rows as OLD takes them lack what it needs: {_listed(lacking)}")
    if not other.inputs:
        return RowsUnavailable(_UNKNOWN)
    made = (tuple(None if at is None else row[at] for at in places) for row in rows)
    return Reference(tuple(made), made_up=True)


def _fitted(model: ModelSpec, table: Table) -> SharedRows:
    table = replace(table, rows=table.rows[:MOST_ROWS])
    try:
        signature = with_examples(model, table).signature
        return Reference(align(table, signature))
    except UsageError as error:
        told = error.message.removeprefix("The example rows ").rstrip(".")
        return RowsUnavailable(f"the example rows {told}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
