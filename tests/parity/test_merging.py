"""An example completes what the model file contains, and contradicts it only with an error."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelpack.errors import UsageError
from modelpack.parity import ReferenceSources, prepare, untyped_notices
from modelpack.parity.columns import infer_column
from modelpack.parity.merge import MAX_SAMPLE_BYTES, with_examples
from modelpack.parity.row_files import Table, read_table
from modelpack.parity.rows import align
from modelpack.types import Field, ModelSpec

MakeSpec = Callable[..., ModelSpec]
FRAME = pd.DataFrame(
    {
        "flag": [True, False, True],
        "count": [1, 2, 30],
        "size": [0.5, 1.5, 2.0],
        "code": ["007", "010", "123"],
        "day": pd.to_datetime(
            ["2024-01-01", "2024-02-03", "2024-05-06 07:08:09.5"], format="ISO8601"
        ),
        "kind": pd.Categorical(["b", "a", "b"], ["b", "a", "c"]),
        "year": pd.Categorical([2020, 2021, 2020], [2021, 2020]),
    }
)
FRAME = pd.concat([FRAME] * 7, ignore_index=True)


def written(folder: Path, name: str, frame: pd.DataFrame = FRAME) -> Table:
    path = folder / name
    if name.endswith(".csv"):
        frame.to_csv(path, index=False)
    elif name.endswith(".json"):
        frame.to_json(path, orient="records", date_format="iso")
    else:
        frame.to_parquet(path)
    return read_table(path)


def facts(spec: ModelSpec) -> dict[str, tuple[Any, ...]]:
    return {f.name: (f.type, f.dtype, f.categories) for f in spec.signature.inputs}


def test_parquet_gives_all_dtypes_and_categories(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = with_examples(make_spec(), written(tmp_path, "x.parquet"))
    assert facts(spec) == {
        "flag": ("boolean", "bool", None),
        "count": ("integer", "int64", None),
        "size": ("number", "float64", None),
        "code": ("string", "str", None),
        "day": ("datetime", str(FRAME["day"].dtype), None),
        "kind": ("string", "category", ("b", "a", "c")),
        "year": ("integer", "int64", None),  # parquet keeps categories of texts alone
    }
    assert (spec.signature.layout, spec.signature.named) == ("frame", True)
    assert "pandas" in spec.requirements
    count = spec.signature.inputs[1]
    assert (count.minimum, count.maximum, count.example) == (1, 30, 1)
    assert spec.signature.samples[2] == (
        True, 30, 2.0, "123", "2024-05-06T07:08:09.500000", "b", 2020,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["x.csv", "x.json"])
def test_text_formats_are_read_as_pandas_reads_them(
    name: str, tmp_path: Path, make_spec: MakeSpec
) -> None:
    table = written(tmp_path, name, FRAME[["flag", "count", "size", "day", "kind"]])
    spec = with_examples(make_spec(), table)
    found = {name: type_ for name, (type_, _, _) in facts(spec).items()}
    assert found == {
        "flag": "boolean",
        "count": "number",
        "size": "number",
        "day": "datetime",
        "kind": "string",
    }
    dtypes = [dtype for _, dtype, _ in facts(spec).values()]
    assert dtypes == ["bool", None, "float64", "datetime64[ns]", None]
    assert spec.signature.samples[0][:3] == (True, 1, 0.5)


def test_text_column_of_the_file_is_not_a_number(tmp_path: Path, make_spec: MakeSpec) -> None:
    table = written(tmp_path, "x.csv", FRAME[["code", "day"]])
    spec = make_spec(Field("code", "string"), Field("day", "string"), named=True)
    found = with_examples(spec, table)
    assert [field.type for field in found.signature.inputs] == ["string", "string"]
    assert found.signature.samples[0][0] == "007"


def test_numbers_may_be_true_or_false(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(Field("alone", "number", example=0.5), named=True)
    for table in (
        Table(("alone",), [[False], [1.5]]),
        Table(("alone",), [["False"], ["1.5"]], is_text=True),
    ):
        signature = with_examples(spec, table).signature
        assert signature.inputs[0].type == "number"
        assert align(table, signature) == ((False,), (1.5,))
    only = with_examples(spec, Table(("alone",), [["True"], ["False"]], is_text=True))
    assert (only.signature.inputs[0].type, only.signature.layout) == ("boolean", "frame")


def test_booleans_may_be_zero_and_one(make_spec: MakeSpec) -> None:
    signature = make_spec(Field("flag", "boolean"), named=True).signature
    assert align(Table(("flag",), [[1], [0], [True]]), signature) == ((1,), (0,), (True,))
    with pytest.raises(UsageError, match="which takes true or false"):
        align(Table(("flag",), [[2]]), signature)


def test_dates_and_decimals_are_values(make_spec: MakeSpec) -> None:
    fields = (Field("day", "datetime"), Field("price", "number"))
    rows = [
        [datetime.date(2024, 1, 2), Decimal("1.5")],
        [datetime.datetime(2024, 1, 2, 3, 4, 5), Decimal(2)],
        [np.datetime64("2024-01-02T03:04"), 1],
        ["2024-01-02", 1],
        [1_700_000_000_000, 1],
    ]
    assert [row[0] for row in align(Table(None, rows), make_spec(*fields).signature)] == [
        "2024-01-02", "2024-01-02T03:04:05", "2024-01-02T03:04:00", "2024-01-02", 1_700_000_000_000,
    ]  # fmt: skip
    with pytest.raises(UsageError, match="which takes ISO 8601 dates"):
        align(Table(None, [["soon", 1]]), make_spec(*fields).signature)


def test_categories_of_the_file_stay_in_the_order_of_its_codes(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    table = written(tmp_path, "x.parquet", FRAME[["kind"]])
    coded = Field("kind", "string", categories=("a", "b"), dtype="category")
    found = with_examples(make_spec(coded, named=True), table)
    assert facts(found)["kind"] == ("string", "category", ("a", "b"))
    category_field = Field("kind", "string", categories=("a", "b"))
    found = with_examples(make_spec(category_field, named=True), table)
    assert facts(found)["kind"] == ("string", "category", ("b", "a", "c"))
    others = Field("kind", "string", categories=("a", "z"))
    found = with_examples(make_spec(others, named=True), table)
    assert facts(found)["kind"] == ("string", None, ("a", "z"))


def test_a_contradiction_is_an_error_with_a_way_out(tmp_path: Path, make_spec: MakeSpec) -> None:
    table = written(tmp_path, "x.parquet", FRAME[["size"]])
    with pytest.raises(UsageError, match="column size has values of the type number") as caught:
        with_examples(make_spec(Field("size", "string"), named=True), table)
    assert "dtypes of training" in caught.value.hint


def test_integers_stay_numbers_unless_the_file_has_dtypes(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    spec = make_spec(Field("count", "number", example=0.5), named=True)
    typed = with_examples(spec, written(tmp_path, "x.parquet", FRAME[["count"]]))
    assert facts(typed)["count"] == ("integer", "int64", None)
    infer_column = with_examples(spec, written(tmp_path, "x.csv", FRAME[["count"]]))
    assert facts(infer_column)["count"] == ("number", None, None)
    assert infer_column.signature.inputs[0].maximum == 30


def test_a_few_rows_are_no_range(make_spec: MakeSpec) -> None:
    field = Field("size", "number", minimum=-9.0, maximum=9.0, example=0.5)
    for count, bounds in ((19, (-9.0, 9.0)), (20, (2.0, 3.0))):
        table = Table(("size",), [[2.0], *[[3.0]] * (count - 1)])
        (found,) = with_examples(make_spec(field, named=True), table).signature.inputs
        assert (found.minimum, found.maximum) == bounds


def test_more_columns_than_the_model_has_do_not_matter(tmp_path: Path, make_spec: MakeSpec) -> None:
    spec = make_spec(Field("size", "number", example=0.5), named=True)
    found = with_examples(spec, written(tmp_path, "x.csv"))
    assert list(facts(found)) == ["size"]
    assert found.signature.layout == "array"


def test_samples_are_few_and_small(make_spec: MakeSpec) -> None:
    spec = make_spec(Field("text", "string"), layout="text")
    rows = [["a" * (MAX_SAMPLE_BYTES - 100)], *[["b" * 40]] * 9]
    found = with_examples(spec, Table(None, rows)).signature
    assert [row[0][0] for row in found.samples] == ["a", "b", "b"]  # type: ignore[index]


def test_structured_arrays_have_dtypes(tmp_path: Path, make_spec: MakeSpec) -> None:
    names = [("flag", "?"), ("count", "i4"), ("day", "M8[s]"), ("code", "U3")]
    rows = [(True, 7, "2024-01-02T03:04:05", "007"), (False, 8, "NaT", "010")]
    np.save(tmp_path / "x.npy", np.array(rows, names))
    found = with_examples(make_spec(), read_table(tmp_path / "x.npy"))
    assert facts(found) == {
        "flag": ("boolean", "bool", None),
        "count": ("integer", "int32", None),
        "day": ("datetime", "datetime64[s]", None),
        "code": ("string", "str", None),
    }
    assert found.signature.samples[0] == (True, 7, "2024-01-02T03:04:05", "007")
    assert found.signature.inputs[2].nullable


def test_missing_values_in_parquet_keep_the_dtype_of_pandas(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    frame = pd.DataFrame(
        {
            "Int": pd.array([1, None], "Int64"),
            "Flag": pd.array([True, None], "boolean"),
            "hole": [1.5, None],
        }
    )
    found = facts(with_examples(make_spec(), written(tmp_path, "x.parquet", frame)))
    assert {name: dtype for name, (_, dtype, _) in found.items()} == {
        "Int": "Int64",
        "Flag": "boolean",
        "hole": "float64",
    }


def test_example_and_record_are_prepared_alike(tmp_path: Path, make_spec: MakeSpec) -> None:
    (tmp_path / "x.json").write_text(json.dumps([{"when": "2024-01-01T00:00:00+02:00"}]))
    spec, reference = prepare(make_spec(), ReferenceSources((), tmp_path / "x.json"))
    assert facts(spec)["when"] == ("datetime", "datetime64[ns, UTC]", None)
    assert reference.rows == (("2024-01-01T00:00:00+02:00",),)


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.json"])
def test_a_few_rows_do_not_show_that_no_text_is_missing(
    name: str, tmp_path: Path, make_spec: MakeSpec
) -> None:
    table = written(tmp_path, name, FRAME[["count", "size"]].assign(port="Cherbourg"))
    found = with_examples(make_spec(), table).signature.inputs
    assert [(f.name, f.nullable) for f in found] == [
        ("count", False),
        ("size", False),
        ("port", True),
    ]


NUMBERS = pd.DataFrame({"age": [20.0, 30.0, 50.0], "fare": [1.5, 2.5, 9.0]})


@pytest.mark.parametrize(("version", "named"), [("0.24.2", True), ("1.0", False), (None, False)])
def test_the_names_of_an_example_are_those_of_the_inputs(
    tmp_path: Path, make_spec: MakeSpec, version: str | None, named: bool
) -> None:
    """Only releases before 1.0 keep no names of a DataFrame, so only there it may have been one."""
    spec = replace(
        make_spec(Field("x0", "number"), Field("x1", "number")), framework_version=version
    )
    found = with_examples(spec, written(tmp_path, "x.csv", NUMBERS)).signature
    assert ([field.name for field in found.inputs], found.named) == (["age", "fare"], named)
    assert (found.layout, found.samples[0]) == ("array", (20.0, 1.5))


def test_names_that_are_not_those_of_all_inputs_are_not_taken(make_spec: MakeSpec) -> None:
    spec = make_spec(Field("x0", "number"), Field("x1", "number"))
    twice = Table(("age", "age"), [[1.0, 2.0]])
    assert [f.name for f in with_examples(spec, twice).signature.inputs] == ["x0", "x1"]
    assert not with_examples(spec, twice, answered=True).signature.named


def test_an_old_model_of_strings_takes_a_frame(make_spec: MakeSpec) -> None:
    spec = replace(make_spec(Field("x0", "any"), Field("x1", "any")), framework_version="0.24.2")
    table = Table(("port", "age"), [["Cherbourg", 20.0], ["Queenstown", 30.0]], is_typed=True)
    found = with_examples(spec, table).signature
    assert (found.layout, found.named) == ("frame", True)


@pytest.mark.parametrize(
    ("cells", "type_"),
    [
        (["04567", "90210"], "string"),
        (["-01", "2"], "string"),
        (["1_000", "2"], "string"),
        (["0", "0.5", "-0.25", "1e5", ".5", "5.", "nan"], "number"),
        (["0", "10", "-7"], "integer"),
    ],
)
def test_digits_with_a_leading_zero_are_a_code_and_no_number(cells: list[str], type_: str) -> None:
    assert infer_column("zip", cells).type == type_


def test_inputs_without_a_type_are_named_unless_rows_show_it(
    tmp_path: Path, make_spec: MakeSpec
) -> None:
    """The code of the author reads dates, and would take the milliseconds of to_json for others."""
    spec = make_spec(
        Field("day", "any", nullable=True, example=0.0),
        Field("code", "any", categories=(1, "a"), example=1),
        Field("dropped", "any", nullable=True),
        Field("size", "number", example=1.0),
    )
    (notice,) = untyped_notices(*prepare(spec, ReferenceSources()))
    assert "the type of day, so any value" in notice
    rows = tmp_path / "rows.csv"
    rows.write_text("day,code,dropped,size\n2024-01-01,1,x,0.5\n")
    typed, reference = prepare(spec, ReferenceSources(example=rows))
    assert typed.signature.inputs[0].type == "datetime"
    assert untyped_notices(typed, reference) == []
