"""Addresses of a real server of MLflow, to which its own client has logged a model."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import clients
import pytest

from modelpack.bundle import manifest

FOLDER = Path(__file__).parents[1] / "data" / "mlflow" / "3" / "frame"


def variables(home: Path) -> dict[str, str]:
    """Return the environment without settings of MLflow and proxies."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    return {
        **kept,
        "HOME": str(home),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


@contextmanager
def run_server(folder: Path):
    """Run `mlflow server` with a database in `folder`, and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = clients.environment("mlflow").with_name("mlflow")
    store = ("--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "./files")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [command, "server", *store, "--port", port, "--workers", "1"],
            cwd=folder, env=variables(folder), stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # it starts its worker as another process
            process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    """Run a server with version 1 of `churn`, whose alias is `best`."""
    folder = tmp_path_factory.mktemp("server")
    python, script = clients.environment("mlflow"), clients.DIRECTORY / "register_mlflow.py"
    with run_server(folder) as url:
        done = subprocess.run(
            [python, script, url, FOLDER, "churn", "best"], env=variables(folder),
            capture_output=True, text=True, check=False, timeout=150,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + (folder / "log").read_text()
        yield url, json.loads(done.stdout.splitlines()[-1])


def modelpack(server: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**variables(cwd), "MLFLOW_TRACKING_URI": server}
    done = subprocess.run(
        [sys.executable, "-m", "modelpack", *arguments],
        cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_model_is_bundled_by_its_alias(server, tmp_path):
    url, ids = server
    modelpack(url, tmp_path, "bundle", "models:/churn@best", "--python", "3.11", "-o", "out")
    model = manifest.read(tmp_path / "out").model
    assert model.file.sha256 == hashlib.sha256((FOLDER / "model.pkl").read_bytes()).hexdigest()
    (origin,) = model.fetched_from
    assert (origin.address, origin.resolved) == ("models:/churn@best", "models:/churn/1")
    assert (origin.run, origin.server) == (ids["run"], url)
    assert origin.artifacts.endswith(f"/models/{ids['model']}/artifacts")


@pytest.mark.slow
def test_each_address_means_the_same_files(server, tmp_path):
    url, ids = server
    expected = json.loads(modelpack(url, tmp_path, "inspect", "--json", str(FOLDER)).stdout)
    addresses = ("models:/churn@best", "models:/churn/latest", f"models:/{ids['model']}",
                 f"runs:/{ids['run']}/files")  # fmt: skip
    for address in addresses:
        found = json.loads(modelpack(url, tmp_path, "inspect", "--json", address).stdout)
        assert found["file"]["sha256"] == expected["file"]["sha256"]
        assert found["signature"] == expected["signature"]


@pytest.mark.slow
def test_addresses_are_locked_compared_and_predicted(server, tmp_path):
    url, ids = server
    alias, run = "models:/churn@best", f"runs:/{ids['run']}/files"
    for address, name in ((alias, "a.lock"), (run, "b.lock")):
        modelpack(url, tmp_path, "lock", address, "--python", "3.11", "-o", name)
    assert (tmp_path / "a.lock").read_text() == (tmp_path / "b.lock").read_text() != ""
    document = json.loads(modelpack(url, tmp_path, "diff", alias, run, "--json").stdout)
    assert [document[side]["name"] for side in ("old", "new")] == [alias, run]
    assert not document["model"]["changes"]
