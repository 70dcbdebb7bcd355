"""`modelpack package` on a real engine: from a model file to a container that predicts."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import docker
import onnx_models
import pytest
from packaged_images import SAMPLES, SVC, container, curl, package

SMALL = {".joblib", ".pkl", ".txt", ".onnx", ".skops"}
"""Images with CatBoost or XGBoost have a gigabyte: runtimes/test_native.py serves those."""

OTHERS = {"kserve-svc", "kserve-mixedtype"}
"""Samples of other tests of this file."""

MODELS = [
    *sorted(
        path
        for path in SAMPLES.glob("*/model.*")
        if path.suffix in SMALL and path.parent.name not in OTHERS
    ),
    SAMPLES / "mlflow" / "model",
]

TELLING = {"lightgbm-text", "mixed-columns", "onnx", "own-code"}
"""Samples whose rows would tell modelpack more about columns than their files do."""

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


PackagedSvc = Callable[[str], tuple[dict[str, Any], Path]]


@pytest.fixture(scope="module")
def packaged_svc(tmp_path_factory: pytest.TempPathFactory) -> PackagedSvc:
    """Package a file of kserve-svc at its first use.

    Tests get the JSON document, and the folder with the bundle and the reports.
    """
    done: dict[str, tuple[dict[str, Any], Path]] = {}

    def get(name: str) -> tuple[dict[str, Any], Path]:
        if name not in done:
            folder = tmp_path_factory.mktemp("svc")
            options = ("-o", "bundle", "--report", "report.json", "--junit", "report.xml")
            tag = f"modelpack-test/svc:{name[6:]}"
            done[name] = package(SVC / name, "-t", tag, *options, cwd=folder), folder
        return done[name]

    return get


def predict(url: str, document: object, path: str = "/predict") -> Any:
    request = urllib.request.Request(
        f"{url}{path}",
        data=json.dumps(document).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl"])
def test_a_file_of_another_version_answers_as_documented(
    name: str, client: docker.DockerClient, packaged_svc: PackagedSvc
) -> None:
    packaged, _ = packaged_svc(name)
    assert packaged["environment"]["requirements"]["scikit-learn"] == "1.3.2"
    assert packaged["environment"]["origins"]["scikit-learn"] == "file"
    assert packaged["image"]["reference"] == f"modelpack-test/svc:{name[6:]}"
    with container(client, packaged["image"]["reference"]) as (started, url):
        answer = curl(
            "-H",
            "Content-Type: application/json",
            "-d",
            '{"instances": [[6.8,2.8,4.8,1.4],[6.0,3.4,4.5,1.6]]}',
            f"{url}/predict",
        )
        assert answer.strip() == '{"predictions":[1,1]}'
        assert json.loads(answer) == json.loads((SVC / "response.json").read_text())
        version = "import sklearn; print(sklearn.__version__)"
        assert started.exec_run(["python", "-c", version]).output.strip() == b"1.3.2"


@pytest.mark.parametrize("model", MODELS, ids=lambda path: f"{path.parent.name}-{path.suffix[1:]}")
def test_every_sample_model_returns_the_expected_response(
    model: Path, client: docker.DockerClient, tmp_path: Path
) -> None:
    """The smoke test compares it, so that one container is started and not two."""
    tag = f"modelpack-test/{model.parent.name}:1"
    request, response = (model.parent / f"{name}.json" for name in ("request", "response"))
    if model.parent.name not in TELLING:
        files = ("--example", str(request), "--expected", str(response))
        parity = package(model, "-t", tag, *files, cwd=tmp_path)["smoke"]["parity"]
        assert "POST /predict, rows by name" in parity["routes"]
        assert (parity["source"], parity["largest_difference"]) == ("expected", 0.0)
        return
    packaged = package(model, "-t", tag, cwd=tmp_path)
    with container(client, packaged["image"]["id"]) as (_, url):
        answer = predict(url, json.loads(request.read_text()))
    assert answer == json.loads(response.read_text())


def test_retrained_model_of_the_same_size_replaces_the_old_one(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    """And it changes one layer: nothing else of the image is pushed again."""
    model = tmp_path / "model.joblib"
    layers = []
    for number in (3.8, 3.7, 3.6):  # of a support vector, so the file's size stays
        content = (SVC / "model.joblib").read_bytes()
        model.write_bytes(content.replace(struct.pack("<d", 3.8), struct.pack("<d", number)))
        packaged = package(model, "-t", "modelpack-test/retrained:1", "--no-smoke", cwd=tmp_path)
        assert packaged["smoke"] is None
        digest = client.containers.run(
            packaged["image"]["id"],
            ["/app/model/model.joblib"],
            entrypoint="sha256sum",
            remove=True,
        )
        assert digest.split()[0].decode() == hashlib.sha256(model.read_bytes()).hexdigest()
        layers.append(client.images.get(packaged["image"]["id"]).attrs["RootFS"]["Layers"])
    first, *others = layers
    assert all(other[:-1] == first[:-1] and other[-1] != first[-1] for other in others)


def test_the_image_is_little_more_than_base_and_wheels(
    client: docker.DockerClient, packaged_svc: PackagedSvc
) -> None:
    """Files of the wheels as pip installs them, without byte code: at most 15 % on top."""
    packaged, _ = packaged_svc("model.joblib")
    history = client.images.get(packaged["image"]["id"]).history()
    base = sum(entry["Size"] for entry in history if "/environment/" not in entry["CreatedBy"])
    count = (
        "import os; print(sum(os.path.getsize(os.path.join(folder, name))"
        " for folder, _, names in os.walk('/opt/venv') for name in names"
        " if not name.endswith('.pyc') and not os.path.islink(os.path.join(folder, name))))"
    )
    output = client.containers.run(
        packaged["image"]["id"], ["-c", count], entrypoint="python", remove=True
    )
    assert packaged["image"]["size_bytes"] <= 1.15 * (base + int(output))


def test_an_onnx_model_finds_the_locale_that_it_needs(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(onnx_models.lowercase())
    packaged = package(model, "-t", "modelpack-test/locale:1", cwd=tmp_path)
    with container(client, packaged["image"]["id"]) as (started, url):
        answer = predict(url, {"instances": ["ÄRGER und SPASS"]})
        held = started.exec_run(["ls", "/usr/lib/locale"]).output.decode().split()
        dpkg_status = started.exec_run(["dpkg", "--status", "locales"]).exit_code
    assert answer == {"predictions": ["ärger und spass"]}
    assert "en_US.utf8" in held
    assert dpkg_status != 0


def test_named_mixed_columns_give_the_documented_prediction(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    sample = SAMPLES / "kserve-mixedtype"
    packaged = package(sample / "model.joblib", "-t", "modelpack-test/mixedtype:1", cwd=tmp_path)
    assert packaged["environment"]["requirements"]["scikit-learn"] == "1.3.0"
    (row,) = json.loads((sample / "request.json").read_text())["instances"]
    expected = json.loads((sample / "response.json").read_text())
    # As KServe's own test of its server sends it, by V1 and by V2.
    table = {name: [value] for name, value in row.items()}
    tensors = [
        {"name": name, "datatype": "BYTES" if isinstance(value, str) else "INT64", "shape": [1]}
        | {"data": [value]}
        for name, value in row.items()
    ]
    request = {"parameters": {"content_type": "pd"}, "inputs": tensors}
    with container(client, packaged["image"]["id"]) as (_, url):
        answer = predict(url, {"instances": [row]})
        by_v1 = predict(url, {"instances": [table]}, "/v1/models/model:predict")
        by_v2 = predict(url, request, "/v2/models/model/infer")
    assert answer == by_v1 == expected == {"predictions": [12.202832815138274]}
    assert by_v2["outputs"][0]["data"] == answer["predictions"]


def test_it_serves_hardened_under_any_user(
    client: docker.DockerClient, packaged_svc: PackagedSvc
) -> None:
    packaged, _ = packaged_svc("model.joblib")
    with container(
        client,
        packaged["image"]["reference"],
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        user="12345:0",
        tmpfs={"/tmp": ""},
    ) as (started, url):
        assert predict(url, {"instances": [[6.8, 2.8, 4.8, 1.4]]}) == {"predictions": [1]}
        status = started.exec_run(["cat", "/proc/1/status"]).output.decode()
        facts = dict(line.split(":\t", 1) for line in status.splitlines())
        assert facts["Uid"].split() == ["12345"] * 4
        assert int(facts["CapEff"], 16) == 0
        assert facts["NoNewPrivs"] == "1"


def test_large_bodies_kill_no_worker_where_memory_is_short(
    client: docker.DockerClient, packaged_svc: PackagedSvc, tmp_path: Path
) -> None:
    """Objects with many short names take thirty times their size while they are read."""
    packaged, _ = packaged_svc("model.joblib")
    item = json.dumps({f"{n:x}": n % 10 for n in range(1000)})
    body = tmp_path / "body.json"
    body.write_text(f'{{"instances": [{", ".join([item] * 1200)}]}}')
    assert body.stat().st_size > 10e6
    options = ("-H", "Content-Type: application/json", "--data-binary", f"@{body}")
    memory = {"mem_limit": "256m", "memswap_limit": "256m"}
    with container(client, packaged["image"]["reference"], **memory) as (started, url):
        processes = sorted(row[1] for row in started.top()["Processes"])
        clients = [
            subprocess.Popen(
                ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *options, f"{url}/predict"],
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(8)
        ]
        statuses = {client.communicate(timeout=60)[0] for client in clients}
        assert statuses <= {"413", "422", "503"}, statuses
        assert predict(url, {"instances": [[6.8, 2.8, 4.8, 1.4]]}) == {"predictions": [1]}
        assert sorted(row[1] for row in started.top()["Processes"]) == processes
        started.reload()
        assert not started.attrs["State"]["OOMKilled"]


def test_the_report_keeps_the_names_of_the_contract(packaged_svc: PackagedSvc) -> None:
    packaged, folder = packaged_svc("model.joblib")
    assert set(packaged) == {"model", "environment", "code", "bundle", "image", "smoke", "seconds"}
    assert set(packaged["environment"]) >= {"python", "requirements", "origins", "warnings"}
    assert set(packaged["image"]) == {"reference", "id", "size_bytes"}
    assert set(packaged["smoke"]) >= {"passed", "checks"}
    check = {"name", "passed", "status", "seconds", "detail", "reason"}
    assert set(packaged["smoke"]["checks"][0]) == check
    assert set(packaged["seconds"]) == {"inspect", "environment", "bundle", "build", "smoke"}
    assert packaged["smoke"]["passed"] is True
    assert packaged["bundle"] == str(folder / "bundle")
    assert json.loads((folder / "report.json").read_text()) == packaged["smoke"]
    suite = ET.parse(folder / "report.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == (
        str(len(packaged["smoke"]["checks"])),
        "0",
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "bundle",
        "report.json",
        "report.xml",
    ]


def test_the_same_input_is_the_same_image(client: docker.DockerClient, tmp_path: Path) -> None:
    once, again = (
        package(SVC / "model.pkl", "-t", "modelpack-test/svc:same", "--no-smoke", cwd=tmp_path)
        for _ in range(2)
    )
    assert once["image"]["id"] == again["image"]["id"]


def test_a_bundle_builds_with_plain_docker(
    client: docker.DockerClient, packaged_svc: PackagedSvc
) -> None:
    """No modelpack, no BuildKit options: but the index is reached as this machine must reach it."""
    _, folder = packaged_svc("model.joblib")
    command = ["docker", "build", "--quiet", "--tag", "modelpack-test/plain:1"]
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if bundle:
        command += ["--secret", f"id=ca,src={bundle}"]
    subprocess.run([*command, str(folder / "bundle")], check=True, capture_output=True)
    with container(client, "modelpack-test/plain:1") as (_, url):
        assert predict(url, {"instances": [[6.8, 2.8, 4.8, 1.4]]}) == {"predictions": [1]}


def test_image_that_fails_its_smoke_test_is_not_tagged_and_removed(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    """This model loads on a later scikit-learn and fails when used: the oldest trap there is."""
    before = {image.id for image in client.images.list()}
    model = str(SAMPLES / "kserve-mixedtype" / "model.joblib")
    command = [sys.executable, "-m", "modelpack", "package", model, "-t", "modelpack-test/broken:1"]
    command += ["--requirement", "scikit-learn==1.9.1", "--requirement", "numpy>=2", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    smoke = json.loads(done.stdout)["smoke"]
    statuses = {check["name"]: check["status"] for check in smoke["checks"]}
    assert statuses.pop("ready") == "failed"
    assert set(statuses.values()) == {"not run"}
    assert "Traceback" not in done.stderr
    assert "its SimpleImputer has no _fill_dtype" in done.stderr
    assert {image.id for image in client.images.list()} == before
