"""MODEL arguments that are archives and addresses, from the command line to the provenance."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from fake_servers import FakeServer, Response, run_fake_server, serve_model

import modelpack
from modelpack.bundle import manifest
from modelpack.errors import ModelRefusedError, UsageError
from modelpack.pipeline.options import Options
from modelpack.pipeline.sources import assign_digests, open_models

FOLDER = Path(__file__).parents[1] / "data" / "mlflow" / "3" / "frame"
OWN = b"\x80\x02cown_module\nOwn\n)\x81}U\x01aK\x01sb."
SHA256 = "0" * 64


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in list(os.environ):
        if name.startswith("MLFLOW_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with run_fake_server() as fake:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", fake.url)
        serve_model(fake, FOLDER)
        yield fake


def own_model(folder: Path) -> Path:
    """Write a folder of MLflow whose model is of a class in its folder `code`."""
    folder.mkdir()
    (folder / "MLmodel").write_text((FOLDER / "MLmodel").read_text())
    (folder / "input_example.json").write_text((FOLDER / "input_example.json").read_text())
    (folder / "model.pkl").write_bytes(OWN)
    (folder / "code").mkdir()
    (folder / "code" / "own_module.py").write_text("class Own:\n    def predict(self, X): ...\n")
    return folder


def pack(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as file:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                file.write(each, each.relative_to(folder))
    return path


def run(*arguments, cwd, **environ):
    """Run a command, which must leave no temporary folder."""
    temporary = cwd / "tmp"
    temporary.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "modelpack", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(temporary), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not list(temporary.iterdir())
    assert str(temporary) not in done.stdout + done.stderr
    return done


def test_python_api_reads_archives_and_addresses(server: FakeServer, tmp_path):
    archive = pack(own_model(tmp_path / "churn"))
    spec = modelpack.inspect(archive, trust=("own_module:Own",))
    assert spec.file.path == f"{archive}/model.pkl"
    assert spec.fetched_from == ()
    spec = modelpack.inspect("models:/churn@best")
    assert spec.file.path == "models:/churn/3/model.pkl"
    assert spec.estimator == modelpack.inspect(FOLDER).estimator
    (origin,) = spec.fetched_from
    assert (origin.address, origin.resolved) == ("models:/churn@best", "models:/churn/3")
    assert len(origin.digest["dirHash"]) == 64
    content = (FOLDER / "model.pkl").read_bytes()
    server["/model.pkl"] = Response(content)
    address = f"{server.url}/model.pkl"
    spec = modelpack.inspect(address, sha256=(modelpack.inspect(FOLDER).file.sha256,))
    assert spec.file.path == address
    assert spec.fetched_from[0].digest == {"sha256": spec.file.sha256}


def test_bundle_of_an_address_records_what_was_resolved(server: FakeServer, tmp_path):
    common = ("bundle", "models:/churn@best", "--python", "3.11", "-o", "out")
    url = server.url.replace("//", "//user:secret@")
    done = run(*common, cwd=tmp_path, MLFLOW_TRACKING_URI=url)
    assert done.returncode == 0, done.stderr
    assert "download     models:/churn/3, 4 files" in done.stderr
    provenance = (tmp_path / "out" / "provenance.json").read_text()
    parameters = json.loads(provenance)["predicate"]["buildDefinition"]["externalParameters"]
    (recorded,) = parameters["model"]["fetchedFrom"]
    (origin,) = manifest.read(tmp_path / "out").model.fetched_from
    assert recorded == {
        "address": "models:/churn@best",
        "resolved": "models:/churn/3",
        "digest": dict(origin.digest),
        "name": "churn",
        "version": "3",
        "server": server.url,
        "artifacts": "mlflow-artifacts:/1/models/m-1/artifacts",
        "run": "0123456789abcdef",
    }
    assert "secret" not in provenance + (tmp_path / "out" / "modelpack.json").read_text()
    assert "secret" not in done.stderr


@pytest.mark.parametrize("form", ["archive", "address"])
def test_code_of_the_folder_is_found_and_trusted_by_the_hint(form, server: FakeServer, tmp_path):
    folder = own_model(tmp_path / "churn")
    serve_model(server, folder)
    model = pack(folder).name if form == "archive" else "models:/churn@best"
    name = model if form == "archive" else "models:/churn/3"
    done = run("inspect", model, cwd=tmp_path)
    assert done.returncode == 3
    assert f"--code {name}/code" in done.stderr
    assert f"{name}/code/own_module.py" in done.stdout
    done = run("inspect", model, "--code", f"{name}/code", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{name}/model.pkl (" in done.stdout
    done = run("inspect", model, "--code", f"{name}/other", cwd=tmp_path)
    assert done.returncode == 2
    assert f"{name}/other" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupt_leaves_nothing(number, server: FakeServer, tmp_path):
    def wait(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(bytes(10))
        handler.wfile.flush()
        time.sleep(20)

    path = next(path for path in server.answers if path.endswith("/model.pkl"))
    server[path] = wait
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "modelpack", "inspect", "models:/churn/3"],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while path not in {request.path for request in server.requests}:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(10) == (-number if number == signal.SIGKILL else 130)
    end = time.monotonic() + 5
    while list(temporary.iterdir()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not list(temporary.iterdir())


def test_wrong_digest_and_missing_digest_have_exit_codes(server: FakeServer, tmp_path):
    server["/model.pkl"] = Response(OWN)
    address = f"{server.url}/model.pkl"
    done = run("inspect", address, "--sha256", SHA256, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"instead of {SHA256}" in done.stderr
    done = run("inspect", address, cwd=tmp_path)
    assert done.returncode == 2
    assert "--sha256 HEX" in done.stderr
    done = run("inspect", "models:/churn/3", cwd=tmp_path, MLFLOW_TRACKING_URI="")
    assert done.returncode == 2
    done = run("inspect", "models:/churn/3", cwd=tmp_path,
               MLFLOW_TRACKING_URI="http://127.0.0.1:1")  # fmt: skip
    assert done.returncode == 5


def test_diff_compares_two_addresses(server: FakeServer, tmp_path):
    server["/model.pkl"] = Response((FOLDER / "model.pkl").read_bytes())
    address = f"{server.url.replace('//', '//user:secret@')}/model.pkl"
    digest = modelpack.inspect(FOLDER).file.sha256
    done = run("diff", "models:/churn@best", address, "--sha256", digest, "--json", cwd=tmp_path)
    assert done.returncode in {0, 9}, done.stderr
    document = json.loads(done.stdout)
    assert document["old"]["name"] == "models:/churn@best"
    assert "secret" not in done.stdout + done.stderr


def test_digests_belong_to_addresses_of_the_web():
    paths = ("x.pkl", "https://a/x", "models:/a/1", "http://b/x")
    assert assign_digests(paths, ("1", "2")) == (None, "1", None, "2")
    assert assign_digests(paths, ()) == (None,) * 4, "the error names the address"
    for digests in (("1",), ("1", "2", "3")):
        with pytest.raises(UsageError, match="times for 2 addresses"):
            assign_digests(paths, digests)


def test_errors_have_no_temporary_folder(server: FakeServer, tmp_path):
    archive = pack(own_model(tmp_path / "my churn"))
    with pytest.raises(ModelRefusedError) as error, open_models([archive], Options()) as models:
        raise ModelRefusedError(f"{models.paths[0]}/x", hint=f"--code {models.paths[0]}/code")
    assert (error.value.message, error.value.hint) == (f"{archive}/x", f"--code '{archive}'/code")
    assert str(error.value) == f"{archive}/x"
