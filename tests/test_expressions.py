"""Regular expressions read texts of strangers in time that grows with the length of the text."""

import time

import pytest

from modelpack.inspection import detect
from modelpack.inspection.facts import boosters
from modelpack.inspection.formulas import grammar
from modelpack.serving.media import npy
from modelpack.serving.problems import Problem
from modelpack.serving.server import http1
from modelpack.smoke import diagnosis
from modelpack.smoke.checks import READY
from modelpack.types import Check, SmokeReport

TIMES = 8
MAX_GROWTH = 30  # 8 in linear time, 64 in quadratic time
ENTRIES = ("{", "'descr'", ":", "'<f8'", ",", "'fortran_order'", ":", "False", ",", "'shape'", ":",
           "(1, 4)", ",", "}", "")  # fmt: skip


def npy_header(index, count):
    """Return a body whose header has blanks behind one of its parts, or no commas and blanks behind
    all of its parts, and a wrong character at the end.
    """
    if index is None:
        text = "".join(part + " " * count for part in ENTRIES if part != ",")
    else:
        text = "".join(part + " " * (i == index) * count for i, part in enumerate(ENTRIES))
    text = f"{text}!".encode()
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text


def read_npy(body):
    with pytest.raises(Problem, match="header of the array is malformed"):
        npy.parse_header(body)


def read_field(line):
    assert http1.FIELD.fullmatch(line) is None


def read_formula(text):
    with pytest.raises(grammar.NotAFormula):
        grammar.parse(text)


def read_names(data):
    assert boosters._texts(data, "feature_names") == ()


def read_text(data):
    assert detect.as_text(data).name == "text"


def diagnose(output):
    check = Check(READY.name, False, 0.0, output)
    report = SmokeReport("image", "docker", (check,))
    assert diagnosis.diagnose(report) is None


CASES = {
    "npy, no commas": (read_npy, lambda n: npy_header(None, n), 8),
    **{
        f"npy, place {i}": (read_npy, lambda n, i=i: npy_header(i, n), 1_000)
        for i in range(len(ENTRIES))
    },
    "blanks of a field": (read_field, lambda n: b"a:" + b" " * n + b"\1", 1_000),
    "blanks in a field": (read_field, lambda n: b"a: b" + b" " * n + b"\1", 1_000),
    "name of a field": (read_field, lambda n: b"a" * n, 1_000),
    "digits of a formula": (read_formula, lambda n: "y ~ a + " + "1" * n + "x", 1_000),
    "decimals of a formula": (read_formula, lambda n: "y ~ a + 1." + "1" * n + "x", 1_000),
    "exponent of a formula": (read_formula, lambda n: "y ~ a + 1e" + "1" * n + "x", 1_000),
    "lists of JSON": (read_names, lambda n: b'"feature_names":[' * n, 1_000),
    "empty lines of a text": (read_text, lambda n: b"\n" * n + b"x", 1_000),
    "blanks of a text": (read_text, lambda n: b" " * n + b"\n" + b" " * n + b"x", 1_000),
    "commas of a text": (read_text, lambda n: b"," * n + b"\nx", 1_000),
    "tabs of a text": (read_text, lambda n: b"\t" * n + b"\nx", 1_000),
    "methods in the output of a service": (diagnose, lambda n: "predict() takes " * n, 1_000),
    "a word in the output of a service": (diagnose, lambda n: "lib" * n, 1_000),
    "texts in the output of a service": (diagnose, lambda n: "not load: 'str' object " * n, 1_000),
}


def fastest(read, text):
    """Return the least of several times: other work on the machine only adds to them."""
    times = []
    for _ in range(5):
        start = time.process_time()
        read(text)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("name", CASES)
def test_time_grows_with_the_length_of_the_text(name):
    read, text, size = CASES[name]
    assert len(text(TIMES * size)) > size
    assert fastest(read, text(TIMES * size)) < MAX_GROWTH * fastest(read, text(size))
