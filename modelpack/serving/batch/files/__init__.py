"""The table of formats, and their detection. A format has:

EXTENSIONS: Extensions of file names.
START: The first bytes of each file, or None.
read(stream, max_rows, service, header): Yields chunks of a binary stream, or raises Problem 400
if the file is malformed. `header`: whether CSV has one, if known.
Writer(stream, like): Writes predictions of the form of `like`.

Formats of files in a folder, see `plan.SPLITTABLE`, also have:

split(stream, size, service, header): Returns ranges of `size` rows.
read_range(stream, range, max_rows, service, header): Yields the chunks of one.
count_written(stream): Returns the number of rows in a file of `Writer`.
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
    """Return the format of a file by its extension, or None."""
    suffix = Path(path).suffix.lower() if path else ""
    return next((name for name, each in FORMATS.items() if suffix in each.EXTENSIONS), None)


def format_from_content(beginning: bytes) -> str:
    """Return the format of a file by its first line, or the first megabyte of it."""
    for name, each in FORMATS.items():
        if each.START and beginning.startswith(each.START):
            return name
    if beginning.startswith(arrow.STREAM):
        return "arrow"
    text = beginning.lstrip()
    return _json_format(text) if text[:1] in (b"{", b"[") else "csv"


def _json_format(text: bytes) -> str:
    """Return "jsonl" if the first line is a row, otherwise "json"."""
    try:
        first = loads(text.partition(b"\n")[0].decode())
    except ValueError:
        return "json"
    has_rows = "instances" in first or any(isinstance(value, (list, dict)) for value in first)
    return "json" if has_rows else "jsonl"
