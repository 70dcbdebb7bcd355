"""How many processes and threads: from what this container may use, not what the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Mapping

from .limits import positive

MOST_WORKERS = 4
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def one_thread_each() -> None:
    """Let BLAS and OpenMP use one thread a worker. Their libraries look once, when numpy is
    imported: call this before. More threads would not only fight for the CPUs: the model answers
    its example before the workers are forked, and GNU OpenMP's threads do not survive a fork.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))


def workers(environ: Mapping[str, str] = os.environ, root: Path = Path("/sys/fs/cgroup")) -> int:
    """WEB_CONCURRENCY, else one worker a CPU of the cgroup's quota, from 1 to 4.

    Raises:
        CannotStartError: WEB_CONCURRENCY is not a positive integer.
    """
    asked = environ.get("WEB_CONCURRENCY")
    if asked:
        return positive("WEB_CONCURRENCY", asked)
    usable = min(quota(root), len(os.sched_getaffinity(0)))
    return max(1, min(MOST_WORKERS, math.ceil(usable)))


def quota(root: Path) -> float:
    """CPUs that the cgroup mounted at `root` (version 2 or 1) grants, infinity if not limited."""
    try:
        share, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        share, period = _version_1(root / "cpu")
    try:
        return int(share) / int(period) if int(share) > 0 else math.inf
    except (ValueError, ZeroDivisionError):  # "max"
        return math.inf


def _version_1(folder: Path) -> tuple[str, str]:
    try:
        share = (folder / "cpu.cfs_quota_us").read_text()
        return share, (folder / "cpu.cfs_period_us").read_text()
    except OSError:
        return "max", "0"
