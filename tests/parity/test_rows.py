"""Files of rows, read according to the signature of a model."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from modelpack.cli.options import ROW_FORMATS
from modelpack.errors import UsageError
from modelpack.parity import rows as parity_rows
from modelpack.parity.merge import with_examples
from modelpack.parity.row_files import READERS, Table, read_table
from modelpack.parity.rows import MAX_ROWS, align
from modelpack.types import Field, ModelSpec, Reference, Signature

AGE, CITY, PAID = (
    Field("age", "number", nullable=True, minimum=1.0, maximum=9.0, example=2.5),
    Field("city", "string", categories=("Bonn", "Köln"), example="Bonn"),
    Field("paid", "boolean", example=True),
)
PARITY = Path(__file__).parents[2] / "docs" / "parity.md"
ROWS = ((1.5, "Köln", True), (None, "Bonn", False))


def signature(*fields: Field, **more: Any) -> Signature:
    return Signature(fields, (), **more)


def written(folder: Path, name: str) -> Path:
    """ROWS in a format, with a column too many and in another order where it has names."""
    path = folder / name
    records = [{"paid": p, "target": 7, "city": c, "age": a} for a, c, p in ROWS]
    if name.endswith(".csv"):
        path.write_text("paid,target,city,age\nTrue,7,Köln,1.5\nfalse,7,Bonn,\n", "utf-8")
    elif name.endswith(".jsonl"):
        path.write_text("\n".join(map(json.dumps, records)))
    elif name == "lists.json":
        path.write_text(json.dumps([list(row) for row in ROWS]))
    elif name == "split.json":
        columns = ["age", "city", "paid"]
        path.write_text(json.dumps({"columns": columns, "instances": [list(r) for r in ROWS]}))
    elif name.endswith(".json"):
        path.write_text(json.dumps({"instances": records}))
    else:
        names = [("paid", "?"), ("age", "f8"), ("city", "U9")]
        np.save(path, np.array([(True, 1.5, "Köln"), (False, np.nan, "Bonn")], names))
    return path


@pytest.mark.parametrize(
    "name", ["x.csv", "x.json", "lists.json", "split.json", "x.jsonl", "x.npy"]
)
def test_a_format_gives_the_rows_in_the_signatures_order(name: str, tmp_path: Path) -> None:
    table = read_table(written(tmp_path, name))
    assert align(table, signature(AGE, CITY, PAID, named=True)) == ROWS


def test_parquet_is_a_format_too(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    columns = {"city": ["Köln", "Bonn"], "paid": [True, False], "age": [1.5, None]}
    parquet.write_table(pa.table(columns), path)
    assert align(read_table(path), signature(AGE, CITY, PAID, named=True)) == ROWS


def test_numbers_without_names_go_by_position(tmp_path: Path) -> None:
    fields = [Field(f"x{i}", "number", example=0.0) for i in range(2)]
    (tmp_path / "x.csv").write_text("1,2.5\n3,4\n")
    np.save(tmp_path / "x.npy", np.array([[1, 2.5], [3, 4]]))
    for name in ("x.csv", "x.npy"):
        assert align(read_table(tmp_path / name), signature(*fields)) == ((1, 2.5), (3, 4))


def test_an_array_of_one_dimension_is_one_column() -> None:
    table = Table(None, [[1.0], [2.0]])
    assert align(table, signature(Field("x0", "number", example=0.0))) == ((1.0,), (2.0,))


def test_a_text_is_a_row() -> None:
    text = signature(Field("text", "string", example="hi"), layout="text")
    assert align(Table(("review",), [["good, 7"], ["12"]], is_text=True), text) == (
        ("good, 7",),
        ("12",),
    )


def test_dicts_may_lack_missing_values() -> None:
    fields = [Field(name, "number", nullable=True) for name in ("a", "b", "c")]
    table = Table(("c", "a"), [[1, 2]])
    assert align(table, signature(*fields, layout="dicts", named=True)) == ((2, None, 1),)


def test_a_great_file_is_cut() -> None:
    one = signature(Field("x0", "number", example=0.0))
    assert len(align(Table(None, [[0.5]] * 1000), one)) == MAX_ROWS
    wide = signature(*(Field(f"x{i}", "number", example=0.0) for i in range(100_000)))
    assert len(align(Table(None, [[0.5] * 100_000] * 9), wide)) == 5


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (Table(("age", "paid"), [[1, True]]), "lack 1 inputs of the model (city)"),
        (Table(("a", "b", "c"), [[1, "Bonn", True]]), "name none of the model's inputs"),
        (
            Table(("age;city;paid",), [["1;Bonn;1"]], is_text=True),
            "the first line was read as column names separated by commas, 'age;city;paid'",
        ),
        (
            Table((";".join(f"column {i}" for i in range(9)),), [["1"]], is_text=True),
            " by commas, 'column 0;column 1;column 2;column 3;column 4;column 5;column...'.",
        ),
        (Table(None, [[1, "Bonn"]]), "have 2 values, but the model takes 3"),
        (Table(None, [["old", "Bonn", True]]), "contain 'old' in row 0, column age"),
        (Table(None, [[1, "Bonn", True], [1, 7, True]]), "contain 7 in row 1, column city"),
        (Table(None, [[1, "Bonn", object()]]), "contain a object"),
    ],
)
def test_error_of_a_mismatched_row_contains_its_position(table: Table, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        align(table, signature(AGE, CITY, PAID, named=True))
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"1", "suffix of a row file"),
        ("x.csv", b"a,b\n1\n", "1 to 2 values"),
        ("x.csv", b"a,b\n", "no rows"),
        ("x.csv", b"\xff\xfe\x00", "cannot be read as rows"),
        ("x.json", b"[1, 2", "cannot be read as rows"),
        ("x.json", b"[[1], [1, 2]]", "1 to 2 values"),
        ("x.json", b'[{"a": 1}, [2]]', "objects"),
        ("x.json", b'{"columns": ["a"], "instances": [[1, 2]]}', "names 1 columns"),
        ("x.json", b"[]", "no rows"),
        ("x.npy", b"no array", "cannot be read as rows"),
        ("x.npy", None, "0 dimensions"),
        ("x.parquet", b"PAR1", "cannot be read as rows"),
    ],
)
def test_error_of_a_malformed_file_contains_the_reason(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is None:
        np.save(path, np.float64(1))
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_table(path)
    assert message in caught.value.message


def test_rows_of_tensors_are_read_in_row_major_order(tmp_path: Path) -> None:
    values = np.arange(12).reshape(2, 3, 2)
    flat = values.reshape(2, -1).tolist()
    np.save(tmp_path / "x.npy", values)
    assert read_table(tmp_path / "x.npy").rows == flat
    path = tmp_path / "x.json"
    path.write_text(json.dumps(values.tolist()))
    assert read_table(path).rows == flat
    path.write_text(json.dumps([{"a": row, "b": 1} for row in values.tolist()]))
    table = read_table(path)
    assert table.columns == (*(f"a_{index}" for index in range(6)), "b")
    assert table.rows == [[*row, 1] for row in flat]


def test_an_npy_file_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UsageError):
        read_table(tmp_path / "x.npy")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.csv cannot be read: No such file"):
        read_table(tmp_path / "x.csv")


def test_the_first_row_becomes_the_example(make_spec: Callable[..., ModelSpec]) -> None:
    spec = with_examples(make_spec(AGE, CITY, named=True), Table(("city", "age"), [["Köln", None]]))
    assert [field.example for field in spec.signature.inputs] == [2.5, "Köln"]


def test_unknown_inputs_are_derived_from_the_rows(
    make_spec: Callable[..., ModelSpec],
) -> None:
    table = Table(("a", "b", "c"), [["1", "x", ""], ["2.5", "y", "3"]], is_text=True)
    signature = with_examples(make_spec(), table).signature
    assert [(f.name, f.type, f.nullable, f.example) for f in signature.inputs] == [
        ("a", "number", False, 1),
        ("b", "string", True, "x"),
        ("c", "number", True, None),
    ]
    assert signature.named


def test_synthetic_rows_are_plausible_and_reproducible() -> None:
    count = Field("count", "integer", minimum=0.0, maximum=4.0, example=2)
    rows = parity_rows.synthetic_rows(signature(AGE, CITY, PAID, count))
    assert rows == parity_rows.synthetic_rows(signature(AGE, CITY, PAID, count))
    assert rows[0] == (2.5, "Bonn", True, 2)
    assert len(set(rows)) == len(rows) == parity_rows.ROWS
    ages, cities, paid, counts = (list(column) for column in zip(*rows, strict=True))
    assert ages.pop() is None
    assert all(1 <= age <= 9 for age in ages)
    assert set(cities) == {"Bonn", "Köln"}
    assert set(paid) == {True, False}
    assert all(isinstance(value, int) and 0 <= value <= 4 for value in counts)


@pytest.mark.parametrize("nullable", [True, False])
@pytest.mark.parametrize("count", [3, 6, 7, 40, 98, 99, 1000])
def test_synthetic_rows_contain_as_many_categories_as_possible_with_first_and_last(count, nullable):
    categories = tuple(range(1000, 1000 + count))
    code = Field("c", "integer", categories=categories, nullable=nullable, example=1000)
    rows = parity_rows.synthetic_rows(signature(AGE, code, PAID, code))
    for index in (1, 3):
        found = {row[index] for row in rows} - {None}
        assert found >= {categories[0], categories[-1]}
        assert found == set(categories) or (len(found) >= 98 and len(rows) == MAX_ROWS)
    assert {row[2] for row in rows} == {True, False}


def test_real_rows_come_first():
    known = replace(signature(AGE, PAID), samples=((7.25, False), (None, True)))
    rows = parity_rows.synthetic_rows(known)
    assert rows[:3] == ((7.25, False), (None, True), (2.5, True))


def test_no_synthetic_rows_without_known_inputs() -> None:
    assert parity_rows.synthetic_rows(signature()) == ()
    assert parity_rows.synthetic_rows(signature(Field("x0", "any"))) == ()


def test_help_names_each_format_of_rows() -> None:
    assert ROW_FORMATS.split(", ") == [suffix.removeprefix(".") for suffix in READERS]


def documented(header: str) -> list[str]:
    """Return the first cells of a table of the documentation."""
    lines = PARITY.read_text("utf-8").splitlines()
    start = lines.index(header) + 2
    rows = itertools.takewhile(lambda line: line.startswith("|"), lines[start:])
    return [row.split("|")[1].strip() for row in rows]


def test_documentation_lists_every_format() -> None:
    suffixes = [cell.strip("`") for cell in documented("| extension | rows | predictions |")]
    assert suffixes == [*READERS]
    cells = documented("| format | dtypes |")
    typed = [name for cell in cells for name in re.findall(r"`(\.\w+)`", cell)]
    assert sorted(typed) == sorted(READERS)


def test_documentation_lists_every_source_of_predictions() -> None:
    cells = documented("| reference | rows | predictions | proves |")
    sources = {"`--expected FILE`": "expected", "`modelpack.record`": "record", "neither": "model"}
    assert [sources[cell] for cell in cells] == [*get_args(get_type_hints(Reference)["source"])]
