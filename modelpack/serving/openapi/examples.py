"""The model's own example, in the forms in which rows can be sent."""

from __future__ import annotations

from typing import Any

from ..service import Service

MOST_IN_ORDER = 5000
MOST_BY_NAME = 200


def row(service: Service) -> list[Any] | None:
    """In the order of the signature; None where no example is known that the model answers, or it
    is too long to be read.
    """
    short = len(service.manifest.inputs) <= MOST_IN_ORDER
    return service.manifest.example if service.ready and short else None


def by_name(service: Service) -> dict[str, Any] | None:
    values = row(service)
    if values is None or len(values) > MOST_BY_NAME:
        return None
    return dict(zip((field.name for field in service.manifest.inputs), values))
