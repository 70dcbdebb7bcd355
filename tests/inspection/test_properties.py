"""Properties of every file: inspection executes nothing and raises only known errors."""

import contextlib
import pickle
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from families import dumped_by_joblib, models
from file_containers import CONTAINERS
from hostile_files import FALSE_CLAIMS, REFUSED, UNKNOWN
from mutations import mutants, seeded
from opcodes import SYSTEM, TUPLE1, call, name, new, number, pickled, table, text, wrapper

from modelpack.errors import ModelpackError
from modelpack.inspection import require_servable
from modelpack.inspection.inspector import inspect
from modelpack.types import ModelSpec, from_json, to_json

DATA = Path(__file__).parents[1] / "data"

# Run in a fresh interpreter, so that nothing was imported before: an audit hook (PEP 578) sees what
# each action of the interpreter: imports, code, files, sockets, processes, and the rest.
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
    yield from (pickled(body) for body, _ in [*FALSE_CLAIMS.values(), *UNKNOWN.values()])
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


SEEDS = sorted(DATA.glob("kserve/*/model.*"))


@pytest.mark.parametrize("path", SEEDS, ids=lambda p: f"{p.parent.name}-{p.suffix}")
def test_no_mutant_of_a_file_of_others_makes_it_fail(tmp_path, path):
    target = tmp_path / "m"
    for mutant in islice(mutants(path.read_bytes(), seeded(path.parent.name)), 250):
        target.write_bytes(mutant)
        spec = inspect(target)
        assert from_json(ModelSpec, to_json(spec)) == spec
        with contextlib.suppress(ModelpackError):
            require_servable(spec)


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
