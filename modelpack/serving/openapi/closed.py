"""Whether a model takes other categories than those of its training, found by asking it."""

from __future__ import annotations

from typing import Any

from ..manifest import Field
from ..service import Service

UNKNOWN = "a value that was not in the training"
MOST_INPUTS = 50
"""The model is called once for each."""
MOST_CATEGORIES = 1000


def inputs_with_closed_categories(service: Service) -> set[str]:
    """The names of the inputs of which the model refuses an unknown category. Inputs that it could
    not be asked about are not among them.
    """
    fields = service.manifest.inputs
    asked = [index for index, field in enumerate(fields) if _can_be_asked(field)]
    if not service.ready or service.manifest.example is None or len(asked) > MOST_INPUTS:
        return set()
    return {fields[index].name for index in asked if _refuses(service, index)}


def _can_be_asked(field: Field) -> bool:
    return field.type != "boolean" and 0 < len(field.categories or ()) <= MOST_CATEGORIES


def _refuses(service: Service, index: int) -> bool:
    row = list(service.manifest.example or ())
    row[index] = _unknown(service.manifest.inputs[index])
    try:
        service.runner.call(service.manifest.method, service.decode_rows([row]))
    except ValueError:  # as an encoder refuses
        return True
    except Exception:
        return False
    return False


def _unknown(field: Field) -> Any:
    """A value of the field's type that is none of its categories."""
    numbers = [value for value in field.categories or () if type(value) in (int, float)]
    return max(numbers) + 1 if numbers else UNKNOWN
