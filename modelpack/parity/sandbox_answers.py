"""The request to and the response of `modelpack.serving.reference`.

The response is output of untrusted code: only its validated form is used.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, replace
from typing import Any

from modelpack.types import Answers, Body, Reference

from .rows import Row

BODY_FORMATS = ("json", "csv", "arrow", "parquet")
_MAX_LEVELS = 8  # of nested lists: outputs, rows, classes, and a reserve
_NO_PREDICTION = "it does not have one prediction per row"
_TOO_DEEP = "its lists are nested too deeply"


def build_request(reference: Reference, bodies: bool = False) -> bytes:
    """Serialise rows for `python -m modelpack.serving.reference`; with `bodies`, also as pandas."""
    return json.dumps({"rows": reference.rows, "bodies": bodies}).encode()


def complete_reference(reference: Reference, response: bytes) -> Reference:
    """Add the model's own answers.

    Synthetic rows that the model refuses are left out.
    """
    try:
        document = json.loads(response)
        rows, errors, together, alone = _parse(reference, document)
        reference = replace(
            reference,
            bodies=_bodies(document),
            without_bodies=str(document.get("without_bodies") or ""),
        )
    except (ValueError, KeyError, TypeError) as error:
        return replace(
            reference, problem=f"the response of the model in the sandbox is malformed: {error}"
        )
    if reference.answers is not None:  # from a file
        return reference
    refused = [(number, error) for number, error in enumerate(errors) if error is not None]
    if refused and (not reference.made_up or not rows):
        number, reason = refused[0]
        return replace(reference, problem=f"the model itself refuses row {number}: {reason}")
    return replace(reference, rows=tuple(rows), answers=together, alone=alone)


@dataclass(frozen=True)
class Response:
    """What a model answers.

    Attributes:
        errors: An error or None for each row.
        together: The answers to the rows without an error, in one call.
        alone: The same for each row in its own call.
        batched: The same for each row as if it were alone, in one call; only of compiled models,
            whose services answer simultaneous requests like this.
    """

    errors: tuple[str | None, ...]
    together: Answers
    alone: Answers
    batched: Answers | None = None


def parse_response(reference: Reference, response: bytes) -> Response:
    """Validate a response strictly, for a diff or a proof.

    Raises:
        ValueError: The response is malformed.
    """
    try:
        document = _decode(response)
        rows, errors, together, alone = _parse(reference, document)
        batched = _answers(document["batched"]) if document.get("batched") else None
        if batched is not None and len(batched.predictions or ()) != len(rows):
            raise ValueError(_NO_PREDICTION)
        for answers in filter(None, (together, alone, batched)):
            _require_shallow((answers.predictions, answers.probabilities))
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from error
    texts = tuple(None if error is None else str(error) for error in errors)
    return Response(texts, together, alone, batched)


def _decode(response: bytes) -> Any:
    """Decode JSON with numbers that the service could write: finite, integers of 64 bits.

    Raises:
        ValueError: The response is something else.
    """
    try:
        return json.loads(response, parse_int=_integer, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error


def _integer(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**64:
        raise ValueError("it has an integer of more than 64 bits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it has the number {text[:20]}")
    return value


def _require_shallow(value: Any, levels: int = _MAX_LEVELS) -> None:
    if isinstance(value, list | tuple):
        if not levels:
            raise ValueError(_TOO_DEEP)
        for item in value:
            _require_shallow(item, levels - 1)


def _parse(reference: Reference, document: Any) -> tuple[list[Row], list[Any], Answers, Answers]:
    """Return the rows with an answer, an error or None for each row, and the answers."""
    errors = list(document["errors"])
    together, alone = (_answers(document[name]) for name in ("together", "alone"))
    rows = [row for row, error in zip(reference.rows, errors, strict=True) if error is None]
    if {len(together.predictions or ()), len(alone.predictions or ())} != {len(rows)}:
        raise ValueError(_NO_PREDICTION)
    return rows, errors, together, alone


def _bodies(document: Any) -> tuple[Body, ...]:
    """Return the bodies in known formats: older images send none, newer ones may send others."""
    bodies = {body["name"]: body for body in document.get("bodies", ())}
    return tuple(
        Body(name, base64.b64decode(bodies[name]["content"], validate=True), _answers(bodies[name]))
        for name in BODY_FORMATS
        if name in bodies
    )


def _answers(document: Any) -> Answers:
    predictions, probabilities = document["predictions"], document["probabilities"]
    if not isinstance(predictions, list) or not isinstance(probabilities, list | None):
        raise TypeError("its predictions are not a list")
    return Answers(tuple(predictions), None if probabilities is None else tuple(probabilities))
