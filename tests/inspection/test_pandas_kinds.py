"""Sparse columns, intervals and columns of Arrow that an estimator keeps, of each release."""

import pickle
import struct
from pathlib import Path

import opcodes as op
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.naive_bayes import GaussianNB
from zoo import X, Y

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.inspection.parser import parse_file

SAVED = sorted((Path(__file__).parents[1] / "data" / "frames").glob("kinds-*.joblib"))


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_columns_of_each_release_pass(path):
    spec = inspect(path)
    assert (spec.safety.verdict, spec.safety.findings) == ("pass", ())
    names = {key.rpartition(":")[2] for key in parse_file(path, ()).trace.globals}
    assert names >= {"IntervalArray", "SparseArray", "IntIndex", "BlockIndex"}
    assert ("ArrowDtype" in names) == (path.stem >= "kinds-1.5")
    assert ("pyarrow" in spec.requirements) == (path.stem >= "kinds-1.5")


def findings(tmp_path, body):
    (tmp_path / "m").write_bytes(op.pickled(body))
    return {finding.code for finding in inspect(tmp_path / "m").safety.findings}


def integers(*values, kind="i4"):
    content = struct.pack(f"<{len(values)}{'i' if kind == 'i4' else 'q'}", *values)
    return op.call("numpy.core.numeric:_frombuffer", op.raw(content), op.dtype(kind),
                   op.many(op.number(len(values))), op.text("C"))  # fmt: skip


def large(value):
    return b"\x8a\x08" + struct.pack("<q", value)  # LONG1


def sparse_type(**state):
    return op.new("pandas:SparseDtype", **{"_dtype": op.dtype("i8"), **state})


def sparse(index, values=(7, 8), **state):
    found = {"_sparse_values": integers(*values, kind="i8"), "_dtype": sparse_type(), **state}
    return op.new("pandas.arrays:SparseArray", _sparse_index=index, **found)


def positions(length, *values, more=()):
    indices = integers(*values)
    return op.call("pandas._libs.sparse:IntIndex", large(length), indices, *more)


def blocks(length, starts, sizes):
    return op.call("pandas._libs.sparse:BlockIndex", op.number(length), integers(*starts),
                   integers(*sizes))  # fmt: skip


def intervals(left=(0, 1), right=(1, 2), cls="pandas.arrays:IntervalArray", **state):
    ends = {"_left": integers(*left, kind="i8"), "_right": integers(*right, kind="i8")}
    dtype = op.new("pandas:IntervalDtype", subtype=op.dtype("i8"), closed=op.text("left"))
    call = op.call("pandas._libs.interval:__pyx_unpickle_IntervalMixin", op.name(cls),
                   op.number(1), op.NONE)  # fmt: skip
    return call + op.many(op.table(**{**ends, "_dtype": dtype, **state})) + op.BUILD


def alias(name):
    return op.call("pyarrow.lib:type_for_alias", op.text(name))


def values(kind="int64", count=2, size=16, *, missing=0, first=0, bits=None, number=2):
    buffers = [op.NONE if bits is None else buffer(bits), buffer(bytes(size))][:number]
    listed = op.EMPTY_LIST + op.MARK + b"".join(buffers) + op.APPENDS
    kind = alias(kind) if isinstance(kind, str) else kind
    arguments = op.many(kind, large(count), large(missing), op.number(first), listed,
                        op.EMPTY_LIST, op.NONE)  # fmt: skip
    return op.call("pyarrow.lib:_restore_array", arguments)


def buffer(content):
    return op.call("pyarrow.lib:py_buffer", op.raw(content))


def column_type(**state):
    found = {"storage": op.text("pyarrow"), "pyarrow_dtype": alias("int64"), **state}
    return op.new("pandas:ArrowDtype", **found)


def column(**state):
    found = {"_pa_array": values(), "_dtype": column_type(), **state}
    return op.new("pandas.arrays:ArrowExtensionArray", **found)


def timestamp(unit, zone):
    return op.call("pyarrow.lib:timestamp", op.text(unit), zone)


def decimal(*numbers):
    return op.call("pyarrow.lib:decimal128", *map(op.number, numbers))


FINE = {
    "positions": sparse(positions(5, 0, 4)),
    "blocks": sparse(blocks(5, (0, 4), (1, 1))),
    "neighbouring blocks": sparse(blocks(2, (0, 1), (1, 1))),
    "empty index": sparse(positions(5), ()),
    "fill value": sparse(positions(5, 0, 4), _dtype=sparse_type(_fill_value=op.number(0))),
    "intervals": intervals(),
    "column": column(),
    "part of a column": column(_pa_array=values(count=1, first=1)),
    "flags": column(_pa_array=values("bool", 8, 1)),
    "missing": column(_pa_array=values(missing=1, bits=b"\1")),
    "decimals": column(_pa_array=values(decimal(5, 2), 1, 16)),
    "zone": column(_pa_array=values(timestamp("us", op.text("Europe/Paris")))),
    "offset": column(_pa_array=values(timestamp("us", op.text("+01:30")))),
    "nothing": column(_pa_array=values("null", 2, missing=2, number=1)),
}
HOSTILE = {
    "position beyond the length": sparse(positions(4, 0, 4)),
    "negative position": sparse(positions(5, -1, 4)),
    "positions that descend": sparse(positions(5, 4, 0)),
    "position twice": sparse(positions(5, 4, 4)),
    "fewer values than positions": sparse(positions(5, 0, 4), (7,)),
    "more values than positions": sparse(positions(5, 0), (7, 8)),
    "unchecked positions": sparse(positions(5, 0, 4, more=(op.FALSE,))),
    "length of 64 bits": sparse(positions(2**40, 0, 4)),
    "blocks that overlap": sparse(blocks(5, (0, 0), (1, 1))),
    "block beyond the length": sparse(blocks(4, (0, 4), (1, 1))),
    "block that overflows": sparse(blocks(5, (0, 2**31 - 1), (1, 1))),
    "empty block": sparse(blocks(5, (0, 1, 4), (1, 0, 1))),
    "block of negative length": sparse(blocks(5, (0, 1, 4), (3, -2, 1))),
    "lengths of other blocks": sparse(blocks(5, (0, 4), (2,))),
    "fewer values than in blocks": sparse(blocks(5, (0, 2), (2, 2))),
    "another index": sparse(op.new("mine:Index")),
    "another attribute": sparse(positions(5, 0, 4), dtype=op.NONE),
    "type with an object": sparse(
        positions(5, 0, 4), _dtype=sparse_type(_fill_value=op.new(op.SCALER))
    ),
    "type of another class": sparse(positions(5, 0, 4), _dtype=column_type()),
    "fewer right ends": intervals(right=(1,)),
    "ends of a text": intervals(_left=op.text("x")),
    "another method of intervals": intervals(overlaps=op.NONE),
    "intervals of another class": intervals(cls="pandas:DataFrame"),
    "buffer that is too short": column(_pa_array=values(size=15)),
    "part beyond the buffer": column(_pa_array=values(first=1)),
    "flags beyond the buffer": column(_pa_array=values("bool", 9, 1)),
    "decimals beyond the buffer": column(_pa_array=values(decimal(5, 2), 2, 16)),
    "bitmap that is too short": column(_pa_array=values(count=9, size=72, bits=b"\1")),
    "missing values without a bitmap": column(_pa_array=values(missing=1)),
    "other number of missing values": column(_pa_array=values(missing=2, bits=b"\1")),
    "no buffer of values": column(_pa_array=values(number=1)),
    "buffer of nothing": column(_pa_array=values("null", 2, missing=2)),
    "nothing that is something": column(_pa_array=values("null", 2, missing=1, number=1)),
    "endless nothing": column(_pa_array=values("null", 2**40, missing=2**40, number=1)),
    "two types of chunks": column(_pa_array=op.call(
        "pyarrow.lib:chunked_array", op.EMPTY_LIST + values() + op.APPEND, timestamp("s", op.NONE)
    )),
    "unknown type": column(_pa_array=values("int65")),
    "precision of no decimal": column(_pa_array=values(decimal(39, 2), 1, 16)),
    "zone that is a path": column(_pa_array=values(timestamp("us", op.text("../../x")))),
    "unknown unit": column(_pa_array=values(timestamp("h", op.NONE))),
    "another storage": column(_dtype=column_type(storage=op.text("x"))),
    "text as a type": column(_dtype=column_type(pyarrow_dtype=op.text("int64"))),
    "function as an index": column(
        _dtype=column_type(_cache=op.table(index_class=op.name("builtins:print")))
    ),
    "method of the type": column(_dtype=column_type(construct_array_type=op.NONE)),
    "method in the cache": column(
        _dtype=column_type(_cache=op.table(type=op.name("builtins:str")))
    ),
    "type of another column": column(_dtype=sparse_type()),
}  # fmt: skip


@pytest.mark.parametrize("body", FINE.values(), ids=FINE)
def test_forms_that_libraries_write_pass(tmp_path, body):
    assert findings(tmp_path, body) <= {"not-a-model"}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_forms_that_no_library_writes_are_refused(tmp_path, body):
    refused = {"bad-arguments", "bad-state", "broken-invariant", "replaced-method"}
    assert findings(tmp_path, body) & refused


@pytest.mark.parametrize(("kind", "number"), [("int64", 1), ("null", 2), ("string", 2)])
def test_number_of_buffers_is_that_of_the_type(tmp_path, kind, number):
    body = column(_pa_array=values(kind, missing=-1, number=number))
    assert "bad-arguments" in findings(tmp_path, body)


UNREAD = {
    "binary": pa.binary(2),
    "decimal64": pa.decimal64(10, 2),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "list": pa.list_(pa.int64()),
    "map": pa.map_(pa.string(), pa.int64()),
    "string_view": pa.string_view(),
    "struct": pa.struct([("a", pa.int64())]),
}


@pytest.mark.parametrize("name", UNREAD)
def test_columns_of_other_types_of_arrow_are_not_supported(tmp_path, name):
    model = GaussianNB().fit(X, Y)
    model.frame = pd.DataFrame({"a": pd.array([None], dtype=pd.ArrowDtype(UNREAD[name]))})
    (tmp_path / "m").write_bytes(pickle.dumps(model))
    with pytest.raises(ModelNotSupportedError, match=f"a column of the Arrow type {name},") as e:
        require_servable(inspect(tmp_path / "m"))
    assert e.value.hint.startswith("Convert the column before training")


def test_what_could_run_next_to_such_a_column_is_dangerous(tmp_path):
    nested = op.call("pyarrow.lib:list_", alias("int64"))
    body = op.many(column(_pa_array=values(nested)), op.call("posix:system", op.text("id")))
    (tmp_path / "m").write_bytes(op.pickled(body))
    with pytest.raises(ModelRefusedError, match=r"posix\.system") as raised:
        require_servable(inspect(tmp_path / "m"))
    assert "do not load this file" in raised.value.hint


def frame(body, rows):
    def index(stop):
        bounds = {"start": 0, "stop": stop, "step": 1}
        table = op.table(**{name: op.number(value) for name, value in bounds.items()})
        key = "pandas.core.indexes.base:_new_Index"
        return op.call(key, op.name("pandas:RangeIndex"), table)

    place = op.call("builtins:slice", op.number(0), op.number(1), op.number(1))
    block = op.call("pandas._libs.internals:_unpickle_block", body, place, op.number(2))
    axes = op.EMPTY_LIST + op.MARK + index(1) + index(rows) + op.APPENDS
    manager = op.call("pandas.core.internals.managers:BlockManager", op.many(block), axes)
    return op.new("pandas:DataFrame", _mgr=manager)


COLUMNS = {"sparse": (sparse(positions(5, 0, 4)), 5), "intervals": (intervals(), 2),
           "arrow": (column(), 2)}  # fmt: skip


@pytest.mark.parametrize(("body", "rows"), COLUMNS.values(), ids=COLUMNS)
def test_column_of_another_length_than_its_frame_is_refused(tmp_path, body, rows):
    assert findings(tmp_path, frame(body, rows)) <= {"not-a-model"}
    assert "broken-invariant" in findings(tmp_path, frame(body, rows + 1))
