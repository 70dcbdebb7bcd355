"""Columns, offsets and time zones of pandas that an estimator keeps, of each release."""

from pathlib import Path

import opcodes as op
import pytest

from modelpack.inspection.inspector import inspect
from modelpack.inspection.parser import parse_file
from modelpack.inspection.pickle.ndarrays import view

SAVED = sorted((Path(__file__).parents[1] / "data" / "frames").glob("columns-*.joblib"))
MISSING = {"pandas:NA", "pandas._libs.missing:NA"}


def release(path):
    return tuple(map(int, path.stem.partition("-")[2].split(".")[:2]))


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_columns_of_each_release_pass(path):
    spec = inspect(path)
    assert (spec.safety.verdict, spec.safety.findings) == ("pass", ())
    assert spec.framework == "scikit-learn"


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_the_files_contain_what_they_test(path):
    names = parse_file(path, ()).trace.globals
    offsets = {key.partition(":")[2] for key in names if "offsets:" in key}
    assert offsets >= {"BusinessDay", "MonthBegin", "QuarterBegin", "QuarterEnd", "Week", "Hour"}
    assert bool(MISSING & names.keys()) == (release(path) >= (1, 0))
    assert ("pyarrow.lib:chunked_array" in names) == ((1, 3) <= release(path) <= (1, 5))
    numpy_semantics = "pandas.core.arrays.string_arrow:ArrowStringArrayNumpySemantics"
    assert (numpy_semantics in names) == ((2, 1) <= release(path) <= (2, 3))
    zone = "zoneinfo:ZoneInfo._unpickle" if release(path) >= (3, 0) else "pytz:_p"
    assert zone in names


@pytest.mark.parametrize("path", SAVED[4:8], ids=lambda path: path.stem)
def test_chunks_of_texts_are_read(path):
    found = [view(node) for node in parse_file(path, ()).trace.objects
             if node.cls.name == "ArrowStringArray"]  # fmt: skip
    assert [array.values() for array in found] == [["a", None]] * len(found) != []


def findings(tmp_path, body):
    (tmp_path / "m").write_bytes(op.pickled(body))
    found = inspect(tmp_path / "m").safety
    return found.verdict, {finding.code for finding in found.findings}


def offset(name, *arguments):
    return op.call(f"pandas._libs.tslibs.offsets:{name}", *arguments)


def duration(*numbers):
    return op.call("datetime:timedelta", *map(op.number, numbers))


def zone(key, method="_unpickle", cls="zoneinfo:ZoneInfo", more=()):
    called = op.call("builtins:getattr", op.name(cls), op.text(method))
    return called + op.many(op.text(key), op.TRUE, *more) + op.REDUCE


def old_offset(**state):
    return op.new("pandas.tseries.offsets:Week", **{"n": op.number(1), **state})


FINE = {
    "week": offset("Week", op.number(1), op.FALSE, op.number(6)),
    "week without a day": offset("Week", op.number(1), op.FALSE, op.NONE),
    "quarter": offset("QuarterEnd", op.number(1), op.FALSE, op.number(12)),
    "business day": offset("BusinessDay", op.number(1), op.FALSE, duration(0, 0, 0)),
    "old week": old_offset(normalize=op.FALSE, weekday=op.number(6), _cache=op.EMPTY_DICT),
    "old quarter with a name": old_offset(_cache=op.table(freqstr=op.text("Q-DEC"))),
    "zone": zone("Europe/Paris"),
    "zone of three parts": zone("America/Argentina/Buenos_Aires"),
    "zone with signs": zone("Etc/GMT+5"),
    "zone of pytz": op.call("pytz:_p", op.text("Europe/Paris"), op.number(540), op.number(0),
                            op.text("LMT")),
    "fixed offset of pytz": op.call("pytz:FixedOffset", op.number(60)),
}  # fmt: skip
HOSTILE = {
    "month 13": offset("QuarterEnd", op.number(1), op.FALSE, op.number(13)),
    "month -1": offset("YearEnd", op.number(1), op.FALSE, op.number(-1)),
    "day of the week as a text": offset("Week", op.number(1), op.FALSE, op.text("x")),
    "number as a text": offset("Minute", op.text("1"), op.FALSE),
    "state of an offset": offset("Week", op.number(1)) + op.table(weekday=op.number(99)) + op.BUILD,
    "old week of day 99": old_offset(weekday=op.number(99)),
    "old week with another attribute": old_offset(calendar=op.text("x")),
    "old week with a method": old_offset(_cache=op.table(freqstr=op.name("builtins:str"))),
    "custom business day": offset("CustomBusinessDay", op.number(1), op.FALSE),
    "path": zone("/etc/passwd"),
    "path above": zone("../../../etc/passwd"),
    "hidden file": zone(".hidden"),
    "path in the middle": zone("Europe/../../x"),
    "no name": zone(""),
    "long name": zone("a/" * 60 + "a"),
    "two files": zone("Europe/Paris", more=(op.NONE,)),
    "another method of zones": zone("Europe/Paris", "from_file"),
    "clear_cache": zone("Europe/Paris", "clear_cache"),
    "reset_tzpath": zone("/tmp", "reset_tzpath", "zoneinfo:"),
    "a method of another class": zone("Europe/Paris", cls="os:path"),
    "a class named by itself": op.call("zoneinfo:ZoneInfo", op.text("Europe/Paris")),
    "the method named by itself": op.call("zoneinfo:ZoneInfo._unpickle", op.text("/x"), op.TRUE),
    "zone of pytz as bytes": op.call("pytz:_p", op.raw(b"UTC")),
    "another function of pytz": op.call("pytz:open_resource", op.text("UTC")),
    "chunks of two types": op.call(
        "pyarrow.lib:chunked_array", op.EMPTY_LIST, op.text("string")
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", FINE.values(), ids=FINE)
def test_forms_that_libraries_write_pass(tmp_path, body):
    assert findings(tmp_path, body)[1] <= {"not-a-model"}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_other_forms_are_refused_or_need_trust(tmp_path, body):
    verdict, codes = findings(tmp_path, body)
    assert verdict == "refuse" or codes <= {"unknown-global", "not-a-model"}
    assert codes - {"not-a-model"}


ESTIMATOR = "sklearn.linear_model._base:LinearRegression"


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("index_class", op.name("numpy:ndarray")),
        ("index_class", op.name("pandas:Series")),
        ("subclass", op.name("pandas:Index")),
        ("note_", op.name("zoneinfo:ZoneInfo")),
        ("note_", op.name("pandas:Index")),
        ("func", op.name("pandas:NA")),
        ("index_class", op.name("pandas:NA")),
        ("note_", op.call("builtins:getattr", op.name("zoneinfo:ZoneInfo"), op.text("_unpickle"))),
    ],
)
def test_types_in_other_attributes_are_refused(tmp_path, attribute, value):
    body = op.new(ESTIMATOR, coef_=op.NONE, **{attribute: value})
    verdict, codes = findings(tmp_path, body)
    assert verdict == "refuse"
    assert "bad-callable" in codes


@pytest.mark.parametrize("name", sorted(MISSING))
def test_the_missing_value_is_no_callable(tmp_path, name):
    body = op.new(ESTIMATOR, note_=op.name(name))
    assert "bad-callable" not in findings(tmp_path, body)[1]
