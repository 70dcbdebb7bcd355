"""CPython's unpicklers as an oracle for the inspector's machine.

For every accepted file they resolve the same names in the same order: the unpicklers in C and in
Python, from memory and from a file; for arrays, that of joblib.

MODELPACK_FUZZ_COUNT (2000) is the number of mutants, MODELPACK_FUZZ_SEED (0) their random seed.
"""

import contextlib
import copyreg
import io
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import stub_loaders
from families import NAMES, dumped_by_joblib, models, pickled_by_python, value_by_name
from hostile_files import REFUSED
from joblib import numpy_pickle
from mutations import mutants, opcode_positions, seeded
from opcodes import POP, SYSTEM

from modelpack.engines import interpreters
from modelpack.errors import ModelpackError
from modelpack.inspection import policy, require_servable, verdicts
from modelpack.inspection.inspector import inspect
from modelpack.inspection.nodes import Malformed
from modelpack.inspection.pickle.interpreter import run
from modelpack.inspection.pickle.machine import Trace
from modelpack.inspection.stream import Reader
from modelpack.types import ModelSpec, from_json, to_json

COUNT = int(os.environ.get("MODELPACK_FUZZ_COUNT", "2000"))
SEED = int(os.environ.get("MODELPACK_FUZZ_SEED", "0"))
VERSIONS = [f"3.{minor}" for minor in range(6, 15)]
SMALL = ["scaled logistic", "function", "isotonic", "text", "support vectors", "search", "columns"]


def accepted(data):
    """The names that the machine resolves in raw `data`; None where the file is refused."""
    trace = Trace()
    reader = Reader(iter([data]))
    try:
        reader.refill()
        root = run(reader, trace)
        if not reader.at_end() or verdicts.verdict(policy.judge(trace, root, ())) == "refuse":
            return None
    except Malformed:
        return None
    return [name.key for name in trace.resolved]


def assert_same(expected, resolved, size):
    names, is_complete, end = resolved
    assert names == expected[: len(names)]
    if is_complete:
        assert (names, end) == (expected, size)


REAL = {
    "joblib.numpy_pickle:NumpyArrayWrapper": numpy_pickle.NumpyArrayWrapper,
    "numpy:dtype": np.dtype,
    "numpy:ndarray": np.ndarray,
    "copy_reg:_reconstructor": copyreg._reconstructor,
    "__builtin__:object": object,
}


class JoblibStub(stub_loaders.recording_loader(numpy_pickle.NumpyUnpickler)):
    """joblib's unpickler, with its real wrapper of arrays, which finds their bytes."""

    def __init__(self, stream):
        numpy_pickle.NumpyUnpickler.__init__(self, "", stream, ensure_native_byte_order=False)
        self.names = []

    def find_class(self, module, name):
        return REAL.get(f"{module}:{name}", super().find_class(module, name))


def plain_files():
    """Files of every family, of each protocol and both picklers."""
    for name in NAMES:
        for protocol in range(6):
            yield pickle.dumps(value_by_name(name), protocol)
        for protocol in (0, 2, 4):
            yield pickled_by_python(value_by_name(name), protocol)


# --- real files ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Real files, and accepted mutants of them."""
    folder = tmp_path_factory.mktemp("accepted")
    for number, data in enumerate(plain_files()):
        (folder / f"{number}.pkl").write_bytes(data)
    for number, data in enumerate(itertools.islice(accepted_mutants(SEED), 200)):
        (folder / f"mutant{number}.pkl").write_bytes(data)
    return folder


def accepted_mutants(seed):
    data = pickle.dumps(models()["scaled logistic"], 2)
    for mutant in mutants(data, seeded(seed), opcode_positions(data)):
        if accepted(mutant) is not None:
            yield mutant


def test_unpicklers_of_this_python(folder):
    complete = Counter()
    for path in folder.iterdir():
        data = path.read_bytes()
        for loader, found in stub_loaders.resolve_all(path).items():
            assert_same(accepted(data), found, len(data))
            complete[loader] += found[1]
    assert len(complete) == 4
    assert min(complete.values()) > 0.9 * len(list(folder.iterdir()))


@pytest.mark.slow
def test_unpicklers_of_other_pythons(folder, tmp_path):
    """Each CPython that is found on this machine; this one is among them in any case."""
    directory = tmp_path / "files"
    paths = sorted(map(str, folder.iterdir()))
    directory.write_text("\n".join(paths))
    found = [python for version in VERSIONS if (python := interpreters.find(version))]
    expected = {path: accepted(Path(path).read_bytes()) for path in paths}
    for python in {*found, Path(sys.executable)}:
        command = [python, stub_loaders.__file__, directory]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        for path, loaders in json.loads(done.stdout).items():
            for resolved in loaders.values():
                assert_same(expected[path], resolved, Path(path).stat().st_size)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("protocol", range(6))
def test_unpickler_of_joblib(name, protocol):
    data = dumped_by_joblib(value_by_name(name), protocol=protocol)
    found = stub_loaders.resolve_names(JoblibStub, io.BytesIO(data))
    assert_same(accepted(data), found, len(data))
    assert found[1], "stopped early"


# --- mutants -------------------------------------------------------------------------------------


def sources():
    """(data, places, loaders) of the files that are mutated."""
    for key in SMALL:
        for protocol in (0, 2, 4):
            data = pickle.dumps(models()[key], protocol)
            yield data, opcode_positions(data), stub_loaders.LOADERS.values()
        yield dumped_by_joblib(models()[key]), None, [JoblibStub]
    for number, (data, code) in enumerate(REFUSED.values()):
        if code != "limit" and 10 < len(data) < 2_000 and number % 9 == SEED % 9:
            yield data, None, stub_loaders.LOADERS.values()


def _hangs(*_):
    raise TimeoutError("inspecting this mutant takes more than ten seconds")


@pytest.mark.slow
def test_mutants(tmp_path, record_property):
    """No mutant makes the inspector fail, or CPython resolve what the machine did not."""
    signal.signal(signal.SIGALRM, _hangs)
    counts = Counter()
    streams = [
        (mutants(data, seeded(f"{SEED} {number}"), positions), loaders)
        for number, (data, positions, loaders) in enumerate(sources())
    ]
    slowest, path = 0.0, tmp_path / "m"
    for stream, loaders in itertools.islice(itertools.cycle(streams), COUNT):
        mutant = next(stream)
        start = time.process_time()
        path.write_bytes(mutant)
        signal.alarm(10)  # ends the test, should a mutant hang the inspector
        spec = inspect(path)
        signal.alarm(0)
        slowest = max(slowest, time.process_time() - start)
        assert from_json(ModelSpec, to_json(spec)) == spec
        with contextlib.suppress(ModelpackError):
            require_servable(spec)
        counts["mutants"] += 1
        if spec.file.container == "raw" and spec.safety.verdict != "refuse":
            counts["accepted"] += 1
            assert_like_loaders(mutant, loaders, counts)
    record_property("counts", dict(counts))
    print(f"\nseed {SEED}: {dict(counts)}, the slowest {slowest:.2f} s")
    assert counts["accepted"] > counts["mutants"] / 100
    assert slowest < 5


def assert_like_loaders(mutant, loaders, counts):
    expected = accepted(mutant)
    for loader in loaders:
        found = stub_loaders.resolve_names(loader, io.BytesIO(mutant))
        assert_same(expected, found, len(mutant))
        counts["complete" if found[1] else "stopped early"] += 1


# --- a foreign call at every place ---------------------------------------------------------------

CALLS = {
    "STACK_GLOBAL": SYSTEM + POP,
    "GLOBAL": b"cposix\nsystem\n(Vtrue\ntR0",
    "INST": b"(Vtrue\niposix\nsystem\n0",
    "name": b"cposix\nsystem\n0",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_foreign_call_at_every_opcode_is_found(tmp_path, call, protocol):
    data = pickle.dumps(models()["scaled logistic"][0], protocol)
    path = tmp_path / "m"
    for position in opcode_positions(data)[1 if protocol < 4 else 2 :]:
        mutant = data[:position] + call + data[position:]
        if protocol == 4:  # the one frame is as much longer
            length = int.from_bytes(data[3:11], "little") + len(call)
            mutant = mutant[:3] + length.to_bytes(8, "little") + mutant[11:]
        path.write_bytes(mutant)
        spec = inspect(path)
        assert spec.safety.verdict == "refuse"
        assert "posix:system" in spec.globals


@pytest.mark.parametrize("call", [CALLS["STACK_GLOBAL"], CALLS["GLOBAL"]])
def test_a_foreign_call_at_every_byte_of_a_joblib_file_is_refused(tmp_path, call):
    data = dumped_by_joblib(models()["scaled logistic"][0])
    path = tmp_path / "m"
    for position in range(len(data)):
        path.write_bytes(data[:position] + call + data[position:])
        assert inspect(path).safety.verdict == "refuse"
