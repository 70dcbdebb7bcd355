"""Rows and answers in all media types that the image serves."""

from __future__ import annotations

import csv
import io
from typing import Any

from .. import answers, media
from ..service import Service
from . import examples, predictions
from .operations import content

TEXTS = ("text/csv", "application/jsonlines")
"""Whose content is text; that of the others is bytes."""


def taken(service: Service, json: dict[str, Any]) -> dict[str, Any]:
    """`json`: the content for JSON, of which each dialect has its own."""
    rows = {"text/csv": _csv(service), "application/jsonlines": _lines(service)}
    told = dict(json)
    for medium in media.available()[1:]:
        name = medium.TYPES[0]
        for type_ in medium.TYPES:
            told.update(content(_schema(name), {"example": rows.get(name)}, type_))
    return told


def given(service: Service) -> dict[str, Any]:
    """The predictions, in the type that the header Accept asks for."""
    also = "predict_proba" in service.methods
    json = content(predictions.listed(also), predictions.listed_example(service))
    types = [medium.TYPES[0] for medium in media.available()[1:]]
    return {**json, **{type_: {"schema": _schema(type_)} for type_ in types}}


def _schema(type_: str) -> dict[str, Any]:
    return {"type": "string"} if type_ in TEXTS else {}


def _csv(service: Service) -> str | None:
    row = examples.by_name(service)
    if row is None:
        return None
    file = io.StringIO()
    csv.writer(file).writerows([list(row), [_cell(value) for value in row.values()]])
    return file.getvalue()


def _cell(value: Any) -> str:
    return "" if value is None else answers.label(value)


def _lines(service: Service) -> str | None:
    row = examples.row(service)
    return None if row is None else answers.dump(row).decode() + "\n"
