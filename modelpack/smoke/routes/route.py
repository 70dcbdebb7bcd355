"""One way in which rows can be asked for, as a client would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from modelpack.smoke.probe import CheckFailedError, Probe, brief
from modelpack.spec import Answers, Field, ModelSpec, Scalar

Rows = Sequence[Sequence[Scalar]]


def _always(model: ModelSpec) -> bool:  # noqa: ARG001 - as other routes look at it
    return True


@dataclass(frozen=True)
class Route:
    """`ask` gives the answers to rows, each in the order of the signature. `alone`: it takes one
    row a request. `takes`: whether a model can be asked so.
    """

    name: str
    ask: Callable[[Probe, Rows], Answers]
    alone: bool = False
    takes: Callable[[ModelSpec], bool] = _always


def path_of_model(probe: Probe) -> str:
    """`/models/NAME`, the name being the one that the service goes by."""
    answer = probe.get("/v1/models")
    names = answer.body.get("models") if isinstance(answer.body, dict) else None
    if not (isinstance(names, list) and names):
        raise CheckFailedError(f"no list of models in {brief(answer.body)}")
    return f"/models/{quote(str(names[0]), safe='')}"


def numeric(fields: Sequence[Field]) -> bool:
    """Whether rows are numbers and nothing else, so that they can be sent as one matrix."""
    return bool(fields) and all(field.type in {"number", "integer"} for field in fields)
