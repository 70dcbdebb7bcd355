"""Objects of pandas that skops cannot load are named, with a way out. No file is called dangerous
for them, and what could run next to them stays dangerous.
"""

import json
import zipfile
from pathlib import Path

import opcodes as op
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from sklearn.naive_bayes import GaussianNB
from zips import dict_state, list_state, object_state, state, zip_archive
from zips import skops as skops_file
from zoo import X, Y

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect

DATA = Path(__file__).parents[1] / "data" / "skops"
NAMED = {
    "index-pandas-1.5.2": "skops saved an index of pandas (pandas.core.indexes.numeric.Int64Index),"
    " which skops cannot load.",
    "binary-pandas-1.5.3": "skops saved a DataFrame without its contents.",
    "series-pandas-1.5.3": "skops saved an index of pandas (pandas.core.indexes.range.RangeIndex),"
    " which skops cannot load.",
    "formula-pandas-2.2.3": "skops saved a DataFrame without its contents.",
}
HARMFUL = {
    "banned name": state("FunctionNode", "posix:system"),
    "role of another class": object_state("numpy:ndarray"),
    "state that replaces a method": object_state(
        "sklearn.preprocessing._data:StandardScaler", transform=list_state()
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_files_that_skops_cannot_load_are_not_supported(name):
    spec = inspect(DATA / f"{name}.skops")
    assert [finding.code for finding in spec.safety.findings] == ["skops-pandas"]
    with pytest.raises(ModelNotSupportedError) as raised:
        require_servable(spec)
    assert NAMED[name] in str(raised.value)
    assert raised.value.hint.startswith("Save the model again with joblib.dump")


@pytest.mark.parametrize("attributes", [None, dict_state()], ids=["none", "empty"])
def test_a_frame_without_contents_is_no_danger(tmp_path, attributes):
    manager = state("ObjectNode", "pandas.core.internals.managers:BlockManager", content=attributes)
    frame = object_state("pandas.core.frame:DataFrame", _mgr=manager)
    (tmp_path / "m.skops").write_bytes(skops_file(object_state(op.SCALER, frame=frame)))
    with pytest.raises(ModelNotSupportedError, match="a DataFrame without its contents"):
        require_servable(inspect(tmp_path / "m.skops"))


def test_the_reason_is_that_of_skops(tmp_path):
    model = GaussianNB().fit(X, Y)
    model.mapping = pd.Series([1, 2])
    skops.io.dump(model, tmp_path / "m.skops")
    names = skops.io.get_untrusted_types(file=tmp_path / "m.skops")
    with pytest.raises(TypeError, match="RangeIndex"):
        skops.io.load(tmp_path / "m.skops", trusted=names)
    with pytest.raises(ModelNotSupportedError, match="skops saved an index of pandas"):
        require_servable(inspect(tmp_path / "m.skops"))


VALUES = {
    "pandas.Categorical": pd.Categorical(["a"]),
    "pandas.Timestamp": pd.Timestamp("2020-01-01"),
    "pandas.Timedelta": pd.Timedelta("1D"),
    "pandas.api.typing.NAType": pd.NA,
    "pandas.arrays.IntervalArray": pd.arrays.IntervalArray.from_breaks([0, 1]),
}
CRASHING = {
    "pandas.ArrowDtype": pd.ArrowDtype(pa.int64()),
    "pandas.arrays.ArrowExtensionArray": pd.array([1], dtype=pd.ArrowDtype(pa.int64())),
    "pandas.arrays.ArrowStringArray": pd.array(["a"], dtype=pd.StringDtype("pyarrow")),
    "pandas.arrays.StringArray": pd.array(["a"], dtype=pd.StringDtype("python")),
    "pandas.arrays.DatetimeArray": pd.array(["2020-01-01"], dtype="M8[ns]"),
    "pandas.arrays.PeriodArray": pd.array(["2020-01"], dtype="period[M]"),
    "pyarrow.lib.Int64Array": pa.array([1]),
}
"""Values that end the process when skops has loaded them, or while it loads them."""


@pytest.mark.parametrize("kind", VALUES)
def test_values_that_skops_cannot_restore_are_named(tmp_path, kind):
    save(VALUES[kind], tmp_path / "m.skops")
    names = skops.io.get_untrusted_types(file=tmp_path / "m.skops")
    with pytest.raises((AttributeError, TypeError, ValueError)):
        repr(skops.io.load(tmp_path / "m.skops", trusted=names).value)
    assert_named(tmp_path / "m.skops", kind)


@pytest.mark.parametrize("kind", CRASHING)
def test_values_that_end_the_process_are_named(tmp_path, kind):
    save(CRASHING[kind], tmp_path / "m.skops")
    assert_named(tmp_path / "m.skops", kind)


def save(value, path):
    model = GaussianNB().fit(X, Y)
    model.value = value
    skops.io.dump(model, path)


def assert_named(path, kind):
    library = kind.partition(".")[0]
    with pytest.raises(ModelNotSupportedError) as raised:
        require_servable(inspect(path))
    assert f"skops saved an object of {library} ({kind}), which skops cannot" in str(raised.value)
    assert raised.value.hint.startswith("Save the model again with joblib.dump")


OLD_FORMS = {
    "pandas._libs.sparse:IntIndex": "pandas.core.arrays.sparse.array:SparseArray",
    "pandas._libs.tslibs.offsets:Week": "pandas.core.dtypes.dtypes:PeriodDtype",
    "datetime:date": "sklearn.preprocessing._data:StandardScaler",
}
"""Values of skops before 0.16, which has no attributes of them, and what contains them."""


@pytest.mark.parametrize("key", OLD_FORMS)
def test_values_of_older_releases_of_skops_are_named(tmp_path, key):
    holder = object_state(OLD_FORMS[key], value=object_state(key))
    (tmp_path / "m.skops").write_bytes(skops_file(object_state(op.SCALER, held=holder)))
    assert_named(tmp_path / "m.skops", key.replace(":", "."))


@pytest.mark.parametrize("value", [pd.Period("2020-01"), pd.array([1, None], dtype="Int64")])
def test_values_that_skops_restores_are_accepted(tmp_path, value):
    save(value, tmp_path / "m.skops")
    assert inspect(tmp_path / "m.skops").safety.verdict == "pass"


@pytest.mark.parametrize("harm", HARMFUL.values(), ids=HARMFUL)
@pytest.mark.parametrize("name", NAMED)
def test_what_could_run_next_to_them_is_dangerous(tmp_path, name, harm):
    with zipfile.ZipFile(DATA / f"{name}.skops") as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    root = json.loads(members["schema.json"])
    attributes = root["content"]
    attributes["content"]["more"] = harm
    attributes["key_types"]["content"].append(state("TypeNode", "builtins:str"))
    members["schema.json"] = json.dumps(root).encode()
    (tmp_path / "m.skops").write_bytes(zip_archive(members))
    with pytest.raises(ModelRefusedError) as raised:
        require_servable(inspect(tmp_path / "m.skops"))
    assert "do not load this file" in raised.value.hint


def test_an_index_that_a_pickle_creates_is_dangerous(tmp_path):
    (tmp_path / "m.pkl").write_bytes(op.pickled(op.new("pandas.core.indexes.base:Index")))
    with pytest.raises(ModelRefusedError) as raised:
        require_servable(inspect(tmp_path / "m.pkl"))
    assert "do not load this file" in raised.value.hint
