"""The cells of a csv file as the values that they stand for."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ..manifest import Field
from ..service import Service

BOOLEANS = {"true": True, "false": False}


def are_names(first: Sequence[str], service: Service) -> bool:
    """Whether the first line of a file holds names."""
    return service.manifest.named or not all(
        isinstance(_number(cell), (int, float)) for cell in first
    )


def columns(
    service: Service, names: Sequence[str] | None, texts: Sequence[Sequence[str]]
) -> list[Any]:
    """Each column of texts as the field that it goes to takes it."""
    fields = service.decoder(len(texts)).fields
    if names is None or not {field.name for field in fields}.intersection(names):
        return [_column(field, column) for field, column in zip(fields, texts)] + list(
            texts[len(fields) :]
        )
    known = {field.name: field for field in fields}
    return [
        _column(known[name], column) if name in known else column
        for name, column in zip(names, texts)
    ]


def _column(field: Field, texts: Sequence[str]) -> Any:
    if field.type == "string":
        return [None if text == "" and field.nullable else text for text in texts]
    try:
        return _numbers(field, texts)
    except (ValueError, OverflowError):
        return [_value(field, text) for text in texts]


def _numbers(field: Field, texts: Sequence[str]) -> np.ndarray:
    """ValueError where a cell is no number, or one that has to be looked at."""
    if field.type == "boolean" or "_" in "".join(texts):  # which Python's numbers may hold
        raise ValueError
    if field.type == "number":
        return np.fromiter(map(float, texts), np.float64, len(texts))
    return np.array(list(map(int, texts)), np.int64)


def _value(field: Field, text: str) -> Any:
    if text == "":
        return None
    if field.type == "boolean":
        return BOOLEANS.get(text.lower(), text)
    return _number(text)


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text) if "_" not in text else text
        except ValueError:
            continue
    return text
