"""What the first operators of an ONNX graph tell of its inputs, column by column."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ..facts.columns import Column
from .onnx_graph import Model, Operator

_PASSING = {"Identity", "Reshape", "Cast", "Flatten", "Gather"}
"""What gives on a column as it is. skl2onnx picks it by Gather out of an input that has but one."""

_FURTHEST = 8


def describe(columns: Sequence[Column], places: Mapping[str, Sequence[int]], model: Model) -> None:
    """Tell the columns what is known of them. `places`: input -> the columns that it takes."""
    origins = _Origins(places, len(columns), model)
    for operator in model.operators:
        told = _TELLING.get(operator.kind)
        if told is not None and operator.inputs:
            found = origins.of(operator.inputs[0], 0)
            told(operator, [columns[index] for index in found])


class _Origins:
    """Which columns the values inside the graph hold, unchanged. Each value is looked at once."""

    def __init__(self, places: Mapping[str, Sequence[int]], count: int, model: Model) -> None:
        self._found: dict[str, list[int]] = {name: list(held) for name, held in places.items()}
        self._makers = {output: op for op in model.operators for output in op.outputs}
        self._count = count

    def of(self, name: str, steps: int) -> list[int]:
        """The columns, by their numbers; none if the value holds others."""
        if name not in self._found:
            self._found[name] = []  # of what leads back to itself
            maker = self._makers.get(name)
            found = self._through(maker, steps) if maker and steps < _FURTHEST else []
            self._found[name] = found if len(found) <= self._count else []
        return self._found[name]

    def _through(self, maker: Operator, steps: int) -> list[int]:
        if maker.kind in _PASSING:
            found = self.of(maker.inputs[0], steps + 1) if maker.inputs else []
            return found if maker.kind != "Gather" or len(found) == 1 else []
        if maker.kind != "Concat" or len(maker.inputs) > self._count:
            return []
        parts = [self.of(part, steps + 1) for part in maker.inputs]
        return [index for part in parts for index in part] if all(parts) else []


def _one_hot(operator: Operator, columns: Sequence[Column]) -> None:
    texts, numbers = (operator.attributes.get(f"cats_{kind}") for kind in ("strings", "int64s"))
    if len(columns) == 1 and texts is not None:
        columns[0].category(texts.texts)
    elif len(columns) == 1 and numbers is not None and columns[0].type == "integer":
        columns[0].type = None
        columns[0].category(numbers.integers)


def _scaler(operator: Operator, columns: Sequence[Column]) -> None:
    offset = operator.attributes.get("offset")
    means = offset.floats if offset else []
    if len(means) == len(columns):
        for column, mean in zip(columns, means, strict=True):
            column.number(example=mean)


def _imputer(operator: Operator, columns: Sequence[Column]) -> None:
    replaced = operator.attributes.get("replaced_value_float")
    for column in columns:
        column.nullable |= replaced is not None and math.isnan(replaced.number)


_TELLING: dict[str, Callable[[Operator, Sequence[Column]], None]] = {
    "OneHotEncoder": _one_hot,
    "Scaler": _scaler,
    "Imputer": _imputer,
}


def example_text(model: Model) -> str:
    """A text that the model knows, of those that it looks up."""
    pools = (operator.attributes.get("pool_strings") for operator in model.operators)
    return next((pool.texts[0] for pool in pools if pool is not None and pool.texts), "")
