"""The row that contributions of linear models are relative to."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np

from ..data.columns import Rows
from ..service import Service
from .origins import Column
from .steps import UnavailableError

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


def reference_of(columns: Sequence[Column], service: Service) -> Reference:
    """Return the reference of a linear model of these columns.

    Raises:
        UnavailableError: An input has no known value.
    """
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
    rows = column_arrays(service.decode_rows([decodable]))
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


def column_arrays(rows: Rows) -> list[np.ndarray]:
    """Return rows as a list of columns."""
    return list(rows.T) if isinstance(rows, np.ndarray) else list(rows)
