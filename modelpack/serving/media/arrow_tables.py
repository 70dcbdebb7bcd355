"""pyarrow tables as rows, and predictions as tables."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..data import results, tables, validation
from ..data.columns import Rows
from ..data.extra_inputs import Extras
from ..problems import Problem
from ..service import Service

MIN_RELEASE = (14, 0, 1)
"""The first release that runs no code from files (CVE-2023-47248)."""

INDEX = re.compile(r"__index_level_\d+__")
"""The names of columns in which pandas stores an index."""

MAX_DIGITS = 76  # digits of Arrow's largest decimal


@lru_cache(maxsize=None)
def is_usable() -> bool:
    """Return whether the image has a pyarrow that is safe for untrusted files."""
    if find_spec("pyarrow") is None:
        return False
    try:
        version = import_module("importlib.metadata").version("pyarrow")
    except ImportError:  # Python 3.7, which has no such release
        return False
    return tuple(map(int, re.findall(r"\d+", version)[:3])) >= MIN_RELEASE


def predict_table(service: Service, table: Any, probabilities: bool = False) -> dict[str, Any]:
    """Predict a pyarrow.Table as POST /predict does of a body in Arrow's format.

    Other columns than inputs are ignored, unless MODELPACK_EXTRA_INPUTS refuses them.

    Returns:
        The columns of the response, arrays or lists: `prediction`, and `probability_LABEL`.

    Raises:
        Problem: The columns do not match the signature, or the model cannot predict the rows.
    """
    decoded = rows(service, table, service.extras)
    return results.columns(service.predict_decoded(decoded, probabilities))


def rows(service: Service, table: Any, ignored: Extras = None) -> Rows:
    """Decode the rows of a pyarrow.Table of flat columns, without the index of pandas.

    `ignored` receives the names of extra inputs, whose values are not read.

    Raises:
        Problem: 400, the table is broken. 413, its texts are too large. 422, no input accepts the
            type of a column. See also `Service.table`.
    """
    try:
        names = table.column_names
    except ValueError as error:
        raise Problem(400, "A name in the table is not text in UTF-8.") from error
    kept = [index for index, name in enumerate(names) if not INDEX.fullmatch(name)]
    table = table.select(kept)
    decoder = service.decoder(table.num_columns)
    decoder.check_count(table.num_rows)
    inputs = tables.input_positions(decoder, table.column_names, table.num_columns, ignored)
    table = table if inputs is None else table.select(inputs)
    room = service.limits.body_bytes
    columns = []
    for name, column in zip(table.column_names, table.columns):
        room -= _require_valid(column, room)
        columns.append(_values(name, column))
    return service.table(table.column_names, columns)


def table(prediction: results.Prediction) -> Any:
    """Return the columns of a prediction as a pyarrow.Table. See `results.columns`."""
    import pyarrow as pa  # noqa: PLC0415

    columns = results.columns(prediction)
    try:
        return pa.table({name: pa.array(values) for name, values in columns.items()})
    except UnicodeError:  # half of a surrogate pair
        columns = {
            results.replace_surrogates(name): results.replace_all_surrogates(each)
            for name, each in columns.items()
        }
        return pa.table({name: pa.array(values) for name, values in columns.items()})


def _require_valid(column: Any, room: int) -> int:
    """Check a column, and return the bytes of its texts: many rows may share a long text."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        column.validate()  # the cheap part, before anything is read
        if pa.types.is_dictionary(column.type):
            sizes = (chunk.dictionary.get_total_buffer_size() for chunk in column.chunks)
            if sum(sizes) > 2 * room:
                raise _too_large()  # even for the full validation, which reads it once a chunk
        column.validate(full=True)
    except ValueError as error:
        raise Problem(400, "A column of the table is broken.") from error
    size = sum(map(_text_bytes, column.chunks))
    if size > room:
        raise _too_large()
    return size


def _too_large() -> Problem:
    return Problem(413, "The table contains more text than a body may have. Send fewer rows.")


def _text_bytes(chunk: Any) -> int:
    """Return the bytes of the texts of a chunk, counting each occurrence."""
    if not hasattr(chunk, "dictionary"):
        return int(_lengths(chunk).sum()) if _is_text(chunk.type) else 0
    if not _is_text(chunk.type.value_type):
        return 0
    return int(_lengths(chunk.dictionary)[chunk.indices.drop_null().to_numpy()].sum())


def _lengths(texts: Any) -> np.ndarray:
    """Return the bytes of each text, int64 (n,), 0 for missing ones."""
    from pyarrow import compute  # noqa: PLC0415

    if texts.type == "string_view":  # `compute` does not support it; a view begins with its length
        views = np.frombuffer(texts.buffers()[1], np.int32).reshape(-1, 4)
        lengths = views[texts.offset : texts.offset + len(texts), 0].astype(np.int64)
        return np.where(texts.is_valid().to_numpy(zero_copy_only=False), lengths, 0)
    lengths = compute.fill_null(compute.binary_length(texts), 0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64)


def _values(name: str, column: Any) -> Any:
    """Return the values of a column as an array or a list."""
    import pyarrow as pa  # noqa: PLC0415

    types, type_ = pa.types, column.type
    if types.is_dictionary(type_) and not types.is_dictionary(type_.value_type):
        _values(name, pa.array([], type_.value_type))  # raises if the type is not supported
        if types.is_temporal(type_.value_type):
            chunks = (_values(name, chunk.dictionary_decode()) for chunk in column.chunks)
            return np.concatenate(list(chunks))
        return [value for chunk in column.chunks for value in _from_dictionary(name, chunk)]
    if types.is_integer(type_) or types.is_floating(type_) or types.is_boolean(type_):
        lossless = not column.null_count or types.is_floating(type_)
        return column.to_numpy(zero_copy_only=False) if lossless else column.to_pylist()
    if types.is_timestamp(type_) or types.is_date(type_):
        return column.to_numpy(zero_copy_only=False)  # in UTC if there is a time zone
    if _is_text(type_) or types.is_null(type_) or types.is_duration(type_):
        return _durations(column) if types.is_duration(type_) else column.to_pylist()
    if types.is_decimal(type_) and abs(type_.scale) <= MAX_DIGITS:
        return [None if value is None else float(value) for value in column.to_pylist()]
    raise validation.table_problem("numbers, texts, booleans or dates", _kind(type_), name)


def _durations(column: Any) -> list[str | None]:
    """Return durations as texts of pandas."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        counts = column.cast(pa.duration("ns")).cast(pa.int64()).to_pylist()
    except pa.ArrowInvalid as error:
        raise Problem(422, "A duration does not fit in 64 bits of nanoseconds.") from error
    return [None if count is None else f"{count} ns" for count in counts]


def _from_dictionary(name: str, chunk: Any) -> list[Any]:
    """Return the values of a chunk, converting each entry of the dictionary once."""
    used = chunk.indices.unique().drop_null()
    if _is_text(chunk.type.value_type):
        values: Any = [chunk.dictionary[index].as_py() for index in used.to_pylist()]
    else:
        values = _values(name, chunk.dictionary.take(used))
    entries = values if isinstance(values, list) else values.tolist()
    known = dict(zip(used.to_pylist(), entries))
    return [known.get(index) for index in chunk.indices.to_pylist()]


def _is_text(type_: Any) -> bool:
    """Return whether a type is a string, a large string, or a view as in Polars."""
    return str(type_) in ("string", "large_string", "string_view")


def _kind(type_: Any) -> str:
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_temporal(type_):
        return "times"
    return "lists or records" if pa.types.is_nested(type_) else "values of another type"
