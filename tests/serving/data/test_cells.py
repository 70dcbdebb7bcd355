"""CSV cells of missing values, as pandas, R and databases write them."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest

from modelpack.serving.data import cells
from modelpack.serving.manifest import Field


def parsed(cell: str, type_: str, categories: tuple[Any, ...] | None = None, **more: Any) -> Any:
    return cells.cell_parser(Field("c", type_, categories=categories, **more))(cell)


@pytest.mark.parametrize("cell", sorted({*cells.MISSING_TEXTS, ""}))
def test_missing_markers_of_pandas_are_missing(cell: str) -> None:
    assert pd.read_csv(io.StringIO(f"a,b\n{cell},1\n"), index_col=False).isna().loc[0, "a"]
    for type_ in ("number", "integer", "boolean", "datetime"):
        assert parsed(cell, type_, nullable=True) is None
    assert parsed(cell, "string", ("Ex", "Gd"), nullable=True) is None


def test_pandas_reads_nothing_else_as_missing() -> None:
    from pandas._libs.parsers import STR_NA_VALUES  # noqa: PLC0415

    assert {*cells.MISSING_TEXTS, ""} == STR_NA_VALUES


@pytest.mark.parametrize("cell", ["NA", "None", "nan"])
def test_a_text_that_may_be_a_value_stays_one(cell: str) -> None:
    assert parsed(cell, "string", nullable=True) == cell
    assert parsed(cell, "string", (cell, "x"), nullable=True) == cell
    assert parsed(cell, "string", ("x",)) == cell
    assert parsed("NA", "any", nullable=True) == "NA"


def test_error_for_a_required_value_contains_the_cell() -> None:
    assert parsed("NA", "number") == "NA"
