"""The media types of rows and predictions, one file each.

A file has:

    TYPES: The names of the media type. Responses have the first one.
    NEEDS: The library that the image must contain, or None.
    read(service, body, parameters, ignored): Decodes the rows of a body. `ignored` receives the
        names of extra inputs.
    write(prediction, parameters): Returns the body of a response.

`parameters` are those of Content-Type and Accept.
"""

from __future__ import annotations

from typing import Any

from . import arrow, arrow_tables, csv, json, jsonlines, npy, parquet

MEDIA = (json, jsonlines, csv, npy, arrow, parquet)
"""The media types. The first is the default."""


def available() -> list[Any]:
    """Return the media types whose library is in this image."""
    return [medium for medium in MEDIA if medium.NEEDS is None or arrow_tables.is_usable()]
