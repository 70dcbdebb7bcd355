"""Takes from this process the right to write, but in given folders, to run files and to speak TCP.

Source: landlock(7), https://docs.kernel.org/userspace-api/landlock.html; the numbers of its calls
are the same on every processor. It holds for the thread that asks and for all that is started by
it. No library is needed for it.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Iterable

CREATE, ADD_RULE, RESTRICT = 444, 445, 446
TELL_VERSION = 1
PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE = 1 << 0, 1 << 1
CHANGES = 0b1_1111_1111 << 4  # remove and make files of each kind
REFER, TRUNCATE = 1 << 13, 1 << 14  # since versions 2 and 3
TCP = 0b11  # bind and connect, since version 4
SCOPES = 0b11  # abstract sockets and signals to processes outside, since version 6
FOR_FILES = WRITE_FILE | TRUNCATE


def version() -> int:
    """What the kernel knows of Landlock; 0 where it has none."""
    return max(0, int(_libc().syscall(CREATE, None, 0, TELL_VERSION)))


def restrict(writable: Iterable[str], network: bool) -> None:
    """`writable`: files and folders that may still be written, with all beneath. `network`: whether
    it may bind and connect.

    Raises:
        OSError: the kernel does not do that.
    """
    known = version()
    writes = WRITE_FILE | CHANGES | (REFER if known > 1 else 0) | (TRUNCATE if known > 2 else 0)
    tcp = 0 if network or known < 4 else TCP
    scopes = SCOPES if known > 5 else 0
    size = 8 * (1 + (known > 3) + (known > 5))  # the structure grew with what it can say
    ruleset = struct.pack("QQQ", EXECUTE | writes, tcp, scopes)[:size]
    libc = _libc()
    rules = _checked(libc.syscall(CREATE, ruleset, len(ruleset), 0))
    try:
        for path in writable:
            _allow(libc, rules, path, writes)
        _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(RESTRICT, rules, 0))
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    """What is not there cannot be written, and what is in no folder, as a pipe, always can."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = rights if Path(path).is_dir() else rights & FOR_FILES
        libc.syscall(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", allowed, place), 0)
    finally:
        os.close(place)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
