"""Which value is told of rows that a model refuses."""

from __future__ import annotations

import numpy as np
import pytest

from modelpack.serving.manifest import Field
from modelpack.serving.refusals import problem

FIELDS = [Field(name, "number") for name in "abc"]
EXAMPLE = np.zeros((1, 3))


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
def test_a_row_is_told_where_no_value_can_be(row, example):
    (error,) = problem(picky, np.array([[0, 0, 0], row]), FIELDS, example).errors
    assert (error["row"], error["column"]) == (1, None)


def test_rows_that_are_taken_one_by_one_are_no_problem_of_theirs():
    assert problem(picky, np.zeros((5, 3)), FIELDS, EXAMPLE) is None


def test_few_questions_are_asked():
    asked = []

    def ask(columns):
        asked.append(len(columns[0]))
        picky(columns)

    rows = np.zeros((10_000, 3))
    rows[-1, 2] = 13
    assert problem(ask, rows, FIELDS, EXAMPLE)
    assert len(asked) < 20
    assert sum(asked) < 10_020
