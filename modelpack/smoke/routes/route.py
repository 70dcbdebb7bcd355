"""One way in which rows can be asked for, as a client would."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelpack.smoke.probe import Probe
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


def numeric(fields: Sequence[Field]) -> bool:
    """Whether rows are numbers and nothing else, so that they can be sent as one matrix."""
    return bool(fields) and all(field.type in {"number", "integer"} for field in fields)
