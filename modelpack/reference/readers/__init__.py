"""The formats of rows, one file each: `read(path) -> Table`."""

from __future__ import annotations

from . import csv, json, npy, parquet

READERS = {
    ".csv": csv.read,
    ".json": json.read,
    ".jsonl": json.read_lines,
    ".npy": npy.read,
    ".parquet": parquet.read,
}
