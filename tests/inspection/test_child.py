"""The inspector runs in a separate process with limits, and reports its failures."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opcodes import EMPTY_DICT, SYSTEM, pickled, raw

from modelpack import inspection
from modelpack.errors import ModelNotSupportedError, ModelRefusedError, UsageError
from modelpack.inspection import inspector, isolation, limits, worker
from modelpack.types import ModelSpec

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_models"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    path = tmp_path / "hostile.pkl"
    path.write_bytes(pickled(SYSTEM))
    return path


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A model file that takes many seconds to hash: a hole of 12 GB, which no disk has to hold."""
    path = tmp_path / "slow.pkl"
    path.write_bytes(b"\x80\x04\x8e" + (12 * 10**9).to_bytes(8, "little"))
    os.truncate(path, 12 * 10**9)
    return path


def reason(spec: ModelSpec) -> str:
    (finding,) = spec.safety.findings
    assert (spec.safety.verdict, finding.code) == ("refuse", "inspector-limit")
    return finding.message


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", ["mixed-columns/model.joblib", "kserve-svc/model.joblib"])
def test_the_spec_is_that_of_the_inspector(sample: str) -> None:
    path = SAMPLES / sample
    assert inspection.inspect(path) == inspector.inspect(path)


def test_findings_and_trust_get_through(hostile: Path, tmp_path: Path) -> None:
    assert inspection.inspect(hostile) == inspector.inspect(hostile)
    own = tmp_path / "own.pkl"
    own.write_bytes(b"\x80\x04\x8c\x04shop\x8c\x05Model\x93)\x81.")
    assert inspection.inspect(own).safety.verdict == "trust"
    assert inspection.inspect(own, trust={"shop:Model"}).safety.verdict == "pass"


@pytest.mark.parametrize("name", ["missing.pkl", "zero\0byte.pkl", "", "\udcff.pkl"])
def test_an_error_keeps_its_kind_and_its_hint(name: str, tmp_path: Path) -> None:
    kind = UsageError if name else ModelNotSupportedError
    with pytest.raises(kind) as local:
        inspector.inspect(tmp_path / name)
    with pytest.raises(kind) as from_child:
        inspection.inspect(tmp_path / name)
    assert (from_child.value.message, from_child.value.hint) == (
        local.value.message,
        local.value.hint,
    )


def test_file_name_that_is_not_utf_8_is_found(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.pkl")
    path.write_bytes((SAMPLES / "iris" / "model.joblib").read_bytes())
    assert inspection.inspect(path).safety.verdict == "pass"


def test_a_relative_path_stays_relative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLES)
    assert inspection.inspect("iris/model.joblib").file.path == "iris/model.joblib"


# --- bad ends ------------------------------------------------------------------------------------


def test_a_file_that_takes_all_memory_is_refused(tmp_path: Path) -> None:
    """Ten million empty dicts, in 150 kB."""
    path = tmp_path / "hog.pkl"
    incompressible = raw(os.urandom(140_000))  # else it would be refused as a bomb
    path.write_bytes(gzip.compress(b"\x80\x04" + incompressible + EMPTY_DICT * 10_000_000))
    spec = inspection.inspect(path)
    assert reason(spec) == (
        "reading it takes more memory than its size allows "
        "(512 MiB and 64 for each MiB without compression, at most 4,096)"
    )
    assert spec.file.size == path.stat().st_size
    with pytest.raises(ModelRefusedError, match=r"hog\.pkl is refused.*more memory"):
        inspection.require_servable(spec)


def test_a_file_that_takes_too_long_is_refused(slow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.5)
    assert reason(inspection.inspect(slow)) == "reading it takes more than 0.5 seconds"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("kill -SEGV $$", "SIGSEGV"),
        ("kill -KILL $$", "SIGKILL"),
        ("kill -XCPU $$", "10 seconds and 4 for each MiB"),
        ("echo garbage", "no response"),
        ("echo '[1]'", "no response"),
        ("true", "no response"),
        ("echo '{\"spec\": {}}'; kill -SEGV $$", "SIGSEGV"),
    ],
)
def test_a_child_that_dies_refuses_the_file(
    script: str, message: str, hostile: Path, interpreter: Path
) -> None:
    interpreter.write_text(f"#!/bin/sh\n{script}\n")
    assert message in reason(inspection.inspect(hostile))


def test_traceback_of_the_child_is_reported_as_a_bug(hostile: Path, interpreter: Path) -> None:
    interpreter.write_text("#!/bin/sh\nprintf 'Traceback:\\nKeyError: \\033x\\n' >&2; exit 1\n")
    with pytest.raises(isolation.InspectorError, match=r"^KeyError: \?x$") as raised:
        inspection.inspect(hostile)
    assert str(raised.value.__cause__) == "Traceback:\nKeyError: ?x"


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that runs in place of Python."""
    path = tmp_path / "python"
    path.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    return path


# --- confinement ---------------------------------------------------------------------------------


@contextmanager
def inspecting(path: Path, **environ: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A running `modelpack inspect`, and the folder in /proc of its child, which is reading."""
    command = [sys.executable, "-m", "modelpack", "inspect", str(path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, **environ})
    with process:
        try:
            yield process, Path("/proc") / str(reading_child(process.pid, path))
        finally:
            process.kill()


def reading_child(parent: int, path: Path) -> int:
    """The process whose parent is `parent`, once it has opened `path`."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for number in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            if any(link.resolve() == path for link in Path(f"/proc/{number}/fd").iterdir()):
                return int(number)
        time.sleep(0.02)
    raise TimeoutError


def ended(process: Path) -> bool:
    """Return whether the process ends within seconds, or is only left to be reaped."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if "State:\tZ" in (process / "status").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_the_child_is_limited_and_knows_nothing_of_its_surroundings(slow: Path) -> None:
    with inspecting(slow, SECRET="s3cret", PYTHONPATH="/nowhere") as (_, process):
        limits_text = (process / "limits").read_text()
        environ = (process / "environ").read_bytes()
        descriptors = {str(link.readlink()) for link in (process / "fd").iterdir()}
    soft = {line[:25].strip(): line[25:].split()[:2] for line in limits_text.splitlines()[1:]}
    most = limits.memory(slow.stat().st_size), limits.cpu_seconds(slow.stat().st_size)
    least = limits.memory(0), limits.cpu_seconds(0)
    for name, index in (("Max address space", 0), ("Max cpu time", 1)):
        soft_one, hard = map(int, soft[name])
        assert least[index] <= soft_one <= hard == most[index]
    assert soft["Max core file size"] == soft["Max file size"] == ["0", "0"]
    assert soft["Max open files"] == [str(limits.DESCRIPTORS)] * 2
    assert b"SECRET" not in environ
    assert b"PYTHONPATH" not in environ
    assert {name for name in descriptors if not name.startswith("pipe:")} == {str(slow)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_child_ends_with_modelpack(number: signal.Signals, slow: Path) -> None:
    with inspecting(slow) as (process, reader):
        process.send_signal(number)
        assert process.wait(timeout=5) == (-number if number == signal.SIGKILL else 130)
        assert ended(reader)


def test_confined_child_cannot_write(tmp_path: Path) -> None:
    program = (
        "from modelpack.inspection.worker import confine; import errno\n"
        "confine()\n"
        "try:\n"
        "    open('file', 'wb', buffering=0).write(b'x')\n"
        "except OSError as error:\n"
        "    print(errno.errorcode[error.errno])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "EFBIG\n", done.stderr


def test_no_path_precedes_the_standard_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory and those of distributions come after the standard library."""
    for module in ("json", "packaging", "modelpack", "sitecustomize"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folders = isolation._folders()
    monkeypatch.setattr(isolation, "_folders", lambda: [*folders, str(tmp_path)])
    assert inspection.inspect(SAMPLES / "iris" / "model.joblib").safety.verdict == "pass"


def test_the_limit_of_memory_grows_with_the_file_and_ends() -> None:
    assert limits.memory(0) == 512 * limits.MIB
    assert limits.memory(limits.MIB) == 576 * limits.MIB
    assert limits.memory(limits.FILE_BYTES) == 4 * limits.GIB


def test_an_answer_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RESPONSE_BYTES", 100)
    request = {"paths": [str(SAMPLES / "iris/model.joblib")], "options": {}}
    assert worker._response(request, []) == worker.OUT_OF_MEMORY
