"""Texts of pandas in pyarrow: their offsets and missing values are compared with their bytes."""

import struct

import opcodes as op
import pandas as pd
import pytest
from saving import save_and_inspect

from modelpack.inspection.inspector import inspect
from modelpack.inspection.parser import parse_file
from modelpack.inspection.pickle.ndarrays import view

TEXTS = ["a", "bcd", None, "", "\u00e9\u4e16", "z"]


def run_pickle(texts, path, how):
    series = pd.Series(texts, dtype=pd.StringDtype("pyarrow"))
    found = save_and_inspect(series, path, how)
    assert {f.code for f in found.safety.findings} <= {"not-a-model"}, found.safety
    return parse_file(path, ())


@pytest.mark.parametrize("how", [0, 2, 4, 5])
def test_texts_of_pyarrow_are_read(tmp_path, how):
    reading = run_pickle(TEXTS, tmp_path / "m", how)
    arrays = [view(altered) for altered in reading.trace.objects]
    found = [a.values() for a in arrays if a is not None and a.dtype.kind == "O"]
    assert TEXTS in found


@pytest.mark.parametrize("count", [0, 1, 20_000])
def test_many_and_no_texts(tmp_path, count):
    run_pickle([None if n % 7 == 3 else f"text {n}" for n in range(count)], tmp_path / "m", 4)


def test_part_of_an_array(tmp_path):
    part = pd.Series(TEXTS * 9, dtype=pd.StringDtype("pyarrow")).iloc[3:20].reset_index(drop=True)
    assert save_and_inspect(part, tmp_path / "m", 4).safety.verdict == "pass"


def strings(
    offsets=(0, 1, 2), *, kind="large_string", count=2, missing=0, first=0, bits=None, data=b"ab",
    children=op.EMPTY_LIST, dictionary=op.NONE,
):  # fmt: skip
    def buffer(content):
        return op.NONE if content is None else op.call("pyarrow.lib:py_buffer", op.raw(content))

    packed = b"".join(struct.pack("<q" if kind == "large_string" else "<i", n) for n in offsets)
    buffers = op.EMPTY_LIST + op.MARK + buffer(bits) + buffer(packed) + buffer(data) + op.APPENDS
    arguments = op.many(
        op.call("pyarrow.lib:type_for_alias", op.text(kind)), op.number(count), op.number(missing),
        op.number(first), buffers, children, dictionary,
    )  # fmt: skip
    dtype = op.call("pandas:StringDtype", op.text("pyarrow"))
    array = op.call("pyarrow.lib:_restore_array", arguments)
    return op.new("pandas.arrays:ArrowStringArray", _pa_array=array, _dtype=dtype)


def safety(tmp_path, body):
    (tmp_path / "m").write_bytes(op.pickled(body))
    return inspect(tmp_path / "m").safety


FINE = {
    "large": strings(),
    "small": strings(kind="string"),
    "with missing": strings(missing=1, bits=b"\x01"),
    "unknown number of missing": strings(missing=-1, bits=b"\x01"),
    "part": strings((0, 1, 2, 2), count=1, first=1),
    "begins late": strings((1, 1, 2)),
    "longer buffer of offsets": strings((0, 1, 2, 0, 0)),
}
BROKEN = {
    "beyond the bytes": strings((0, 1, 3)),
    "falls": strings((0, 2, 1)),
    "negative": strings((0, -1, 2)),
    "negative at first": strings((-1, 0, 2)),
    "too few offsets": strings((0, 1)),
    "part beyond the offsets": strings(first=1),
    "small offsets for large texts": strings((0, 1), count=3),
    "fewer missing than it says": strings(missing=1, bits=b"\x03"),
    "more missing than it says": strings(missing=1, bits=b"\x00"),
    "missing without bits": strings(missing=1),
    "too few bits": strings((0,) * 20, count=19, missing=-1, bits=b"\x00\x00"),
}
UNFIT = {
    "of another type": strings(kind="int64"),
    "with a child": strings(children=op.EMPTY_LIST + op.NONE + op.APPEND),
    "with a dictionary": strings(dictionary=op.EMPTY_LIST),
    "no offsets": strings().replace(op.raw(struct.pack("<3q", 0, 1, 2)), op.NONE),
    "a text for an array": op.new("pandas.arrays:ArrowStringArray", _pa_array=op.text("x")),
    "another attribute": op.new("pandas.arrays:ArrowStringArray", _pa_array=op.NONE, sum=op.NONE),
    "a buffer of what is no bytes": op.call("pyarrow.lib:py_buffer", op.EMPTY_LIST),
}


@pytest.mark.parametrize("body", FINE.values(), ids=FINE)
def test_sound_texts_pass(tmp_path, body):
    assert safety(tmp_path, body).verdict == "pass"


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_texts_outside_of_their_bytes_are_refused(tmp_path, body):
    assert {f.code for f in safety(tmp_path, body).findings} == {"broken-invariant"}


@pytest.mark.parametrize("body", UNFIT.values(), ids=UNFIT)
def test_forms_that_pandas_does_not_write_are_refused(tmp_path, body):
    assert safety(tmp_path, body).verdict == "refuse"
