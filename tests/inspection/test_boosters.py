"""Parsers of saved boosters return the right values, and malformed files do no harm."""

import pickle
import random
import struct
import time

import numpy as np
import pytest
from catboost import CatBoostRegressor
from lightgbm import LGBMClassifier
from xgboost import XGBClassifier
from zoo import FLOWERS, Y

from modelpack.inspection.encodings import ubjson
from modelpack.inspection.encodings.flatbuffers import Table
from modelpack.inspection.facts.boosters import booster
from modelpack.inspection.facts.columns import Column
from modelpack.inspection.facts.estimators import EstimatorNode
from modelpack.inspection.facts.transformers import describe
from modelpack.inspection.inspector import inspect
from modelpack.inspection.nodes import Global


def _text(value):
    return struct.pack(">Q", len(value)) + value


def _key(name):
    return b"L" + _text(name)


def part(library, data):
    return EstimatorNode(Global(f"{library}.core:Booster", 0, ""), {"handle": data})


@pytest.fixture(scope="module")
def saved_boosters():
    boosted = CatBoostRegressor(iterations=3, verbose=0, allow_writing_files=False)
    text = LGBMClassifier(n_estimators=3, verbose=-1).fit(FLOWERS, Y).booster_.model_to_string()
    return {
        "xgboost": bytes(XGBClassifier(n_estimators=3).fit(FLOWERS, Y).get_booster().save_raw()),
        "lightgbm": text.encode(),
        "catboost": boosted.fit(FLOWERS, Y).__getstate__()["__model"],
    }


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "catboost"])
def test_names_and_number_of_features(library, saved_boosters):
    facts = booster(part(library, saved_boosters[library]))
    assert len(facts.names) == facts.width == 4
    assert facts.names[0] in {"sepal length", "sepal_length"}


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "catboost"])
def test_broken_bytes_do_no_harm(library, saved_boosters):
    chance = random.Random(0)
    for _ in range(400):
        data = bytearray(saved_boosters[library])
        for _ in range(chance.randint(1, 40)):
            data[chance.randrange(len(data))] = chance.choice([0, 1, 255, chance.randrange(256)])
        del data[chance.randrange(len(data)) :]
        columns = [Column(str(n)) for n in range(4)]
        describe(part(library, bytes(data)), columns)
        for column in columns:
            assert column.example is None or np.isfinite(column.example)


def test_text_of_an_old_release_of_xgboost():
    data = b'CONFIG-offset:{"num_class":"3","num_feature":"7"},"version":[1,6,2]}'
    facts = booster(part("xgboost", data))
    assert (facts.version, facts.width, facts.groups) == ("1.6.2", 7, 3)


@pytest.mark.parametrize(
    ("library", "data", "version"),
    [
        ("xgboost", b"\0\0\0\x80\3\0\0\0", "<1"),
        ("xgboost", b"CONFIG-offset:\xc2\4\0\0\0\0\0\0binf", ">=1,<1.3"),
        ("xgboost", b'{"Config":{"learner":', None),
        ("lightgbm", b"tree\nversion=v2\nnum_class=1\n\n", "<2.3"),
        ("lightgbm", b"tree\nversion=v3\nnum_class=1\n\n", ">=2.3,<4"),
        ("lightgbm", b"tree\nversion=v4\nnum_class=1\n\n", ">=4"),
        ("lightgbm", b"tree\nversion=v9\nnum_class=1\n\n", None),
        ("catboost", b"CBM1....    Summary: CatBoost Release 1.2.7. e8fed8\n", "1.2.7"),
    ],
)
def test_unrecorded_version_is_derived_from_the_format(library, data, version):
    assert booster(part(library, data)).version == version


def test_values_of_ubjson():
    strings = b"[#L" + struct.pack(">Q", 2) + b"SL" + _text("ä".encode()) + b"SL" + _text(b"b")
    numbers = b"[$l#L" + struct.pack(">Q2i", 2, -1, 70_000)
    mixed = b"[#L" + struct.pack(">Q", 3) + b"i\xff" + b"U\xff" + b"I\x01\x00"
    data = b"{" + _key(b"s") + strings + _key(b"n") + numbers + _key(b"m") + mixed + b"}"
    assert ubjson.strings(data, "s") == ("ä", "b")
    assert ubjson.numbers(data, "n") == ((-1, 70_000), data.index(_key(b"m")))
    assert ubjson.integers(data, "m") == (-1, 255, 256)
    for end in range(len(data)):
        cut = data[:end]
        assert ubjson.strings(cut, "s") in {None, ("ä", "b")}
        assert ubjson.numbers(cut, "n") is None or end > data.index(_key(b"m")) - 1


def test_table_with_offsets_outside_of_its_data():
    for word in (0, 4, 8, 2**31 - 1, 2**32 - 1):
        data = struct.pack("<IiHHHH", 4, -4, word & 0xFFFF, 8, 4, 4) + struct.pack("<I", word)
        with pytest.raises(struct.error):
            Table.root(data[:3]).text(0)
        try:
            Table.root(data).text(0)
            Table.root(data).tables(1)
        except struct.error:
            continue


def test_features_that_share_one_long_name_cost_nothing():
    name, count = b"n" * 100_000, 50_000
    vtable = struct.pack("<8H", 16, 8, 4, 4, 4, 4, 4, 4)  # six fields, all in the same place
    feature = struct.pack("<iI", 16, 4) + struct.pack("<I", len(name)) + name
    offsets = [4 * n for n in range(count, 0, -1)]
    # Each entry of the vector leads to the one feature behind it.
    vector = struct.pack(f"<I{count}I", count, *(at + len(vtable) for at in offsets))
    trees = struct.pack("<iI", 16, 4) + vector
    core = struct.pack("<iI", 16, 4 + len(vtable))
    data = struct.pack("<I", 20) + vtable + core + vtable + trees + vtable + feature
    assert Table.root(data).table(1).tables(5)[-1].text(4) == name.decode()
    started = time.process_time()
    assert booster(part("catboost", b"CBM1size" + data)).names is None
    assert time.process_time() - started < 2


def test_a_huge_number_of_classes_allocates_no_labels(tmp_path):
    model = XGBClassifier(n_estimators=1, n_jobs=1).fit(FLOWERS, Y)
    assert inspect(_saved(model, tmp_path)).signature.classes == (0, 1, 2)
    model.n_classes_ = 2**62
    assert inspect(_saved(model, tmp_path)).signature.classes is None


def _saved(model, folder):
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    return path
