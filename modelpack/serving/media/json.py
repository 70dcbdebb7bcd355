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
    """The rows of a document.

    Raises:
        Problem: 400 it is no JSON; as `instances` and `Service.rows`.
    """
    return service.read(body, instances, ignored)


def write(answer: results.Prediction, parameters: Mapping[str, str] = {}) -> bytes:  # noqa: ARG001
    """{"predictions": [...]}, one value a row, and "probabilities" where they were asked for."""
    more = {} if answer.probabilities is None else {"probabilities": answer.probabilities}
    return results.dump({"predictions": answer.predictions.tolist(), **more})


def instances(document: Any) -> list[Any]:
    """The rows in a document.

    Raises:
        Problem: 422 it holds none.
    """
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        raise Problem(422, 'Expected {"instances": [...]}, a list of rows, or one row by name.')
    if "instances" not in document:
        return [document]
    rows = document["instances"]
    if not isinstance(rows, list) or len(document) > 1:
        raise Problem(422, 'Expected {"instances": [...]} with a list of rows, and nothing else.')
    return rows
