"""The restrictions that a process sets on itself before it loads a model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serving_models
from gunicorn_server import serve
from serving_models import render_bundle

from modelpack.serving.security import confinement

ROOT = Path(__file__).parents[3]
DENIED, ALLOWED, KILLED, ABSENT = 0x00050001, 0x7FFF0000, 0x80000000, 0x00050026


def decided(
    machine: str,
    call: int,
    *arguments: int,
    network: str = "none",
    processes: bool = False,
    architecture: int = 0,
) -> int:
    """Return the decision of the kernel: run the filter as seccomp(2) describes."""
    program = confinement._program(machine, network, processes)
    data = {0: call, 4: architecture or confinement.MACHINES[machine][0]}
    data |= {16 + 8 * index: (*arguments, *[0] * 6)[index] for index in range(6)}
    index, held = 0, 0
    while True:
        code, yes, no, operand = program[index]
        index += 1
        if code == confinement.LOAD:
            held = data[operand]
        elif code == confinement.MASK:
            held &= operand
        elif code == confinement.RETURN:
            return operand
        else:
            is_true = {
                confinement.JUMP_EQUAL: held == operand,
                confinement.JUMP_ATLEAST: held >= operand,
                confinement.JUMP_BITS: bool(held & operand),
            }[code]
            index += yes if is_true else no


CALLS = {  # <asm/unistd_64.h> and <asm-generic/unistd.h>
    "x86_64": {
        *(59, 101, 154, 155, 161, 165, 166, 169, 172, 173, 175, 176, 246, 248, 249, 250, 272, 298),
        *(304, 308, 310, 311, 312, 313, 320, 321, 322, 323, 425, 426, 427, 428, 429, 430, 431, 432),
        *(135, 433, 438, 442),
    },
    "aarch64": {
        *(39, 40, 41, 51, 92, 97, 104, 105, 106, 117, 142, 217, 218, 219, 221, 241, 265, 268, 270),
        *(271, 272, 273, 280, 281, 282, 294, 425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442),
    },
}
"""Those that attack the kernel or other processes. Written again: the list is the policy."""


@pytest.mark.parametrize("machine", CALLS)
@pytest.mark.parametrize("network", ["all", "listens", "none"])
def test_each_dangerous_call_is_refused(machine: str, network: str) -> None:
    refused = {
        call
        for call in range(500)
        if decided(machine, call, 0, 0, 0, network=network, processes=True) == DENIED
    }
    column = confinement.MACHINES[machine][1]
    more = {confinement.SOCKET[column], confinement.CONNECT[column]} if network != "all" else set()
    assert refused - more == CALLS[machine]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_decides_alike_on_each_processor(machine: str) -> None:
    column = confinement.MACHINES[machine][1]
    socket, clone, clone3 = (
        each[column] for each in (confinement.SOCKET, confinement.CLONE, confinement.CLONE3)
    )
    assert decided(machine, socket, 1) == ALLOWED
    for family in (2, 10, 16, 38, 40):  # AF_INET, INET6, NETLINK, ALG, VSOCK
        assert decided(machine, socket, family) == DENIED
        assert decided(machine, socket, family, network="all") == ALLOWED
    thread = 0x3D0F00  # the flags of pthread_create(3) of glibc
    assert decided(machine, clone, thread) == ALLOWED
    assert decided(machine, clone, 0x01200011) == DENIED  # as fork(3)
    assert decided(machine, clone, 0x01200011, processes=True) == ALLOWED
    for namespace in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert decided(machine, clone, thread | namespace, processes=True) == DENIED
    assert decided(machine, clone3) == ABSENT
    assert decided(machine, 0) == decided(machine, 63) == ALLOWED
    assert decided(machine, 0, architecture=0x40000003) == KILLED  # i386
    assert decided(machine, confinement.X32 | 1) == KILLED


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_listening_process_cannot_connect(machine: str) -> None:
    column = confinement.MACHINES[machine][1]
    socket, connect = confinement.SOCKET[column], confinement.CONNECT[column]

    def listening(call: int, *arguments: int) -> int:
        return decided(machine, call, *arguments, network="listens")

    for family in (2, 10):  # AF_INET, INET6
        for kind, expected in ((1, ALLOWED), (2, DENIED), (3, DENIED)):  # stream, datagram, raw
            assert listening(socket, family, kind | 0x80800) == expected
    assert listening(socket, 1, 2) == ALLOWED
    assert listening(socket, 16, 1) == DENIED
    assert listening(connect) == DENIED
    assert decided(machine, connect) == ALLOWED  # to AF_UNIX, of which the sockets are
    for call, index in confinement.SENDING.items():
        flags = [0] * index
        assert listening(call[column], *flags, 0x4000) == ALLOWED
        assert listening(call[column], *flags, 0x20004000) == DENIED
    assert listening(confinement.REFUSED["execve"][column]) == DENIED


def test_unknown_processor_has_no_filter_and_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confinement.platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no filter exists for riscv64"):
        confinement.install(network="none", processes=False)


def test_kernel_refusal_is_logged_and_remaining_measures_apply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered = []
    monkeypatch.setattr(confinement, "install", lambda *arguments: entered.append(arguments))

    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(confinement, "restrict", refuse)
    assert confinement.confine(network=confinement.ALL) == ["Landlock: Function not implemented"]
    assert entered == [("all", False)]


TRIES = """
import json, os, socket, subprocess, sys
from modelpack.serving.security import confinement
options = json.loads(sys.argv[1])
places = options.pop("writable", [])
refused = confinement.confine(places, **options)
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


def test_confined_process_cannot_connect_execute_or_write_elsewhere(
    tmp_path: Path,
) -> None:
    facts = tried(tmp_path)
    assert facts["refused"] == []
    assert facts["internet"] == facts["exec"] == "Operation not permitted"
    assert facts["folder"] == facts["link"] == "Permission denied"
    assert facts["null"] is facts["temporary"] is None


def test_confined_process_can_do_its_work(tmp_path: Path) -> None:
    facts = tried(tmp_path, network="all", processes=True, writable=[str(tmp_path)])
    assert facts["internet"] is facts["folder"] is facts["link"] is None
    assert facts["exec"] == "Operation not permitted"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_model_is_confined_before_it_is_loaded(workers: str, tmp_path: Path) -> None:
    bundle = render_bundle(serving_models.hostile(), tmp_path, "pickle")
    (tmp_path / "t").mkdir()
    environ = {"WEB_CONCURRENCY": workers, "TMPDIR": str(tmp_path / "t")}
    with serve(bundle.directory, **environ) as server:
        answer = server.request("POST", "/predict", [[1.0]])[1]
    loaded, predicting = json.loads(answer["predictions"][0])
    refused, denied = "Operation not permitted", "Permission denied"
    calls = dict.fromkeys(("exec", "connect", "send", "datagram", "netlink"), refused)
    assert loaded == {**calls, "app": denied, "listen": None}
    assert predicting == {**calls, "app": denied, "listen": refused}


def test_gunicorn_still_writes_its_files(tmp_path: Path) -> None:
    """gunicorn creates its pid file and a socket in the file system after the model is loaded."""
    bundle = render_bundle(serving_models.iris(), tmp_path)
    (tmp_path / "run").mkdir()
    arguments = f"--bind 127.0.0.1:0 --bind unix:{tmp_path}/run/http --pid {tmp_path}/run/pid"
    with serve(bundle.directory, GUNICORN_CMD_ARGS=arguments) as server:
        assert (tmp_path / "run" / "pid").read_text().strip() == str(server.process.pid)
        assert (tmp_path / "run" / "http").is_socket()
        server.process.send_signal(signal.SIGHUP)  # loads the model again
        time.sleep(1)
        assert server.request("GET", "/readyz")[0].status == 200


def test_confinement_can_be_disabled(tmp_path: Path) -> None:
    bundle = render_bundle(serving_models.hostile(), tmp_path, "pickle")
    with serve(bundle.directory, MODELPACK_CONFINE="0", WEB_CONCURRENCY="1") as server:
        answer = server.request("POST", "/predict", [[1.0]])[1]
    loaded, predicting = json.loads(answer["predictions"][0])
    assert loaded["exec"] is predicting["exec"] is loaded["app"] is predicting["listen"] is None
