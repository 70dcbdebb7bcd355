"""One image for several platforms: built, pushed, signed and verified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import images
import pytest
from attested_images import KEY_PASSWORD, make_keys

from modelpack import oci
from modelpack.oci.image import in_file

pytestmark = [pytest.mark.engine, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
MODEL = ROOT / "sample_models" / "iris" / "model.joblib"
NAME = "modelpack-test/several:1"
PLATFORMS = ["linux/amd64", "linux/arm64"]
LIBRARIES = ("libz.so.1", "libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1",
             "libgcc_s.so.1", "libstdc++.so.6", "ld-linux-aarch64.so.1")  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Images of these tests' own; wheels come out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module")
def keys(tmp_path_factory, cosign_command):
    return make_keys(cosign_command, tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def bases(engine, tmp_path_factory):
    """This machine's base image and one of the same Python for arm64, as OCI layouts: "whole", and
    "lacking" a library.
    """
    folder = tmp_path_factory.mktemp("bases")
    base = engine.builder.find_base_image(["3.13"])
    subprocess.run(["docker", "save", "-o", folder / "base.tar", base.reference], check=True)
    name = f"modelpack-test/python:{base.python}"
    with oci.open_image(f"docker-archive:{folder / 'base.tar'}") as image:
        for each, libraries in (("whole", LIBRARIES), ("lacking", LIBRARIES[1:])):
            pair = [image, foreign(folder, base.python, libraries)]
            oci.layout.write_layout(folder / each, pair, name)
    (folder / "base.tar").unlink()
    return f"oci:{folder}"


def foreign(folder: Path, python: str, libraries: Sequence[str]) -> oci.Image:
    """Nothing in it can be run: programs and libraries are headers."""
    header = b"\x7fELF\x02\x01" + bytes(12) + (183).to_bytes(2, "little") + bytes(60)
    path = folder / "layer.tar"
    path.write_bytes(
        images.tar(
            images.file(f"usr/local/bin/python{python}", header, mode=0o755),
            images.link("usr/local/bin/python3", f"python{python}"),
            images.link("usr/local/bin/python", f"python{python}"),
            images.file(f"usr/local/lib/python{python}/os.py", b"x = 1\n", mode=0o644),
            *(images.file(f"usr/lib/{name}", header, mode=0o644) for name in libraries),
            images.member("tmp", b"5", mode=0o1777),
        )
    )
    diff_id = images.digest(path.read_bytes())
    config = {
        "architecture": "arm64",
        "os": "linux",
        "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    return oci.Image(config, (oci.Layer(diff_id, in_file(path)),))


def modelpack(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", *map(str, arguments), "--engine=oci"]
    environ = {**os.environ, "COLUMNS": "200", **variables}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environ, timeout=300
    )


@pytest.fixture(scope="module")
def packaged(home, bases, tmp_path_factory):
    """The document of --json, and the folder of the bundles."""
    folder = tmp_path_factory.mktemp("bundles") / "kept"
    options = ["--json", "-t", NAME, "-o", folder, f"--platform={','.join(PLATFORMS)}"]
    done = modelpack("package", MODEL, "--base-image", f"{bases}/whole", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder


def test_native_platform_is_tested_and_the_other_is_checked_statically(packaged):
    result, folder = packaged
    assert [each["platform"] for each in result["platforms"]] == PLATFORMS
    local, other = (each["smoke"] for each in result["platforms"])
    assert local["engine"] != "reading"
    assert "parity" in {check["name"] for check in local["checks"]}
    assert other["engine"] == "reading"
    names = [check["name"] for check in other["checks"] if check["passed"]]
    assert names == ["processor", "libraries", "versions", "image"]
    assert result["image"]["reference"] == NAME
    assert sorted(path.name for path in folder.iterdir()) == ["linux-amd64", "linux-arm64"]
    for path, claimed in zip(sorted(folder.iterdir()), (True, False), strict=True):
        document = json.loads((path / "modelpack.json").read_text())
        assert document["environment"]["platform"] == path.name.replace("-", "/")
        assert ("MODELPACK_PARITY" in (path / "Dockerfile").read_text()) is claimed


def test_index_is_pushed_and_verified(packaged, keys, registry):
    name = f"{registry}/team/several:1"
    options = ["--as", name, "--key", keys / "cosign.key", "--json"]
    done = modelpack("push", NAME, *options, COSIGN_PASSWORD=KEY_PASSWORD)
    assert done.returncode == 0, done.stderr
    raw = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]
    index = subprocess.run(raw, check=True, capture_output=True).stdout
    found = [each["platform"] for each in json.loads(index)["manifests"]]
    assert [f"{each['os']}/{each['architecture']}" for each in found] == PLATFORMS
    assert json.loads(done.stdout)["digest"] == images.digest(index)
    done = modelpack("verify", name, "--key", keys / "cosign.pub", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["verified"], result["signed"]) == (True, True)
    assert {check["verdict"] for check in result["checks"]} == {"holds"}


def test_failure_on_one_platform_prevents_the_tag(packaged, bases):
    name = "modelpack-test/several:lacking"
    options = ["-t", name, f"--platform={','.join(PLATFORMS)}"]
    done = modelpack("package", MODEL, "--base-image", f"{bases}/lacking", *options)
    assert done.returncode == 7
    assert "error: The image failed static checks: libraries." in done.stderr
    assert "libz.so.1" in done.stderr
    assert done.stdout == ""
    assert "has no image" in modelpack("scan", name).stderr


def test_compiled_model_for_another_platform_is_proved_on_this_machine(home, bases):
    options = ["--json", "-t", "modelpack-test/several:compiled", "--platform=linux/arm64"]
    done = modelpack("package", MODEL, "--compiled", "--base-image", f"{bases}/whole", *options)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["environment"]["platform"] == "linux/arm64"
    assert result["proof"]["rows"] > 2000
    assert "the model itself (2,008 rows), on linux/amd64" in done.stderr
    assert result["smoke"]["engine"] == "reading"
