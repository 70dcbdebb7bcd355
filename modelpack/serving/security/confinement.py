"""Landlock and seccomp.

It stands under every engine, and where there is none: in a container of any make, behind bubblewrap
and in a bare process. A kernel that knows less gives a lower wall, and that is said.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import tempfile
from pathlib import Path
from typing import Callable, Iterable, Mapping, Sequence, Tuple

# Source: landlock(7), https://docs.kernel.org/userspace-api/landlock.html; the numbers of its
# calls are the same on every processor. It holds for the thread that asks and for all that is
# started by it. No library is needed for it.
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


# Source: seccomp(2) and <linux/filter.h>; the numbers of calls are those of <asm/unistd.h>. What
# is refused fails with EPERM, so that a library that only tried goes on. No library is needed for
# it.
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

# Architecture as audit(7) names it, then the numbers of the calls below.
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
# What loading and predicting never needs, and attacks on a kernel or on other processes do.
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
    """`network`: which sockets may be made beside AF_UNIX: "all", TCP that "listens" and connects
    to nobody, or "none". `processes`: whether it may fork; what is forked keeps the filter.

    Raises:
        OSError: the kernel does not do that, or this processor's calls are not known here.
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
    """Raises:
    OSError: this processor's calls are not known.
    """
    if machine not in MACHINES:
        raise OSError(ENOSYS, f"no filter is known for {machine}")
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
        *_if(CLONE3[column], [(RETURN, 0, 0, FAIL | ENOSYS)]),  # its flags lie where no filter sees
        *_if(CLONE[column], _clone(processes)),
        *_network(network, column),
        *(part for number in numbers for part in _if(number, [(RETURN, 0, 0, FAIL | EPERM)])),
        (RETURN, 0, 0, ALLOW),
    ]


def _if(number: int, then: list[Instruction]) -> list[Instruction]:
    return [(JUMP_EQUAL, 0, len(then), number), *then]


def _clone(processes: bool) -> list[Instruction]:
    """Threads, and perhaps processes, but no namespaces."""
    most = [(LOAD, 0, 0, FIRST_ARGUMENT), (JUMP_BITS, 0, 1, NEW_NAMESPACES)]
    refuse = (RETURN, 0, 0, FAIL | EPERM)
    if not processes:
        return [*most, refuse, (JUMP_BITS, 1, 0, THREAD), refuse, (RETURN, 0, 0, ALLOW)]
    return [*most, refuse, (RETURN, 0, 0, ALLOW)]


def _network(network: str, column: int) -> list[Instruction]:
    if network == ALL:
        return []
    if network == NO_NETWORK:
        return _if(SOCKET[column], _sockets([]))
    sending = [
        part
        for call, place in SENDING.items()
        for part in _if(call[column], _without_flag(place, FAST_OPEN))
    ]
    connecting = _if(CONNECT[column], [(RETURN, 0, 0, FAIL | EPERM)])
    return [*_if(SOCKET[column], _sockets(INTERNET)), *connecting, *sending]


def _sockets(families: Sequence[int]) -> list[Instruction]:
    """AF_UNIX, and streams of `families`."""
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


def _without_flag(place: int, flag: int) -> list[Instruction]:
    return [
        (LOAD, 0, 0, FIRST_ARGUMENT + place * ARGUMENT),
        (JUMP_BITS, 0, 1, flag),
        (RETURN, 0, 0, FAIL | EPERM),
        (RETURN, 0, 0, ALLOW),
    ]


def _packed(program: list[Instruction]) -> bytes:
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


__all__ = ["ALL", "LISTENING", "NO_NETWORK", "confine", "is_enabled"]

SWITCH = "MODELPACK_CONFINE"
NEEDED = (os.devnull, "/dev/shm")  # noqa: S108 - what others may write as well
"""Written by libraries that mean no harm: joblib tries whether there are semaphores."""


def is_enabled(environ: Mapping[str, str]) -> bool:
    """Unless it was switched off by MODELPACK_CONFINE=0."""
    return environ.get(SWITCH, "1") != "0"


def confine(
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
        ("Landlock", lambda: restrict(places, network != NO_NETWORK)),
        ("seccomp", lambda: install(network, processes)),
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
