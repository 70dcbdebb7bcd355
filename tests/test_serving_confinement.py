"""The inner wall: what a process gives up before it has a model in its hands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelpack.serving import confinement, landlock, seccomp

ROOT = Path(__file__).parents[1]
DENIED, ALLOWED, KILLED, ABSENT = 0x00050001, 0x7FFF0000, 0x80000000, 0x00050026


def decided(
    machine: str, call: int, argument: int = 0, *, network: bool = False, processes: bool = False,
    architecture: int = 0,
) -> int:  # fmt: skip
    """What the kernel would do: the filter, run as seccomp(2) describes."""
    program = seccomp._program(machine, network, processes)
    data = {0: call, 4: architecture or seccomp.MACHINES[machine][0], 16: argument}
    place, held = 0, 0
    while True:
        code, yes, no, operand = program[place]
        place += 1
        if code == seccomp.LOAD:
            held = data[operand]
        elif code == seccomp.RETURN:
            return operand
        else:
            holds = {
                seccomp.JUMP_EQUAL: held == operand,
                seccomp.JUMP_ATLEAST: held >= operand,
                seccomp.JUMP_BITS: bool(held & operand),
            }[code]
            place += yes if holds else no


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_decides_alike_on_each_processor(machine: str) -> None:
    column = seccomp.MACHINES[machine][1]
    for numbers in seccomp.REFUSED.values():
        if numbers[column] != seccomp.NONE:
            assert decided(machine, numbers[column], network=True, processes=True) == DENIED
    socket, clone, clone3 = (
        each[column] for each in (seccomp.SOCKET, seccomp.CLONE, seccomp.CLONE3)
    )
    assert decided(machine, socket, 1) == ALLOWED
    for family in (2, 10, 16, 38, 40):  # AF_INET, INET6, NETLINK, ALG, VSOCK
        assert decided(machine, socket, family) == DENIED
        assert decided(machine, socket, family, network=True) == ALLOWED
    thread = 0x3D0F00  # as pthread_create(3) of glibc asks
    assert decided(machine, clone, thread) == ALLOWED
    assert decided(machine, clone, 0x01200011) == DENIED  # as fork(3)
    assert decided(machine, clone, 0x01200011, processes=True) == ALLOWED
    for namespace in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert decided(machine, clone, thread | namespace, processes=True) == DENIED
    assert decided(machine, clone3) == ABSENT
    assert decided(machine, 0) == decided(machine, 63) == ALLOWED
    assert decided(machine, 0, architecture=0x40000003) == KILLED  # i386
    assert decided(machine, seccomp.X32 | 1) == KILLED


def test_a_processor_that_is_not_known_gives_no_filter_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no filter is known for riscv64"):
        seccomp.install(network=False, processes=False)


def test_a_kernel_that_refuses_is_told_and_what_can_be_had_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered = []
    monkeypatch.setattr(seccomp, "install", lambda *given: entered.append(given))

    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(landlock, "restrict", refuse)
    assert confinement.enter(network=True) == ["Landlock: Function not implemented"]
    assert entered == [(True, False)]


TRIES = """
import json, os, socket, subprocess, sys
from modelpack.serving import confinement
options = json.loads(sys.argv[1])
places = options.pop("writable", [])
refused = confinement.enter(places, **options)
def refusal(call):
    try:
        call()
    except OSError as error:
        return error.strerror
server = socket.socketpair()
print(json.dumps({
    "refused": refused,
    "internet": refusal(lambda: socket.socket().connect_ex(("127.0.0.1", 9))),
    "exec": refusal(lambda: subprocess.run(["true"])),
    "folder": refusal(lambda: open(sys.argv[2] + "/a", "w")),
    "link": refusal(lambda: os.symlink("x", sys.argv[2] + "/b")),
    "null": refusal(lambda: open(os.devnull, "r+b")),
    "temporary": refusal(lambda: open(os.environ["TMPDIR"] + "/a", "w")),
}))
"""


def tried(folder: Path, **options: object) -> dict[str, object]:
    temporary = folder / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-c", TRIES, json.dumps(options), str(folder)]
    environ = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, capture_output=True, check=True)
    facts: dict[str, object] = json.loads(done.stdout)
    return facts


def test_a_process_speaks_to_nobody_runs_nothing_and_writes_to_its_own_places_only(
    tmp_path: Path,
) -> None:
    facts = tried(tmp_path)
    assert facts["refused"] == []
    assert facts["internet"] == facts["exec"] == "Operation not permitted"
    assert facts["folder"] == facts["link"] == "Permission denied"
    assert facts["null"] is facts["temporary"] is None


def test_what_a_process_is_to_do_it_still_may(tmp_path: Path) -> None:
    facts = tried(tmp_path, network=True, processes=True, writable=[str(tmp_path)])
    assert facts["internet"] is facts["folder"] is facts["link"] is None
    assert facts["exec"] == "Operation not permitted"
