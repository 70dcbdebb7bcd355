"""The remains of a killed process are removed; those of a process that ends are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from waiting import wait_until

from modelpack import processes

HOLD = """
import sys, time
from modelpack import processes
with processes.run_on_exit("rm", "-rf", sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def disappears(path: Path, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not path.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_process_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "a folder; with $(odd) name"
    folder.mkdir()
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        os.kill(process.pid, number)
    assert disappears(folder)


RUN = """
import sys
from modelpack import processes
processes.run(["sh", "-c", 'sleep 60 & echo $! > "$0"; wait', sys.argv[1]], "")
"""


def test_an_interrupt_ends_the_children_of_a_command(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    command = [sys.executable, "-c", RUN, str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        assert wait_until(lambda: path.exists() and path.read_text())
        process.send_signal(signal.SIGINT)
        process.wait(10)
    assert disappears(Path("/proc") / path.read_text().strip())


def test_end_of_the_body_cancels_the_cleanup(tmp_path: Path) -> None:
    with processes.run_on_exit("rm", "-rf", str(tmp_path)):
        pass
    assert not disappears(tmp_path, seconds=0.3)


def test_exception_cancels_the_cleanup(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), processes.run_on_exit("rm", "-rf", str(tmp_path)):
        raise ValueError("mine")
    assert not disappears(tmp_path, seconds=0.3)
