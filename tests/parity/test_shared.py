"""The same rows for two models: their source, and errors if they do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from modelpack.errors import UsageError
from modelpack.parity import RowsUnavailable, shared_rows
from modelpack.types import Field, ModelSpec, Reference

AGE = Field("age", "number", minimum=1.0, maximum=9.0, example=5.0)
CITY = Field("city", "string", example="Oslo")
NICK = Field("nick", "string", nullable=True)

Make = Callable[..., ModelSpec]
NO_FILES = (None, None)


def rows(shared: Reference | RowsUnavailable) -> tuple[tuple[object, ...], ...]:
    assert isinstance(shared, Reference)
    return shared.rows


def test_synthetic_rows_of_the_first_model_are_reordered_for_the_second(make_spec: Make) -> None:
    old, new = make_spec(AGE, CITY, named=True), make_spec(CITY, NICK, AGE, named=True)
    mine, other = shared_rows((old, new), NO_FILES)
    assert rows(other) == tuple((city, None, age) for age, city in rows(mine))
    assert isinstance(mine, Reference)
    assert mine.made_up


def test_generated_names_are_positions(make_spec: Make) -> None:
    old = make_spec(AGE, CITY, named=True)
    new = make_spec(*(Field(f"x{n}", "any", example=1) for n in range(2)), NICK, named=False)
    mine, other = shared_rows((old, new), NO_FILES)
    assert rows(other) == tuple((*row, None) for row in rows(mine))


def test_values_stay_as_they_are(make_spec: Make) -> None:
    """An empty text is a value, although it means a missing one in a file."""
    empty = make_spec(Field("city", "string", example=""), named=True)
    mine, other = shared_rows((empty, empty), NO_FILES)
    assert rows(mine) == rows(other) == (("",),)


def test_input_of_the_second_model_alone_is_reported(make_spec: Make) -> None:
    old, new = make_spec(AGE, named=True), make_spec(AGE, CITY, named=True)
    _, other = shared_rows((old, new), NO_FILES)
    assert other == RowsUnavailable("the rows of OLD lack inputs of this model: city")


def test_model_with_unknown_inputs_has_no_rows(make_spec: Make) -> None:
    mine, other = shared_rows((make_spec(), make_spec(AGE)), NO_FILES)
    assert isinstance(mine, RowsUnavailable)
    assert "--example" in mine.why
    assert isinstance(other, RowsUnavailable)


def test_rows_of_a_file_are_taken_by_each_model_for_itself(make_spec: Make, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("city,age,more\nRome,7,1\n")
    old, new = make_spec(AGE, CITY, named=True), make_spec(CITY, named=True)
    mine, other = shared_rows((old, new), NO_FILES, tmp_path / "rows.csv")
    assert (rows(mine), rows(other)) == (((7, "Rome"),), (("Rome",),))
    extra = make_spec(AGE, Field("sex", "string"), named=True)
    mine, other = shared_rows((extra, new), NO_FILES, tmp_path / "rows.csv")
    assert mine == RowsUnavailable("the example rows lack 1 inputs of the model (sex)")
    with pytest.raises(UsageError, match="sex"):
        shared_rows((extra, extra), NO_FILES, tmp_path / "rows.csv")


def test_real_rows_of_both_models_come_first(make_spec: Make) -> None:
    old, new = make_spec(AGE, CITY, named=True), make_spec(CITY, NICK, AGE, named=True)
    old = replace(old, signature=replace(old.signature, samples=((7.0, "Rome"), (8.0, "Bonn"))))
    real = (("Rome", "Ro", 7.0), ("Ulm", "U", 3.0))
    new = replace(new, signature=replace(new.signature, samples=real))
    mine, other = shared_rows((old, new), NO_FILES)
    assert isinstance(mine, Reference)
    assert isinstance(other, Reference)
    assert mine.rows[:3] == ((7.0, "Rome"), (8.0, "Bonn"), (3.0, "Ulm"))
    assert other.rows[:3] == (("Rome", None, 7.0), ("Bonn", None, 8.0), ("Ulm", None, 3.0))
    assert (mine.recorded, other.recorded, mine.made_up) == (3, 3, len(mine.rows) > 3)


def test_rows_of_models_with_unknown_ranges_are_not_called_generated(make_spec: Make) -> None:
    unknown = make_spec(Field("age", "number"), named=True)
    known = replace(unknown, signature=replace(unknown.signature, samples=((7.0,),)))
    for pair in ((known, unknown), (unknown, known)):
        mine, _ = shared_rows(pair, NO_FILES)
        assert mine == Reference(((7.0,),), recorded=1)
