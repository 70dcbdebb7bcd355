"""The model's own example, in the forms in which rows can be sent."""

from __future__ import annotations

from typing import Any

from ..service import Service


def row(service: Service) -> list[Any] | None:
    """In the order of the signature; None where no example is known that the model answers."""
    return service.manifest.example if service.ready else None


def by_name(service: Service) -> dict[str, Any] | None:
    values = row(service)
    if values is None:
        return None
    return dict(zip((field.name for field in service.manifest.inputs), values))


def best(service: Service) -> list[Any] | dict[str, Any] | None:
    """By name where the names are the author's own."""
    return by_name(service) if service.manifest.named else row(service)
