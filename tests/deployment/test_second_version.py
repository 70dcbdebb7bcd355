"""The files of a proxy, a canary and a shadow: golden copies, hardening, and the tools of others.

`MODELPACK_UPDATE_GOLDEN=1 pytest tests/deployment/test_second_version.py` writes
tests/golden/deploy-versions anew.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployments import DIGEST, LOAD, deployment
from kustomizations import kustomized

from modelpack.cli import options
from modelpack.deployment import Demand, Gateway, ImageFacts, Version, create_plan, render
from modelpack.deployment.plan import PREDICT_SECONDS
from modelpack.deployment.targets import PROXY_FILE, PROXY_IMAGE
from modelpack.types import SmokeReport

GOLDEN = Path(__file__).parents[1] / "golden" / "deploy-versions"
DIGEST2 = "sha256:" + "e5" * 32
RETRAINED = ImageFacts(
    f"registry.example.org/team/iris@{DIGEST2}",
    "sha256:" + "f6" * 32,
    is_pullable=True,
    estimator="sklearn.linear_model._logistic.LogisticRegression",
)
REPORT2 = SmokeReport("iris:2", "docker", (), ready_seconds=2.0, load=LOAD)
CANARY = Version("canary", RETRAINED, create_plan(REPORT2, Demand(50, 1)), 25)
SHADOW = Version("shadow", RETRAINED, create_plan(REPORT2, Demand(100, 2)))
GATEWAY = Gateway("public", "gateways")
VARIANTS: dict[str, dict[str, Any]] = {
    "compose-proxy": {"has_proxy": True},
    "compose-canary": {"has_proxy": True, "second": CANARY},
    "compose-shadow": {"has_proxy": True, "second": SHADOW},
    "swarm-canary": {"has_proxy": True, "second": CANARY},
    "swarm-shadow": {"has_proxy": True, "second": SHADOW, "publish": "host"},
    "kubernetes-canary": {"gateway": GATEWAY, "second": CANARY},
    "kubernetes-shadow": {"gateway": GATEWAY, "second": SHADOW},
    "kserve-canary": {"mode": "knative", "second": CANARY},
}


def added_files(variant: str) -> dict[str, str]:
    """Return the files that differ from those of a deployment without a second version."""
    target = variant.partition("-")[0]
    plain = render(target, deployment())
    files = render(target, deployment(**VARIANTS[variant]))
    return {name: text for name, text in files.items() if plain.get(name) != text}


def document(variant: str, name: str) -> dict[str, Any]:
    result: dict[str, Any] = yaml.safe_load(added_files(variant)[name])
    return result


@pytest.mark.parametrize("variant", VARIANTS)
def test_files_equal_the_golden_files(variant: str) -> None:
    files = added_files(variant)
    if os.environ.get("MODELPACK_UPDATE_GOLDEN") and not os.environ.get("CI"):
        for name, text in files.items():
            (GOLDEN / variant / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / variant / name).write_text(text)
    golden = {
        str(path.relative_to(GOLDEN / variant)): path.read_text()
        for path in (GOLDEN / variant).rglob("*")
        if path.is_file()
    }
    assert golden == files


@pytest.mark.parametrize("variant", ["compose-canary", "swarm-canary"])
def test_only_the_proxy_publishes_a_port(variant: str) -> None:
    file = "compose.yaml" if variant.startswith("compose") else "stack.yaml"
    services = document(variant, file)["services"]
    assert set(services) == {"model", "canary", "proxy"}
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["canary"]["image"].endswith(DIGEST2)
    assert services["model"]["image"].endswith(DIGEST)
    assert services["proxy"]["image"] == PROXY_IMAGE
    for service in services.values():
        assert service["user"] == "65532:65532"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["deploy"]["resources"]["limits"]["memory"]


def test_services_of_a_swarm_need_no_ipvs_behind_the_proxy() -> None:
    for variant in ("swarm-canary", "swarm-shadow"):
        services = document(variant, "stack.yaml")["services"]
        second = VARIANTS[variant]["second"].kind
        for name in ("model", second):
            assert services[name]["deploy"]["endpoint_mode"] == "dnsrr"
            assert services[name]["deploy"]["update_config"]["order"] == "start-first"
    assert services["proxy"]["ports"][0]["mode"] == "host"
    assert services["proxy"]["deploy"]["update_config"]["order"] == "stop-first"


def test_config_of_a_swarm_has_another_name_if_its_content_changes() -> None:
    names = set()
    for weight in (10, 25, 25):
        second = Version("canary", RETRAINED, CANARY.plan, weight)
        text = render("swarm", deployment(has_proxy=True, second=second))["stack.yaml"]
        names.add(yaml.safe_load(text)["configs"]["nginx"]["name"])
    assert len(names) == 2


@pytest.mark.parametrize(
    ("weight", "lines"), [(0, []), (25, ["25% canary;"]), (100, ["100% canary;"])]
)
def test_weight_is_the_part_of_the_canary(weight: int, lines: list[str]) -> None:
    second = Version("canary", RETRAINED, CANARY.plan, weight)
    text = render("compose", deployment(has_proxy=True, second=second))[PROXY_FILE]
    assert re.findall(r"\d+% canary;", text) == lines
    route = render("kubernetes", deployment(gateway=GATEWAY, second=second))["base/httproute.yaml"]
    (rule,) = yaml.safe_load(route)["spec"]["rules"]
    assert [each["weight"] for each in rule["backendRefs"]] == [100 - weight, weight]


def test_proxy_has_memory_for_large_bodies() -> None:
    plan = create_plan(REPORT2, Demand(100, 2, 20 * 2**20))
    usual = document("compose-shadow", "compose.yaml")["services"]["proxy"]
    assert usual["deploy"]["resources"]["limits"]["memory"] == "128M"
    files = render("compose", replace(deployment(has_proxy=True), plan=plan))
    proxy = yaml.safe_load(files["compose.yaml"])["services"]["proxy"]
    assert "size=160m" in proxy["tmpfs"][0]
    assert proxy["deploy"]["resources"]["limits"]["memory"] == "224M"
    assert "client_max_body_size 20971520;" in files[PROXY_FILE]
    stack = render("swarm", replace(deployment(has_proxy=True), plan=plan))["stack.yaml"]
    proxy = yaml.safe_load(stack)["services"]["proxy"]
    assert proxy["volumes"][0]["tmpfs"]["size"] == 160 * 2**20
    assert {each["memory"] for each in proxy["deploy"]["resources"].values()} == {"224M"}


def test_shadow_has_less_cpu_weight_than_the_model() -> None:
    services = document("compose-shadow", "compose.yaml")["services"]
    weights = {name: service.get("cpu_shares") for name, service in services.items()}
    assert weights == {"model": None, "shadow": 102, "proxy": None}
    services = document("compose-canary", "compose.yaml")["services"]
    assert not any("cpu_shares" in service for service in services.values())


def test_proxy_waits_longer_than_a_prediction_may_take() -> None:
    text = added_files("compose-proxy")[PROXY_FILE]
    (seconds,) = re.findall(r"proxy_read_timeout (\d+)s;", text)
    assert int(seconds) > PREDICT_SECONDS


def test_shadow_of_kubernetes_is_mirrored() -> None:
    (rule,) = document("kubernetes-shadow", "base/httproute.yaml")["spec"]["rules"]
    assert [each["name"] for each in rule["backendRefs"]] == ["iris"]
    (mirror,) = rule["filters"]
    assert mirror["type"] == "RequestMirror"
    assert mirror["requestMirror"]["backendRef"] == {"name": "iris-shadow", "port": 80}


@pytest.mark.parametrize("kind", ["canary", "shadow"])
def test_kustomize_builds_both_versions_with_one_token(kind: str, tmp_path: Path) -> None:
    variant = VARIANTS[f"kubernetes-{kind}"]
    objects = kustomized("kubernetes", tmp_path, **variant)
    deployments = {
        each["metadata"]["name"]: each for each in objects if each["kind"] == "Deployment"
    }
    assert set(deployments) == {"iris", f"iris-{kind}"}
    (secret,) = [each["metadata"]["name"] for each in objects if each["kind"] == "Secret"]
    for name, each in deployments.items():
        template = each["spec"]["template"]
        assert template["metadata"]["labels"] == {"app.kubernetes.io/name": name}
        assert template["spec"]["volumes"][1]["secret"]["secretName"] == secret
    policies = [each for each in objects if each["kind"] == "NetworkPolicy"]
    assert len(policies) == 2
    for each in policies:
        assert "gateways" in str(each["spec"]["ingress"])


def test_canary_of_kserve_is_the_image_of_the_newest_revision(tmp_path: Path) -> None:
    objects = kustomized("kserve", tmp_path, **VARIANTS["kserve-canary"])
    (service,) = [each for each in objects if each["kind"] == "InferenceService"]
    predictor = service["spec"]["predictor"]
    assert predictor["containers"][0]["image"].endswith(DIGEST2)
    assert predictor["canaryTrafficPercent"] == 25


def test_image_of_the_proxy_is_that_of_the_option() -> None:
    assert options.PROXY_IMAGE == PROXY_IMAGE
