"""Limits that fit the memory of this container: what a request may cost, and how many may come.

The figures are those of hostile JSON on CPython: a body of short keys takes 30 times its size while
it is read. One request at a time is read in a worker; the bodies of others wait as they came.
"""

from __future__ import annotations

import logging
import os
import resource
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Iterator, Mapping

from . import platforms
from .settings import VARIABLES, Limits

log = logging.getLogger("modelpack.serving")

MIB = 2**20
USABLE = 0.9
"""Of the memory: the rest is for the kernel's buffers and the files of libraries."""
WORKER_BYTES = 24 * MIB
"""That a worker takes for itself once it serves."""
MIN_ROOM = 64 * MIB
"""That a prediction may take, however short memory is."""
SHARES = {
    "body_bytes": (40, 256 * 1024),  # 30 times a body is three quarters of the room
    "held_bytes": (4, MIB),
    "answer_values": (64, 50_000),  # as an array, as objects and as text
    "connections": (512 * 1024, 8),  # each may always keep 64 KiB, twice
}
"""Limit -> what the room is divided by, and the least that the limit becomes."""


def current(environ: Mapping[str, str] = os.environ) -> Limits:
    """Return the limits that `environ` sets, with the rest lowered where memory is short.

    Raises:
        StartupError: A variable is not a positive integer.
    """
    return fitted(platforms.limits(environ), environ, _room())


def fitted(limits: Limits, environ: Mapping[str, str], room: int) -> Limits:
    """Return `limits` that fit in a worker's `room` of bytes.

    Those that are set stay, by their variables or by the platform.
    """
    lowered = {}
    for name, (divisor, least) in SHARES.items():
        most, limit = max(least, room // divisor), getattr(limits, name)
        is_set = environ.get(VARIABLES[name]) or limit > getattr(Limits, name)
        if not is_set and most < limit:
            lowered[name] = most
    return replace(limits, **lowered)


@lru_cache(maxsize=1)
def _room() -> int:
    """Measure once, when the model is loaded and the workers are not forked yet."""
    found = room(allowed(), anonymous(), platforms.worker_count())
    lowered = fitted(Limits(), {}, found)
    if lowered != Limits():
        facts = {name: getattr(lowered, name) for name in SHARES}
        log.info("memory is short, so that limits are lower", extra={"facts": facts})
    return found


def room(memory: int, used: int, workers: int) -> int:
    """Return the bytes that each worker can spend on requests."""
    return max(0, (int(memory * USABLE) - used) // workers - WORKER_BYTES)


def allowed(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the memory that the cgroup mounted at `root` (version 2 or 1) or the machine has."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    paths = (root / "memory.max", root / "memory" / "memory.limit_in_bytes")
    return min([physical, *(number for number in map(_number, paths) if number)])


@contextmanager
def bounded(room_bytes: int | None = None) -> Iterator[None]:
    """Let allocations fail that exceed the room of a request, or `room_bytes`.

    Otherwise the kernel would end the process without an answer or an entry in the log. For
    libraries that report a failed allocation as an error.
    """
    room_bytes = _room() if room_bytes is None else room_bytes
    pages = _writable_pages()
    if not pages:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = pages * resource.getpagesize() + max(room_bytes, MIN_ROOM)
    if soft == resource.RLIM_INFINITY or limit < soft:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _writable_pages() -> int:
    """Return the pages of this process that RLIMIT_DATA counts; 0 if they are unknown."""
    try:
        file = os.open("/proc/self/statm", os.O_RDONLY)  # before every prediction, so no objects
    except OSError:
        return 0
    try:
        return int(os.read(file, 128).split()[5])
    finally:
        os.close(file)


def room_to_load() -> int:
    """Return the bytes that loading a model may take."""
    return room(allowed(), anonymous(), 1)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max"
        return None


def anonymous(status: Path = Path("/proc/self/status")) -> int:
    """Return the bytes of this process that are not pages of files."""
    try:
        lines = [line.split() for line in status.read_text().splitlines()]
    except OSError:
        return 0
    return sum(int(line[1]) * 1024 for line in lines if line[0] in ("RssAnon:", "RssShmem:"))
