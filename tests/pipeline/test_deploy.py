"""`deploy`: which image, which measurements, which files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from deployments import DIGEST, REPORT

from modelpack.engines import Engine
from modelpack.errors import NoEngineError, SmokeFailedError, UsageError
from modelpack.pipeline import measured, measurements
from modelpack.pipeline.deploy import DeployResult, default_name, deploy
from modelpack.pipeline.deploy_request import DeployRequest
from modelpack.pipeline.options import Observer, Options
from modelpack.pipeline.stages import Pipeline
from modelpack.pipeline.targets import DEPLOY, classify
from modelpack.types import Check, Image, SmokeReport, to_json

ID = "sha256:" + "d4" * 32
PUSHED = f"registry.example.org/team/iris@{DIGEST}"
LABELS = {"dev.modelpack.estimator": "a\n{{ b }}", "dev.modelpack.framework": "scikit-learn 1.7.2"}
PASSED = replace(REPORT, checks=(Check("prediction", True, 0.1, "[1] -> 2"),))


class Store:
    """The images of an engine."""

    def __init__(self, *images: Image) -> None:
        self.images = {image.reference: image for image in images}
        self.pulled: list[str] = []

    def find(self, target: str) -> Image:
        if target not in self.images:
            raise UsageError(f"There is no image {target} here.")
        return self.images[target]

    @contextmanager
    def pull_temporarily(self, reference: str) -> Iterator[str]:
        self.pulled.append(reference)
        self.images[reference] = image(reference)
        yield reference
        del self.images[reference]


def image(reference: str = "iris:1", digests: tuple[str, ...] = ()) -> Image:
    return Image(reference, ID, 1, (), LABELS, digests)


class Log(Observer):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


@pytest.fixture(autouse=True)
def smoke_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[SmokeReport]:
    """Return the reports that smoke tests will have; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    reports = [PASSED]
    monkeypatch.setattr(measured, "smoke_target", lambda *_: reports.pop(0))
    return reports


@pytest.fixture
def run() -> Pipeline:
    pipeline = Pipeline(Options(), Log())
    pipeline.engine = Engine("docker", "linux/amd64", None, None, Store(image()))
    return pipeline


def deployed(run: Pipeline, to: str = "compose", name: str = "iris:1", **given) -> DeployResult:
    request = DeployRequest(to, given.pop("output", Path("out")), **given)
    return deploy(run, classify(name, DEPLOY), request)


@pytest.fixture(autouse=True)
def working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_image_of_this_machine_is_deployed_by_id_with_a_notice(run: Pipeline) -> None:
    result = deployed(run)
    assert result.deployment.image.reference == ID
    assert f"image: {ID}\n" in Path("out/compose.yaml").read_text()
    assert any("this machine only" in notice for notice in run.observer.notices)
    assert any("modelpack push" in notice for notice in run.observer.notices)


@pytest.mark.parametrize("to", ["kubernetes", "kserve"])
def test_cluster_refuses_an_image_that_was_not_pushed(run: Pipeline, to: str) -> None:
    with pytest.raises(UsageError, match="No registry has the image iris:1") as caught:
        deployed(run, to)
    assert "modelpack push iris:1 --as REGISTRY/iris:1" in caught.value.hint
    assert not Path("out").exists()


def test_pushed_image_is_deployed_by_its_digest(run: Pipeline) -> None:
    run.engine.images.images["iris:1"] = image(digests=(PUSHED,))
    assert deployed(run, "kubernetes").deployment.image.reference == PUSHED
    assert f"image: {PUSHED}\n" in Path("out/base/deployment.yaml").read_text()
    assert not any("this machine only" in notice for notice in run.observer.notices)


def test_image_that_is_only_in_a_registry_is_pulled_to_be_measured(
    run: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "_by_digest", lambda *_: PUSHED)
    result = deployed(run, "kubernetes", "registry.example.org/team/iris:1")
    assert run.engine.images.pulled == [PUSHED]
    assert result.deployment.image.reference == PUSHED
    assert result.deployment.name == "iris"


def test_image_that_does_not_exist_is_an_error(run: Pipeline) -> None:
    with pytest.raises(UsageError, match="no image other:1"):
        deployed(run, name="other:1")


def test_engine_without_images_is_an_error(run: Pipeline) -> None:
    run.engine = replace(run.engine, name="process", images=None)
    with pytest.raises(NoEngineError, match="cannot be deployed"):
        deployed(run)


# --- measurements --------------------------------------------------------------------------------


def test_image_is_measured_once_on_a_machine(run: Pipeline, smoke_tests: list) -> None:
    deployed(run)
    assert any("smoke test is run" in notice for notice in run.observer.notices)
    assert smoke_tests == []
    deployed(run, output=Path("other"))
    assert Path("other/compose.yaml").read_text() == Path("out/compose.yaml").read_text()


def test_folder_keeps_its_measurements_on_another_machine(run: Pipeline, tmp_path: Path) -> None:
    before = deployed(run)
    for path in (tmp_path / "cache").rglob("*.json"):
        path.unlink()
    measurements.store(ID, replace(PASSED, ready_seconds=55.0))
    again = deployed(run)
    assert again.changes.written == ()
    assert again.plan == before.plan
    run.engine.images.images["iris:1"] = replace(image(), id="sha256:" + "e5" * 32)
    measurements.store("sha256:" + "e5" * 32, replace(PASSED, ready_seconds=55.0))
    assert deployed(run).plan.start_seconds.value == 550


def test_report_of_a_file_comes_first(run: Pipeline, smoke_tests: list) -> None:
    Path("report.json").write_text(json.dumps(to_json(replace(PASSED, ready_seconds=7.0))))
    assert deployed(run, report=Path("report.json")).plan.start_seconds.value == 70
    assert len(smoke_tests) == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"target": 1}'])
def test_file_that_is_not_a_report_is_an_error(run: Pipeline, content: str) -> None:
    Path("report.json").write_text(content)
    with pytest.raises(UsageError, match=r"report\.json cannot be read"):
        deployed(run, report=Path("report.json"))


def test_image_that_fails_its_smoke_test_is_not_deployed(run: Pipeline, smoke_tests: list) -> None:
    smoke_tests[:] = [replace(PASSED, checks=(Check("parity", False, 0.1, "differs"),))]
    with pytest.raises(SmokeFailedError):
        deployed(run)
    assert not Path("out").exists()


def test_image_without_known_rows_is_refused_with_a_hint(run: Pipeline, smoke_tests: list) -> None:
    untested = Check("prediction", False, 0.0, "", reason="no row is known")
    smoke_tests[:] = [replace(PASSED, checks=(untested,), load=None)]
    with pytest.raises(UsageError, match="measured no load") as caught:
        deployed(run)
    assert "--example" in caught.value.hint


# --- files ---------------------------------------------------------------------------------------


def test_token_is_written_once_and_is_not_in_any_other_file(run: Pipeline) -> None:
    deployed(run)
    token = Path("out/secrets/token").read_text()
    assert len(token) == 64
    deployed(run, force=True)
    assert Path("out/secrets/token").read_text() == token
    files = [path for path in Path("out").rglob("*") if path.is_file() and path.name != "token"]
    assert len(files) == 3
    assert not any(token in path.read_text() for path in files)
    assert "secrets/token" in Path("out/.gitignore").read_text().splitlines()


def test_without_token_no_secret_is_written(run: Pipeline) -> None:
    deployed(run, token=False)
    files = {".gitignore", "compose.yaml", "deployment.json"}
    assert {path.name for path in Path("out").iterdir()} == files
    assert "token" not in Path("out/.gitignore").read_text()


def test_record_contains_no_rows_of_the_model(run: Pipeline) -> None:
    deployed(run)
    assert "[1] -> 2" not in Path("out/deployment.json").read_text()


def test_size_of_bodies_is_in_each_file(run: Pipeline) -> None:
    given = {"max_body_bytes": 5_000_000, "proxy": True}
    assert deployed(run, **given).plan.body_bytes.value == 5_000_000
    assert 'MODELPACK_MAX_BODY_BYTES: "5000000"' in Path("out/compose.yaml").read_text()
    assert "client_max_body_size 5000000;" in Path("out/proxy/nginx.conf").read_text()


def test_edited_file_is_refused_and_edited_overlay_is_kept(run: Pipeline) -> None:
    run.engine.images.images["iris:1"] = image(digests=(PUSHED,))
    deployed(run, "kubernetes")
    overlay = Path("out/overlays/production/kustomization.yaml")
    overlay.write_text(overlay.read_text() + "# mine\n")
    result = deployed(run, "kubernetes", rate=5000)
    assert result.changes.kept == (str(overlay.relative_to("out")),)
    assert overlay.read_text().endswith("# mine\n")
    assert any("is kept" in notice for notice in run.observer.notices)
    Path("out/base/deployment.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"were edited: base/deployment\.yaml"):
        deployed(run, "kubernetes")


def test_document_names_the_source_of_each_number(run: Pipeline) -> None:
    document = deployed(run).to_json()
    assert document["command"] == "docker compose --project-directory out up --wait"
    assert document["written"] == ["compose.yaml", ".gitignore", "secrets/token"]
    assert document["plan"]["memory_mib"]["value"] == 160
    assert "MiB at rest" in document["plan"]["memory_mib"]["source"]
    assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("iris:1", "iris"),
        ("registry.example.org:5000/team/iris_model.v2", "iris-model-v2"),
        ("team/churn__model.v2:3", "churn-model-v2"),
        ("2024-model:1", "model-2024-model"),
        (f"{'a' * 39}-b:1", "a" * 39),
    ],
)
def test_default_name_is_valid(reference: str, name: str) -> None:
    assert default_name(reference) == name


@pytest.mark.parametrize("name", ["Iris", "1iris", "iris-", "a" * 41, "a b", "a\n", "{{ x }}", "-"])
def test_other_names_are_refused(run: Pipeline, name: str) -> None:
    with pytest.raises(UsageError, match="not a valid name"):
        deployed(run, name="iris:1", **{"namespace": name})
