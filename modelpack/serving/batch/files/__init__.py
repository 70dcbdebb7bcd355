"""The formats of files of rows and of answers, one file each.

`read(stream, most, service)` yields chunks of at most `most` rows from a binary stream, and raises
a Problem, 400, where the file itself is broken. `Writer(stream, first)` writes answers, `first`
being some to learn names and types from. `EXTENSIONS` of file names; `START`, how such a file
begins, where that tells.
"""

from __future__ import annotations

from . import arrow, csv, json, jsonl, npy, parquet

FORMATS = {
    "csv": csv,
    "jsonl": jsonl,
    "json": json,
    "npy": npy,
    "arrow": arrow,
    "parquet": parquet,
}
