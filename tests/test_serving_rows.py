"""The decoder: its fast way and its exact way must agree, and the fast way must be fast."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpack.serving.columns import DoubtError
from modelpack.serving.limits import Limits
from modelpack.serving.manifest import Field
from modelpack.serving.problems import Problem
from modelpack.serving.rows import Decoder, unnamed
from modelpack.serving.wire import parse, parse_exactly

TYPES = ("number", "integer", "string", "boolean", "any")
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "1", "true", "NaN"])
    | st.sampled_from([0, 1.0, 2.5, 2**63, 2.0**63, -(2**63)])
)


def fields_of(*types: str, nullable: bool = False) -> list[Field]:
    return [Field(f"x{index}", type_, nullable) for index, type_ in enumerate(types)]


def columns_of(rows) -> list[list]:
    """The values of decoded rows, comparable: NaN as None."""
    columns = rows.T if isinstance(rows, np.ndarray) else rows
    return [
        [None if isinstance(v, float) and math.isnan(v) else v for v in column.tolist()]
        for column in columns
    ]


@given(
    types=st.lists(st.sampled_from(TYPES), min_size=3, max_size=3),
    nullable=st.booleans(),
    layout=st.sampled_from(["array", "frame"]),
    rows=st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=3),
)
def test_what_is_plainly_right_is_right_value_by_value(types, nullable, layout, rows):
    """The fast way never lets through what the exact way refuses, nor reads it differently."""
    decoder = Decoder(fields_of(*types, nullable=nullable), layout, 10)
    body = json.dumps(rows).encode()
    try:
        fast = decoder.decode(parse(body, Limits()))
    except DoubtError:
        return
    assert columns_of(fast) == columns_of(decoder.explain(parse_exactly(body, Limits())))


@pytest.mark.parametrize(
    ("types", "row", "nullable"),
    [
        (("number", "number"), [1, 2.5], False),
        (("number", "integer"), [1.5, 2.0], False),
        (("any", "any"), [1, 2.5], False),
        (("any", "any"), ["a", "b"], False),
        (("string", "boolean"), ["a", True], False),
        (("number", "string"), [None, None], True),
    ],
)
def test_ordinary_rows_take_the_fast_way(types, row, nullable):
    decoder = Decoder(fields_of(*types, nullable=nullable), "frame", 10)
    assert len(columns_of(decoder.decode([row, row]))) == 2


def test_columns_have_the_types_of_the_signature():
    decoder = Decoder(fields_of(*TYPES), "frame", 10)
    rows = decoder.decode([[1, 2.0, "a", True, 3], [1.5, 2, "b", False, 4]])
    assert [column.dtype.name for column in rows] == ["float64", "int64", "object", "bool", "int64"]


def test_large_integers_keep_their_last_digit():
    decoder = Decoder(fields_of("integer", "string"), "frame", 10)
    (numbers, _) = decoder.decode([[2**63 - 1, "a"]])
    assert numbers.tolist() == [2**63 - 1]


def test_a_model_without_known_inputs_takes_any_rectangle():
    rows = [[1, 2.5, None], [3, 4, 5]]
    decoded = Decoder(unnamed(len(rows[0])), "array", 10).decode(rows)
    assert decoded.shape == (2, 3)
    with pytest.raises(Problem, match="expected 3 values, got 1"):
        Decoder(unnamed(len(rows[0])), "array", 10).explain([[1, 2, 3], [1]])


def test_a_million_numbers_cost_little_more_than_numpy_needs():
    rows = np.random.default_rng(0).random((10_000, 100)).tolist()
    decoder = Decoder(fields_of(*["number"] * 100), "array", 10_000)

    def seconds(call) -> float:
        times = []
        for _ in range(3):
            started = time.perf_counter()
            call(rows)
            times.append(time.perf_counter() - started)
        return min(times)

    assert seconds(decoder.decode) < 5 * seconds(np.array)
