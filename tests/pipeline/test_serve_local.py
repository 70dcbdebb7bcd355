"""The service as a local process, without a container engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import packaged_images
import pytest

from modelpack.engines.local import processes
from modelpack.engines.local.engine import ServedResult
from modelpack.pipeline import build
from modelpack.pipeline.options import Options
from modelpack.pipeline.stages import Pipeline

IRIS = Path(__file__).parents[2] / "sample_models" / "iris"

pytestmark = pytest.mark.slow


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "modelpack", *map(str, arguments)]


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """The directory in which the iris model was packaged, the JSON output, and stderr."""
    folder = tmp_path_factory.mktemp("local")
    done = subprocess.run(
        command("package", IRIS / "model.joblib", "--json"),
        cwd=folder,
        env=packaged_images.environ_without_engine(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout), done.stderr


def test_package_falls_back_to_a_process_with_a_note(
    packaged: tuple[Path, dict[str, Any], str],
) -> None:
    folder, result, stderr = packaged
    assert "No image is built" in stderr
    assert result["image"] is None
    assert result["bundle"] == str(folder / "model-bundle")
    assert result["smoke"]["passed"] is True
    assert result["smoke"]["engine"] == "process"
    assert {"ready", "prediction", "bad input", "shutdown"} <= {
        check["name"] for check in result["smoke"]["checks"]
    }


def test_a_process_answers_without_waiting_for_acknowledgements() -> None:
    """Nagle's algorithm would cost 40 ms a request; what is accepted inherits the option."""
    with processes.listen(0) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_kept_bundle_passes_the_smoke_test_again(
    packaged: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    folder, _, _ = packaged
    done = subprocess.run(
        command("smoke", folder / "model-bundle", "--report", tmp_path / "report.json", "--quiet"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "report.json").read_text())["passed"] is True


def test_bundle_with_an_altered_model_file_fails(
    packaged: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    folder, _, _ = packaged
    bundle = tmp_path / "bundle"
    subprocess.run(["cp", "-r", str(folder / "model-bundle"), str(bundle)], check=True)
    model = bundle / "model" / "model.joblib"
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    done = subprocess.run(command("smoke", bundle), capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "Traceback" not in done.stdout + done.stderr


def test_a_tag_without_an_engine_is_exit_8(tmp_path: Path) -> None:
    done = subprocess.run(
        command("package", IRIS / "model.joblib", "-t", "iris:1"),
        cwd=tmp_path,
        env=packaged_images.environ_without_engine(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 8
    assert "iris:1" in done.stderr
    assert list(tmp_path.iterdir()) == []


@contextmanager
def serving(port: int, tmp: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command("serve", IRIS / "model.joblib", "--port", str(port)),
        env={**os.environ, "TMPDIR": str(tmp)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def predict(port: int) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict",
        data=(IRIS / "request.json").read_bytes(),
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_until_it_is_interrupted(number: signal.Signals, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with serving(port, tmp_path) as process:
        assert predict(port) == json.loads((IRIS / "response.json").read_text())
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_serve_takes_a_bundle_and_the_variables_of_the_image(
    packaged: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    bundle = packaged[0] / "model-bundle"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    token = "aZ3-0123456789-bcdefghijklmnop"
    variables = {"PORT": str(port), "MODELPACK_TOKEN": token, "MODELPACK_MODEL_NAME": "flowers"}
    url = f"http://127.0.0.1:{port}/v2/models/flowers"
    with subprocess.Popen(
        command("serve", bundle),
        env={**os.environ, **variables, "TMPDIR": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert _status(url, {}) == 401
            assert _status(url, {"Authorization": f"Bearer {token}"}) == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


def _status(url: str, headers: dict[str, str]) -> int:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("module", "hint"),
    [("six", "Require: --requirement six"), ("shop", "For shop: if a distribution provides")],
)
def test_serve_explains_a_missing_module(
    packaged: tuple[Path, dict[str, Any], str], tmp_path: Path, module: str, hint: str
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(packaged[0] / "model-bundle", bundle)
    app = bundle / "app.py"
    app.chmod(0o644)
    app.write_text(f"import {module}\n{app.read_text()}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    done = subprocess.run(
        command("serve", bundle, "--port", port), capture_output=True, text=True, check=False
    )
    assert done.returncode == 7, done.stderr
    assert f"ModuleNotFoundError: No module named '{module}'" in done.stderr  # the log
    assert f"error: The model needs the module {module}, which is not in" in done.stderr
    assert hint in done.stderr


@pytest.mark.parametrize("code", [0, 137, 143])
def test_a_service_that_started_is_not_explained(
    code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served = ServedResult(code, "the log of days: ModuleNotFoundError: No module named 'six'")
    monkeypatch.setattr(build.LocalRunner, "serve", lambda *_: served)
    monkeypatch.setattr(build, "_built_bundle", lambda *_: nullcontext(Mock(path=tmp_path)))
    assert build.serve(Pipeline(Options()), [], 8080) == code


def test_serve_refuses_a_bundle_with_another_model() -> None:
    done = subprocess.run(
        command("serve", IRIS.parent, IRIS / "model.joblib"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "A bundle is served alone" in done.stderr
