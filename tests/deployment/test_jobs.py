"""Jobs that predict a folder: golden files, hardening, and text that stays text.

`MODELPACK_UPDATE_GOLDEN=1 pytest tests/deployment/test_jobs.py` writes the golden files anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from deployments import IMAGE, REPORT
from hostile_text import HOSTILE

from modelpack.deployment.jobs import (
    FINAL_STATUSES,
    JOBS,
    MAX_VALUES,
    PREDICTIONS,
    ROWS,
    Job,
    job_numbers,
    parse_volume,
    render_job,
)
from modelpack.deployment.targets import ImageFacts
from modelpack.errors import UsageError
from modelpack.serving.batch import command as batch_command
from modelpack.serving.batch import predict as batch_predict

GOLDEN = Path(__file__).parents[1] / "golden" / "deploy"
FOLDERS = {"swarm": ("/srv/rows", "answers/2024"), "kubernetes": ("data/rows", "data/answers")}
OPTIONS = ("--keep", "id", "--probabilities")


def job(
    platform: str, image: ImageFacts = IMAGE, options: tuple[str, ...] = OPTIONS, **changes: Any
) -> Job:
    rows, predictions = changes.pop("folders", FOLDERS[platform])
    return Job(
        "iris-batch",
        image,
        parse_volume(rows, ROWS, JOBS[platform]),
        parse_volume(predictions, PREDICTIONS, JOBS[platform]),
        changes.pop("namespace", "models"),
        *job_numbers(REPORT, 8),
        options,
    )


def documents(platform: str, **changes: Any) -> dict[str, Any]:
    files = render_job(platform, job(platform, **changes))
    return {name: yaml.safe_load(text) for name, text in files.items()}


@pytest.mark.parametrize("platform", JOBS)
def test_files_equal_the_golden_files(platform: str) -> None:
    folder = GOLDEN / f"{platform}-job"
    files = render_job(platform, job(platform))
    if os.environ.get("MODELPACK_UPDATE_GOLDEN") and not os.environ.get("CI"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
    assert {path.name: path.read_text() for path in folder.iterdir()} == files


def containers(platform: str, **changes: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the description of the container, and its arguments."""
    document = documents(platform, **changes)["job.yaml"]
    if platform == "swarm":
        service = document["services"]["predict"]
        return service, service["command"]
    (container,) = document["spec"]["template"]["spec"]["containers"]
    return container, container["args"]


@pytest.mark.parametrize("platform", JOBS)
def test_container_predicts_its_shard_with_valid_options(platform: str) -> None:
    _, arguments = containers(platform)
    assert arguments[0] == "predict"
    options = batch_command.argument_parser().parse_args(arguments[1:])
    assert (options.shards, options.keep, options.probabilities) == (8, ["id"], True)
    expected = {
        "swarm": ["/rows", "/predictions/2024"],
        "kubernetes": ["/rows/rows", "/predictions/answers"],
    }
    assert options.folder == expected[platform]


def test_constants_are_those_of_the_batch() -> None:
    assert batch_command.MAX_VALUES == MAX_VALUES
    names = ("USAGE", "BAD_ROWS", "NO_INPUT", "FAILED")
    assert tuple(getattr(batch_predict, name) for name in names) == FINAL_STATUSES


@pytest.mark.parametrize("platform", JOBS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_labels_and_options_stay_text(platform: str, text: str) -> None:
    image = replace(IMAGE, estimator=text, framework=text, model_sha256=text, parity=text)
    expected = text.replace("$", "$$") if platform == "swarm" else text
    document = documents(platform, image=image, options=(text,))["job.yaml"]
    assert containers(platform, image=image, options=(text,))[1][-1] == expected
    if platform == "swarm":
        labels = document["services"]["predict"]["deploy"]["labels"]
    else:
        labels = document["metadata"]["annotations"]
    assert set(labels.values()) == {expected}
    plain = documents(platform)["job.yaml"]
    assert list(document) == list(plain)


@pytest.mark.parametrize(
    ("platform", "folder", "message"),
    [
        ("kubernetes", "/srv/rows", "a folder of one machine"),
        ("kubernetes", "Data/rows", "not the name of a volume"),
        ("kubernetes", "data/../rows", "not a valid folder"),
        ("kubernetes", "data/a\nb", "not a valid folder"),
        ("swarm", "/srv/../etc", "not a valid folder"),
        ("swarm", "a b/rows", "not the name of a volume"),
        ("swarm", "", "not the name of a volume"),
    ],
)
def test_wrong_folders_are_errors_with_an_example(platform, folder, message) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_volume(folder, ROWS, JOBS[platform])
    assert "/rows" in caught.value.hint


def test_volumes_of_swarm_are_external_once() -> None:
    document = documents("swarm", folders=("data/rows", "data/answers"))["job.yaml"]
    assert document["volumes"] == {"data": {"external": True}}
    mounts = document["services"]["predict"]["volumes"]
    assert [(each["type"], each.get("source")) for each in mounts] == [
        ("volume", "data"),
        ("volume", "data"),
        ("tmpfs", None),
    ]
    assert [each.get("read_only") for each in mounts] == [True, None, None]
    document = documents("swarm", folders=("/srv/rows", "/srv/answers"))["job.yaml"]
    assert "volumes" not in document
    assert document["services"]["predict"]["deploy"]["mode"] == "replicated-job"


@pytest.mark.parametrize("folders", [FOLDERS["kubernetes"], ("rows", "answers/2024")])
@pytest.mark.parametrize("namespace", ["", "models"])
def test_objects_follow_the_schemas_of_kubernetes(folders, namespace, tmp_path: Path) -> None:
    files = render_job("kubernetes", job("kubernetes", folders=folders, namespace=namespace))
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    objects = [yaml.safe_load(files[name]) for name in ("job.yaml", "networkpolicy.yaml")]
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize", tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        objects = list(yaml.safe_load_all(done.stdout))
        assert {each["metadata"].get("namespace") for each in objects} == {namespace or None}
    assert sorted(each["kind"] for each in objects) == ["Job", "NetworkPolicy"]
    for each in objects:
        for version in ("1.30", "1.34"):
            kubernetes_validate.validate(each, version, strict=True)


def test_pods_are_hardened() -> None:
    pod = documents("kubernetes")["job.yaml"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"] == 65532
    assert pod["automountServiceAccountToken"] is False
    document = documents("swarm")["job.yaml"]
    service = document["services"]["predict"]
    assert (service["user"], service["read_only"]) == ("65532:65532", True)
    assert service["cap_drop"] == ["ALL"]
    assert document["networks"] == {"default": {"internal": True}}


@pytest.mark.parametrize("platform", JOBS)
def test_each_computed_number_has_a_comment_above(platform: str) -> None:
    text = render_job(platform, job(platform))["job.yaml"]
    lines = [line.strip()[2:] for line in text.splitlines() if line.strip().startswith("# ")]
    for number in job_numbers(REPORT, 8):
        assert number.source in lines
    assert re.search(r"registry\.example\.org/team/iris@sha256:[0-9a-f]{64}\n", text)
