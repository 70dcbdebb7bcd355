"""The allowlist: exact names, each with the roles that picklers write and a contract if called."""

import importlib
import json
import os
import pathlib
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from opcodes import (
    BUILD,
    EMPTY_DICT,
    EMPTY_TUPLE,
    NEWOBJ,
    NEWOBJ_EX,
    NONE,
    SCALER,
    TUPLE1,
    call,
    dtype,
    many,
    name,
    new,
    number,
    pickled,
    raw,
    table,
    text,
)
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelpack.errors import ModelRefusedError
from modelpack.inspection import allowlist, contracts
from modelpack.inspection.inspector import inspect
from modelpack.inspection.verdicts import require_servable

ROOT = Path(__file__).parents[2]
TABLE = json.loads((Path(allowlist.__file__).parent / "allowlist.json").read_text())
X = np.random.RandomState(0).normal(size=(30, 3))
Y = np.arange(30) % 2


def findings(tmp_path, data):
    (tmp_path / "m.pkl").write_bytes(data)
    return inspect(tmp_path / "m.pkl").safety


def test_names_are_exact():
    """No entry is a prefix or a pattern, and none is of a module that runs what it is given."""
    assert len(TABLE) > 1500
    for key, entry in TABLE.items():
        module, _, found = key.partition(":")
        assert all(part.isidentifier() for part in [*module.split("."), *found.split(".")])
        assert set(entry["roles"]) <= {"new", "call", "ref", "append", "items"}
        assert entry["roles"]
        assert entry["seen"]
    tops = {key.partition(":")[0].partition(".")[0] for key in TABLE}
    assert not tops & {"os", "posix", "subprocess", "importlib", "operator", "pickle", "types"}
    found = ("functools", "joblib", "dill", "_codecs", "re:")
    assert {key for key in TABLE if key.startswith(found)} == {
        "dill._dill:_create_array",
        "dill._dill:_create_ftype",
        "dill._dill:_get_attr",
        "dill._dill:_import_module",
        "dill._dill:_load_type",
        "functools:partial",
        "joblib._store_backends:FileSystemStoreBackend",
        "joblib.memory:Memory",
        "joblib.memory:NotMemorizedFunc",
        "joblib.numpy_pickle:NumpyArrayWrapper",
        "re:RegexFlag",
        "_codecs:encode",
        "re:_compile",
    }


def test_each_callable_has_a_contract():
    called = {
        key: entry.get("contract") for key, entry in TABLE.items() if "call" in entry["roles"]
    }
    assert len(called) > 100
    assert {key for key, contract in called.items() if contract not in contracts.CALLS} == set()
    used = {entry["contract"] for entry in TABLE.values() if "contract" in entry}
    assert used == set(contracts.CALLS) | set(contracts.CLASSES)  # none is left over


# fmt: off
BROKEN = {
    "tree: a negative number": ("sklearn.tree._tree:Tree", number(-1), raw(b""), number(1)),
    "tree: no array": ("sklearn.tree._tree:Tree", number(1), number(1), number(1)),
    "tree: no state": ("sklearn.tree._tree:Tree", number(1), raw(b""), number(1)),
    "tree of neighbours: of another module": (
        "sklearn.neighbors._kd_tree:newObj", name("sklearn.neighbors._ball_tree:BallTree")),
    "tree of neighbours: a function": (
        "sklearn.neighbors._kd_tree:newObj", name("sklearn.neighbors._kd_tree:newObj")),
    "loss: a class": ("sklearn._loss._loss:CyHuberLoss", name("builtins:int")),
    "loss: of gradient descent": ("sklearn.linear_model._sgd_fast:Hinge", text("x")),
    "cython: another class": (
        "sklearn._loss._loss:__pyx_unpickle_CyHalfMultinomialLoss",
        name("sklearn._loss._loss:CyHuberLoss"), number(1), EMPTY_TUPLE),
    "cython: a checksum that is none": (
        "sklearn._loss._loss:__pyx_unpickle_CyHalfMultinomialLoss",
        name("sklearn._loss._loss:CyHalfMultinomialLoss"), text("x"), EMPTY_TUPLE),
    "seed of another class": (
        "numpy.random.bit_generator:__pyx_unpickle_SeedSequence", name("builtins:int"), number(1),
        NONE),
    "generator: made by another function": (
        "numpy.random._pickle:__generator_ctor", text("PCG64"),
        name("numpy.random._pcg64:PCG64")),
    "bit generator: of another module": (
        "numpy.random._pickle:__bit_generator_ctor", name("builtins:int")),
    "function of numpy: of any module": (
        "numpy.core:_ufunc_reconstruct", text("os"), text("system")),
    "function of numpy: that is none": (
        "numpy.core:_ufunc_reconstruct", text("numpy"), text("load")),
    "array that is not empty at first": (
        "numpy._core.multiarray:_reconstruct", name("numpy:ndarray"), number(9) + TUPLE1,
        raw(b"b")),
    "array without a state": (
        "numpy._core.multiarray:_reconstruct", name("numpy:ndarray"), number(0) + TUPLE1,
        raw(b"b")),
    "scalar without bytes": ("numpy._core.multiarray:scalar", dtype("f8"), number(8)),
    "buffer in another order": (
        "numpy._core.numeric:_frombuffer", raw(bytes(8)), dtype("f8"), number(1) + TUPLE1,
        text("A")),
    "index of another class": (
        "pandas.core.indexes.base:_new_Index", name("pandas:DataFrame"), EMPTY_DICT),
    "index with another keyword": (
        "pandas.core.indexes.base:_new_Index", name("pandas:Index"), table(cls=NONE)),
    "index of times of another class": (
        "pandas.core.indexes.datetimes:_new_DatetimeIndex", name("builtins:dict"), EMPTY_DICT),
    "block of numbers": ("pandas._libs.internals:_unpickle_block", number(1), number(1), number(1)),
    "block of an estimator": (
        "pandas._libs.internals:_unpickle_block", new(SCALER),
        call("builtins:slice", number(0), number(1), number(1)), number(2)),
    "timestamp of a text": (
        "pandas._libs.tslibs.timestamps:_unpickle_timestamp", text("now"), NONE, NONE, number(1)),
    "date of a number": ("datetime:datetime", number(1)),
    "difference of times of texts": ("datetime:timedelta", text("1")),
    "range of texts": ("builtins:range", text("1"), text("2"), text("3")),
    "slice of a class": ("builtins:slice", name("builtins:int"), NONE, NONE),
    "complex of texts": ("builtins:complex", text("1"), text("2")),
    "set of a number": ("builtins:set", number(1)),
    "dict in order, of no pairs": ("collections:OrderedDict", table(a=NONE)),
    "queue of a number": ("collections:deque", number(10)),
    "count of a number": ("collections:Counter", number(1)),
    "pattern without flags": ("re:_compile", text("a")),
    "split of another type": ("builtins:getattr", name("builtins:dict"), text("split")),
    "special method of an unknown class": (
        "builtins:getattr", new("mine:Model"), text("__reduce__")),
    "attribute of a text": ("builtins:getattr", name("builtins:str"), text("__class__")),
    "bytes by their number": ("builtins:bytearray", number(9)),
    "bytes in another encoding": ("builtins:bytearray", text("a"), text("zlib")),
}
# fmt: on


@pytest.mark.parametrize(("key", "args"), [(k, a) for k, *a in BROKEN.values()], ids=BROKEN)
def test_contracts_refuse_arguments_that_picklers_do_not_write(tmp_path, key, args):
    assert "call" in TABLE[key]["roles"]
    safety = findings(tmp_path, pickled(call(key, *args)))
    assert safety.verdict == "refuse"
    assert ("bad-arguments", key) in {(f.code, f.global_) for f in safety.findings}


def test_estimators_are_constructed_without_arguments(tmp_path):
    broken = name(SCALER) + many(number(1)) + NEWOBJ
    assert {f.code for f in findings(tmp_path, pickled(broken)).findings} == {"bad-arguments"}
    broken = name(SCALER) + EMPTY_TUPLE + table(copy=NONE) + NEWOBJ_EX
    assert {f.code for f in findings(tmp_path, pickled(broken)).findings} == {"bad-arguments"}


@pytest.mark.parametrize("key", ["numpy:log1p", "builtins:int", "pandas:DataFrame"])
def test_values_are_appended_and_set_only_in_containers(tmp_path, key):
    safety = findings(tmp_path, pickled(new(key) + b"(" + number(1) + b"e"))
    assert safety.verdict == "refuse"


@pytest.mark.parametrize("zone", ["dateutil//etc/passwd", "datetime64[ns, dateutil//etc/passwd]"])
def test_time_zones_are_no_paths(tmp_path, zone):
    """dateutil opens the file behind `dateutil/`."""
    index = "pandas.core.indexes.datetimes:_new_DatetimeIndex"
    cls = name("pandas.core.indexes.datetimes:DatetimeIndex")
    kind = "pandas.core.dtypes.dtypes:DatetimeTZDtype"
    for body in (
        *(call(index, cls, table(**{key: text(zone)})) for key in ("tz", "dtype", "freq")),
        call("pandas:StringDtype", text(zone)),
        new(kind, tz=text(zone), unit=text("ns")),
        new(kind, _tz=text(zone)),
    ):
        assert findings(tmp_path, pickled(body)).verdict == "refuse"
        fine = body.replace(text(zone), text("UTC"))
        assert "dateutil" not in str(findings(tmp_path, pickled(fine)))
        assert {f.code for f in findings(tmp_path, pickled(fine)).findings} <= {
            "not-a-model", "broken-invariant",
        }  # fmt: skip


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_matrices_are_refused_with_a_reason(tmp_path, protocol):
    with pytest.warns(PendingDeprecationWarning):
        data = pickle.dumps(np.matrix([[1.0, 2.0]]), protocol)
    safety = findings(tmp_path, data)
    assert (safety.verdict, {f.code for f in safety.findings}) == ("refuse", {"numpy-matrix"})


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("kind", [pathlib.PosixPath, pathlib.PureWindowsPath])
def test_paths_are_refused_with_a_reason(tmp_path, kind, protocol):
    model = LogisticRegression()
    model.source = kind("data", "train.csv")
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(model, protocol))
    spec = inspect(path)
    assert spec.safety.verdict == "refuse"
    assert {f.code for f in spec.safety.findings} == {"path-object"}
    with pytest.raises(ModelRefusedError, match="a path of the file system") as caught:
        require_servable(spec)
    assert "str(path)" in caught.value.hint


def test_path_does_not_hide_an_attack(tmp_path):
    (tmp_path / "m.pkl").write_bytes(pickle.dumps((pathlib.PosixPath("a"), os.system)))
    spec = inspect(tmp_path / "m.pkl")
    assert {f.code for f in spec.safety.findings} == {"path-object", "banned-global"}
    with pytest.raises(ModelRefusedError) as caught:
        require_servable(spec)
    assert "do not load this file" in caught.value.hint


def test_array_in_neither_c_nor_fortran_order(tmp_path):
    data = pickle.dumps(np.zeros((2, 3, 4)).transpose(1, 0, 2), 5)
    assert b"K" in data
    assert {f.code for f in findings(tmp_path, data).findings} == {"not-a-model"}


SCIPY_KEY = "scipy.stats._continuous_distns:norm_gen"


def template(shapes="", parameters="loc=0, scale=1", returned="loc, scale"):
    return (
        f"\ndef _parse_args(self, {shapes} {parameters}):\n    return ({shapes}), {returned}\n"
        f"\ndef _parse_args_rvs(self, {shapes} {parameters}, size=None):\n"
        f"    return self._argcheck_rvs({shapes} {returned}, size=size)\n"
        f"\ndef _parse_args_stats(self, {shapes} {parameters}, moments='mv'):\n"
        f"    return ({shapes}), {returned}, moments\n"
    )


@pytest.mark.parametrize("kind", ["_continuous_distns", "_discrete_distns"])
def test_templates_of_all_distributions(kind, tmp_path):
    for model_part in vars(getattr(scipy.stats, kind)).values():
        found = getattr(model_part, "_parse_arg_template", None)
        if found:
            body = new(SCIPY_KEY, _parse_arg_template=text(found))
            assert findings(tmp_path, pickled(body)).verdict == "pass", found


TEMPLATES = {
    "other shapes are returned": template("a, ").replace("return (a, )", "return (print, )"),
    "a shape is missing in one function": template("a, ").replace("rvs(self, a, ", "rvs(self, "),
    "other scales": template().replace("return (), loc, scale", "return (), loc, 1"),
    "scales of the other kind": template(returned="loc, 1"),
    "a shape with the name of a scale": template("loc, "),
    "a shape with the name of the object": template("self, "),
    "a shape that is a keyword": template("lambda, "),
    "the same shape twice": template("a, a, "),
    "a shape with a default": template("a=print(), "),
    "a scale with a default": template(parameters="loc=0, scale=print()"),
    "more after it": template() + "print()\n",
    "without its last line end": template()[:-1],
    "two spaces": template("a,  "),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_other_templates_than_those_of_scipy(name, tmp_path):
    assert findings(tmp_path, pickled(new(SCIPY_KEY, _parse_arg_template=text(template("a, b, ")))))
    body = new(SCIPY_KEY, _parse_arg_template=text(TEMPLATES[name]))
    assert {f.code for f in findings(tmp_path, pickled(body)).findings} == {"bad-arguments"}


# The state of scipy before 1.6: parameters, of which `shapes` becomes part of a text that is run.
PARAMETERS = {
    "no names": {"shapes": text("a): import os\n#")},
    "another parameter": {"_parse_arg_template": text("x")},
    "a class": {"name": name("builtins:int")},
    "a keyword": {"shapes": text("a, lambda")},
    "a parameter of scipy's own": {"shapes": text("a loc")},
    "a name twice": {"shapes": text("a, b, a")},
}


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
def test_parameters_of_old_distributions(tmp_path, parameters):
    key = "scipy.stats._continuous_distns:norm_gen"
    body = name(key) + EMPTY_TUPLE + NEWOBJ
    fine = body + many(table(shapes=text("a, b"), a=number(1)), NONE) + BUILD
    assert findings(tmp_path, pickled(fine)).verdict == "pass"
    broken = body + many(table(**parameters), NONE) + BUILD
    assert {f.code for f in findings(tmp_path, pickled(broken)).findings} == {"bad-arguments"}


def models():
    frame = pd.DataFrame(X, columns=list("abc"))
    found = {
        "forest": RandomForestClassifier(2).fit(frame, Y),
        "boosted": GradientBoostingClassifier(n_estimators=2).fit(X, Y),
        "neighbours": KNeighborsClassifier(algorithm="kd_tree").fit(X, Y),
        "descent": make_pipeline(StandardScaler(), SGDClassifier()).fit(X, Y),
        "beside": {"model": FunctionTransformer(np.log1p), "sample": frame, "n": np.float64(1)},
    }
    return {key: pickle.dumps(model, protocol) for key, model in found.items() for protocol in [4]}


@pytest.fixture(scope="module")
def saved():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return models()


@pytest.mark.parametrize("model", ["forest", "boosted", "neighbours", "descent", "beside"])
def test_smaller_allowlist_never_makes_a_file_safer(tmp_path, monkeypatch, saved, model):
    """Without any one entry, what was refused is not let pass, and what passed is not any more."""
    good = tmp_path / "good.pkl"
    good.write_bytes(saved[model])
    names = [key for key in inspect(good).globals if key in TABLE]
    assert inspect(good).safety.verdict == "pass"
    bad = [
        pickled(call(key, NONE, NONE, NONE, NONE, NONE)) for key in names
    ]  # no callable takes five times nothing
    for key in names:
        without = {k: v for k, v in TABLE.items() if k != key}
        monkeypatch.setattr(allowlist, "_table", lambda table=without: table)
        allowlist.standing.cache_clear()
        assert inspect(good).safety.verdict != "pass", key
        for data in bad:
            assert findings(tmp_path, data).verdict != "pass"
    monkeypatch.undo()
    allowlist.standing.cache_clear()


def test_generator_lists_code_without_a_review(tmp_path):
    """The audit's own script finds what unpickling would run, by class and by role."""
    module = tmp_path / "probe.py"
    module.write_text(
        "class Base:\n"
        "    def __setstate__(self, state):\n        print(state)\n"
        "    def __init__(self):\n        pass\n"
        "    def append(self, value):\n        pass\n"
        "class Model(Base):\n    pass\n"
        "def make(a):\n    return a\n"
    )
    keys = {"probe:Model": ["new"], "probe:make": ["call"], "probe:missing": ["new"]}
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    script = ROOT / "scripts" / "allowlist" / "inside" / "hooks.py"
    command = [sys.executable, str(script), str(tmp_path / "keys.json"), str(tmp_path / "out.json")]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(tmp_path)})
    found = json.loads((tmp_path / "out.json").read_text())
    assert set(found) == {"probe:Base.__setstate__", "probe:make"}
    assert "print(state)" in found["probe:Base.__setstate__"]


@pytest.fixture
def generator(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("make_allowlist")


def test_generator_fails_on_code_without_a_review(monkeypatch, generator):
    audit, release = generator.audit, generator.RELEASES[0]
    found = {release: generator.evidence.Evidence({"some:Class": {"new"}})}
    entries = {"some:Class": {"roles": ["new"]}}
    known, entry = next(iter(json.loads(audit.REVIEWED.read_text()).items()))
    assert entry["why"]
    for hook in ("some:Class.__del__", known):  # a new one, and one whose source has changed
        monkeypatch.setattr(audit, "hooks", lambda *_, hook=hook: {hook: "changed"})
        assert len(list(audit.problems(found, entries))) == 1
    monkeypatch.setattr(audit, "digest", lambda _: entry["sources"][0])
    assert not list(audit.problems(found, entries))


def test_generator_shortens_the_list_of_releases(generator):
    assert generator.ranges(["0.20", "0.21", "0.22", "1.9"]) == "0.20-0.22, 1.9"
    assert generator.ranges(["1.2", "libraries"]) == "1.2"
    assert generator.ranges(["libraries-2023", "libraries"]) == "libraries-2023, libraries"
