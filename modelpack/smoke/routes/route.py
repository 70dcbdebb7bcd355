"""One way in which rows can be asked for, as a client would."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from modelpack.smoke.probe import CheckFailedError, Probe, brief
from modelpack.types import Answers, Field, ModelSpec, Reference, Scalar

Rows = Sequence[Sequence[Scalar]]


def _always(anything: object) -> bool:  # noqa: ARG001 - as other routes look at it
    return True


@dataclass(frozen=True)
class Route:
    """`ask` gives the answers to rows, each in the order of the signature. `alone`: it takes one
    row a request. `takes`: whether a model can be asked so; `holds`: whether these rows can be
    written so.
    """

    name: str
    ask: Callable[[Probe, Rows], Answers]
    alone: bool = False
    takes: Callable[[ModelSpec], bool] = _always
    holds: Callable[[Rows], bool] = _always

    def known(self, reference: Reference) -> Answers | None:
        """The answers to compare with, None where they are not known."""
        return reference.alone if self.alone else reference.answers

    def request(self, probe: Probe, reference: Reference) -> Answers:
        """The answers of the service."""
        return self.ask(probe, reference.rows)


def names_of(probe: Probe) -> list[str]:
    """Of the inputs, in the order of the signature."""
    return [field.name for field in probe.model.signature.inputs]


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


def exact(rows: Rows) -> bool:
    """Whether 64-bit floats hold the numbers."""
    return all(value is None or float(value) == value for row in rows for value in row)


def written_alike(model: ModelSpec) -> bool:
    """Whether a text table says what its cells are: there, only the signature tells "1" from 1."""
    return bool(model.signature.inputs) and all(f.type != "any" for f in model.signature.inputs)


def without_empty_texts(rows: Rows) -> bool:
    """Whether a text table holds the rows: what is empty there is missing."""
    return not any(value == "" for row in rows for value in row)


def csv_of(rows: Rows, names: Sequence[str] | None = None) -> bytes:
    """A text table, under a line of names if there are some."""
    file = io.StringIO()
    writer = csv.writer(file)
    if names:
        writer.writerow(names)
    writer.writerows(map(_cell, row) for row in rows)
    return file.getvalue().encode()


def _cell(value: Scalar) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else value
