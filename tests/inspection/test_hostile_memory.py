"""Files with the names of ordinary models and false values for compiled code.

numpy would take numbers for addresses, joblib bytes for opcodes, a server rows for file names.
Loading any of the first six ends CPython with a segmentation fault (numpy 2.4). These tests do not
load them.
"""

import pickle

import numpy as np
import pytest
from hostile_files import FALSE_CLAIMS, OBJECT, array, record, sequence
from opcodes import (
    APPENDS,
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    FALSE,
    MARK,
    MEMOIZE,
    NEWOBJ,
    NONE,
    SETITEMS,
    TRUE,
    call,
    dtype,
    many,
    name,
    new,
    number,
    pickled,
    raw,
    text,
)

from modelpack.inspection.inspector import inspect

# fmt: on


@pytest.mark.parametrize(("body", "code"), FALSE_CLAIMS.values(), ids=FALSE_CLAIMS)
def test_refused(tmp_path, body, code):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(body))
    spec = inspect(path)
    assert spec.safety.verdict == "refuse"
    codes = {finding.code for finding in spec.safety.findings}
    assert code in codes
    assert not codes & {"malformed", "truncated"}  # else the fixture would be written wrongly
    assert inspect(path, trust=spec.globals).safety.verdict == "refuse"


# fmt: off
HONEST = {
    "objects": np.array([None, "a", (1, 2)], object),
    "objects by rows": np.array([["a", None], ["b", 1]], object, order="F"),
    "fields": np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]),
    "fields that lie in each other": np.zeros(2, np.dtype(
        {"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 2]})),
    "fields with objects": np.array([(1, "x")], [("a", "i1"), ("b", "O")]),
    "fields with objects, aligned": np.array([(1, "x")], np.dtype(
        [("a", "i1"), ("b", "O")], align=True)),
    "fields in a field": np.array([((1,),)], [("x", [("y", "O")])]),
    "titles": np.zeros(1, [(("title", "a"), "f8")]),
    "arrays in a field": np.zeros(2, [("a", "f8", (3,))]),
    "objects in an array in a field": np.zeros(2, [("a", "O", (2,))]),
    "none": np.zeros((0, 3)),
    "no objects": np.zeros((0, 3), object),
    "one": np.array(2.5),
    "one object": np.array(None, object),
    "dates": np.array(["2024-01-01"], "M8[D]"),
    "durations": np.array([3], "m8[ns]"),
    "numbers from the other end": np.arange(3, dtype=">f8"),
    "text": np.array(["a", "\u00e9\U0001f600"]),
    "masked": np.ma.masked_array([1, 2], [0, 1]),
    "masked objects": np.ma.masked_array(np.array(["a", None], object), [0, 1]),
    "numpy scalar of fields": np.zeros(1, [("a", "i4"), ("b", "f8")])[0],
    "random state": np.random.RandomState(0),
    "generator": np.random.default_rng(0),
    "generator of each kind": [np.random.Generator(kind(0)) for kind in (
        np.random.MT19937, np.random.PCG64, np.random.Philox, np.random.SFC64)],
}
# fmt: on


@pytest.mark.parametrize("value", HONEST.values(), ids=HONEST)
@pytest.mark.parametrize("protocol", range(6))
def test_files_of_numpy_pass(tmp_path, value, protocol):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert inspect(path).safety.verdict == "pass", inspect(path).safety


def test_array_of_objects_that_contains_itself(tmp_path):
    value = np.array([None, 1], object)
    value[0] = value
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(value))
    assert inspect(path).safety.verdict == "pass"


def test_fixtures_without_their_fault_pass():
    """The valid version of a fixture passes: the fixture is refused only for its false value."""
    assert pickle.loads(pickled(array(dtype("f8"), 1, raw(bytes(8))))).tolist() == [0.0]
    assert pickle.loads(pickled(array(OBJECT, 2, sequence(NONE, TRUE)))).tolist() == [None, True]
    honest = record(("a", OBJECT, 0), ("b", dtype("u8"), 8), size=16)
    assert pickle.loads(pickled(honest)).fields["b"][1] == 8
    assert EMPTY_TUPLE + NEWOBJ in new("a:B")


AGAIN = b"h\0"  # BINGET of the first value that was memoised
BUFFERS = [
    NONE,
    *(call("pyarrow.lib:py_buffer", raw(data)) for data in (bytes(4), b"a")),
]
KIND = call("pyarrow.lib:type_for_alias", text("string"))


def texts(buffers):
    data = many(KIND, number(0), number(0), number(0), buffers, EMPTY_LIST, NONE)
    return call("pyarrow.lib:_restore_array", data)


def index(keywords):
    return call(
        "pandas.core.indexes.base:_new_Index", name("pandas.core.indexes.base:Index"), keywords
    )


EMPTY_ARRAY = call(
    "numpy._core.multiarray:_reconstruct", name("numpy:ndarray"), many(number(0)), raw(b"b")
)
VALUES = many(number(1), many(number(2)), dtype("f8"), FALSE, raw(bytes(16)))
ITEMS = MARK + text("data") + EMPTY_ARRAY + VALUES + BUILD + text("name") + NONE + SETITEMS
CHANGES = {
    "a list": (texts(EMPTY_LIST + MEMOIZE), MARK + b"".join(BUFFERS) + APPENDS),
    "a list in a list": (
        call("pyarrow.lib:chunked_array", EMPTY_LIST + MEMOIZE, KIND),
        MARK + texts(EMPTY_LIST + MARK + b"".join(BUFFERS) + APPENDS) + APPENDS),
    "a dict": (index(EMPTY_DICT + MEMOIZE), ITEMS),
    "an array": (
        index(EMPTY_DICT + MARK + text("data") + EMPTY_ARRAY + MEMOIZE + text("name") + NONE
              + SETITEMS),
        VALUES + BUILD),
    "an array in a state": (
        call("sklearn.neighbors._kd_tree:newObj", name("sklearn.neighbors._kd_tree:KDTree"))
        + many(EMPTY_ARRAY + MEMOIZE) + BUILD, VALUES + BUILD),
}  # fmt: skip


@pytest.mark.parametrize(("original", "change"), CHANGES.values(), ids=CHANGES)
def test_arguments_that_change_after_their_call(tmp_path, original, change):
    """The library has read what the argument was at the call: here, no buffers and no values."""
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(many(original, AGAIN + change)))
    spec = inspect(path)
    assert spec.safety.verdict == "refuse"
    assert "bad-items" in {finding.code for finding in spec.safety.findings}


def test_the_same_arguments_pass_if_they_are_complete(tmp_path):
    complete = [texts(EMPTY_LIST + MARK + b"".join(BUFFERS) + APPENDS), index(EMPTY_DICT + ITEMS)]
    (tmp_path / "model.pkl").write_bytes(pickled(many(*complete)))
    safety = inspect(tmp_path / "model.pkl").safety
    assert safety.verdict == "pass", safety.findings
