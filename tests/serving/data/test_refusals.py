"""The value that an error names if the model rejects rows."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from modelpack.serving.data.validation import RejectionSearch
from modelpack.serving.manifest import Field

FIELDS = [Field(name, "number") for name in "abc"]
EXAMPLE = np.zeros((1, 3))


def problem(model, rows, fields, example):
    return RejectionSearch(fields, patience=60).problem(model, rows, example)


def picky(columns):
    """Takes no 13 anywhere, and no row of sevens."""
    table = np.column_stack(columns)
    if (table == 13).any() or (table == 7).all(axis=1).any():
        raise ValueError


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_the_first_refused_value_is_found(count, column):
    rows = np.zeros((count, 3))
    rows[count // 2 :, column] = 13
    (error,) = problem(picky, rows, FIELDS, EXAMPLE).errors
    assert (error["row"], error["column"], error["got"]) == (count // 2, "abc"[column], "13.0")


@pytest.mark.parametrize(("row", "example"), [([7, 7, 7], EXAMPLE), ([0, 13, 0], None)])
def test_refused_row_is_reported_without_a_value(row, example):
    (error,) = problem(picky, np.array([[0, 0, 0], row]), FIELDS, example).errors
    assert (error["row"], error["column"]) == (1, None)


def test_rows_accepted_one_by_one_are_not_reported():
    assert problem(picky, np.zeros((5, 3)), FIELDS, EXAMPLE) is None


def test_search_needs_few_model_calls():
    calls = []

    def model(columns):
        calls.append(len(columns[0]))
        picky(columns)

    rows = np.zeros((10_000, 3))
    rows[-1, 2] = 13
    assert problem(model, rows, FIELDS, EXAMPLE)
    assert len(calls) < 20
    assert sum(calls) < 10_020


CATEGORIES = [Field("kind", "string", categories=("a", "b")), Field("n", "number")]
GOOD = [np.array(["a"], object), np.array([0.5])]


class Encoder:
    """Refuses unknown kinds and numbers beyond 32 bits, and counts how often it is called."""

    def __init__(self, refused=("a", "b")):
        self.refused = refused
        self.calls = 0

    def __call__(self, columns):
        self.calls += 1
        kinds, numbers = columns
        if self.refused and not set(kinds.tolist()) <= set(self.refused):
            raise ValueError
        if (np.abs(numbers) > 3.5e38).any():
            raise ValueError


def build_columns(kinds, numbers):
    return [np.array(kinds, object), np.array(numbers, float)]


def test_an_unknown_category_takes_one_call_and_none_from_then_on():
    refusals, model = RejectionSearch(CATEGORIES), Encoder()
    for calls in (1, 1):
        rows = build_columns(["a"] * 999 + ["z"], [0.5] * 1000)
        (error,) = refusals.problem(model, rows, GOOD).errors
        assert (error["row"], error["column"], error["got"]) == (999, "kind", 'the string "z"')
        assert model.calls == calls


def test_known_categories_are_listed():
    rows = build_columns(["z"], [0.5])
    (error,) = RejectionSearch(CATEGORIES).problem(Encoder(), rows, GOOD).errors
    assert error["expected"].startswith('a value that the model takes ("a", "b"')
    many = [replace(CATEGORIES[0], categories=tuple(range(15))), *CATEGORIES[1:]]
    (error,) = RejectionSearch(many).problem(Encoder(), rows, GOOD).errors
    assert error["expected"].endswith("(0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 5 more)")


def test_accepted_unknown_category_is_not_reported():
    refusals, model = RejectionSearch(CATEGORIES), Encoder(refused=())
    for _ in range(2):
        (error,) = refusals.problem(model, build_columns(["z", "a"], [0.5, 1e39]), GOOD).errors
        assert (error["row"], error["column"], error["got"]) == (1, "n", "1e+39")


def test_missing_value_is_not_an_unknown_category():
    model = Encoder(refused=("a", "b", None))
    rows = [np.array([np.nan, "a"], object), np.array([0.5, 1e39])]
    (error,) = (
        RejectionSearch(CATEGORIES)
        .problem(lambda c: model([np.array(["a"]), c[1]]), rows, GOOD)
        .errors
    )
    assert (error["row"], error["column"]) == (1, "n")
    assert model.calls == 1


def test_the_search_in_a_row_ends_when_time_is_over():
    calls = []

    def slow(columns):
        calls.append(1)
        time.sleep(0.02)
        picky(columns)

    fields = [Field(f"x{n}", "number") for n in range(1000)]
    rows = np.zeros((1, 1000))
    rows[0, 777] = 13
    (error,) = (
        RejectionSearch(fields, patience=0.05).problem(slow, rows, np.zeros((1, 1000))).errors
    )
    assert (error["row"], error["column"]) == (0, None)
    assert len(calls) < 5
