"""checkov judges the objects of Kubernetes: services, second versions and jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployments import IMAGE, REPORT, deployment
from kustomizations import kustomized

from modelpack.deployment import Gateway, Version
from modelpack.deployment.jobs import (
    JOBS,
    PREDICTIONS,
    ROWS,
    Job,
    job_numbers,
    parse_volume,
    render_job,
)

CHECKOV = "checkov@3.3.30"
UV = Path(sys.executable).parent / "uv"
GATEWAY = Gateway("public", "gateways")
SERVICES: dict[str, dict[str, Any]] = {
    "service": {},
    "canary": {"gateway": GATEWAY, "second": Version("canary", IMAGE, deployment().plan, 25)},
    "shadow": {"gateway": GATEWAY, "second": Version("shadow", IMAGE, deployment().plan)},
}
VOLUMES = (
    parse_volume("data/rows", ROWS, JOBS["kubernetes"]),
    parse_volume("data/answers", PREDICTIONS, JOBS["kubernetes"]),
)
JOB = Job("iris-batch", IMAGE, *VOLUMES, "models", *job_numbers(REPORT, 8))


def checkov(folder: Path) -> dict[str, Any]:
    """Return the result for the files of a folder. Skip the test (fail in CI) without checkov."""
    is_ci = bool(os.environ.get("CI"))
    command = [UV, "tool", "run", *([] if is_ci else ["--offline"]), CHECKOV]
    command += ["--directory", folder, "--framework", "kubernetes", "--output", "json"]
    command += ["--skip-download"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout and not is_ci:
        pytest.skip(f"run: uv tool run {CHECKOV} --version")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.slow
def test_checkov_finds_nothing_in_services_second_versions_and_jobs(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    objects = {
        name: kustomized("kubernetes", tmp_path / name, **version)
        for name, version in SERVICES.items()
    }
    for name, text in render_job("kubernetes", JOB).items():
        (tmp_path / name).write_text(text)
    command = ["kubectl", "kustomize", tmp_path]  # adds the namespace
    built = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    objects["job"] = list(yaml.safe_load_all(built))
    for name, documents in objects.items():
        (files / f"{name}.yaml").write_text(yaml.safe_dump_all(documents))
    result = checkov(files)
    failed = result["results"]["failed_checks"]
    assert [(each["check_id"], each["resource"]) for each in failed] == []
    assert result["summary"]["skipped"] == 0
    passed = {each["file_path"] for each in result["results"]["passed_checks"]}
    assert passed == {f"/{name}.yaml" for name in objects}
    assert result["summary"]["passed"] > 400

    (changed,) = [each for each in objects["job"] if each["kind"] == "Job"]
    (container,) = changed["spec"]["template"]["spec"]["containers"]
    del container["securityContext"]["readOnlyRootFilesystem"]
    (files / "job.yaml").write_text(yaml.safe_dump_all(objects["job"]))
    failed = checkov(files)["results"]["failed_checks"]
    assert {each["resource"] for each in failed} == {"Job.models.iris-batch"}
