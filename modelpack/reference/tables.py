"""A file of rows as a table: what the readers of the formats give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpack.errors import UsageError
from modelpack.files import require_regular

from .columns import Column

MOST_BYTES = 2**30


@dataclass(frozen=True)
class Table:
    """Rows, and what is known of their columns.

    Attributes:
        columns: The names of the values of a row; None if the file has none.
        is_text: Every value is a string that may stand for something else, as in CSV.
        facts: What is known of each column, in the order of the values of a row. Empty if nothing.
        is_typed: The dtypes of `facts` are those of the file, and not inferred from its values.
    """

    columns: tuple[str, ...] | None
    rows: Sequence[Sequence[Any]]
    is_text: bool = False
    facts: tuple[Column, ...] = ()
    is_typed: bool = False


class NotReadableError(Exception):
    """Why a reader cannot make a table of the file."""


def read_table(path: Path) -> Table:
    """The rows of a file, by its ending: .csv, .json, .jsonl, .npy, .parquet.

    Raises:
        UsageError: there is no such file, no reader for it, or it is malformed.
    """
    from .readers import READERS  # noqa: PLC0415 - each of them imports this module

    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path} has an ending that tells no format of rows.",
            hint=f"Name it by its format: {', '.join(READERS)}",
        )
    return _read(reader, path)


def _read(reader: Callable[[Path], Table], path: Path) -> Table:
    try:
        require_regular(path, MOST_BYTES)
        table = reader(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", hint="Name a file that is there."
        ) from error
    except (NotReadableError, ValueError, RecursionError, EOFError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(
            f"{path} cannot be read as rows: {reason}.",
            hint="docs/parity.md shows what such a file looks like.",
        ) from error
    if not table.rows:
        raise UsageError(
            f"{path} holds no rows.",
            hint="Give a file with at least one row; the first hundred are used.",
        )
    return table
