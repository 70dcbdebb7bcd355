"""Confine this process with Landlock and seccomp.

It works below every engine: in a container, inside bubblewrap and in a plain process. A kernel that
supports less restricts less, and `confine` reports what is missing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import tempfile
from pathlib import Path
from typing import Callable, Iterable, Mapping, Sequence, Tuple

# See landlock(7) and https://docs.kernel.org/userspace-api/landlock.html. Its calls have the same
# numbers on every processor. A ruleset applies to the calling thread and to all that it starts.
CREATE, ADD_RULE, RESTRICT = 444, 445, 446
QUERY_VERSION = 1
PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE = 1 << 0, 1 << 1
CHANGES = 0b1_1111_1111 << 4  # remove and make files of each kind
REFER, TRUNCATE = 1 << 13, 1 << 14  # since versions 2 and 3
TCP = 0b11  # bind and connect, since version 4
SCOPES = 0b11  # abstract sockets and signals to processes outside, since version 6
FOR_FILES = WRITE_FILE | TRUNCATE


def version() -> int:
    """Return the version of Landlock in the kernel, 0 if the kernel lacks it."""
    return max(0, int(_libc().syscall(CREATE, None, 0, QUERY_VERSION)))


def restrict(writable: Iterable[str], network: bool) -> None:
    """Restrict this thread with Landlock.

    Args:
        writable: Files and folders that stay writable, with all that they contain.
        network: Whether it may bind and connect TCP sockets.

    Raises:
        OSError: The kernel does not support Landlock.
    """
    supported = version()
    writes = WRITE_FILE | CHANGES
    writes |= (REFER if supported > 1 else 0) | (TRUNCATE if supported > 2 else 0)
    tcp = 0 if network or supported < 4 else TCP
    scopes = SCOPES if supported > 5 else 0
    size = 8 * (1 + (supported > 3) + (supported > 5))  # later versions appended fields
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
    """Add a rule for `path`, unless it is missing. Pipes need none and stay writable."""
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = rights if Path(path).is_dir() else rights & FOR_FILES
        libc.syscall(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", allowed, file), 0)
    finally:
        os.close(file)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# See seccomp(2) and <linux/filter.h>; the numbers of calls are those of <asm/unistd.h>. A refused
# call fails with EPERM, so that a library that only tries it continues.
Instruction = Tuple[int, int, int, int]  # code, jump if true, jump if false, operand

LOAD, JUMP_EQUAL, JUMP_ATLEAST, JUMP_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
MASK = 0x54  # and
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
ARGUMENT = 8  # bytes of each
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = 1, 38

NEW_NAMESPACES = 0x7E020080  # CLONE_NEW*, clone(2)
THREAD = 0x00010000  # CLONE_THREAD
X32 = 0x40000000  # calls of another ABI of the same processor

# Architecture of audit(7), and the column of the numbers below.
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
SECCOMP = (317, 277)
SET_FILTER, ALL_THREADS = 1, 1

SOCKET, CLONE, CLONE3 = (41, 198), (56, 220), (435, 435)
CONNECT = (42, 203)
SENDING = {(44, 206): 3, (46, 211): 2, (307, 269): 3}
"""sendto, sendmsg, sendmmsg, and the position of their flags."""
FAST_OPEN = 0x20000000  # MSG_FASTOPEN connects as it sends
UNIX, INTERNET, STREAM = 1, (2, 10), 1
SOCKET_TYPE = 0xF  # the rest are flags
NONE = -1
# Calls that models never need, but attacks on the kernel or on other processes do.
REFUSED = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "personality": (135, 92),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "iopl": (172, NONE),
    "ioperm": (173, NONE),
    "modify_ldt": (154, NONE),
}
ALL, LISTENING, NO_NETWORK = "all", "listens", "none"

FORKS = {"fork": (57, NONE), "vfork": (58, NONE)}


def install(network: str, processes: bool) -> None:
    """Install a seccomp filter in all threads of this process.

    Args:
        network: Sockets other than AF_UNIX: "all", only TCP that "listens", or "none".
        processes: Whether it may fork. A child inherits the filter.

    Raises:
        OSError: The kernel does not support seccomp, or no filter exists for this processor.
    """
    code = _packed(_program(platform.machine(), network, processes))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    number = SECCOMP[MACHINES[platform.machine()][1]]
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    _check(libc.syscall(number, SET_FILTER, ALL_THREADS, program))


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _program(machine: str, network: str, processes: bool) -> list[Instruction]:
    """Build the filter. Raise OSError if none exists for this processor."""
    if machine not in MACHINES:
        raise OSError(ENOSYS, f"no filter exists for {machine}")
    architecture, column = MACHINES[machine]
    refused = {**REFUSED, **({} if processes else FORKS)}
    numbers = [each[column] for each in refused.values() if each[column] != NONE]
    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (JUMP_ATLEAST, 0, 1, X32),
        (RETURN, 0, 0, KILL),
        *_if(CLONE3[column], [(RETURN, 0, 0, FAIL | ENOSYS)]),  # no filter can read its flags
        *_if(CLONE[column], _clone(processes)),
        *_network(network, column),
        *(part for number in numbers for part in _if(number, [(RETURN, 0, 0, FAIL | EPERM)])),
        (RETURN, 0, 0, ALLOW),
    ]


def _if(number: int, then: list[Instruction]) -> list[Instruction]:
    return [(JUMP_EQUAL, 0, len(then), number), *then]


def _clone(processes: bool) -> list[Instruction]:
    """Allow threads, processes if `processes`, and no namespaces."""
    check = [(LOAD, 0, 0, FIRST_ARGUMENT), (JUMP_BITS, 0, 1, NEW_NAMESPACES)]
    refuse = (RETURN, 0, 0, FAIL | EPERM)
    if not processes:
        return [*check, refuse, (JUMP_BITS, 1, 0, THREAD), refuse, (RETURN, 0, 0, ALLOW)]
    return [*check, refuse, (RETURN, 0, 0, ALLOW)]


def _network(network: str, column: int) -> list[Instruction]:
    if network == ALL:
        return []
    if network == NO_NETWORK:
        return _if(SOCKET[column], _sockets([]))
    sending = [
        part
        for call, position in SENDING.items()
        for part in _if(call[column], _without_flag(position, FAST_OPEN))
    ]
    connecting = _if(CONNECT[column], [(RETURN, 0, 0, FAIL | EPERM)])
    return [*_if(SOCKET[column], _sockets(INTERNET)), *connecting, *sending]


def _sockets(families: Sequence[int]) -> list[Instruction]:
    """Allow AF_UNIX sockets, and streams of `families`."""
    allow = (RETURN, 0, 0, ALLOW)
    return [
        (LOAD, 0, 0, FIRST_ARGUMENT),
        *_if(UNIX, [allow]),
        *(part for family in families for part in _if(family, _streams())),
        (RETURN, 0, 0, FAIL | EPERM),
    ]


def _streams() -> list[Instruction]:
    return [
        (LOAD, 0, 0, FIRST_ARGUMENT + ARGUMENT),
        (MASK, 0, 0, SOCKET_TYPE),
        *_if(STREAM, [(RETURN, 0, 0, ALLOW)]),
        (RETURN, 0, 0, FAIL | EPERM),
    ]


def _without_flag(position: int, flag: int) -> list[Instruction]:
    return [
        (LOAD, 0, 0, FIRST_ARGUMENT + position * ARGUMENT),
        (JUMP_BITS, 0, 1, flag),
        (RETURN, 0, 0, FAIL | EPERM),
        (RETURN, 0, 0, ALLOW),
    ]


def _packed(program: list[Instruction]) -> bytes:
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


__all__ = ["ALL", "LISTENING", "NO_NETWORK", "confine", "is_enabled"]

SWITCH = "MODELPACK_CONFINE"
REQUIRED = (os.devnull, "/dev/shm")  # noqa: S108 - writable by every user
"""Written by libraries: joblib tests whether semaphores work."""


def is_enabled(environ: Mapping[str, str]) -> bool:
    """Return whether MODELPACK_CONFINE is not 0."""
    return environ.get(SWITCH, "1") != "0"


def confine(
    writable: Iterable[str] = (), *, network: str = NO_NETWORK, processes: bool = False
) -> list[str]:
    """Restrict this thread, and all that it starts, for the rest of their life.

    They cannot run programs, load kernel code, create namespaces or inspect other processes. They
    can write only to the folder for temporary files, to shared memory, to `writable` and to open
    files.

    Args:
        writable: Further files and folders that stay writable.
        network: ALL, LISTENING for connections from outside only, or NO_NETWORK.
        processes: Whether they may fork.

    Returns:
        A text for each mechanism that the kernel does not support.
    """
    paths = [*_temporary(), *REQUIRED, *writable]
    mechanisms: tuple[tuple[str, Callable[[], None]], ...] = (
        ("Landlock", lambda: restrict(paths, network != NO_NETWORK)),
        ("seccomp", lambda: install(network, processes)),
    )
    unsupported = []
    for name, enable in mechanisms:
        try:
            enable()
        except OSError as error:
            unsupported.append(f"{name}: {error.strerror}")
    return unsupported


def _temporary() -> list[str]:
    """Return the folder for temporary files; none if all are read-only, as in some containers."""
    try:
        return [tempfile.gettempdir()]
    except FileNotFoundError:
        return []
