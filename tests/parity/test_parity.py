"""A container gets its tag only if it predicts as the original model does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import joblib
import numpy as np
import pytest
import serving_models
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import modelpack
from modelpack.engines import sandbox
from modelpack.engines.sandbox import Sandbox
from modelpack.errors import SmokeFailedError
from modelpack.parity.claims import Claim, expected_claim
from modelpack.pipeline import package as pipeline_package
from modelpack.pipeline.options import Options
from modelpack.pipeline.stages import Pipeline
from modelpack.types import Check, Code, Image, IndexSettings, Reference, SmokeReport

SAMPLES = Path(__file__).parents[2] / "sample_models"
TAG = "modelpack-test/parity:1"


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env()
    yield client
    client.close()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a model, its record, rows and the predictions for them.

    The model calls no BLAS, whose kernel OPENBLAS_CORETYPE may select here, and not in a container.
    """
    folder = tmp_path_factory.mktemp("trained")
    iris = load_iris(as_frame=True)
    species = iris.target_names[iris.target]
    model = make_pipeline(StandardScaler(), GaussianNB()).fit(iris.data, species)
    joblib.dump(model, folder / "model.joblib")
    modelpack.record(model, iris.data[::9], folder / "model.joblib")
    iris.data[::9].to_csv(folder / "rows.csv", index=False)
    np.save(folder / "right.npy", model.predict_proba(iris.data[::9]))
    np.save(folder / "nearly.npy", model.predict_proba(iris.data[::9]) + 1e-9)
    (folder / "wrong.json").write_text(json.dumps(["setosa"] * len(iris.data[::9])))
    return folder


def package(model: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelpack", "package", model, *arguments, "--json"]
    return subprocess.run(
        list(map(str, command)), cwd=model.parent, capture_output=True, text=True, check=False
    )


def parse_parity(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(done.stdout)["smoke"]["parity"]
    return document


@pytest.mark.engine
@pytest.mark.slow
def test_container_returns_the_recorded_answers_and_labels_record_it(
    trained: Path, client: docker.DockerClient
) -> None:
    done = package(trained / "model.joblib", "-t", TAG)
    assert done.returncode == 0, done.stderr
    parity = parse_parity(done)
    assert parity.pop("routes")
    assert parity == {
        "source": "record",
        "rows": 17,
        "tolerance": 0.0,
        "largest_difference": 0.0,
        "passed": True,
    }
    labels = client.images.get(TAG).labels
    assert {k: v for k, v in labels.items() if "parity" in k} == {
        "dev.modelpack.parity": "exact",
        "dev.modelpack.parity.reference": "record",
        "dev.modelpack.parity.rows": "17",
    }
    message = "equal bit for bit to the predictions recorded in training (17 rows)"
    assert f"MODELPACK_PARITY={message}" in client.images.get(TAG).attrs["Config"]["Env"]
    # The tag is that of the tested image.
    result = json.loads(done.stdout)
    assert result["image"]["id"] == result["smoke"]["target"] == client.images.get(TAG).id


@pytest.mark.engine
@pytest.mark.slow
def test_predictions_that_differ_fail_the_package_and_leave_no_image(
    trained: Path, client: docker.DockerClient
) -> None:
    before = {image.id for image in client.images.list(filters={"reference": "modelpack-test/no"})}
    expected = ["--example", trained / "rows.csv", "--expected", trained / "wrong.json"]
    done = package(trained / "model.joblib", "-t", "modelpack-test/no:1", *expected)
    assert done.returncode == 7
    assert "The service predicts something else: row 6" in done.stderr
    parity = parse_parity(done)
    assert (parity["source"], parity["passed"]) == ("expected", False)
    assert parity["largest_difference"] is None
    assert json.loads(done.stdout)["image"] is None
    after = {image.id for image in client.images.list(filters={"reference": "modelpack-test/no"})}
    assert after == before == set()


@pytest.mark.engine
@pytest.mark.slow
def test_floats_may_differ_by_the_requested_tolerance(
    trained: Path, client: docker.DockerClient
) -> None:
    nearly = ["--example", trained / "rows.csv", "--expected", trained / "nearly.npy"]
    done = package(trained / "model.joblib", "-t", TAG, *nearly, "--tolerance", "1e-8")
    assert done.returncode == 0, done.stderr
    assert client.images.get(TAG).labels["dev.modelpack.parity"] == "within 1e-08"


@pytest.mark.slow
def test_a_bundle_is_compared_with_its_model_as_a_local_process(tmp_path: Path) -> None:
    """Synthetic rows are sent to the model itself and to the service."""
    (tmp_path / "model.joblib").write_bytes((SAMPLES / "mixed-columns/model.joblib").read_bytes())
    done = package(tmp_path / "model.joblib", "--engine", "process", "-o", tmp_path / "bundle")
    assert done.returncode == 0, done.stderr
    parity = parse_parity(done)
    assert (parity["source"], parity["rows"], parity["largest_difference"]) == ("model", 8, 0.0)
    again = [sys.executable, "-m", "modelpack", "smoke", str(tmp_path / "bundle"), "--json"]
    done = subprocess.run(again, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parity"]["passed"]


class Builder:
    """An engine, with its builder and its images, that only counts builds."""

    name = "counting"

    def __init__(self) -> None:
        self.built = 0
        self.builder = self.images = self

    def build(self, *arguments: Any) -> Image:
        self.built += 1
        return Image("", f"sha256:{self.built}", 1, (), {})

    def tag(self, image: Image, reference: str) -> Image:
        return replace(image, reference=reference)

    def require_images(self, *_: object) -> Builder:
        return self

    def needs_wheels(self, _: object) -> bool:
        return False

    def remove_untagged(self, image: Image) -> None: ...


@pytest.mark.parametrize(("compared", "passed", "again"), [(2, 1, 0), (1, 1, 1), (2, 0, 1)])
def test_bundle_is_rendered_again_if_its_claim_is_not_met(
    tmp_path: Path, compared: int, passed: int, again: int
) -> None:
    """The model may refuse synthetic rows, so that fewer rows are compared than were claimed."""
    run = Pipeline(Options(tag="a:1"))
    vars(run).update(
        engine=Builder(),
        index=IndexSettings(None),
        resolve=lambda _: (serving_models.ENVIRONMENT, serving_models.BASE),
    )
    claimed = expected_claim(Reference(((1.0,), (2.0,))))
    assert claimed is not None
    joblib.dump(serving_models.iris().model, tmp_path / "model")
    model = serving_models.build_spec(tmp_path / "model", serving_models.iris())
    bundle = run.render(model, Code(), tmp_path / "bundle", Claim(claimed))
    dockerfile = (bundle.directory / "Dockerfile").read_text()
    assert "equal bit for bit to the predictions of the model in a sandbox (2 rows)" in dockerfile
    assert 'dev.modelpack.parity.rows="2"' in dockerfile
    found = replace(claimed, rows=compared, routes=("one",))
    report = SmokeReport("a", "docker", (Check("a", bool(passed), 0, ""),), parity=found)
    image = run.build(bundle)
    assert image is not None
    assert run.correct_claim(Claim(claimed), report) == bool(again)
    image = run.build_image(bundle) if again else image
    named = pipeline_package.tag_result(
        run, [pipeline_package.PlatformBuild(bundle, image, None)], "a:1"
    )
    assert named is not None
    assert (named.id, named.reference) == (f"sha256:{1 + again}", "a:1")
    dockerfile = (bundle.directory / "Dockerfile").read_text()
    assert (f'dev.modelpack.parity.rows="{compared}"' in dockerfile) == passed
    assert ("MODELPACK_PARITY" in dockerfile) == passed
    document = json.loads((bundle.directory / "provenance.json").read_text())["predicate"]
    assert ("byproducts" in document["runDetails"]) == passed


def query_answer(command: list[str], document: bytes = b"") -> bytes:
    with Sandbox(command).query(document) as answer:
        return answer()


ENDLESS = "while True: pass"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('the model does not load')", "exit code 1: the model does not load"),
        ("import os; os._exit(3)", "exit code 3: without a message"),
        ("import os; os.kill(os.getpid(), 9)", "it was ended: more than 2.1 GB of memory"),
        ("raise MemoryError", "it was ended: more than 2.1 GB of memory"),
        ("import os; os.kill(os.getpid(), 31)", "it made a system call that no model needs"),
        (ENDLESS, "it was ended: 1 seconds were not enough"),
        ("while True: print('x' * 1000)", "it wrote more than"),
    ],
)
def test_model_without_an_answer_is_reported(
    code: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 1.0 if code == ENDLESS else 60.0)
    with pytest.raises(SmokeFailedError) as caught:
        query_answer([sys.executable, "-c", code])
    assert message in caught.value.message


def test_output_of_the_model_does_not_disturb_its_answers() -> None:
    code = "import sys; print(sys.stdin.read()[::-1]); print('noise', file=sys.stderr)"
    assert query_answer([sys.executable, "-c", code], b"abc") == b"cba\n"
