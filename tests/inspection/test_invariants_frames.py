"""Frames, indexes and arrays of pandas whose parts do not fit each other are refused unloaded."""

import pickle
from pathlib import Path

import numpy as np
import opcodes
import pandas as pd
import pytest
from altered_models import (
    Reduced,
    assert_refused,
    axes,
    block,
    block_manager,
    findings,
    frame,
    instance,
    numbers,
)
from pandas.core.internals.managers import BlockManager, SingleBlockManager
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelpack.inspection import limits
from modelpack.inspection.inspector import inspect

OLD = Path(__file__).parents[1] / "data" / "frames"


def with_state(blocks, axes, cls=BlockManager):
    """Return a manager in the form of pandas before 1.3, and of a series in any release."""
    content = [{"values": b.reduced[1][0], "mgr_locs": b.reduced[1][1]} for b in blocks]
    return instance(cls, (axes, [], [], {"0.14.1": {"axes": axes, "blocks": content}}))


def series(values, placement, length):
    altered = [block(values, placement, 1)]
    return frame(with_state(altered, [pd.RangeIndex(length)], SingleBlockManager), pd.Series)


FORMS = {"called": block_manager, "with a state": with_state}
SOUND = {
    "a slice": [block(numbers(3), slice(0, 3, 1))],
    "two slices": [block(numbers(2), slice(0, 2, 1)), block(numbers(1), slice(2, 3, 1))],
    "steps": [block(numbers(2), slice(0, 4, 2)), block(numbers(1), slice(1, 2, 1))],
    "backwards": [block(numbers(3), slice(2, None, -1))],
    "an array": [block(numbers(2), np.array([2, 0])), block(numbers(1), slice(1, 2, 1))],
    "nothing": [block(numbers(3), slice(0, 3, 1)), block(numbers(0), slice(0, 0, 1))],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SOUND)
def test_valid_placements_pass(name, form, tmp_path):
    assert findings(frame(FORMS[form](SOUND[name], axes(3))), tmp_path, 4) == []


BROKEN = {
    "beyond": ([block(numbers(1), np.array([3])), block(numbers(2), slice(0, 2, 1))], "position 3"),
    "far beyond": (
        [block(numbers(1), np.array([2**40])), block(numbers(2), slice(0, 2, 1))],
        "position 1,099,511,627,776 of 3",
    ),
    "negative": ([block(numbers(1), np.array([-1])), block(numbers(2), slice(0, 2, 1))], "-1"),
    "slice beyond": (
        [block(numbers(1), slice(5, 6, 1)), block(numbers(2), slice(0, 2, 1))],
        "position 5 of 3",
    ),
    "step beyond": ([block(numbers(3), slice(0, 9, 3))], "position 6 of 3"),
    "negative slice": ([block(numbers(3), slice(-1, 2, 1))], "not a slice that pandas writes"),
    "open slice": ([block(numbers(3), slice(0, None, 1))], "not a slice that pandas writes"),
    "no step": ([block(numbers(3), slice(0, 3, 0))], "not a slice that pandas writes"),
    "twice": ([block(numbers(3), np.array([0, 1, 1]))], "same position"),
    "one slice on another": (
        [block(numbers(2), slice(0, 2, 1)), block(numbers(1), slice(1, 2, 1))],
        "same position",
    ),
    "an array on a slice": (
        [block(numbers(2), slice(0, 2, 1)), block(numbers(1), np.array([1]))],
        "same position",
    ),
    "fewer columns": ([block(numbers(2), slice(0, 2, 1))], "contain 2 columns, but it has 3"),
    "no blocks": ([], "contain 0 columns, but it has 3"),
    "more columns": ([block(numbers(4), slice(0, 4, 1))], "contain 4 columns, but it has 3"),
    "fewer values than places": ([block(numbers(2), slice(0, 3, 1))], r"the shape \(2, 4\)"),
    "more values than places": ([block(numbers(9), slice(0, 3, 1))], r"the shape \(9, 4\)"),
    "fewer rows": ([block(numbers(3, 3), slice(0, 3, 1))], r"the shape \(3, 3\)"),
    "more rows": ([block(numbers(3, 5), slice(0, 3, 1))], r"the shape \(3, 5\)"),
    "a list": ([block(np.ones(4), slice(0, 3, 1))], r"the shape \(4,\)"),
    "a cube": ([block(np.ones((3, 4, 1)), slice(0, 3, 1))], r"the shape \(3, 4, 1\)"),
    "a short categorical": (
        [
            block(pd.Categorical([1, 1, 1]), slice(0, 1, 1)),
            block(numbers(2), slice(1, 3, 1)),
        ],
        r"the shape \(3,\)",
    ),
    "a categorical of two columns": (
        [
            block(pd.Categorical([1, 1, 1, 1]), slice(0, 2, 1)),
            block(numbers(1), slice(2, 3, 1)),
        ],
        r"the shape \(4,\)",
    ),
    "short moments": (
        [
            block(pd.array(pd.to_datetime([0, 1, 2], utc=True)), slice(0, 1, 1)),
            block(numbers(2), slice(1, 3, 1)),
        ],
        r"the shape \(3,\)",
    ),
    "places of small integers": ([block(numbers(3), np.arange(3, dtype="i2"))], "is i2"),
    "a table of places": ([block(numbers(3), np.arange(3)[:, None])], "the positions of a block"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", BROKEN)
def test_placements_outside_of_the_axis(name, form, tmp_path):
    blocks, message = BROKEN[name]
    found = assert_refused(frame(FORMS[form](blocks, axes(3))), tmp_path, message, 4)
    assert found.global_ == "pandas.core.internals.managers:BlockManager"


def test_frame_inside_an_estimator(tmp_path):
    scaler = StandardScaler().fit(numbers(3))
    scaler.rows_ = frame(block_manager([block(numbers(3), np.array([0, 1, 9]))], axes(3)))
    assert_refused(scaler, tmp_path, "position 9 of 3", 4)


def test_placements_too_large_to_keep(tmp_path):
    count = limits.KEPT_BYTES // 8 + 9
    placement = np.arange(count)[::-1].copy()
    sound = frame(block_manager([block(np.ones((count, 1), "i1"), placement)], axes(count, 1)))
    assert findings(sound, tmp_path, 4) == []
    placement[count // 2] = count
    assert_refused(sound, tmp_path, f"position {count:,} of", 4)
    placement[count // 2] = 0
    assert_refused(sound, tmp_path, "same position", 4)


def test_more_placements_than_bytes_in_the_file(tmp_path):
    """Marking them all would take more memory than there is."""
    blocks = [block(np.ones((2**40, 0)), slice(0, 2**40, 1))]
    assert_refused(
        frame(block_manager(blocks, axes(2**40, 0))), tmp_path, "more objects share its arrays", 4
    )


def test_dimensions_of_a_block(tmp_path):
    altered = frame(block_manager([block(numbers(3), slice(0, 3, 1), 1)], axes(3)))
    assert_refused(altered, tmp_path, "not have the dimensions", 4)


@pytest.mark.parametrize("form", FORMS)
def test_number_of_axes(form, tmp_path):
    altered = frame(FORMS[form]([block(numbers(3), slice(0, 3, 1))], axes(3)[:1]))
    assert_refused(altered, tmp_path, "number of axes", 4)


def test_axes_that_are_no_indexes(tmp_path):
    altered = frame(with_state([block(numbers(3), slice(0, 3, 1))], [[[1, 2, 3]], np.arange(4)]))
    assert_refused(altered, tmp_path, "an axis is not an index", 4)


@pytest.mark.parametrize("length", [3, 5])
def test_length_of_a_series(length, tmp_path):
    assert findings(series(np.ones(4), slice(0, 4, 1), 4), tmp_path, 4) == []
    assert_refused(series(np.ones(length), slice(0, length, 1), 4), tmp_path, "but it has 4", 4)
    assert_refused(series(np.ones(length), slice(0, 4, 1), 4), tmp_path, "the shape", 4)


OTHER_STATES = {
    "before 0.14.1": ([pd.RangeIndex(4)], [np.ones(4)], [pd.RangeIndex(4)]),
    "of another release": ([], [], [], {"0.15": {}}),
    "without blocks": ([], [], [], {"0.14.1": {"axes": [pd.RangeIndex(4)]}}),
    "of broken blocks": ([], [], [], {"0.14.1": {"axes": [pd.RangeIndex(4)], "blocks": [()]}}),
}


@pytest.mark.parametrize("name", OTHER_STATES)
def test_other_forms_of_a_state(name, tmp_path):
    altered = frame(instance(SingleBlockManager, OTHER_STATES[name]), pd.Series)
    assert_refused(altered, tmp_path, "form that pandas writes", 4)


def test_manager_of_another_class(tmp_path):
    single = with_state([block(np.ones(4), slice(0, 4, 1), 1)], axes(3)[1:], SingleBlockManager)
    assert_refused(frame(single), tmp_path, "that of another class", 4)
    both = block_manager([block(numbers(3), slice(0, 3, 1))], axes(3))
    assert_refused(frame(both, pd.Series), tmp_path, "that of another class", 4)


def test_two_managers(tmp_path):
    sound = block_manager([block(numbers(3), slice(0, 3, 1))], axes(3))
    assert findings(frame(sound, key="_data"), tmp_path, 4) == []
    altered = instance(pd.DataFrame, {"_mgr": sound, "_data": sound})
    assert_refused(altered, tmp_path, "not have exactly one manager", 4)
    assert_refused(
        instance(pd.DataFrame, {"_typ": "dataframe"}), tmp_path, "not have exactly one manager", 4
    )


# --- Codes ---------------------------------------------------------------------------------------


def categorical(codes):
    return pd.Categorical._simple_new(codes, pd.CategoricalDtype([1, 2, 3]))


@pytest.mark.parametrize("code", [3, 100, -2])
@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "i8"])
def test_code_of_a_categorical(kind, code, tmp_path):
    assert findings(categorical(np.array([0, 1, 2, -1], kind)), tmp_path, 4) == []
    altered = categorical(np.array([0, 1, code, -1], kind))
    assert_refused(altered, tmp_path, f"contain {code} at position 2", 4)
    encoder = OneHotEncoder().fit(numbers(3))
    encoder.seen_ = frame(block_manager([block(altered, slice(0, 1, 1))], axes(1)))
    assert_refused(encoder, tmp_path, f"contain {code} at position 2", 4)


@pytest.fixture
def old_categorical(monkeypatch):
    """Under the name that pandas pickled before release 3."""
    monkeypatch.setattr(pd.Categorical, "__module__", "pandas.core.arrays.categorical")
    return pd.Categorical


@pytest.mark.parametrize("kind", ["u1", "f8"])
def test_codes_of_another_kind(kind, old_categorical, tmp_path):
    altered = instance(
        old_categorical, {"_codes": np.array([0], kind), "_categories": pd.Index([1])}
    )
    assert_refused(altered, tmp_path, f"is {kind}", 4)


@pytest.mark.parametrize("name", ["_codes", "_ndarray"])
@pytest.mark.parametrize("since", ["0.21", "before"])
def test_categorical_with_a_dict(name, since, old_categorical, tmp_path):
    dtype = pd.CategoricalDtype([1, 2, 3])
    content = {"_dtype": dtype} if since == "0.21" else {"_categories": dtype.categories}
    sound = instance(old_categorical, {name: np.array([0, 2, -1], "i1"), **content})
    assert findings(sound, tmp_path, 4) == []
    altered = instance(old_categorical, {name: np.array([0, 3, -1], "i1"), **content})
    assert_refused(altered, tmp_path, "contain 3 at position 1", 4)


def test_categorical_without_categories(old_categorical, tmp_path):
    altered = instance(old_categorical, {"_codes": np.array([0], "i1")})
    assert_refused(altered, tmp_path, "contain 0 at position 0", 4)
    altered = instance(old_categorical, {"_codes": np.array([-1], "i1"), "_categories": [1, 2]})
    assert_refused(altered, tmp_path, "an axis is not an index", 4)
    assert_refused(instance(old_categorical, {}), tmp_path, "of one release", 4)


def multi(levels, codes, key="codes"):
    facts = {"levels": levels, key: codes, "sortorder": None, "names": [None] * len(levels)}
    return Reduced(pd.core.indexes.base._new_Index, pd.MultiIndex, facts)


LEVELS = [pd.Index([1.5, 2.5]), pd.RangeIndex(3)]
BROKEN_CODES = {
    "beyond": ([[0, 1], [0, 3]], "contain 3 at position 1"),
    "negative": ([[0, -2], [0, 1]], "contain -2 at position 1"),
    "shorter": ([[0, 1], [0]], "the shape of the codes"),
    "a list less": ([[0, 1]], "one list of codes for each level"),
    "a list more": ([[0, 1], [0, 1], [0, 1]], "one list of codes for each level"),
}


@pytest.mark.parametrize("key", ["codes", "labels"])
def test_codes_of_an_index(key, tmp_path):
    sound = multi(LEVELS, [np.array([0, -1], "i1"), np.array([2, 0], "i2")], key)
    assert findings(sound, tmp_path, 4) == []
    for codes, message in BROKEN_CODES.values():
        altered = multi(LEVELS, [np.array(part, "i1") for part in codes], key)
        assert_refused(altered, tmp_path, message, 4)
        altered = frame(
            with_state([block(numbers(3, 2), slice(0, 3, 1))], [pd.RangeIndex(3), altered])
        )
        assert_refused(altered, tmp_path, message, 4)


def test_duplicate_codes(tmp_path):
    codes = [np.array([0, 0], "i1")] * 2
    altered = multi(LEVELS, codes)
    altered.reduced[1][1]["labels"] = codes
    assert_refused(altered, tmp_path, "no codes", 4)


def test_rows_of_an_index_of_levels(tmp_path):
    index = multi(LEVELS, [np.array([0, 1], "i1")] * 2)
    altered = frame(
        block_manager([block(numbers(3, 3), slice(0, 3, 1))], [pd.RangeIndex(3), index])
    )
    assert_refused(altered, tmp_path, r"the shape \(3, 3\)", 4)


@pytest.mark.parametrize("kind", ["Int64", "Float64", "boolean"])
def test_mask_of_an_array(kind, tmp_path):
    altered = pd.array([1, 0, None], dtype=kind)
    assert findings(altered, tmp_path, 4) == []
    altered._mask = altered._mask[:-1]
    assert_refused(altered, tmp_path, "the mask of an array", 4)
    altered._mask = np.zeros(3, "i1")
    assert_refused(altered, tmp_path, "the mask of an array", 4)


# --- Forms of a state ----------------------------------------------------------------------------

CODES, MASK = np.array([0, 1], "i1"), np.zeros(2, bool)
MOMENTS = np.zeros(2, "M8[ns]")
MIXED = "not have the attributes of one release"
ONE_DTYPE = {"_dtype": pd.CategoricalDtype([1, 2, 3])}
FORMS_BY_RELEASE = {
    ("categorical", "Categorical"): ({"_codes": CODES}, {"_ndarray": CODES}),
    ("datetimes", "DatetimeArray"): ({"_data": MOMENTS}, {"_ndarray": MOMENTS}),
    ("timedeltas", "TimedeltaArray"): ({"_data": MOMENTS}, {"_ndarray": MOMENTS}),
    ("period", "PeriodArray"): ({"_data": CODES}, {"_ndarray": CODES}),
    ("string_", "StringArray"): ({"_ndarray": CODES},),
    ("boolean", "BooleanArray"): ({"_data": MASK, "_mask": MASK},),
    ("integer", "IntegerArray"): ({"_data": CODES, "_mask": MASK},),
    ("floating", "FloatingArray"): ({"_data": CODES, "_mask": MASK},),
}


@pytest.mark.parametrize(("module", "name"), FORMS_BY_RELEASE)
def test_an_array_has_the_attributes_of_one_release(module, name, tmp_path, monkeypatch):
    cls = getattr(getattr(pd.core.arrays, module), name)
    monkeypatch.setattr(cls, "__module__", f"pandas.core.arrays.{module}")
    dtype = ONE_DTYPE if name == "Categorical" else {}
    for form in FORMS_BY_RELEASE[module, name]:
        assert findings(instance(cls, {**form, **dtype}), tmp_path, 4) == []
        for key in {"_codes", "_data", "_mask", "_ndarray"} - form.keys():
            assert_refused(instance(cls, {**form, **dtype, key: CODES}), tmp_path, MIXED, 4)
        for key in form if len(form) > 1 else ():
            assert_refused(instance(cls, {key: form[key]}), tmp_path, MIXED, 4)


def test_duplicate_categories(old_categorical, tmp_path):
    state = {"_codes": CODES, "_categories": pd.Index([1, 2, 3]), **ONE_DTYPE}
    assert_refused(instance(old_categorical, state), tmp_path, MIXED, 4)


@pytest.mark.parametrize("key", ["_codes", "_ndarray", "_data", "_mask", "_dtype", "_categories"])
def test_values_among_the_other_attributes_of_an_array(key, tmp_path):
    for altered in (categorical(CODES), pd.array(["2020-01-01"], dtype="datetime64[ns]")):
        function, args, state = altered.__reduce__()
        more = {**(state[2] if len(state) > 2 else {}), "_note": 1}
        assert findings(Reduced(function, *args, state=(*state[:2], more)), tmp_path, 4) == []
        more[key] = CODES
        assert_refused(Reduced(function, *args, state=(*state[:2], more)), tmp_path, MIXED, 4)


@pytest.mark.parametrize("name", ["_codes", "_ndarray"])
def test_values_in_the_cache_of_an_array(name, old_categorical, tmp_path):
    """pandas 1.2 reads the cached values in the place of the others."""
    state = {"_codes": CODES, **ONE_DTYPE}
    assert findings(instance(old_categorical, {**state, "_cache": {"ndim": 1}}), tmp_path, 4) == []
    wrong = np.zeros(9, "i1")
    altered = instance(old_categorical, {**state, "_cache": {name: wrong}})
    assert_refused(altered, tmp_path, "the cache of an array", 4)


# --- Releases ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(p.name for p in OLD.glob("*.pkl")))
def test_frames_of_all_releases_pass(path):
    safety = inspect(OLD / path).safety
    assert [f.message for f in safety.findings if f.code != "not-a-model"] == []
    assert safety.verdict == "pass"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"cpandas.arrays\nDatetimeArray\n", b"cnumpy\nndarray\n"),
        (b"cpandas.arrays\nDatetimeArray\n", b"cpandas.core.frame\nDataFrame\n"),
        (b"N\x87", b"]\x87"),
    ],
    ids=["class of numpy", "frame", "state as an argument"],
)
def test_arrays_of_pandas_are_built_with_their_own_class(tmp_path, old, new):
    data = pickle.dumps(pd.array(pd.to_datetime(["2020-01-01"])), 2)
    assert inspect_array(tmp_path, data) == "pass"
    assert data.count(old) >= 1
    assert inspect_array(tmp_path, data.replace(old, new, 1)) == "refuse"


def inspect_array(folder, data: bytes) -> str:
    path = folder / "model.pkl"
    path.write_bytes(opcodes.pickled(opcodes.new(opcodes.SCALER, mean_=data[2:-1]), 2))
    return inspect(path).safety.verdict
