"""CPU time of processes, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def used(process: int) -> float:
    """Seconds of CPU time of a process and all below it, those that it has seen end included."""
    folder = Path(f"/proc/{process}")
    try:
        own = (folder / "stat").read_text().rpartition(")")[2].split()
        below = " ".join(path.read_text() for path in folder.glob("task/*/children"))
    except OSError:
        return 0.0
    own_seconds = sum(map(int, own[11:15])) / TICKS
    return own_seconds + sum(used(int(child)) for child in below.split())


def busy() -> float:
    """Seconds of CPU time of all that runs on this machine, since it was started."""
    user, nice, system, _, _, irq, soft, steal, *_ = (
        int(field) for field in Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    )
    return (user + nice + system + irq + soft + steal) / TICKS
