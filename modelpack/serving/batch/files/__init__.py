"""The formats of files of rows and of answers, one file each.

`read(stream, most, service, header)` yields chunks of at most `most` rows from a binary stream, and
raises a Problem, 400, where the file itself is broken; `header`: of csv, whether there is one.
`Writer(stream, like)` writes answers of the form of `like`. `EXTENSIONS` of file names; `START`,
how such a file begins, where that tells.
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
