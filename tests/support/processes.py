"""The processes of a service, and what they keep in memory."""

from __future__ import annotations

import subprocess
from pathlib import Path


def worker_pids(server) -> list[int]:
    """Of the master that `server` has started, oldest first."""
    command = ["pgrep", "--parent", str(server.process.pid)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return [int(pid) for pid in done.stdout.split()]


def resident_bytes(pid: int) -> int:
    """Bytes."""
    return status(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    return status(pid, "VmHWM")


def status(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024
