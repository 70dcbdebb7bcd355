"""Linear models: coefficient times the difference to a reference, for each column."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np

from ..data.columns import Rows
from ..service import Service
from .origins import Column
from .scores import scores_of
from .steps import Steps, UnavailableError, dense
from .sums import Sums, by_input

MEDIAN = 3
"""The position of the median in the quantiles of an input."""


class Reference(NamedTuple):
    """The row that contributions are relative to.

    Attributes:
        values: The value of each input: its mean in a StandardScaler, otherwise its median in the
            record, otherwise that of the example.
        rows: The same, decoded.
    """

    values: list[Any]
    rows: list[np.ndarray]


class Linear:
    """The contributions of a linear model."""

    method = "coefficients"

    def __init__(self, steps: Steps, columns: Sequence[Column], service: Service) -> None:
        """Read the coefficients.

        Raises:
            UnavailableError: They do not belong to the columns, or no reference is known.
        """
        self._scores = scores_of(steps.predictor, len(columns))
        self._steps = steps
        self._sources = [column.source for column in columns]
        self._reference = _reference(columns, service)

    @property
    def references(self) -> list[Any]:
        """The reference of each input."""
        return self._reference.values

    def sums(self, rows: Rows) -> Sums:
        """Return the contributions to each score for one row."""
        both = _together(rows, self._reference.rows)
        values, usual = dense(self._steps.transformed(both))
        values, usual = self._scores.columns(values), self._scores.columns(usual)
        parts = self._scores.coefficients * (values - usual)
        base = self._scores.coefficients @ usual + self._scores.intercepts
        return Sums(base, by_input(parts, self._sources, len(self._reference.values)))


def _reference(columns: Sequence[Column], service: Service) -> Reference:
    fields = service.manifest.inputs
    means = {column.source: column.mean for column in columns if column.mean is not None}
    shared = {column.source for column in columns if column.mean is None}  # not only scaled
    values = []
    for index, document in enumerate(service.manifest.model["signature"]["inputs"]):
        mean = None if index in shared else means.get(index)
        value = _usual(document) if mean is None else mean
        if value is None and not fields[index].nullable:
            raise UnavailableError("No example of the inputs is known.")
        values.append(value)
    decodable = [
        round(value) if field.type == "integer" and isinstance(value, float) else value
        for field, value in zip(fields, values)
    ]
    rows = _columns(service.decode_rows([decodable]))
    for index, mean in means.items():
        if index not in shared:
            rows[index] = np.array([mean])
    return Reference(values, rows)


def _usual(document: Any) -> Any:
    quantiles = document.get("quantiles")
    if quantiles and document["type"] in ("number", "integer"):
        median = quantiles[MEDIAN]
        return round(median) if document["type"] == "integer" else median
    return document["example"]


def _columns(rows: Rows) -> list[np.ndarray]:
    return list(rows.T) if isinstance(rows, np.ndarray) else list(rows)


def _together(rows: Rows, others: Sequence[np.ndarray]) -> Rows:
    """Return one row followed by another one, in the form of the first one."""
    pairs = [np.concatenate(pair) for pair in zip(_columns(rows), others)]
    return np.array(pairs, np.float64).T if isinstance(rows, np.ndarray) else pairs
