"""Run wrk, and parse its output."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parent / "post.lua"
TIMEOUT = 10  # seconds


@dataclass(frozen=True)
class Answers:
    """`seconds` in which `requests` were answered; `p50`, `p99`: milliseconds, half of the answers
    came within and all but one in a hundred; None if there were none. `refused`: of them, those
    with a status of 400 or more. `broken`: connections that failed, and answers that took more
    than ten seconds.
    """

    requests: int
    seconds: float
    p50: float | None
    p99: float | None
    refused: int
    broken: int


def require() -> None:
    """Exit with a message if wrk is not installed."""
    if not shutil.which("wrk"):
        raise SystemExit(
            "wrk makes the load, and is not installed. Install it with: apt install wrk"
            " (Debian, Ubuntu), dnf install wrk (Fedora), brew install wrk (macOS)"
        )


def version() -> str:
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout)
    return f"wrk {found[0]}" if found else "wrk"


def load(url: str, bodies: Path, connections: int, seconds: int) -> Answers:
    """POST the lines of `bodies` by so many connections at once, each as soon as it has an answer.

    Raises:
        RuntimeError: wrk fails.
    """
    how = ("-t1", f"-c{connections}", f"-d{seconds}", f"--timeout={TIMEOUT}", f"--script={SCRIPT}")
    command = ["wrk", *how, url, "--", str(bodies)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk fails: {(done.stderr or done.stdout).strip()}")
    return parsed(done.stdout)


def parsed(output: str) -> Answers:
    """Parse the line that post.lua adds to the output of wrk."""
    line = next(line for line in output.splitlines() if line.startswith("{"))
    figures = json.loads(line)
    return Answers(
        figures["requests"],
        figures["microseconds"] / 1e6,
        figures["p50"] / 1e3 if figures["requests"] else None,
        figures["p99"] / 1e3 if figures["requests"] else None,
        figures["refused"],
        figures["broken"],
    )
