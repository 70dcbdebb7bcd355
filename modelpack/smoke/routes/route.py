"""A way to send rows, and the helpers that several protocols share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from modelpack.smoke.probe import CheckFailedError, Probe, Response, parse_predictions, shorten
from modelpack.types import Answers, Field, ModelSpec, Reference, Scalar

Rows = Sequence[Sequence[Scalar]]


def _always(anything: object) -> bool:  # noqa: ARG001 - the signature of other predicates
    return True


@dataclass(frozen=True)
class Route:
    """A way to send rows.

    Attributes:
        query: Returns the answers of the service to rows in signature order.
        single_row: Each request has one row.
        supports: Returns whether a model can be queried this way.
        can_encode: Returns whether these rows can be sent this way.
        is_offered: Returns whether the service can be queried this way.
    """

    name: str
    query: Callable[[Probe, Rows], Answers]
    single_row: bool = False
    supports: Callable[[ModelSpec], bool] = _always
    can_encode: Callable[[Rows], bool] = _always
    is_offered: Callable[[Probe], bool] = _always

    def expected(self, reference: Reference) -> Answers | None:
        """Return the answers to compare with; None if they are not known."""
        return reference.alone if self.single_row else reference.answers

    def request(self, probe: Probe, reference: Reference) -> Answers:
        """Return the answers of the service."""
        return self.query(probe, reference.rows)


def input_names(probe: Probe) -> list[str]:
    """Return the names of the inputs in signature order."""
    return [field.name for field in probe.model.signature.inputs]


def model_path(probe: Probe) -> str:
    """Return `/models/NAME` with the name that the service reports."""
    response = probe.get("/v1/models")
    names = response.body.get("models") if isinstance(response.body, dict) else None
    if not (isinstance(names, list) and names):
        raise CheckFailedError(f"no list of models in {shorten(response.body)}")
    return f"/models/{quote(str(names[0]), safe='')}"


def is_numeric(fields: Sequence[Field]) -> bool:
    """Return whether rows contain only numbers and can be sent as one matrix."""
    return bool(fields) and all(field.type in {"number", "integer"} for field in fields)


def are_floats(rows: Rows) -> bool:
    """Return whether all values are exact as 64-bit floats."""
    return all(value is None or float(value) == value for row in rows for value in row)


def has_known_types(model: ModelSpec) -> bool:
    """Return whether the type of each input is known, as text does not distinguish "1" and 1."""
    return bool(model.signature.inputs) and all(f.type != "any" for f in model.signature.inputs)


def has_no_empty_text(rows: Rows) -> bool:
    """Return whether a text table can contain the rows: an empty cell is a missing value."""
    return not any(value == "" for row in rows for value in row)


def post_rows(probe: Probe, body: bytes, content_type: str, path: str = "/predict") -> Response:
    """Post rows and request probabilities if the model has any."""
    query = "?probabilities=true" if probe.model.signature.probabilities else ""
    return probe.post_raw(path + query, body, content_type)


def parse_answers(probe: Probe, response: Response) -> Answers:
    """Return the predictions, and the probabilities if the model has any.

    Raises:
        CheckFailedError: The response does not contain them.
    """
    predictions = tuple(parse_predictions(response))
    if not probe.model.signature.probabilities:
        return Answers(predictions)
    rows = response.body.get("probabilities")
    if not isinstance(rows, list):
        raise CheckFailedError(f"no list of probabilities in {shorten(response.body)}")
    return Answers(predictions, tuple(map(_values, rows)))


def _values(row: Any) -> Any:
    """Return {label: probability}, or a list of these for several outputs, as lists of numbers."""
    if isinstance(row, dict):
        return list(row.values())
    return [_values(each) if isinstance(each, dict) else each for each in row]
