"""JSON (RFC 8259): {"instances": [...]}, a list of rows, or one row as an object."""

from __future__ import annotations

from typing import Any, Mapping

from ..data import results
from ..data.columns import Rows
from ..data.extra_inputs import Extras
from ..problems import Problem
from ..service import Service

TYPES = ("application/json",)
NEEDS = None


def read(
    service: Service,
    body: bytes,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
    ignored: Extras = None,
) -> Rows:
    """Decode the rows of a document.

    Raises:
        Problem: 400, the body is not JSON. See also `instances` and `Service.decode_rows`.
    """
    return service.read(body, instances, ignored)


def write(
    prediction: results.Prediction,
    parameters: Mapping[str, str] = {},  # noqa: ARG001
) -> bytes:
    """Return {"predictions": [...]} with one value for each row, and "probabilities" if any."""
    document = {"predictions": prediction.predictions.tolist()}
    if prediction.probabilities is not None:
        document["probabilities"] = prediction.probabilities
    return results.dump(document)


def instances(document: Any) -> list[Any]:
    """Return the rows of a document. Raise a Problem 422 if the document contains no rows."""
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        raise Problem(422, 'Expected {"instances": [...]}, a list of rows, or one row by name.')
    if "instances" not in document:
        return [document]
    rows = document["instances"]
    if not isinstance(rows, list) or len(document) > 1:
        raise Problem(422, 'Expected {"instances": [...]} with a list of rows and no other member.')
    return rows
