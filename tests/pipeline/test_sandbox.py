"""A model that tries forbidden actions, loaded in the sandbox of each engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from modelpack.engines import Engine, bubblewrap, sandbox
from modelpack.engines.docker.engine import DockerEngine
from modelpack.engines.local import processes
from modelpack.errors import SmokeFailedError
from modelpack.pipeline.options import Options
from modelpack.pipeline.stages import Pipeline
from modelpack.types import BaseImage

ENGINES = ("docker", "podman", "process")
pytestmark = pytest.mark.engine

# Its predictions are the results. The first value of a row selects the action.
HOSTILE = """
import ctypes, json, mmap, os, resource, socket, subprocess, time
from sklearn.linear_model import LinearRegression

libc = ctypes.CDLL(None, use_errno=True)

def refusal(call):
    try:
        call()
    except OSError as error:
        return error.strerror

def of_libc(name, *arguments):
    return refusal(lambda: getattr(libc, name)(*arguments) and fail())

def fail():
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def bomb(most=300):
    children = 0
    try:
        while children < most:
            if os.fork() == 0:
                time.sleep(20)
                os._exit(0)
            children += 1
    except OSError:
        pass
    return children

def files(most=1000):
    held = []
    try:
        while len(held) < most:
            held.append(open(os.devnull))
    except OSError:
        pass
    return len(held)

def found():
    lines = open("/proc/self/status").read().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return {
        "uid": os.getuid(),
        "caps": int(status["CapEff"], 16), "bounding": int(status["CapBnd"], 16),
        "nnp": int(status["NoNewPrivs"]), "seccomp": int(status["Seccomp"]),
        "filters": int(status.get("Seccomp_filters", 1)),
        "interfaces": [l.split(":")[0].strip() for l in open("/proc/net/dev") if ":" in l],
        "internet": refusal(lambda: socket.create_connection(("192.0.2.1", 80), 1)),
        "unix": refusal(lambda: socket.socket(socket.AF_UNIX).close()),
        "netlink": refusal(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
        "exec": refusal(lambda: subprocess.run(["/bin/true"])),
        "root": refusal(lambda: open("/x", "w")), "app": refusal(lambda: open("app.py", "a")),
        "home": refusal(lambda: open("/root/x", "w")), "tmp": refusal(lambda: open("/tmp/x", "w")),
        "much": refusal(lambda: open("/tmp/much", "wb").write(bytes(70 * 2**20))),
        "unshare": of_libc("unshare", 0x10000000),
        "mount": of_libc("mount", b"x", b"/tmp", b"tmpfs", 0, 0),
        "ptrace": of_libc("ptrace", 16, 1, 0, 0), "keys": of_libc("syscall", 250, 0, -3, 0),
        "bpf": of_libc("syscall", 321, 0, 0, 0), "uring": of_libc("syscall", 425, 1, 0),
        "personality": of_libc("personality", 0x0040000),
        "forks": bomb(), "files": files(), "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "variables": sorted(os.environ),
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    }

def reached():
    return {
        "exec": refusal(lambda: subprocess.run(["/bin/true"])),
        "connect": refusal(lambda: socket.create_connection(("127.0.0.1", 9), 1)),
        "datagram": refusal(lambda: socket.socket(type=socket.SOCK_DGRAM).close()),
        "netlink": refusal(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
        "app": refusal(lambda: open("/app/app.py", "a")),
        "shared": refusal(lambda: open("/var/tmp/x", "w")),
        "bpf": of_libc("syscall", 321, 0, 0, 0),
    }

class Hostile(LinearRegression):
    def __setstate__(self, state):
        self.__dict__.update(state)
        self.reached_ = [reached()]

    def predict(self, X):
        wish = int(X[0][0])
        if len(self.reached_) == 1:  # the service asks for its own example
            self.reached_.append(reached())
        if wish == 4:
            return [json.dumps([*self.reached_, reached()])] * len(X)
        if wish == 2:
            bytearray(600 * 2**20)
        if wish == 3:
            time.sleep(60)
        return [json.dumps(found())] * len(X)
"""
TRAIN = """
import joblib, numpy as np
from hostile import Hostile
joblib.dump(Hostile().fit(np.eye(2), [0.0, 1.0]), "model.joblib")
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.py").write_text(HOSTILE)
    subprocess.run([sys.executable, "-c", TRAIN], cwd=folder, check=True)
    return folder / "model.joblib"


@pytest.fixture(scope="module", params=ENGINES)
def packaged(
    request: pytest.FixtureRequest,
    model: Path,
    podman_base: BaseImage,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Engine, str]]:
    """The model, packaged with its author's trust: the engine, and its image or bundle."""
    options = Options(
        engine=request.param,
        code=(model.parent / "hostile.py",),
        code_trusted=True,
        base_image=podman_base.reference,
        python=podman_base.python,
    )
    run = Pipeline(options)
    found, code = run.inspect([model])
    spec, _ = run.reference(found, [model])
    bundle = run.render(spec, code, tmp_path_factory.mktemp("bundle") / "bundle")
    image = run.build(bundle)
    yield run.engine, image.id if image else bundle.path
    if image:
        run.remove_untagged(image)


@pytest.fixture
def query(packaged: tuple[Engine, str]) -> Callable[[int], dict[str, Any]]:
    """Query the model in the engine's sandbox."""
    return lambda wish: _query(*packaged, wish)


def _query(engine: Engine, target: str, wish: int) -> dict[str, Any]:
    with engine.runner.query_model(target, json.dumps({"rows": [[wish, 0]]}).encode()) as answer:
        document = json.loads(answer())
    attempts: dict[str, Any] = json.loads(document["together"]["predictions"][0])
    return attempts


@pytest.mark.slow
def test_model_in_the_sandbox_can_do_no_harm(query: Callable[[int], dict[str, Any]]) -> None:
    found = query(1)
    assert found["uid"] == 65532
    assert (found["caps"], found["bounding"], found["nnp"], found["seccomp"]) == (0, 0, 1, 2)
    assert found["interfaces"] == ["lo"]
    denied = "Operation not permitted"
    for call in ("internet", "netlink", "exec", "unshare", "mount", "ptrace", "keys", "bpf"):
        assert found[call] == denied, call
    assert (found["uring"], found["personality"], found["unix"]) == (denied, denied, None)
    for directory in ("root", "app", "home"):
        assert found[directory] in {"Read-only file system", "Permission denied"}, directory
    assert found["tmp"] is None
    assert found["much"] == "No space left on device"
    assert found["forks"] == 0
    assert found["files"] < 256
    assert found["core"] == 0
    assert found["processes"] <= 3  # an init, bubblewrap's own, and it
    expected = {"PATH", "HOME", "LANG"}
    assert expected <= {*found["variables"]}
    assert not [name for name in found["variables"] if "PROXY" in name.upper() or "KEY" in name]


QUERY = """
import json, sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:%s/predict", b"[[4, 0]]",
                                 {"Content-Type": "application/json"})
print(json.load(urllib.request.urlopen(request))["predictions"][0])
"""


@pytest.mark.slow
def test_the_service_can_do_no_harm_from_the_start(packaged: tuple[Engine, str]) -> None:
    """It does none while it is loaded, tried and queried, in a container without any options."""
    engine, target = packaged
    if isinstance(engine, DockerEngine):
        found = _in_a_plain_container(engine, target)
    else:
        with engine.runner.run(target) as service:
            done = subprocess.run(
                [sys.executable, "-c", QUERY % service.url.rpartition(":")[2]],
                capture_output=True,
                check=True,
            )
        found = json.loads(done.stdout)
    assert len(found) == 3
    for moment in found:
        for call in ("exec", "connect", "datagram", "netlink", "bpf"):
            assert moment[call] == "Operation not permitted", (call, found)
        assert moment["app"] in {"Permission denied", "No such file or directory"}
        assert moment["shared"] == "Permission denied"


def _in_a_plain_container(engine: DockerEngine, image: str) -> list[dict[str, Any]]:
    host = engine.builder.host

    def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [host.command, *arguments]
        return subprocess.run(command, env=host.environ, capture_output=True, check=False)

    name = f"modelpack-test-plain-{os.getpid()}"
    try:
        started = run("run", "--detach", "--name", name, image)
        assert started.returncode == 0, started.stderr
        for _ in range(100):
            answer = run("exec", name, "python", "-c", QUERY % 8080)
            if answer.returncode == 0:
                break
            time.sleep(0.2)
        assert answer.returncode == 0, answer.stderr + run("logs", name).stderr
    finally:
        run("rm", "--force", "--volumes", name)
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found


@pytest.mark.slow
def test_out_of_memory_is_reported(
    query: Callable[[int], dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in (sandbox, processes):
        monkeypatch.setattr(module, "memory_for", lambda _: 2**28)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SmokeFailedError, match=r"more than 0\.3 GB of memory were not enough"):
        query(2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_timeout_is_reported(
    query: Callable[[int], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 5.0)
    with pytest.raises(SmokeFailedError, match="5 seconds were not enough"):
        query(3)


OUTER = """
import json, os, socket
def refusal(call):
    try:
        call()
    except OSError as error:
        return error.strerror
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "uid": os.getuid(), "caps": int(status["CapEff"], 16), "nnp": status["NoNewPrivs"],
    "seccomp": int(status["Seccomp"]), "variables": sorted(os.environ),
    "connect": refusal(lambda: socket.create_connection(("192.0.2.1", 80), 1)),
    "write": refusal(lambda: open("/etc/x", "w")), "homes": os.path.exists("/etc/passwd"),
}))
"""


def outer_bwrap_command(command: list[str], environ: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(command, env=environ, capture_output=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    assert (facts["caps"], facts["nnp"]) == (0, "1")
    assert facts["connect"] == "Network is unreachable"
    assert facts["write"] in {"Read-only file system", "Permission denied"}
    assert not [name for name in facts["variables"] if "PROXY" in name.upper()]
    return facts


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_sandbox_of_an_engine_protects_without_the_service_filter(
    name: str, engine: DockerEngine, podman: DockerEngine, podman_base: BaseImage, tmp_path: Path
) -> None:
    """Even what is set for all containers of a user does not get in."""
    (tmp_path / "config.json").write_text(
        json.dumps({"proxies": {"default": {"httpProxy": "http://user:secret@proxy.invalid"}}})
    )
    host = {"docker": engine, "podman": podman}[name].builder.host
    options = sandbox.container(name, 2**31)
    command = [name, "run", "--rm", *options, podman_base.reference, "-c", OUTER]
    facts = outer_bwrap_command(command, {**host.environ, "DOCKER_CONFIG": str(tmp_path)})
    assert (facts["uid"], facts["seccomp"]) == (65532, 2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
@pytest.mark.parametrize("user", ["root", "nobody"])
def test_bubblewrap_works_for_any_user(user: str) -> None:
    python, folder = Path("/usr/bin/python3"), Path("/usr/lib")
    sandbox_command = bubblewrap.bwrap_command([], {"LANG": "C.UTF-8"}, folder, [str(python)])
    assert sandbox_command, "bubblewrap is not installed, or may make no namespaces"
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    command = [*(become if user == "nobody" else []), *sandbox_command, str(python), "-c", OUTER]
    facts = outer_bwrap_command(command, {**os.environ, "HTTP_PROXY": "http://secret"})
    assert facts["uid"] == 65532
    assert not facts["homes"], "it sees files that it has no use for"
    assert {*facts["variables"]} <= {"LANG", "PWD", "LC_CTYPE"}
