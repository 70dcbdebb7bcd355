"""`modelpack push --key` and `modelpack verify`, with a real engine and a real registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import docker
import pytest
from attested_images import KEY_PASSWORD, make_keys
from docker.errors import ImageNotFound
from docker.models.images import Image

ROOT = Path(__file__).parents[2]
NAME = "modelpack-test/verify:1"

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def modelpack(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", *map(str, arguments)]
    environ = {**os.environ, "COLUMNS": "200", **variables}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environ, timeout=300
    )


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    with closing(docker.from_env()) as client:
        yield client


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, client: docker.DockerClient) -> Iterator[Path]:
    """The bundle of the image NAME."""
    folder = tmp_path_factory.mktemp("package") / "bundle"
    model = ROOT / "sample_models" / "iris" / "model.joblib"
    done = modelpack("package", model, "-t", NAME, "-o", folder)
    if "No base image for" in done.stderr and not os.environ.get("CI"):
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    yield folder
    client.images.remove(NAME)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, cosign_command: str) -> Path:
    return make_keys(cosign_command, tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def pushed(bundle: Path, registry: str, keys: Path, client: docker.DockerClient) -> Iterator[str]:
    """Its name in the registry; the engine has it by NAME only."""
    name = f"{registry}/team/verify:1"
    done = modelpack(
        "push",
        NAME,
        "--as",
        name,
        "--key",
        keys / "cosign.key",
        "--json",
        COSIGN_PASSWORD=KEY_PASSWORD,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["signed"] is True
    client.images.remove(name)
    yield name
    with suppress(ImageNotFound):
        client.images.remove(name)


def test_pushed_image_is_verified_and_smoke_tested_again(
    pushed: str, keys: Path, client: docker.DockerClient
) -> None:
    done = modelpack("verify", pushed, "--key", keys / "cosign.pub", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["verified"], result["signed"]) == (True, True)
    assert {check["verdict"] for check in result["checks"]} == {"holds"}
    parity = result["checks"][-1]
    assert parity["name"] == "parity"
    assert "claimed: exact" in parity["detail"]
    assert result["smoke"]["target"] == f"{pushed.rpartition(':')[0]}@{result['digest']}"
    names = [image.tags for image in client.images.list() if has(image, result["digest"])]
    assert [] not in names  # what was pulled by its digest alone is gone


def has(image: Image, digest: str) -> bool:
    return any(name.endswith(f"@{digest}") for name in image.attrs["RepoDigests"])


def test_cosign_accepts_the_signature(pushed: str, keys: Path) -> None:
    options = ["--key=cosign.pub", "--insecure-ignore-tlog", "--allow-insecure-registry", pushed]
    for command in (
        ["verify"],
        ["verify-attestation", "--type=slsaprovenance1"],
        ["verify-attestation", "--type=cyclonedx"],
    ):
        cosign_command = ["cosign", *command, *options]
        done = subprocess.run(cosign_command, cwd=keys, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_verify_without_a_key_reports_no_signature(pushed: str) -> None:
    done = modelpack("verify", pushed, "--no-smoke", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "the author is not known" in done.stdout


def test_an_image_of_the_engine_is_verified_without_a_signature(bundle: Path) -> None:
    done = modelpack("verify", NAME, "--no-smoke", "--json")
    result = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    found = {check["name"]: check["verdict"] for check in result["checks"]}
    assert found.pop("signature") == found.pop("attached") == "unknown"
    assert set(found.values()) == {"holds"}


def test_edited_bundle_is_built_with_current_documents(
    bundle: Path, tmp_path: Path, client: docker.DockerClient
) -> None:
    shutil.copytree(bundle, tmp_path / "edited")
    app = tmp_path / "edited" / "app.py"
    app.write_text(app.read_text() + "\n# mine\n")
    name = "modelpack-test/verify:edited"
    try:
        done = modelpack("build", tmp_path / "edited", "-t", name, "--engine", "docker")
        assert done.returncode == 0, done.stderr
        assert "app.py was edited after the bundle was rendered" in done.stderr
        labels = client.images.get(name).labels
        assert not [label for label in labels if "parity" in label]
        result = json.loads(modelpack("verify", name, "--no-smoke", "--json").stdout)
        assert result["verified"] is True
        assert (
            "edited by hand: app.py"
            in {c["name"]: c for c in result["checks"]}["provenance"]["detail"]
        )
    finally:
        client.images.remove(name)


def test_another_image_under_the_name_is_refused_and_not_run(
    pushed: str, keys: Path, tmp_path: Path, client: docker.DockerClient
) -> None:
    """The last test of `pushed`: the name is gone with it."""
    (tmp_path / "Dockerfile").write_text(f"FROM {NAME}\nCOPY Dockerfile /app/more.py\n")
    client.images.build(path=str(tmp_path), tag=pushed)
    client.images.push(pushed)
    done = modelpack("verify", pushed, "--key", keys / "cosign.pub", "--json")
    assert done.returncode == 3
    result = json.loads(done.stdout)
    assert (result["verified"], result["signed"], result["smoke"]) == (False, False, None)
    failed = {check["name"] for check in result["checks"] if check["verdict"] == "fails"}
    assert failed == {"signature", "content"}
    assert "error: " in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.parametrize("password", ["", "another"])
def test_a_key_that_does_not_open_pushes_nothing(
    bundle: Path, registry: str, keys: Path, password: str
) -> None:
    variables = {"COSIGN_PASSWORD": password} if password else {}
    name = f"{registry}/team/unsigned:1"
    done = modelpack("push", NAME, "--as", name, "--key", keys / "cosign.key", **variables)
    assert done.returncode == 2
    assert "COSIGN_PASSWORD" in done.stderr
    assert modelpack("verify", name, "--no-smoke").returncode == 2


def test_missing_image_is_a_usage_error(registry: str, tmp_path: Path) -> None:
    assert modelpack("verify", f"{registry}/team/nothing:1", "--no-smoke").returncode == 2
    assert modelpack("verify", f"oci:{tmp_path}", "--no-smoke").returncode == 2
    key = tmp_path / "nowhere.pub"
    assert modelpack("verify", f"{registry}/a:1", "--key", key).returncode == 2
