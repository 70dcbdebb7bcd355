"""Rows that come as columns or as a matrix follow the rules of rows that come as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelpack.serving.data import tables
from modelpack.serving.data.rows import Decoder, DictDecoder, unnamed_fields
from modelpack.serving.manifest import Field
from modelpack.serving.problems import Problem

FIELDS = (
    Field("height", "number", nullable=True),
    Field("rooms", "integer"),
    Field("town", "string"),
    Field("new", "boolean"),
)
GOOD: dict[str, Any] = {
    "height": np.array([1.5, np.nan], np.float32),
    "rooms": np.array([3, 4], np.int8),
    "town": np.array(["Bonn", "Köln"]),
    "new": np.array([True, False]),
}


def frame(fields: tuple[Field, ...] = FIELDS, **more: Any) -> Decoder:
    return Decoder(fields, "frame", 1000, **more)


def numbers(count: int, type_: str = "number", nullable: bool = False) -> Decoder:
    fields = [Field(f"x{i}", type_, nullable=nullable) for i in range(count)]
    return Decoder(fields, "array", 1000, named=False)


def error_tuples(caught: pytest.ExceptionInfo[Problem]) -> list[tuple[Any, Any, str]]:
    return [(e["row"], e["column"], e["got"]) for e in caught.value.errors]


def rows_from_table(decoder: Decoder, table: dict[str, Any]) -> Any:
    return tables.rows_from_columns(decoder, list(table), list(table.values()))


def test_columns_by_name_come_in_the_order_of_the_signature() -> None:
    shuffled = dict(sorted(GOOD.items()))
    height, rooms, town, new = rows_from_table(frame(), shuffled)
    assert (height.dtype, rooms.dtype, new.dtype) == (np.float64, np.int64, np.bool_)
    assert height[0] == 1.5
    assert np.isnan(height[1])
    assert town.tolist() == ["Bonn", "Köln"]


def test_columns_equal_the_same_rows_in_json() -> None:
    rows = [[1.5, 3, "Bonn", True], [None, 4, "Köln", False]]
    for one, other in zip(rows_from_table(frame(), GOOD), frame().explain(rows), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_a_table_has_every_column_that_the_model_reads() -> None:
    """The model itself rejects a DataFrame without one, also if all values may be missing."""
    less = {name: column for name, column in GOOD.items() if name not in ("height", "town")}
    with pytest.raises(
        Problem, match=r'Column "height": .* This is the first of 2 errors'
    ) as caught:
        rows_from_table(frame(), less)
    assert error_tuples(caught) == [(None, "height", "nothing"), (None, "town", "nothing")]
    (height, *_) = frame().explain([{"rooms": 3, "town": "Bonn", "new": True}])  # JSON by name
    assert np.isnan(height).all()


def test_a_table_may_lack_columns_that_the_model_does_not_read() -> None:
    """A ColumnTransformer drops them: they have neither a type nor an example."""
    fields = (*FIELDS, Field("dropped", "any", nullable=True))
    *_, dropped = rows_from_table(frame(fields), GOOD)
    assert np.isnan(dropped.astype(float)).all()


def test_tables_of_dicts_may_lack_names() -> None:
    decoder = DictDecoder([Field("a", "number", True, example=1.0), Field("b", "number", True)], 9)
    (rows,) = rows_from_table(decoder, {"b": [2.0]})
    assert rows.tolist() == [{"b": 2.0}]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"rooms": np.array([3.0, 4.5])}, (1, "rooms", "4.5")),
        ({"rooms": np.array([2**64 - 1, 4], np.uint64)}, (0, "rooms", str(2**64 - 1))),
        ({"rooms": np.array([3, np.inf], np.float16)}, (1, "rooms", "infinity")),
        ({"rooms": np.array([np.nan, 4])}, (0, "rooms", "NaN")),
        ({"height": np.array([1, np.inf])}, (1, "height", "infinity")),
        ({"height": np.array(["2024-01-01", "NaT"], "M8[s]")}, (None, "height", "dates")),
        ({"height": np.array(["1.5", "2"])}, (0, "height", 'the string "1.5"')),
        ({"height": [1.5, {}]}, (1, "height", "an object")),
        ({"town": np.array([1, 2])}, (0, "town", "1")),
        ({"town": ["Bonn", None]}, (1, "town", "null")),
        ({"new": np.array([1, 2])}, (1, "new", "2")),
        ({"new": np.array([1.0, 0.5], np.float32)}, (1, "new", "0.5")),
        ({"new": np.array([1.0, np.nan])}, (1, "new", "NaN")),
        ({"more": np.array([1, 0])}, (None, "more", "an unknown one")),
        ({"a" * 99: np.array([1, 0])}, (None, "a" * 57 + "...", "an unknown one")),
    ],
)
def test_error_contains_row_and_column(change: dict[str, Any], error: tuple[Any, Any, str]) -> None:
    with pytest.raises(Problem) as caught:
        rows_from_table(frame(), {**GOOD, **change})
    assert caught.value.status == 422
    assert error_tuples(caught)[0] == error


def test_errors_come_in_the_order_of_the_rows() -> None:
    table = {**GOOD, "rooms": [3, 4.5], "new": [2, 3]}
    with pytest.raises(Problem) as caught:
        rows_from_table(frame(), table)
    assert [row for row, _, _ in error_tuples(caught)] == [0, 1, 1]


def test_missing_and_duplicate_columns_are_reported() -> None:
    with pytest.raises(Problem, match='Column "town": expected this column, got nothing'):
        rows_from_table(frame(), {name: c for name, c in GOOD.items() if name != "town"})
    with pytest.raises(Problem, match='Column "town": expected each column once'):
        tables.rows_from_columns(frame(), [*GOOD, "town"], [*GOOD.values(), GOOD["town"]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
def test_a_matrix_of_numbers(dtype: Any) -> None:
    matrix = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    rows = tables.rows_from_matrix(numbers(3), matrix)
    assert isinstance(rows, np.ndarray)
    assert rows.dtype == np.float64
    assert rows.tolist() == matrix.tolist()


@pytest.mark.parametrize("order", ["C", "F"])
def test_matching_memory_layout_is_not_copied(order: Any) -> None:
    matrix = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], order=order)
    assert np.shares_memory(tables.rows_from_matrix(numbers(3), matrix), matrix)
    column, towns = np.array([1.5, 2.5]), ["Bonn", "Ulm"]
    height, _ = tables.rows_from_columns(frame((FIELDS[0], FIELDS[2])), None, [column, towns])
    assert np.shares_memory(height, column)


@pytest.mark.parametrize("dtype", [">f8", "<f8", "<f4", ">i4", "<u2"])
def test_unaligned_values_are_copied(dtype: str) -> None:
    values = np.array([[1, 2], [3, 4]], dtype)
    askew = np.frombuffer(b"!" + values.tobytes(), dtype, offset=1).reshape(2, 2)
    rows = tables.rows_from_matrix(numbers(2), askew)
    assert isinstance(rows, np.ndarray)
    assert (rows.dtype, rows.flags.aligned) == (np.dtype(np.float64), True)
    assert rows.tolist() == values.tolist()


def outcome(read: Any) -> Any:
    """Return the decoded rows as columns with NaN as None, or the reported errors."""
    try:
        rows = read()
    except Problem as problem:
        return problem.errors
    columns = rows.T if isinstance(rows, np.ndarray) else rows
    return [[None if v != v else v for v in column.tolist()] for column in columns]  # noqa: PLR0124


NUMBERS = st.sampled_from(
    [0, 1, -2.5, 3.0, np.nan, np.inf, -np.inf, 2.0**53, 2.0**63, -(2.0**63), 1e19, 1e200, 5e-324]
)


KINDS = ["number", "integer", "any", "boolean", "datetime"]


@given(
    values=st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=1, max_size=4),
    types=st.lists(st.sampled_from(KINDS), min_size=2, max_size=2),
    nullable=st.lists(st.booleans(), min_size=2, max_size=2),
    layout=st.sampled_from(["array", "frame"]),
    order=st.sampled_from(["C", "F"]),
)
def test_a_matrix_is_read_as_its_values_are_one_by_one(
    values: Any, types: Any, nullable: Any, layout: str, order: Any
) -> None:
    fields = [Field(f"x{i}", *each) for i, each in enumerate(zip(types, nullable, strict=True))]
    decoder = Decoder(fields, layout, 10)
    matrix = np.array(values, np.float64, order=order)
    plain = outcome(lambda: decoder.explain(matrix.tolist()))
    assert outcome(lambda: tables.rows_from_matrix(decoder, matrix)) == plain
    assert outcome(lambda: tables.rows_from_columns(decoder, None, list(matrix.T))) == plain


WHOLE = st.integers(-(2**53), 2**53), st.integers(2**63, 2**64 - 1)
"""Those that floats hold, too, and those that no signed integer does."""


@given(
    values=st.one_of(*(st.lists(numbers, min_size=1, max_size=4) for numbers in WHOLE)),
    type_=st.sampled_from(["number", "integer", "any"]),
    layout=st.sampled_from(["array", "frame"]),
    dtype=st.sampled_from([np.int8, np.uint16, np.int64, np.uint64]),
)
def test_whole_numbers_are_read_as_they_are_one_by_one(
    values: Any, type_: str, layout: str, dtype: Any
) -> None:
    whole = np.array(values, object)
    column = whole.astype(np.uint64 if max(values) >= 2**63 else np.int64)
    column = column if max(values) >= 2**63 else column.astype(dtype)
    decoder = Decoder([Field("x0", type_)], layout, 10)
    plain = outcome(lambda: decoder.explain(column.tolist()))
    assert outcome(lambda: tables.rows_from_columns(decoder, None, [column])) == plain
    assert outcome(lambda: tables.rows_from_matrix(decoder, column[:, None])) == plain


@pytest.mark.parametrize(
    ("matrix", "error"),
    [
        (np.array([[1.0, 2.0], [3.0, np.nan]]), (1, "x1", "NaN")),
        (np.array([[1.0, np.inf]]), (0, "x1", "infinity")),
        (np.array([["2024-01-01", "2024-01-02"]], "M8[s]"), (None, "x0", "dates")),
        (np.array([["a", "b"]]), (0, "x0", 'the string "a"')),
        (np.array([[1.0, 2.0, 3.0]]), (None, None, "3")),
    ],
)
def test_errors_in_a_matrix_are_reported(matrix: Any, error: tuple[Any, Any, str]) -> None:
    with pytest.raises(Problem) as caught:
        tables.rows_from_matrix(numbers(2), matrix)
    assert error_tuples(caught)[0] == error


def test_missing_numbers_where_they_may_be_missing() -> None:
    rows = tables.rows_from_matrix(numbers(2, nullable=True), np.array([[1.0, np.nan]]))
    assert isinstance(rows, np.ndarray)
    assert np.isnan(rows[0, 1])


def test_whole_numbers_may_come_as_floats() -> None:
    assert tables.rows_from_matrix(numbers(1, "integer"), np.array([[3.0]])).tolist() == [[3.0]]  # type: ignore[union-attr]
    with pytest.raises(Problem):
        tables.rows_from_matrix(numbers(1, "integer"), np.array([[3.5]]))


@pytest.mark.parametrize(("rows", "status"), [(0, 422), (1001, 413)])
def test_too_few_and_too_many_rows(rows: int, status: int) -> None:
    with pytest.raises(Problem) as caught:
        tables.rows_from_matrix(numbers(2), np.zeros((rows, 2)))
    assert caught.value.status == status


def test_unknown_names_are_taken_in_their_order() -> None:
    rows = tables.rows_from_columns(
        numbers(2), ["width", "height"], [np.array([1.0]), np.array([2.0])]
    )
    assert np.asarray(rows).tolist() == [[1.0, 2.0]]
    back = tables.rows_from_columns(numbers(2), ["x1", "x0"], [np.array([1.0]), np.array([2.0])])
    assert np.asarray(back).tolist() == [[2.0, 1.0]]


def test_model_with_unknown_inputs_accepts_any_width() -> None:
    decoder = Decoder(unnamed_fields(2), "array", 10, named=False)
    assert np.asarray(tables.rows_from_matrix(decoder, np.ones((1, 2)))).tolist() == [[1.0, 1.0]]


def test_a_model_of_dicts_takes_tables() -> None:
    decoder = DictDecoder([Field("a", "number"), Field("b", "string", nullable=True)], 10)
    (dicts,) = tables.rows_from_columns(decoder, ["b", "a"], [["x", None], np.array([1, 2])])
    assert dicts.tolist() == [{"a": 1.0, "b": "x"}, {"a": 2.0}]


def test_a_nan_of_any_sort_is_missing_and_no_cause_for_a_warning() -> None:
    signalling = np.array([0x7F800001, 0x3F800000], np.uint32).view(np.float32)
    fields = (Field("height", "number", nullable=True),)
    for rows in (
        tables.rows_from_columns(frame(fields), ["height"], [signalling]),
        tables.rows_from_matrix(numbers(1, nullable=True), signalling[:, None]),
    ):
        assert np.isnan(rows[0]).all()
        assert rows[1] == 1
