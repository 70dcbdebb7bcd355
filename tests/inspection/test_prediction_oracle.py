"""Files that pass do no harm when they are loaded and predict; and the oracle sees harm.

`scripts/run_oracle.py` changes fitted models. Here it runs over a few hundred changes.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from modelpack.inspection import invariants
from modelpack.inspection.encodings import ubjson
from modelpack.types import Safety

ROOT = Path(__file__).parents[2]
COUNT = 200
X = np.random.default_rng(0).random((40, 4))
ROWS = X[:3].tolist()


@pytest.mark.slow
def test_no_changed_file_that_passes_does_harm() -> None:
    command = [sys.executable, "scripts/run_oracle.py", "--quick", "--seed=0", f"--count={COUNT}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["models"] >= 80
    assert counts["mutations"] == COUNT
    assert counts["pass"] > COUNT / 10
    assert counts["refuse"] > COUNT / 10


# --- the oracle sees harm ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "scripts"))
    from oracle import running  # noqa: PLC0415 - found by the line above

    yield running
    sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def guarded(running: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A worker whose allocations end at a page without access."""
    from oracle import sanitizer  # noqa: PLC0415 - found by the fixture

    if sanitizer.compiler() is None:
        pytest.skip("no C compiler")
    worker = running.Worker(sanitizer.build(tmp_path_factory.mktemp("sanitizer")))
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def worker(running: ModuleType) -> Iterator[Any]:
    worker = running.Worker()
    yield worker
    worker.close()


@pytest.fixture
def judge(running: ModuleType, worker: Any, tmp_path: Path, anything_passes: None) -> Any:
    """Problems of a model whose file passes whatever it contains."""
    oracle = running.Oracle(worker, tmp_path)
    oracle.normal |= oracle.judge(
        pickle.dumps(DecisionTreeRegressor().fit(X, X[:, 0])), ROWS
    ).events

    def problems(model: Any) -> str:
        return "\n".join(oracle.judge(pickle.dumps(model), ROWS).problems)

    return problems


@pytest.fixture
def anything_passes(running: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    real = running.inspect
    monkeypatch.setattr(running, "inspect", lambda path: replace(real(path), safety=Safety("pass")))
    monkeypatch.setattr(running, "SECONDS", 8)


class Reduced:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("attribute", "event"),
    [
        (Reduced(os.system, "true"), "event: os.system"),
        (Reduced(exec, "1 + 1"), "event: exec <string>"),
        (Reduced(open, "/etc/hostname"), "event: open '/etc/hostname' r to read"),
        (Reduced(os.mkdir, "oracle_canary"), "event: os.mkdir"),
        (Reduced(__import__, "oracle_canary"), "event: import 'oracle_canary'"),
        (Reduced(subprocess.Popen, ["true"]), "event: subprocess.Popen"),
        (Reduced(os.fork), "event: os.fork"),
        (Reduced(getattr, 1, "oracle_canary"), "looks up oracle_canary"),
        (Reduced(os.abort), "SIGABRT"),
        (Reduced(os._exit, 3), "exit 3"),
        (Reduced(time.sleep, 60), "hang"),
    ],
)  # fmt: skip
def test_an_action_while_loading_is_reported(judge: Any, attribute: Any, event: str) -> None:
    model = StandardScaler().fit(X)
    model.extra = attribute
    assert event in judge(model)


def test_a_name_that_the_inspection_did_not_see_is_no_lookup(judge: Any) -> None:
    assert judge(StandardScaler().fit(X)) == ""


def test_a_count_in_the_text_of_a_dtype_is_no_event(judge: Any) -> None:
    """numpy parses it as a literal, and executes nothing."""
    model = StandardScaler().fit(X)
    model.extra = Reduced(np.dtype, "2f8,f4")
    assert judge(model) == ""


def test_memory_that_was_never_written_is_reported(judge: Any) -> None:
    model = FunctionTransformer(np.empty_like).fit(X)
    assert "answers differ" in judge(model)


def test_a_crash_is_reported(judge: Any) -> None:
    model = DecisionTreeRegressor().fit(X, X[:, 0])
    state = model.tree_.__getstate__()
    state["nodes"]["left_child"][0] = 2**40
    model.tree_.__setstate__(state)
    assert "SIGSEGV" in judge(model)


def test_mutations_find_harm_where_a_check_is_missing(
    running: ModuleType, worker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the check of the nodes of trees, one of a hundred changes crashes or never ends."""
    from run_oracle import Campaign  # noqa: PLC0415 - found by the fixture

    campaign = Campaign(["tree"], ["pickle 4"], running.Oracle(worker, tmp_path))
    campaign.learn(quick=False)
    for number in range(100):
        campaign.mutate(0, number, None)
    assert campaign.found == []
    monkeypatch.delitem(invariants.CHECKS, "sklearn:Tree")
    for number in range(100):
        campaign.mutate(0, number, None)
        if campaign.found:
            break
    assert campaign.found, campaign.summary(0, 0)


# --- the sanitizer -------------------------------------------------------------------------------


def tree(field: str | None = None, value: int = 0) -> bytes:
    """A tree, whose first node may have a number beyond an array."""
    model = DecisionTreeRegressor(random_state=0).fit(X, X[:, 0])
    state = model.tree_.__getstate__()
    if field is not None:
        state["nodes"][field][0] = value
        model.tree_.__setstate__(state)
    return pickle.dumps(model)


def test_reading_a_little_beyond_an_array_is_a_crash_with_the_sanitizer(
    running: ModuleType, worker: Any, guarded: Any, tmp_path: Path, anything_passes: None
) -> None:
    """The column is eight numbers beyond the rows. That is memory of the process, so that no crash
    shows it otherwise.
    """
    beyond = tree("feature", 4 * len(ROWS) + 8)
    sanitized = running.Oracle(guarded, tmp_path, once=True)
    assert "SIGSEGV" not in str(running.Oracle(worker, tmp_path).judge(beyond, ROWS).problems)
    assert "SIGSEGV" in str(sanitized.judge(beyond, ROWS).problems)
    whole = sanitized.judge(tree(), ROWS)
    assert (whole.status, "SIGSEGV" in str(whole.problems)) == ("answered", False)


def test_a_child_beyond_the_nodes_is_a_crash_with_the_sanitizer(
    running: ModuleType, guarded: Any, tmp_path: Path, anything_passes: None
) -> None:
    count = DecisionTreeRegressor(random_state=0).fit(X, X[:, 0]).tree_.node_count
    lowest = X[X[:, 0].argsort()[:3]].tolist()
    oracle = running.Oracle(guarded, tmp_path, once=True)
    problems = oracle.judge(tree("left_child", count + 3), lowest).problems
    assert "SIGSEGV" in str(problems)


def test_a_file_that_needs_much_memory_is_reported(
    running: ModuleType, worker: Any, tmp_path: Path, anything_passes: None
) -> None:
    model = StandardScaler().fit(X)
    model.extra = Reduced(bytearray, 2**31)
    problems = running.Oracle(worker, tmp_path).judge(pickle.dumps(model), ROWS).problems
    assert "memory: over 1,024 MiB" in problems


# --- files of the libraries themselves -----------------------------------------------------------


def test_changes_of_native_files_depend_on_the_seed_alone(running: ModuleType) -> None:
    """The changes differ from each other, and depend on the seed alone."""
    from oracle import natives  # noqa: PLC0415 - found by the fixture

    for name, (encoding, _) in natives.FILES.items():
        data = natives.original(name)
        files = [natives.mutated(encoding, data, data, random.Random(n))[0] for n in range(8)]
        assert len(set(files)) > 4
        again = [natives.mutated(encoding, data, data, random.Random(n))[0] for n in range(8)]
        assert files == again


@pytest.mark.parametrize("encoding", ["xgboost ubj", "onnx"])
def test_parsed_file_is_written_back_unchanged(running: ModuleType, encoding: str) -> None:
    from oracle import natives, protobufs  # noqa: PLC0415 - found by the fixture

    for data in [natives.original(n) for n, (e, _) in natives.FILES.items() if e == encoding]:
        if encoding == "onnx":
            assert protobufs._written(protobufs._parsed(data, "model")) == data
        else:
            assert ubjson.loads(natives._ubjson(ubjson.loads(data))) == ubjson.loads(data)
