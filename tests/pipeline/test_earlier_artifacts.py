"""A bundle that an earlier modelpack rendered, and its image, work with this one.

tests/bundles/iris-2026-11.tar.xz is `modelpack bundle sample_models/iris/model.joblib` of commit
e867360, before the modules of the service had their present names.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "sample_models" / "iris" / "model.joblib"
REFERENCE = "modelpack-test/earlier:1"
ROWS = "5.1,3.5,1.4,0.2\n6.0,3.4,4.5,1.6\n"

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def modelpack(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier") / "bundle"
    with tarfile.open(ROOT / "tests" / "bundles" / "iris-2026-11.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def image(bundle: Path) -> Iterator[str]:
    done = modelpack("build", bundle, "-t", REFERENCE, "--engine", "docker")
    assert done.returncode == 0, done.stderr
    yield REFERENCE
    subprocess.run(["docker", "rmi", "--force", REFERENCE], check=True, capture_output=True)


@pytest.fixture(params=["bundle", "image"])
def target(request: pytest.FixtureRequest) -> str | Path:
    return request.getfixturevalue(request.param)


def test_earlier_artifact_passes_the_smoke_test(target: str | Path) -> None:
    report = json.loads(modelpack("smoke", target, "--json").stdout)
    statuses = {check["name"]: check["status"] for check in report["checks"]}
    assert statuses["parity"] == statuses["shutdown"] == "passed", report
    assert "failed" not in statuses.values(), report


def test_earlier_artifact_predicts(target: str | Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    done = modelpack("predict", target, tmp_path / "rows.csv", "--quiet")
    assert (done.returncode, done.stdout) == (0, "prediction\nsetosa\nversicolor\n"), done.stderr


def test_earlier_artifact_is_compared_with_a_current_bundle(
    target: str | Path, tmp_path: Path
) -> None:
    modelpack("bundle", MODEL, "-o", tmp_path / "now", "--python", "3.13")
    report = json.loads(modelpack("diff", target, tmp_path / "now", "--json").stdout)
    assert report["signature"]["verdict"] == report["predictions"]["verdict"] == "same", report


def test_its_image_is_verified_and_scanned(image: str) -> None:
    verified = modelpack("verify", image, "--no-smoke", "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["verified"] is True
    assert modelpack("scan", image).returncode == 0
