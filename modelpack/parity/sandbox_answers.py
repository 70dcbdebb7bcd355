"""The request to and the response of `modelpack.serving.reference`.

It is output of code that nobody has vouched for: its form is checked, nothing else is believed.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from typing import Any

from modelpack.types import Answers, Body, Reference

from .rows import Row

BODY_FORMATS = ("json", "csv", "arrow", "parquet")
_LEVELS = 8  # of lists in lists: of outputs, rows, classes, and some to spare
_TOO_DEEP = "its lists are nested too deeply"


def build_request(reference: Reference, bodies: bool = False) -> bytes:
    """What `python -m modelpack.serving.reference` reads. `bodies`: the rows are wanted as pandas
    writes them, too.
    """
    return json.dumps({"rows": reference.rows, "bodies": bodies}).encode()


def complete_reference(reference: Reference, told: bytes) -> Reference:
    """The reference with what the model said of its rows. Rows that were made up and that the
    model refuses are left out: they may be none that it can have.
    """
    try:
        document = json.loads(told)
        rows, errors, together, alone = _read(reference, document)
        reference = replace(
            reference,
            bodies=_bodies(document),
            without_bodies=str(document.get("without_bodies") or ""),
        )
    except (ValueError, KeyError, TypeError) as error:
        return replace(
            reference, problem=f"what the model said in the sandbox is malformed: {error}"
        )
    if reference.answers is not None:  # they are known from elsewhere
        return reference
    refused = [(number, said) for number, said in enumerate(errors) if said is not None]
    if refused and (not reference.made_up or not rows):
        number, said = refused[0]
        return replace(reference, problem=f"the model itself refuses row {number}: {said}")
    return replace(reference, rows=tuple(rows), answers=together, alone=alone)


def parse_response(reference: Reference, told: bytes) -> tuple[tuple[str | None, ...], Answers]:
    """What the model said against each row, None where nothing, and its answers to the others.

    Raises:
        ValueError: it is malformed.
    """
    try:
        _, errors, together, _ = _read(reference, _decoded(told))
        _require_shallow((together.predictions, together.probabilities))
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from error
    return tuple(None if said is None else str(said) for said in errors), together


def _decoded(told: bytes) -> Any:
    """JSON of numbers that the service could write: finite, integers of 64 bits.

    Raises:
        ValueError: it is something else.
    """
    try:
        return json.loads(told, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error


def _whole(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**64:
        raise ValueError("it has an integer of more than 64 bits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it has the number {text[:20]}")
    return value


def _require_shallow(value: Any, levels: int = _LEVELS) -> None:
    if isinstance(value, list | tuple):
        if not levels:
            raise ValueError(_TOO_DEEP)
        for item in value:
            _require_shallow(item, levels - 1)


def _read(reference: Reference, document: Any) -> tuple[list[Row], list[Any], Answers, Answers]:
    """The rows that were answered, what was said against each row, and the answers."""
    errors = list(document["errors"])
    together, alone = (_answers(document[name]) for name in ("together", "alone"))
    rows = [row for row, said in zip(reference.rows, errors, strict=True) if said is None]
    if {len(together.predictions or ()), len(alone.predictions or ())} != {len(rows)}:
        raise ValueError("not one prediction a row")
    return rows, errors, together, alone


def _bodies(document: Any) -> tuple[Body, ...]:
    """None of an older image, which knows of none. The formats that this modelpack knows: others
    are of a newer one.
    """
    found = {body["name"]: body for body in document.get("bodies", ())}
    return tuple(
        Body(name, base64.b64decode(found[name]["content"], validate=True), _answers(found[name]))
        for name in BODY_FORMATS
        if name in found
    )


def _answers(document: Any) -> Answers:
    predictions, probabilities = document["predictions"], document["probabilities"]
    if not isinstance(predictions, list) or not isinstance(probabilities, list | None):
        raise TypeError("no list of predictions")
    return Answers(tuple(predictions), None if probabilities is None else tuple(probabilities))
