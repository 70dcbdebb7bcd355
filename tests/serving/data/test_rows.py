"""The decoder: its fast path and its exact path agree, and the fast path is fast."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpack.serving.data import rows as data_rows
from modelpack.serving.data.columns import FallbackRequiredError
from modelpack.serving.data.json_body import parse, parse_strict
from modelpack.serving.data.rows import Decoder, unnamed_fields
from modelpack.serving.manifest import Field
from modelpack.serving.problems import Problem
from modelpack.serving.settings import Limits

TYPES = ("number", "integer", "string", "boolean", "datetime", "any")
VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "1", "true", "NaN", "2024-02-29T12:00Z", "2023-02-29", "9999-01-01"])
    | st.sampled_from([0, 1, True, 1.0, 10**20, 10**13])
    | st.sampled_from([0, 1.0, 2.5, 2**63, 2.0**63, -(2**63)])
)


def build_fields(*types: str, nullable: bool = False) -> list[Field]:
    return [Field(f"x{index}", type_, nullable) for index, type_ in enumerate(types)]


def comparable_columns(rows) -> list[list]:
    """The values of decoded rows, comparable: NaN as None, and NaT by its number."""
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
def test_values_accepted_by_the_fast_path_are_valid_one_by_one(types, nullable, layout, rows):
    """The fast way never lets through what the exact way refuses, nor reads it differently."""
    decoder = Decoder(build_fields(*types, nullable=nullable), layout, 10)
    body = json.dumps(rows).encode()
    try:
        fast = decoder.decode(parse(body, Limits()))
    except FallbackRequiredError:
        return
    assert comparable_columns(fast) == comparable_columns(
        decoder.explain(parse_strict(body, Limits()))
    )


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
def test_ordinary_rows_take_the_fast_path(types, row, nullable):
    decoder = Decoder(build_fields(*types, nullable=nullable), "frame", 10)
    assert len(comparable_columns(decoder.decode([row, row]))) == 2


@given(
    width=st.integers(1, 4),
    kind=st.sampled_from([list, tuple]),
    values=st.lists(st.floats(), min_size=4, max_size=40),
    other=st.none() | VALUES | st.lists(st.floats(), max_size=3),
    index=st.integers(0, 39),
)
def test_only_floats_are_packed_bit_for_bit(width, kind, values, other, index):
    whole = values[: len(values) - len(values) % width]
    rows = [kind(whole[i : i + width]) for i in range(0, len(whole), width)]
    packed = data_rows.float_matrix(rows, width)
    assert packed.tobytes() == np.array(rows, np.float64).tobytes()
    assert packed.flags.c_contiguous
    if type(other) is not float:
        whole[index % len(whole)] = other
        rows = [kind(whole[i : i + width]) for i in range(0, len(whole), width)]
        assert data_rows.float_matrix(rows, width) is None


@pytest.mark.parametrize("layout", ["array", "frame"])
@pytest.mark.parametrize("count", [1, 2, 100])
def test_a_fraction_in_any_row_is_no_integer(layout, count):
    decoder = Decoder(build_fields("number", "integer"), layout, 1000)
    rows = [[0.5, 1.0]] * count
    assert comparable_columns(decoder.decode(rows))[1] == [1] * count
    for at in {0, count // 2, count - 1}:
        changed = [*rows[:at], [0.5, 1.5], *rows[at + 1 :]]
        with pytest.raises(FallbackRequiredError):
            decoder.decode(changed)
        with pytest.raises(Problem) as problem:
            decoder.explain(changed)
        assert [(error["row"], error["column"]) for error in problem.value.errors] == [(at, "x1")]


def test_no_more_than_20_errors_are_listed():
    """The seventh row has the 19th and the 20th."""
    decoder = Decoder(build_fields("number", "number", "number"), "array", 1000)
    with pytest.raises(Problem) as problem:
        decoder.explain([["a", "b", "c"]] * 9)
    errors = problem.value.errors
    assert len(errors) == 20
    assert (errors[-1]["row"], errors[-1]["column"]) == (6, "x1")


def test_values_of_other_sizes_do_not_make_up_for_each_other():
    """A whole number takes four bytes less than a float when packed, this text four more."""
    rows = [[0.5, 1.0], [7, "12345678"], [0.5, 2.0]]
    assert data_rows.float_matrix(rows, 2) is None
    assert data_rows.float_matrix([[0.5, 0.5]] * 2 + [[1.0, True], [1.0, False]], 2) is None


@pytest.mark.parametrize("names", [("x0", "x1", "x2"), ("x2", "x0", "x1")])
@pytest.mark.parametrize("count", [1, 100])
def test_many_rows_are_read_as_few_are(names, count):
    row = {"x0": 0.5, "x1": 1.5, "x2": 2.5}
    decoder = Decoder(build_fields("number", "number", "number"), "array", 1000)
    rows = [{name: row[name] for name in names}] * count
    assert decoder.decode(rows).tolist() == [[0.5, 1.5, 2.5]] * count
    assert decoder.decode([list(row.values())] * count).tolist() == [[0.5, 1.5, 2.5]] * count
    for wrong in ("1.5", None, [1.5]):
        for at in {0, count - 1}:
            changed = [*rows[:at], {**row, "x1": wrong}, *rows[at + 1 :]]
            with pytest.raises(FallbackRequiredError):
                decoder.decode(changed)


def test_a_name_in_the_place_of_another_is_in_doubt():
    decoder = Decoder(build_fields("number", "number", nullable=True), "array", 10)
    assert comparable_columns(decoder.decode([{"x1": 1.5}])) == [[None], [1.5]]
    with pytest.raises(FallbackRequiredError):
        decoder.decode([{"x1": 1.5, "x2": 1.5}])


def test_columns_have_the_types_of_the_signature():
    decoder = Decoder(build_fields(*TYPES), "frame", 10)
    day = "2024-05-01"
    rows = decoder.decode([[1, 2.0, "a", True, day, 3], [1.5, 2, "b", False, day, 4]])
    names = ["float64", "int64", "object", "bool", "datetime64[ns]", "int64"]
    assert [column.dtype.name for column in rows] == names


@pytest.mark.parametrize(
    ("categories", "values", "expected"),
    [
        ((1, 2, 3), ["3", 1, "2"], [3, 1, 2]),
        ((1.5, 2.0), ["1.5", "2.0"], [1.5, 2.0]),
        ((True, False), ["True", "false"], [True, False]),
        ((1, "1", "x"), ["1", 1, "x"], ["1", 1, "x"]),
        ((1, 2), ["9", 1], ["9", 1]),
        (("a", "true"), ["true", "b"], ["true", "b"]),
    ],
)
def test_texts_of_categories_of_any_type_are_these(categories, values, expected):
    field = Field("x0", "any", categories=categories)
    (column,) = Decoder([field], "frame", 10).explain([[value] for value in values])
    assert list(map(repr, column.tolist())) == list(map(repr, expected))
    is_text = any(isinstance(value, str) for value in expected)
    assert (column.dtype == object) == is_text


def test_large_integers_keep_their_last_digit():
    decoder = Decoder(build_fields("integer", "string"), "frame", 10)
    (numbers, _) = decoder.decode([[2**63 - 1, "a"]])
    assert numbers.tolist() == [2**63 - 1]


def test_a_model_without_known_inputs_takes_any_rectangle():
    rows = [[1, 2.5, None], [3, 4, 5]]
    decoded = Decoder(unnamed_fields(len(rows[0])), "array", 10).decode(rows)
    assert decoded.shape == (2, 3)
    with pytest.raises(Problem, match="expected 3 values, got 1"):
        Decoder(unnamed_fields(len(rows[0])), "array", 10).explain([[1, 2, 3], [1]])


def test_a_million_numbers_cost_little_more_than_numpy_needs():
    rows = np.random.default_rng(0).random((10_000, 100)).tolist()
    decoder = Decoder(build_fields(*["number"] * 100), "array", 10_000)

    def seconds(call) -> float:
        times = []
        for _ in range(3):
            started = time.perf_counter()
            call(rows)
            times.append(time.perf_counter() - started)
        return min(times)

    assert seconds(decoder.decode) < 5 * seconds(np.array)


UNNAMED = [{"age": 1.5, "port": 2.0}, {"age": 3.0, "port": 4.5}]


@pytest.mark.parametrize("how", ["decode", "explain"])
def test_objects_of_a_model_without_names_are_taken_by_position(how):
    decoder = Decoder(build_fields("number", "number"), "array", 10, named=False)
    assert comparable_columns(getattr(decoder, how)(UNNAMED)) == [[1.5, 3.0], [2.0, 4.5]]


@pytest.mark.parametrize(
    "rows",
    [
        [UNNAMED[0], {"port": 2.0, "age": 1.5}],  # in another order
        [UNNAMED[0], {"age": 1.5, "fare": 2.0}],  # of another name
        [UNNAMED[0], [1.5, 2.0]],
        [{**row, "id": 1.0} for row in UNNAMED],  # of another width
        [{"x1": 1.5, "port": 2.0}],  # with the name of an input
    ],
)
def test_objects_whose_names_are_no_positions_are_refused(rows):
    decoder = Decoder(build_fields("number", "number"), "array", 10, named=False)
    for how in (decoder.decode, decoder.explain):
        with pytest.raises((FallbackRequiredError, Problem)):
            how(rows)


@pytest.mark.parametrize("how", ["decode", "explain"])
def test_numbers_as_names_are_positions_in_any_order(how):
    decoder = Decoder(build_fields("number", "number", "number"), "array", 10, named=False)
    rows = [{"2": 3.0, "0": 1.0, "1": 2.0}]
    assert comparable_columns(getattr(decoder, how)(rows)) == [[1.0], [2.0], [3.0]]


def test_objects_of_a_model_with_names_are_taken_by_name():
    decoder = Decoder(build_fields("number", "number"), "array", 10)
    with pytest.raises(Problem, match="expected the name of one of the 2 inputs"):
        decoder.explain(UNNAMED)
