"""The media types of rows and answers, one file each.

Each has TYPES, its names, the first of which answers bear; NEEDS, the library that must be in the
image, or None; `read(service, body, parameters, ignored)`, the rows in a body, `ignored` as in
`Service.table`, and `write(answer,
parameters)`, the body of an answer. The parameters are those of Content-Type and Accept.
"""

from __future__ import annotations

from typing import Any

from . import arrow, arrow_tables, csv, json, jsonlines, npy, parquet

MEDIA = (json, jsonlines, csv, npy, arrow, parquet)
"""The first is what a client gets that asks for nothing else."""


def available() -> list[Any]:
    """Those of them that this image has the library for."""
    return [medium for medium in MEDIA if medium.NEEDS is None or arrow_tables.is_usable()]
