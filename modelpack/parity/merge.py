"""The inputs that a model file records, completed by an example or a record.

The file decides where it defines codes: its categories stay. The rest is filled from the rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from packaging.version import InvalidVersion, Version

from modelpack.errors import UsageError
from modelpack.types import Field, FieldType, Layout, ModelSpec, Scalar, Signature

from .columns import MAX_COLUMNS, Column, from_values, infer_column, with_dates
from .row_files import Table
from .rows import MAX_ROWS, Row, align, value_positions
from .spaces import first_step, with_spaces

SAMPLES = 5
MAX_SAMPLE_BYTES = 2**14
"""Of all samples together, which are part of the image and its page."""
MIN_RANGE_ROWS = 20
"""Rows of an example from which a range is taken: fewer rows say nothing about other rows."""
_NUMERIC: tuple[FieldType, ...] = ("number", "integer", "boolean")
_BY_NAME = {"string", "boolean", "datetime"}
"""Types of columns whose model takes a frame, if they have names."""


_KEEPS_NAMES = Version("1.0")
"""The first release of scikit-learn whose estimators keep the names of a DataFrame's columns."""


def with_examples(spec: ModelSpec, table: Table, *, answered: bool = False) -> ModelSpec:
    """Return the spec with the types, dtypes, categories, ranges and samples of the rows.

    A model file that does not contain the inputs gets those of the table.

    If the model has `answered` these rows, their types are right whatever the model file suggests.

    Raises:
        UsageError: The rows contradict the model file.
    """
    facts = table.facts or _facts(table)
    spec = with_spaces(spec, table)
    signature = _with_inputs(_with_form(spec, table, answered), table, facts)
    if signature.inputs and _was_frame(spec, table, answered):
        signature = replace(signature, named=True)
    positions = value_positions(table, signature)
    known = [facts[at] if at is not None and facts else None for at in positions]
    pairs = zip(signature.inputs, known, strict=True)
    inputs = tuple(_merge(f, c, table, answered) if c else f for f, c in pairs)
    signature = replace(signature, inputs=inputs, layout=_layout(signature, inputs))
    first = replace(table, rows=table.rows[:SAMPLES])
    rows = align(first, signature) if table.rows else ()
    signature = replace(signature, inputs=_with_values(inputs, rows), samples=_samples(rows))
    return _with_pandas(spec, signature)


def _facts(table: Table) -> tuple[Column, ...]:
    """Infer columns from rows of a file format without dtypes."""
    columns = list(zip(*table.rows, strict=True))
    names = table.columns or [f"x{index}" for index in range(len(columns))]
    if len(columns) > MAX_COLUMNS:
        return tuple(
            from_values(n, part[:MAX_ROWS]) for n, part in zip(names, columns, strict=True)
        )
    pairs = zip(names, columns, strict=True)
    if table.is_text:
        return tuple(infer_column(name, cells) for name, cells in pairs)
    return tuple(_as_read(from_values(name, values), values) for name, values in pairs)


def _as_read(column: Column, values: Sequence[object]) -> Column:
    """Return a JSON column with the dtype of pandas; that of integers differs by request."""
    dtype = {"number": "float64", "boolean": None if column.nullable else "bool"}
    return with_dates(replace(column, dtype=dtype.get(column.type)), values)


def _was_frame(spec: ModelSpec, table: Table, answered: bool) -> bool:
    """Return whether a model without names was fitted on a DataFrame with the table's names.

    A record of a DataFrame proves it. An example suggests it for releases of scikit-learn that
    keep no names; a later release has kept those of every DataFrame.
    """
    signature = spec.signature
    if signature.named or not _has_names_for(signature, table):
        return signature.named
    if answered:
        return True
    return spec.framework == "scikit-learn" and _is_before_names(spec.framework_version)


def _is_before_names(version: str | None) -> bool:
    try:
        return Version(version or "1") < _KEEPS_NAMES
    except InvalidVersion:
        return False


def _has_names_for(signature: Signature, table: Table) -> bool:
    """Return whether the table has a distinct name for each input of a model without names."""
    names = table.columns or ()
    fits = 0 < len(names) == len(set(names)) == len(signature.inputs) and all(names)
    return fits and signature.layout in {"array", "frame"}


def _with_form(spec: ModelSpec, table: Table, answered: bool) -> Signature:
    """Return the signature without its text input if the rows show that it takes columns.

    The model file does not show what code of the author before a text vectorizer takes. Texts may
    come as a table with one column, unless the model has answered that.
    """
    signature, first = spec.signature, first_step(spec.steps)
    is_guess = first.partition(".")[0] in spec.local_modules or first.endswith(_FUNCTION)
    least = 1 if answered else 2
    if signature.layout != "text" or not is_guess or len(table.columns or ()) < least:
        return signature
    return replace(signature, inputs=(), layout="frame")


_FUNCTION = ".FunctionTransformer"


def _with_inputs(signature: Signature, table: Table, facts: Sequence[Column]) -> Signature:
    """Return the signature with the inputs or names of the table if it has none."""
    if not signature.inputs:
        names = table.columns or [f"x{index}" for index in range(len(facts))]
        inputs = tuple(
            Field(
                n,
                c.type if c.type != "integer" else "number",
                nullable=c.nullable or c.type == "string",  # few rows do not show missing values
            )
            for n, c in zip(names, facts, strict=True)
        )
        is_named = table.columns is not None
        layout = "frame" if is_named else signature.layout
        return replace(signature, inputs=inputs, named=is_named, layout=layout)
    if signature.named or not _has_names_for(signature, table):
        return signature
    pairs = zip(signature.inputs, table.columns or (), strict=True)
    return replace(signature, inputs=tuple(replace(f, name=n) for f, n in pairs))


def _merge(field: Field, column: Column, table: Table, answered: bool) -> Field:
    """Return an input of the model file with the facts of its column."""
    is_coded = field.dtype == "category" and field.categories is not None
    if is_coded or (field.categories is not None and not _extends(column, field)):
        known = replace(
            field, dtype=field.dtype or (None if column.dtype == "category" else column.dtype)
        )
    elif column.dtype == "category" and column.categories is not None:
        categories = column.categories
        known = replace(field, type=column.type, dtype="category", categories=categories)
    else:
        type_ = _type(field, column, table, answered)
        dtype = column.dtype if type_ == column.type else None
        dtype = (dtype or field.dtype) if answered else (field.dtype or dtype)
        known = replace(field, type=type_, dtype=dtype)
    has_range = answered or len(table.rows) >= MIN_RANGE_ROWS
    is_number = known.categories is None and known.type in {"number", "integer"}
    if has_range and is_number and column.quantiles:
        known = replace(
            known, minimum=column.minimum, maximum=column.maximum, quantiles=column.quantiles
        )
    is_seen = answered and column.nullable
    none = column.missing_none if is_seen else field.missing_none or column.missing_none
    return replace(known, nullable=field.nullable or column.nullable, missing_none=none)


def _extends(column: Column, field: Field) -> bool:
    """Return whether the column has all categories of the file."""
    if column.dtype != "category" or column.categories is None:
        return False
    return set(map(_key, field.categories or ())) <= set(map(_key, column.categories))


def _key(value: Scalar) -> tuple[bool, Scalar]:
    return isinstance(value, bool), value


def _type(field: Field, column: Column, table: Table, answered: bool) -> FieldType:
    """Return the type of an input. Raise UsageError if the file and the rows contradict."""
    in_file, in_rows = field.type, column.type
    if in_rows in {in_file, "any"}:
        return in_file
    if in_file == "any" or answered:
        is_guess = in_rows == "integer" and not table.is_typed
        return "number" if is_guess else in_rows
    if in_rows == "boolean" and in_file in _NUMERIC:
        return "boolean"
    if in_rows == "integer" and in_file == "number":
        return "integer" if table.is_typed else "number"
    if in_rows == "datetime" and in_file == "number":
        return "datetime"
    if not table.is_typed or (in_rows in _NUMERIC and in_file in _NUMERIC):
        return in_file  # a value that does not fit is reported with its row
    raise UsageError(
        f"The example rows and the model file contradict each other: the column {field.name} has"
        f" values of the type {in_rows}, but the model takes {in_file}.",
        hint="Give rows with the dtypes of training, for example as parquet. `modelpack inspect"
        " MODEL` shows the inputs.",
    )


def _layout(signature: Signature, inputs: Sequence[Field]) -> Layout:
    """Return "frame" for a model whose columns have names and are not all numbers."""
    if signature.layout != "array" or not signature.named:
        return signature.layout
    is_frame = any(f.type in _BY_NAME or f.dtype == "category" for f in inputs)
    return "frame" if is_frame else "array"


def _with_values(inputs: Sequence[Field], rows: Sequence[Row]) -> tuple[Field, ...]:
    """Return the inputs with the first row, or the middle of each range, as examples."""
    if not rows:
        return tuple(replace(field, example=_middle(field)) for field in inputs)
    pairs = zip(inputs, rows[0], strict=True)
    return tuple(f if value is None else replace(f, example=value) for f, value in pairs)


def _middle(field: Field) -> Scalar:
    if field.categories:
        return field.categories[0]
    if field.type == "boolean" and field.example is None:
        return False
    if field.quantiles:
        median = field.quantiles[len(field.quantiles) // 2]
        return round(median) if field.type == "integer" else median
    return field.example


def _samples(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return as many of the rows as fit into the image."""
    kept: list[Row] = []
    left = MAX_SAMPLE_BYTES
    for row in rows:
        left -= len(json.dumps(row))
        if left >= 0:
            kept.append(row)
    return tuple(kept)


def _with_pandas(spec: ModelSpec, signature: Signature) -> ModelSpec:
    """Return the spec with the signature, and with pandas if the signature needs it."""
    if signature.layout != "frame" or "pandas" in spec.requirements:
        return replace(spec, signature=signature)
    reasons = {**spec.reasons, "pandas": "the model takes a DataFrame, as the rows have names"}
    requirements = {**spec.requirements, "pandas": ""}
    return replace(spec, signature=signature, requirements=requirements, reasons=reasons)
