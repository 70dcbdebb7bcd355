"""What holds for every file: nothing is executed, the names are those that loading resolves, and
no file makes the inspector fail.
"""

import contextlib
import io
import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelpack.errors import ModelpackError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.spec import ModelSpec, from_json, to_json

from .families import dumped_by_joblib, models
from .opcodes import SYSTEM, TUPLE1, call, name, new, number, pickled, table, text, wrapper
from .test_hostile import REFUSED, UNKNOWN
from .test_hostile_files import CONTAINERS
from .test_hostile_memory import LIES

DATA = Path(__file__).parents[1] / "data"
X, Y = load_iris(return_X_y=True)

# Run in a fresh interpreter, so that nothing was imported before: an audit hook (PEP 578) sees what
# the interpreter itself is asked for: imports, code, files, sockets, processes, and the rest.
WATCH = """
import sys
from pathlib import Path
from modelpack.inspection.inspector import inspect

first, folder = map(Path, sys.argv[1:])
inspect(first)  # reads the tables that inspecting itself needs, and the library for its container
paths = sorted(map(str, folder.iterdir()))
seen = []
sys.addaudithook(lambda event, args: seen.append((event, *args)))
modules = set(sys.modules)
for path in paths:
    for trust in ([], ["evil.module:Thing"]):
        inspect(path, trust=trust)
seen = [s for s in seen if s[0] not in {"builtins.id", "array.__new__"}]  # in memory
opened = {s[1] for s in seen if s[0] == "open" and type(s[1]) is not int}  # or a descriptor
print({s[0] for s in seen} - {"open"}, set(map(str, opened)) - set(paths))
assert set(sys.modules) == modules, set(sys.modules) - modules
assert "numpy" not in sys.modules and "sklearn" not in sys.modules
assert {str(o) for o in opened} >= set(paths)  # the hook does see
"""

FURTHER = {
    "import": pickled(call("evil.module:Thing")),
    "state": pickled(new("evil.module:Thing", x=name("subprocess:Popen"))),
    "nested": pickled(wrapper("O8", number(1) + TUPLE1) + pickled(SYSTEM)),
    "file": pickled(new("joblib.numpy_pickle:NDArrayWrapper", filename=text("/etc/passwd"))),
    "server": pickled(call("socket:create_connection", text("localhost"))),
}


def fixtures():
    """The hostile files of all tables, and real models."""
    yield from FURTHER.values()
    yield from (data for data, _ in [*REFUSED.values(), *CONTAINERS.values()])
    yield from (pickled(body) for body, _ in [*LIES.values(), *UNKNOWN.values()])
    yield from (path.read_bytes() for path in DATA.glob("kserve/*/model.*"))
    for model in models().values():
        yield pickle.dumps(model, 4)
        yield from (dumped_by_joblib(model, compress) for compress in (0, "lz4", "xz", "bz2"))


def test_nothing_is_imported_opened_or_run(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for number_, data in enumerate(fixtures()):
        (folder / f"{number_}").write_bytes(data)
    assert len(list(folder.iterdir())) > 250
    (tmp_path / "first").write_bytes(dumped_by_joblib(models()["text"], "lz4"))
    command = [sys.executable, "-c", WATCH, tmp_path / "first", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "set() set()"


class Names(pickle.Unpickler):
    """CPython's own unpickler; what it would look up is noted, and a stand-in given."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data))
        self.found = set()

    def find_class(self, module, name):
        self.found.add(f"{module}:{name}")
        return StandIn


class StandIn:
    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __setstate__(self, state):
        pass

    def append(self, value):
        pass

    def extend(self, values):
        pass

    def __setitem__(self, key, value):
        pass


def model():
    columns = ColumnTransformer([("a", StandardScaler(), [0, 1]), ("b", OneHotEncoder(), [2])])
    return make_pipeline(columns, RandomForestClassifier(3, random_state=0)).fit(X, Y)


def names_of(data):
    names = Names(data)
    names.load()
    return names.found


@pytest.mark.parametrize("protocol", [3, 4, 5])  # below, CPython would rename modules on the way
def test_names_are_those_that_loading_resolves(tmp_path, protocol):
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(model(), protocol))
    assert set(inspect(path).globals) == names_of(path.read_bytes())


def mutants(data, count, seed):
    chance = random.Random(seed)
    for _ in range(count):
        mutant = bytearray(data)
        for _ in range(chance.choice([1, 1, 2, 8])):
            place = chance.randrange(len(mutant))
            change = chance.randrange(4)
            if change == 0:
                mutant[place] = chance.randrange(256)
            elif change == 1:
                del mutant[place : place + chance.randrange(1, 20)]
            elif change == 2:
                start = chance.randrange(len(data))
                mutant[place:place] = data[start : start + chance.randrange(1, 20)]
            else:
                mutant[place:place] = bytes([chance.choice(b"(0)]}NRbtu\x81\x85\x93\x94h\x00.")])
            if not mutant:
                break
        yield bytes(mutant)


SEEDS = sorted(DATA.glob("kserve/*/model.*"))


@pytest.mark.parametrize("path", SEEDS, ids=lambda p: f"{p.parent.name}-{p.suffix}")
def test_no_mutant_makes_it_fail(tmp_path, path):
    target = tmp_path / "m"
    accepted = 0
    for mutant in mutants(path.read_bytes(), 250, seed=path.parent.name):
        target.write_bytes(mutant)
        spec = inspect(target)
        assert spec.safety.verdict in {"pass", "trust", "refuse"}
        assert from_json(ModelSpec, to_json(spec)).file == spec.file
        with contextlib.suppress(ModelpackError):
            require_servable(spec)
        is_raw = spec.format == "pickle" and spec.file.protocol in {3, 4, 5}
        if spec.safety.verdict == "pass" and is_raw:
            accepted += 1
            assert set(spec.globals) >= names_loaded(mutant)
    assert accepted or path.suffix == ".joblib"


def names_loaded(data):
    """What CPython resolves, also where the stand-ins make it stop early."""
    names = Names(data)
    try:
        names.load()
    except Exception:
        return names.found
    return names.found


HOLDS_ITSELF = [
    # A pipeline whose step is itself: GET of its own memo.
    pickled(
        name("sklearn.pipeline:Pipeline") + b")\x81\x94" + b"}(" + text("steps")
        + b"](" + text("a") + b"h\x00\x86" + b"e" + text("_sklearn_version") + text("1.3.2") + b"ub"
    ),
    # An index of pandas whose data is itself.
    pickled(
        name("sklearn.naive_bayes:GaussianNB") + b")\x81" + b"}(" + text("feature_names_in_")
        + name("pandas.core.indexes.base:_new_Index") + name("pandas:Index") + b"}\x94\x86R\x94"
        + b"h\x00" + text("data") + b"h\x01s0" + b"ub"
    ),
    # A dtype whose field is itself.
    pickled(
        call("numpy:dtype", text("V8"), b"\x89", b"\x88") + b"\x94" + b"(" + number(3) + text("|")
        + b"N" + text("x") + TUPLE1 + b"}" + text("x") + b"h\x00" + number(0) + b"\x86s"
        + number(8) + number(1) + number(0) + b"tb"
    ),
]  # fmt: skip


@pytest.mark.parametrize("data", HOLDS_ITSELF)
def test_values_that_hold_themselves(tmp_path, data):
    path = tmp_path / "m.pkl"
    path.write_bytes(data)
    assert inspect(path).file.size == len(data)


def test_table_of_trust_is_never_read_from_the_file(tmp_path):
    path = tmp_path / "m.pkl"
    path.write_bytes(pickled(new("some.where:Model", trust=table(x=text("some.where:Model")))))
    assert inspect(path).safety.verdict == "trust"
