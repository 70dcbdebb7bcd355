"""HDF5 files in archives of Keras that are inconsistent, or that lead out of themselves."""

import struct
import time

import pytest
from keras_files import DATA, MEMBERS, keras_file

from modelpack.inspection import formats
from modelpack.inspection.nodes import Malformed


def refusal(data):
    """Return the code of the finding for an archive with these weights, or None."""
    try:
        formats.read("keras", iter([keras_file(model=data)]))
    except Malformed as problem:
        return problem.code
    return None


WEIGHTS = MEMBERS["model.weights.h5"]


def at(data, mark, offset, value, form="<Q"):
    """Return data with another number at an offset from the first occurrence of a mark."""
    packed = struct.pack(form, value)
    position = data.index(mark) + offset
    return data[:position] + packed + data[position + len(packed) :]


ROOT = struct.unpack_from("<Q", WEIGHTS, 64)[0]
LEAF = WEIGHTS.index(b"SNOD")
SHAPE = struct.pack("<BBB5x", 1, 2, 1)  # of two dimensions, with their maxima
FILES = {
    "an object that contains itself": (at(WEIGHTS, b"SNOD", 16, ROOT), "malformed"),
    "one object with two names": (
        at(WEIGHTS, b"SNOD", 16 + 40, struct.unpack_from("<Q", WEIGHTS, LEAF + 16)[0]),
        "malformed"),
    "an object outside": (at(WEIGHTS, b"SNOD", 16, 2**60), "truncated"),
    "a link": (at(WEIGHTS, b"SNOD", 24, 2, "<I"), "outside-file"),
    "no address": (at(WEIGHTS, b"SNOD", 16, 2**64 - 1), "outside-file"),
    "many entries": (at(WEIGHTS, b"SNOD", 6, 65_535, "<H"), None),
    "a tree that contains itself": (
        at(at(WEIGHTS, b"TREE", 32, WEIGHTS.index(b"TREE")), b"TREE", 5, 1, "<B"), "malformed"),
    "a tree of many levels": (at(WEIGHTS, b"TREE", 5, 255, "<B"), "malformed"),
    "a tree of many nodes": (at(WEIGHTS, b"TREE", 6, 65_535, "<H"), None),
    "a tree of chunks": (at(WEIGHTS, b"TREE", 4, 1, "<B"), "malformed"),
    "a heap outside": (at(WEIGHTS, b"HEAP", 24, 2**63), "truncated"),
    "a header of many bytes": (WEIGHTS[: ROOT + 8] + b"\xff" * 4 + WEIGHTS[ROOT + 12 :],
                               "truncated"),
    "another version": (WEIGHTS[:8] + b"\3" + WEIGHTS[9:], "hdf5-layout"),
    "other sizes": (WEIGHTS[:13] + b"\4" + WEIGHTS[14:], "hdf5-layout"),
    "a base address": (WEIGHTS[:24] + b"\1" + WEIGHTS[25:], "hdf5-layout"),
    "a driver": (WEIGHTS[:48] + bytes(8) + WEIGHTS[56:], "outside-file"),
    "bytes behind the end": (WEIGHTS + b"\0", "trailing-data"),
    "a huge dimension": (at(WEIGHTS, SHAPE, 8, 2**40), "broken-array"),
    "a huge product": (at(at(WEIGHTS, SHAPE, 8, 2**63), SHAPE, 16, 2**63), "broken-array"),
    "many dimensions": (at(WEIGHTS, SHAPE, 1, 200, "<B"), "malformed"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "code"), FILES.values(), ids=FILES)
def test_hdf5_that_is_inconsistent(data, code):
    assert data != WEIGHTS
    result = refusal(data)
    assert result == code or (code is None and result is not None)


def test_a_header_that_continues_in_itself_ends_early():
    """The first message of the root becomes a continuation at its own start."""
    own = struct.pack("<HHB3x2Q", 16, 16, 0, ROOT + 16, 24)
    started = time.process_time()
    assert refusal(WEIGHTS[: ROOT + 16] + own + WEIGHTS[ROOT + 40 :]) == "malformed"
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("external-link", "outside-file"), ("soft-link", "outside-file"),
        ("external-storage", "outside-file"), ("virtual", "hdf5-layout"),
        ("virtual-early", "outside-file"), ("chunks", "hdf5-layout"),
        ("fill-value", "hdf5-layout"), ("latest", "hdf5-layout"), ("hard-link", "malformed"),
        ("texts", "malformed"), ("references", "hdf5-layout"),
    ],
)  # fmt: skip
def test_hdf5_that_keras_does_not_write(name, code):
    assert refusal((DATA / f"hostile-{name}.h5").read_bytes()) == code
