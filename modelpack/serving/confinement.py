"""The inner wall: what this process gives up before it opens the file of a model.

It stands under every engine, and where there is none: in a container of any make, behind bubblewrap
and in a bare process. A kernel that knows less gives a lower wall, and that is said.
"""

from __future__ import annotations

import os
import tempfile
from typing import Callable, Iterable, Mapping

from . import landlock, seccomp
from .seccomp import ALL, LISTENING, NO_NETWORK

__all__ = ["ALL", "LISTENING", "NO_NETWORK", "enter", "wanted"]

SWITCH = "MODELPACK_CONFINE"
NEEDED = (os.devnull, "/dev/shm")  # noqa: S108 - what others may write as well
"""Written by libraries that mean no harm: joblib tries whether there are semaphores."""


def wanted(environ: Mapping[str, str]) -> bool:
    """Unless it was switched off by MODELPACK_CONFINE=0."""
    return environ.get(SWITCH, "1") != "0"


def enter(
    writable: Iterable[str] = (), *, network: str = NO_NETWORK, processes: bool = False
) -> list[str]:
    """From now on this thread, and all that it starts, runs no program, loads no kernel code, makes
    no namespace, looks into no other process, and writes nowhere but in the folder for temporary
    files, in shared memory, in `writable` and to open files. `network`: whether it may speak to
    others: to all, to those that connect to it ("listens"), or to none. `processes`: whether it may
    fork.

    Returns what the kernel refused, a text each.
    """
    places = [*_temporary(), *NEEDED, *writable]
    walls: tuple[tuple[str, Callable[[], None]], ...] = (
        ("Landlock", lambda: landlock.restrict(places, network != NO_NETWORK)),
        ("seccomp", lambda: seccomp.install(network, processes)),
    )
    refused = []
    for name, build in walls:
        try:
            build()
        except OSError as error:
            refused.append(f"{name}: {error.strerror}")
    return refused


def _temporary() -> list[str]:
    """The folder for temporary files; none where nothing can be written, as in a container with a
    read-only root and no more.
    """
    try:
        return [tempfile.gettempdir()]
    except FileNotFoundError:
        return []
