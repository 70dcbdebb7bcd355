"""The files of each platform: golden copies, hardening, and text that stays text.

`MODELPACK_UPDATE_GOLDEN=1 pytest tests/deployment/test_targets.py` writes tests/golden/deploy anew.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployments import DIGEST, IMAGE, deployment
from hostile_text import HOSTILE
from kustomizations import kustomized

from modelpack.cli import options
from modelpack.deployment import TARGETS, render
from modelpack.engines.docker import containers

GOLDEN = Path(__file__).parents[1] / "golden" / "deploy"
VARIANTS = {
    "swarm": {"publish": "host"},
    "compose": {"has_token": False},
    "kubernetes": {"has_token": False, "creates_namespace": False},
    "kserve": {"mode": "knative"},
}
HARDENED = containers._HARDENED


def documents(target: str, **changes: object) -> dict[str, Any]:
    files = render(target, deployment(**changes))
    return {name: yaml.safe_load(text) for name, text in files.items() if name.endswith(".yaml")}


@pytest.mark.parametrize("target", TARGETS)
def test_files_equal_the_golden_files(target: str) -> None:
    files = render(target, deployment(replicas=TARGETS[target].replicas))
    if os.environ.get("MODELPACK_UPDATE_GOLDEN") and not os.environ.get("CI"):
        for name, text in files.items():
            (GOLDEN / target / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / target / name).write_text(text)
    golden = {
        str(path.relative_to(GOLDEN / target)): path.read_text()
        for path in (GOLDEN / target).rglob("*")
        if path.is_file()
    }
    assert golden == files


@pytest.mark.parametrize("target", TARGETS)
def test_variants_are_valid_yaml_without_traces_of_what_is_left_out(target: str) -> None:
    variant = VARIANTS[target]
    text = "".join(render(target, deployment(**variant)).values())
    assert documents(target, **variant)
    if not variant.get("has_token", True):
        assert "token" not in text.lower().replace("automountserviceaccounttoken", "")
    if not variant.get("creates_namespace", True):
        assert "namespace.yaml" not in text
    if target == "swarm":
        assert (text.count("mode: host"), text.count("start-first")) == (1, 0)
    if target == "kserve":
        assert "components/knative" in text
        assert "canaryTrafficPercent" not in text


@pytest.mark.parametrize("target", TARGETS)
def test_each_computed_number_has_a_comment_above(target: str) -> None:
    """A number without a comment is one of the service or of the image."""
    plan = deployment(replicas=TARGETS[target].replicas).plan
    sources = {number.source for _, number in plan.numbers()}
    commented = set()
    for text in render(target, deployment(replicas=TARGETS[target].replicas)).values():
        lines = text.splitlines()
        commented |= {line.strip()[2:] for line in lines if line.strip()[2:] in sources}
    names = {name for name, number in plan.numbers() if number.source in commented}
    assert names >= {"workers", "memory_mib", "cpu_limit", "body_bytes", "liveness_failures"}
    if target in {"kubernetes", "kserve"}:
        assert names >= {"replicas", "max_replicas", "cpu_request", "start_failures"}
        assert names >= {"grace_seconds", "scale_queue" if target == "kubernetes" else "scale_rate"}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_labels_stay_text(target: str, text: str) -> None:
    image = replace(IMAGE, estimator=text, framework=text, model_sha256=text, parity=text)
    plain, hostile = documents(target), documents(target, image=image)
    places = [place for place, value in leaves(plain) if value == IMAGE.estimator]
    assert places
    changed = dict(leaves(hostile))
    assert {place for place, _ in leaves(plain)} == set(changed)
    expected = text.replace("$", "$$") if target in {"compose", "swarm"} else text
    assert {changed[place] for place in places} == {expected}
    others = {IMAGE.estimator, IMAGE.framework, IMAGE.model_sha256, IMAGE.parity}
    same = [place for place, value in leaves(plain) if value not in others]
    assert [changed[place] for place in same] == [dict(leaves(plain))[place] for place in same]


def leaves(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Return each scalar of a document with its place."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*place, key))]
    if isinstance(value, list):
        return [leaf for i, item in enumerate(value) for leaf in leaves(item, (*place, i))]
    return [(place, value)]


@pytest.mark.parametrize("target", TARGETS)
def test_image_is_named_by_digest(target: str) -> None:
    text = "".join(render(target, deployment()).values())
    assert re.findall(r"^\s*(?:- )?image: (.*)$", text, re.MULTILINE) == [
        f"registry.example.org/team/iris@{DIGEST}"
    ]


def test_compose_and_swarm_are_hardened_as_in_the_smoke_test() -> None:
    (tmpfs,) = HARDENED["tmpfs"].items()
    for target, file in (("compose", "compose.yaml"), ("swarm", "stack.yaml")):
        service = documents(target)[file]["services"]["model"]
        assert service["user"] == "65532:65532"
        assert service["read_only"] is HARDENED["read_only"]
        assert service["cap_drop"] == HARDENED["cap_drop"]
        assert service["deploy"]["resources"]["limits"]["pids"] == HARDENED["pids_limit"]
    compose = documents("compose")["compose.yaml"]["services"]["model"]
    assert compose["tmpfs"] == [":".join(tmpfs)]
    assert compose["security_opt"] == ["no-new-privileges:true"]
    assert compose["ports"] == ["127.0.0.1:8080:8080"]


ON_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
IDENTITY = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def test_pods_are_hardened() -> None:
    """Knative allows no security context of the pod, so that KServe has it on the container."""
    pod = documents("kubernetes")["base/deployment.yaml"]["spec"]["template"]["spec"]
    kserve = documents("kserve")["base/inferenceservice.yaml"]["spec"]["predictor"]
    for each in (pod, kserve):
        (container,) = each["containers"]
        assert {"medium": "Memory", "sizeLimit": "64Mi"} in [
            volume.get("emptyDir") for volume in each["volumes"]
        ]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["path"] in {"/readyz", "/healthz"}
        assert "MODELPACK_TOKEN" not in [entry["name"] for entry in container["env"]]
    assert pod["containers"][0]["securityContext"] == ON_CONTAINER
    assert pod["securityContext"] == IDENTITY
    assert pod["automountServiceAccountToken"] is False
    assert kserve["containers"][0]["securityContext"] == {**IDENTITY, **ON_CONTAINER}


def test_name_of_the_model_is_that_of_the_inference_service() -> None:
    service = documents("kserve")["base/inferenceservice.yaml"]
    (container,) = service["spec"]["predictor"]["containers"]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environment["MODELPACK_MODEL_NAME"] == service["metadata"]["name"]
    assert environment["PROTOCOL"] == "v2"
    assert container["name"] == "kserve-container"


def test_values_of_options_are_those_of_the_table() -> None:
    assert tuple(TARGETS) == options.PLATFORMS


# --- other people's tools ------------------------------------------------------------------------


KINDS = {
    "kubernetes": {
        "Deployment", "Namespace", "NetworkPolicy", "PodDisruptionBudget", "ScaledObject",
        "Secret", "Service", "ServiceMonitor",
    },
    "standard": {
        "HorizontalPodAutoscaler", "InferenceService", "Namespace", "NetworkPolicy",
        "PodDisruptionBudget", "Secret",
    },
    "knative": {"InferenceService", "Namespace", "NetworkPolicy", "Secret"},
}  # fmt: skip


@pytest.mark.parametrize("variant", KINDS)
def test_kustomize_builds_the_overlay(variant: str, tmp_path: Path) -> None:
    target = "kubernetes" if variant == "kubernetes" else "kserve"
    options = {} if variant == "kubernetes" else {"mode": variant}
    objects = {each["kind"]: each for each in kustomized(target, tmp_path, **options)}
    assert set(objects) == KINDS[variant]
    secret = objects["Secret"]["metadata"]["name"]
    assert re.fullmatch("iris-token-[a-z0-9]{10}", secret)
    places = [place for each in objects.values() for place in leaves(each) if place[1] == secret]
    assert len(places) == (3 if variant == "kubernetes" else 2), "each reference is renamed"
    spec = objects.get("InferenceService", {}).get("spec", {}).get("predictor", {})
    assert "canaryTrafficPercent" not in spec
    assert ("terminationGracePeriodSeconds" in spec) == (variant == "standard")


def test_objects_follow_the_schemas_of_kubernetes(tmp_path: Path) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    objects = kustomized("kubernetes", tmp_path)
    checked = [each for each in objects if each["kind"] not in {"ScaledObject", "ServiceMonitor"}]
    assert len(checked) == 6
    for each in checked:
        validator.validate(each, "1.34", strict=True)
