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

from .opcodes import SYSTEM, TUPLE1, call, name, new, number, pickled, table, text, wrapper

DATA = Path(__file__).parents[1] / "data"
X, Y = load_iris(return_X_y=True)

# Run in a fresh interpreter, so that nothing was imported before: an audit hook (PEP 578) sees what
# the interpreter itself is asked for.
WATCH = """
import sys
from modelpack.inspection.inspector import inspect
inspect(sys.argv[-1])  # a model: reads the tables that inspecting itself needs
seen = []
sys.addaudithook(lambda event, args: seen.append((event, *args)))
modules = set(sys.modules)
for path in sys.argv[1:]:
    inspect(path)
    inspect(path, trust=["evil.module:Thing"])
seen = [s[:2] for s in seen if s[0] != "builtins.id"]
strange = [s for s in seen if s[0] != "open" or not (type(s[1]) is int or str(s[1]) in sys.argv)]
assert set(sys.modules) == modules, set(sys.modules) - modules
assert "numpy" not in sys.modules and "sklearn" not in sys.modules
assert len(seen) >= 4 * len(sys.argv[1:])  # the hook does see: path and descriptor, twice
print(strange)
"""

HOSTILE = {
    "call": pickled(SYSTEM),
    "old": b"cposix\nsystem\n(S'true'\ntR.",
    "import": pickled(call("evil.module:Thing")),
    "state": pickled(new("evil.module:Thing", x=name("subprocess:Popen"))),
    "nested": pickled(wrapper("O8", number(1) + TUPLE1) + pickled(SYSTEM)),
    "file": pickled(new("joblib.numpy_pickle:NDArrayWrapper", filename=text("/etc/passwd"))),
    "server": pickled(call("socket:create_connection", text("localhost"))),
}


def test_nothing_is_imported_opened_or_run(tmp_path):
    paths = []
    for key, data in HOSTILE.items():
        paths.append(tmp_path / key)
        paths[-1].write_bytes(data)
    paths += DATA.glob("kserve/*/model.*")
    command = [sys.executable, "-c", WATCH, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


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
