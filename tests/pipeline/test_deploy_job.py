"""`deploy --batch`: which image, which numbers, which files, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from deployments import DIGEST, REPORT, deployment

from modelpack.deployment import render
from modelpack.engines import Engine
from modelpack.errors import UsageError
from modelpack.pipeline.deploy_job import JobRequest, JobResult, deploy_job
from modelpack.pipeline.options import Observer, Options
from modelpack.pipeline.stages import Pipeline
from modelpack.pipeline.targets import DEPLOY, classify
from modelpack.types import Image, to_json

ID = "sha256:" + "d4" * 32
FILES = ("job.yaml", "networkpolicy.yaml")
PUSHED = f"registry.example.org/team/iris@{DIGEST}"


class Store:
    def __init__(self, *digests: str) -> None:
        self.digests = digests

    def find(self, target: str) -> Image:
        return Image(target, ID, 1, (), {}, self.digests)


class Log(Observer):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, message: str) -> None:
        self.notices.append(message)


@pytest.fixture(autouse=True)
def working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("smoke.json").write_text(json.dumps(to_json(REPORT)))


def written(*digests: str, **options) -> tuple[JobResult, list[str]]:
    run = Pipeline(Options(), Log())
    run.engine = Engine("docker", "linux/amd64", None, None, Store(*digests))
    defaults = {"platform": "swarm", "output": Path("out"), "report": Path("smoke.json")}
    request = JobRequest(**{**defaults, "folders": ("/rows", "/answers"), **options})
    return deploy_job(run, classify("iris:1", DEPLOY), request), run.observer.notices


def test_local_image_is_a_job_of_this_machine_with_a_notice() -> None:
    result, notices = written(replicas=3, options="--keep 'customer id' --probabilities")
    service = yaml.safe_load(Path("out/job.yaml").read_text())["services"]["predict"]
    assert service["image"] == ID
    assert service["deploy"]["replicas"] == 3
    assert service["command"][-3:] == ["--keep", "customer id", "--probabilities"]
    assert "reservations" not in service["deploy"]["resources"]
    assert service["environment"] == {
        "MODELPACK_SHARD": "{{if eq .Task.Slot .Node.ID}}0{{else}}{{.Task.Slot}}{{end}}"
    }
    assert any("this machine only" in notice for notice in notices)
    assert result.command == "docker stack deploy -c out/job.yaml iris-batch"
    document = result.to_json()
    assert document["plan"]["shards"]["value"] == 3
    assert document["written"] == ["job.yaml", ".gitignore"]


def test_the_same_request_changes_nothing_and_edited_files_stay() -> None:
    written()
    assert written()[0].changes.written == ()
    Path("out/job.yaml").write_text("edited")
    with pytest.raises(UsageError, match=r"were edited: job\.yaml"):
        written()
    assert written(force=True)[0].changes.replaced == ("job.yaml",)


def test_a_cluster_needs_a_registry_and_a_claim() -> None:
    claims = {"platform": "kubernetes", "folders": ("data/rows", "data/answers")}
    with pytest.raises(UsageError, match="No registry has the image"):
        written(**claims)
    assert not Path("out").exists()
    result, notices = written(PUSHED, **claims, namespace="models")
    assert result.command == "kubectl apply -k out"
    assert "namespace: models\n" in Path("out/kustomization.yaml").read_text()
    assert f"image: {PUSHED}\n" in Path("out/job.yaml").read_text()
    assert not notices
    with pytest.raises(UsageError, match="a folder of one machine"):
        written(PUSHED, platform="kubernetes")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"platform": "compose"}, "compose has no jobs"),
        ({"options": "--keep 'a"}, "options of the batch cannot be read"),
        ({"name": "-x"}, "not a valid name"),
        ({"namespace": "A"}, "not a valid name"),
        ({"folders": ("..", "/answers")}, "not a valid folder"),
    ],
)
def test_wrong_requests_are_errors_with_a_hint(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        written(**options)
    assert caught.value.hint
    assert not Path("out").exists()


def test_job_shares_no_name_with_the_service_of_the_image() -> None:
    """The policy of a job would close the service, and removing its stack would remove both."""
    options = {"platform": "kubernetes", "folders": ("data/rows", "data/answers")}
    for name in (None, "iris"):
        job = written(PUSHED, **options, name=name, output=Path("job"))[0].job
        assert job.name == "iris-batch"
        objects = [yaml.safe_load(Path("job", file).read_text()) for file in FILES]
        policy = yaml.safe_load(render("kubernetes", deployment())[f"base/{FILES[1]}"])
        assert {each["metadata"]["name"] for each in objects} == {"iris-batch"}
        assert policy["metadata"]["name"] == "iris"
        labels = objects[0]["spec"]["template"]["metadata"]["labels"]
        assert not policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_memory_grows_with_the_measured_model() -> None:
    before = written()[0].job.memory_mib.value
    load = REPORT.load
    assert load is not None
    larger = replace(REPORT, load=replace(load, rest_bytes=load.rest_bytes + 2**30))
    Path("smoke.json").write_text(json.dumps(to_json(larger)))
    assert written()[0].job.memory_mib.value > before + 1024
