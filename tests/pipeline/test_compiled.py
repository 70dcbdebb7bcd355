"""`package --compiled` on a real engine: numbers in place of a pickle, proved and served."""

from __future__ import annotations

import json
from pathlib import Path

import docker
import pytest
from packaged_images import SAMPLES, container, curl, package

pytestmark = [pytest.mark.engine, pytest.mark.slow]

IRIS = SAMPLES / "iris" / "model.joblib"
SEARCH = """
import pathlib, re
folders = [pathlib.Path("/app"), pathlib.Path("/opt/venv")]
sources = [path for folder in folders for path in folder.rglob("*.py")]
found = [str(path) for path in sources if re.search(r"import\\s+(c?pickle|_pickle|dill)|"
         r"from\\s+(c?pickle|_pickle|dill)\\s", path.read_text(errors="replace"))]
files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
pickled = re.compile(rb"\\x80[\\x02-\\x05].*\\.\\Z", re.S)
found += [str(path) for path in files if pickled.match(path.read_bytes())
          or path.suffix in (".pkl", ".pickle", ".joblib")]
print(*found, sep="\\n")
"""
LIBRARIES = ("sklearn", "scipy", "joblib", "pandas", "lightgbm", "xgboost")


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("compiled")
    return package(IRIS, "--compiled", "-t", "modelpack-test/compiled:1", cwd=folder)


def test_proof_is_reported(packaged: dict[str, object]) -> None:
    proof = packaged["proof"]
    assert isinstance(proof, dict)
    assert proof["rows"] > 2000
    assert proof["largest_ulp"] <= proof["bound_ulp"]
    environment = packaged["environment"]
    assert isinstance(environment, dict)
    assert not {"scikit-learn", "scipy", "pandas", "joblib"} & environment["requirements"].keys()


def test_compiled_image_answers_as_documented_without_the_library(
    packaged: dict[str, object],
) -> None:
    client = docker.from_env()
    request = (IRIS.parent / "request.json").read_text()
    with container(client, "modelpack-test/compiled:1", read_only=True) as (started, url):
        answer = curl("-H", "Content-Type: application/json", "-d", request, f"{url}/predict")
        assert json.loads(answer) == json.loads((IRIS.parent / "response.json").read_text())
        for name in LIBRARIES:
            assert started.exec_run(["python", "-c", f"import {name}"]).exit_code == 1
        page = json.loads(curl("-H", "Accept: application/json", f"{url}/"))
        found = started.exec_run(["python", "-c", SEARCH]).output.decode().split()
        labels = started.labels
    client.close()
    assert [name for name in found if not {"numpy", "jinja2"} & {*name.split("/")}] == []
    proof = packaged["proof"]
    assert isinstance(proof, dict)
    assert {
        name: labels[f"dev.modelpack.compiled.{name}"] for name in ("rows", "ulp", "bound")
    } == {
        "rows": str(proof["rows"]),
        "ulp": f"{proof['largest_ulp']:g}",
        "bound": "64",
    }
    assert page["service"]["proof"] == f"the same bits as the model itself ({proof['rows']:,} rows)"
    assert labels["dev.modelpack.compiled.from"] == packaged["model"]["compiled_from"][0]["sha256"]  # type: ignore[index]


def test_file_of_the_model_in_the_image_is_no_pickle(packaged: dict[str, object]) -> None:
    model = packaged["model"]
    assert isinstance(model, dict)
    assert (model["format"], Path(model["file"]["path"]).suffix) == ("compiled", ".compiled")
    assert model["globals"] == []
