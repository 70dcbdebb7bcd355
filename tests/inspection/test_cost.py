"""The cost of files that are built to be expensive is linear in their size and limited."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cost_attacks import ATTACKS

from modelpack.inspection import limits, policy, sharing
from modelpack.inspection.inspector import inspect
from modelpack.inspection.nodes import Node, children

SIZE = 25_000
FACTOR = 4
SECONDS_PER_BYTE = 20e-6
"""The slowest files take half as long on the machine that this was measured on."""


def cpu_seconds(path: Path) -> float:
    started = time.process_time()
    inspect(path)
    return time.process_time() - started


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_time_grows_with_the_size_and_no_faster(attack, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(attack(SIZE))
    small = min(cpu_seconds(path) for _ in range(2))  # tables are read once
    path.write_bytes(attack(FACTOR * SIZE))
    large = cpu_seconds(path)
    assert large < 2 * FACTOR * small + 0.3
    assert large < SECONDS_PER_BYTE * path.stat().st_size + 0.3


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("vocabulary_of_integers", "broken-invariant"),
        ("labels_of_integers", "broken-invariant"),
        ("shared_list_of_steps", "limit"),
        ("shared_list_in_estimators", "limit"),
        ("estimators_that_share_a_state", "limit"),
        ("doubled_pipelines", "limit"),
        ("arguments_of_many_calls", "limit"),
        ("lists_in_place_of_arguments", "limit"),
        ("skops_ids", "malformed"),
        ("skops_types", "malformed"),
    ],
)
def test_sizes_beyond_those_of_models_are_refused(name: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(ATTACKS[name](60_000))
    spec = inspect(path)
    assert spec.safety.verdict == "refuse"
    assert code in {finding.code for finding in spec.safety.findings}


def test_models_may_share_one_list(tmp_path: Path) -> None:
    """500 models of an own class, each with the names of the same 1,000 columns."""
    path = tmp_path / "model"
    names = b"](" + b"".join(b"\x8c\x07col%04d" % i for i in range(1_000)) + b"e\x94"
    model = b"\x8c\x03own\x8c\x05Model\x93)\x81}\x8c\x07columnsh\x00sb"
    path.write_bytes(b"\x80\x04](" + names + model * 500 + b"e.")
    assert inspect(path, trust={"own:Model"}).safety.verdict == "pass"


@pytest.mark.parametrize(
    "name", ["arguments_of_many_calls", "arguments_of_one_dtype", "lists_in_place_of_arguments"]
)
def test_values_that_calls_share_are_not_visited_for_each_call(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []

    def counted(node: Node) -> list[Node]:
        found = children(node)
        counts.append(len(found))
        return found

    monkeypatch.setattr(sharing, "children", counted)
    monkeypatch.setattr(policy, "children", counted)
    path = tmp_path / "model"
    path.write_bytes(ATTACKS[name](20_000))
    inspect(path)
    assert sum(counts) < 10 * 20_000


def confined(program: str) -> subprocess.CompletedProcess[str]:
    """The end of a process that has begun its quota, which is 1 second and 128 MiB."""
    start = (
        "import resource; from modelpack.inspection import limits\n"
        "limits.CPU_SECONDS = 1, 1 / limits.MIB, 4\n"
        "limits.MEMORY_BYTES = 128 * limits.MIB, 64, 4 * limits.GIB\n"
        "limits.OWN.begin()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", start + program], capture_output=True, text=True, check=False
    )


def test_a_loop_in_c_ends_with_the_quota() -> None:
    assert confined("sum(iter(int, 1))").returncode == -signal.SIGXCPU


def test_quota_grows_with_the_bytes_read() -> None:
    script = (
        "limits.OWN.add(2 * limits.MIB)\n"
        "print(resource.getrlimit(resource.RLIMIT_CPU), resource.getrlimit(resource.RLIMIT_AS))"
    )
    memory = (256 * limits.MIB, 4 * limits.GIB)
    assert confined(script).stdout == f"(3, 4) {memory}\n"
    more = script.replace("2 * limits.MIB", "limits.GIB")
    assert confined(more).stdout == f"(4, 4) {(4 * limits.GIB, 4 * limits.GIB)}\n"


def test_memory_beyond_the_quota_is_not_allocated() -> None:
    assert "MemoryError" in confined("bytes(256 * limits.MIB)").stderr
    assert confined("limits.OWN.add(4 * limits.MIB); bytes(256 * limits.MIB)").returncode == 0
