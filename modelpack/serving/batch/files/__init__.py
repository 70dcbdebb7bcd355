"""The table of formats, and detection.

`read(stream, most, service, header)` yields chunks of at most `most` rows from a binary stream, and
raises a Problem, 400, where the file itself is broken; `header`: of csv, whether there is one.
`Writer(stream, like)` writes answers of the form of `like`. `EXTENSIONS` of file names; `START`,
how such a file begins, where that tells.
"""

from __future__ import annotations

from json import loads  # `json` is a module of this folder
from pathlib import Path

from . import arrow, csv, json, jsonl, npy, parquet

FORMATS = {
    "csv": csv,
    "jsonl": jsonl,
    "json": json,
    "npy": npy,
    "arrow": arrow,
    "parquet": parquet,
}


def format_from_name(path: str | None) -> str | None:
    suffix = Path(path).suffix.lower() if path else ""
    return next((name for name, each in FORMATS.items() if suffix in each.EXTENSIONS), None)


def format_from_content(beginning: bytes) -> str:
    """`beginning`: at least the first line, or a megabyte of it. What is nothing else is csv."""
    for name, each in FORMATS.items():
        if each.START and beginning.startswith(each.START):
            return name
    if beginning.startswith(arrow.STREAM):
        return "arrow"
    text = beginning.lstrip()
    return _json_format(text) if text[:1] in (b"{", b"[") else "csv"


def _json_format(text: bytes) -> str:
    """Lines, if the first one is a row by itself; a document of one row is the same as a line."""
    try:
        first = loads(text.partition(b"\n")[0].decode())
    except ValueError:
        return "json"
    of_rows = "instances" in first or any(isinstance(value, (list, dict)) for value in first)
    return "json" if of_rows else "jsonl"
