"""The same rows for two models, each as it takes them: of a file, of a record, or made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelpack.errors import UsageError
from modelpack.spec import Field, ModelSpec, Reference

from . import invented, sidecar
from .rows import MOST_ROWS, align, with_examples
from .sidecar import Recorded
from .tables import Table, read_table


@dataclass(frozen=True)
class Misfit:
    """Why there are no rows for a model."""

    why: str


Shared = Reference | Misfit


def share(
    models: Sequence[ModelSpec], files: Sequence[Path | None], example: Path | None = None
) -> list[Shared]:
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
    if all(isinstance(rows, Misfit) for rows in shared):
        align(table, models[0].signature)  # says why
    return shared


def _recorded(models: Sequence[ModelSpec], records: Sequence[Recorded | None]) -> list[Shared]:
    table = next(record.table for record in records if record)
    return [
        sidecar.reference(model, record, 0.0)[1]
        if record and record.table == table
        else _fitted(model, table)
        for model, record in zip(models, records, strict=True)
    ]


def _made_up(models: Sequence[ModelSpec]) -> list[Shared]:
    first, *others = models
    rows = invented.rows(first.signature)
    if not rows:
        why = "the file does not tell what a row looks like: --example FILE gives rows"
        return [Misfit(why) for _ in models]
    return [
        Reference(rows, made_up=True),
        *(_fitted(model, _table(first, model, rows), made_up=True) for model in others),
    ]


def _table(first: ModelSpec, other: ModelSpec, rows: Sequence[Sequence[object]]) -> Table:
    """Rows of one model, with nothing in the inputs that may be missing and only another one has.

    The names of a model that recorded none are no names.
    """
    names = [field.name for field in first.signature.inputs]
    if not (first.signature.named and other.signature.named):
        extra: Sequence[Field] = other.signature.inputs[len(names) :]
        added = [None for field in extra if field.nullable]
        return Table(None, [[*row, *added] for row in rows])
    more = [f.name for f in other.signature.inputs if f.nullable and f.name not in names]
    return Table((*names, *more), [[*row, *(None for _ in more)] for row in rows])


def _fitted(model: ModelSpec, table: Table, *, made_up: bool = False) -> Shared:
    table = Table(table.columns, table.rows[:MOST_ROWS], table.is_text)
    try:
        signature = with_examples(model, table).signature
        return Reference(align(table, signature), made_up=made_up)
    except UsageError as error:
        told = error.message.removeprefix("The example rows ").rstrip(".")
        return Misfit(f"{'rows as OLD takes them' if made_up else 'the example rows'} {told}")
