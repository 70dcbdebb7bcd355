"""The table of targets, and the rendering of their templates."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelpack._version import __version__
from modelpack.bundle.templates import render_template
from modelpack.deployment import plan as plans
from modelpack.deployment.folder import PROXY_FOLDER
from modelpack.deployment.plan import Plan

TOKEN_FILE = "secrets/token"  # noqa: S105 - a path
OVERLAY = "overlays/production"
NAMESPACE = f"{OVERLAY}/namespace.yaml"
AUTOSCALER = "horizontalpodautoscaler.yaml.j2"
REFERENCES = f"{OVERLAY}/references.yaml"
ROUTE = "base/httproute.yaml"
KEEP = "dev.modelpack/keep"
"""Label of objects that `--remove` does not delete."""
PROXY_FILE = f"{PROXY_FOLDER}/nginx.conf"
PROXY_IMAGE = "nginx:1.30-alpine"
SERVICES = frozenset({"model", "canary", "shadow", "proxy", "route"})
SHADOW_REQUESTS = 64
"""Mirrored requests that may be open at a time."""
SHADOW_CPU_SHARES = 102
"""A tenth of the CPU weight that containers have without this setting."""
MIN_PROXY_TMP_MIB = 64
PROXY_BODIES = 8
"""The largest bodies that the proxy can have at a time."""
PROXY_CONNECTIONS_MIB = 64
_DIGITS_OF_DIGEST = 12


@dataclass(frozen=True)
class ImageFacts:
    """The image of a deployment. Everything but the first three may be hostile text.

    Attributes:
        reference: The image by the digest of its manifest, or by its id.
        id: Digest of the configuration.
        is_pullable: Whether a registry has it, so that other machines can pull it.
        estimator, framework, model_sha256, parity: Labels; "" without them.
    """

    reference: str
    id: str
    is_pullable: bool
    estimator: str = ""
    framework: str = ""
    model_sha256: str = ""
    parity: str = ""


@dataclass(frozen=True)
class Version:
    """A second version, which runs next to the one that is deployed.

    Attributes:
        kind: "canary", which answers a part of the requests, or "shadow", which gets a copy of each
            and whose responses are dropped.
        weight: Percentage of requests that a canary answers.
    """

    kind: str
    image: ImageFacts
    plan: Plan
    weight: int = 0


@dataclass(frozen=True)
class Gateway:
    """A Gateway of Kubernetes. Without a namespace, it is in that of the deployment."""

    name: str
    namespace: str = ""


@dataclass(frozen=True)
class Deployment:
    """What is deployed.

    Attributes:
        name: Of the service and its objects: letters, digits and hyphens.
        namespace: Of Kubernetes.
        creates_namespace: Whether the files contain it.
        has_token: Whether clients need the token in `TOKEN_FILE`.
        port: On the host, for Compose and Swarm.
        publish: How Swarm publishes it: "ingress" or "host".
        mode: Of KServe: "standard" or "knative".
        has_proxy: Whether a proxy forwards requests to the replicas, for Compose and Swarm.
        proxy_image: Image of nginx.
        gateway: Sends requests to the replicas, for Kubernetes.
        second: The second version, if there is one.
    """

    name: str
    image: ImageFacts
    plan: Plan
    namespace: str = ""
    creates_namespace: bool = True
    has_token: bool = True
    port: int = 8080
    publish: str = "ingress"
    mode: str = "standard"
    has_proxy: bool = False
    proxy_image: str = PROXY_IMAGE
    gateway: Gateway | None = None
    second: Version | None = None

    @property
    def services(self) -> tuple[str, ...]:
        """The names of its parts, of `SERVICES`."""
        return (
            "model",
            *((self.second.kind,) if self.second else ()),
            *(("proxy",) if self.has_proxy else ()),
            *(("route",) if self.gateway else ()),
        )

    @property
    def proxy_tmp_mib(self) -> int:
        """Memory for bodies in the proxy, which a copy for the shadow takes again."""
        return max(MIN_PROXY_TMP_MIB, math.ceil(PROXY_BODIES * self.plan.body_bytes.value / 2**20))


@dataclass(frozen=True)
class Target:
    """A platform to deploy to.

    Attributes:
        files: Path in the folder -> template below `templates/deploy/`.
        version_files: The same for a second version, in a folder with the name of its kind.
        editable: Files that users are expected to edit.
        needs_registry: Whether other machines pull the image.
        replicas: The least number of them (default: of `--replicas`).
        token_file: Where its token is.
        command: Deploys the folder; DIR stands for it.
    """

    files: Mapping[str, str]
    command: str
    version_files: Mapping[str, str] = field(default_factory=dict)
    editable: frozenset[str] = frozenset()
    needs_registry: bool = False
    replicas: int = 2
    token_file: str = TOKEN_FILE


def _kustomize(target: str, names: Mapping[str, str]) -> dict[str, str]:
    return {path: f"{target}/{template}" for path, template in names.items()}


_KUBERNETES_VERSION = {
    "deployment.yaml": "kubernetes/deployment.yaml.j2",
    "service.yaml": "kubernetes/service.yaml.j2",
    "horizontalpodautoscaler.yaml": AUTOSCALER,
    "poddisruptionbudget.yaml": "kubernetes/poddisruptionbudget.yaml.j2",
    "networkpolicy.yaml": "kubernetes/networkpolicy.yaml.j2",
    "kustomization.yaml": "kubernetes/version.yaml.j2",
}

TARGETS: Mapping[str, Target] = {
    "compose": Target(
        {
            PROXY_FILE: "proxy/nginx.conf.j2",
            "compose.yaml": "compose/compose.yaml.j2",
            ".gitignore": "gitignore.j2",
        },
        "docker compose --project-directory DIR up --wait",
        replicas=1,
    ),
    "swarm": Target(
        {
            PROXY_FILE: "proxy/nginx.conf.j2",
            "stack.yaml": "swarm/stack.yaml.j2",
            ".gitignore": "gitignore.j2",
        },
        "docker stack deploy -c DIR/stack.yaml NAME",
    ),
    "kubernetes": Target(
        {
            **_kustomize(
                "kubernetes",
                {
                    "base/kustomization.yaml": "base.yaml.j2",
                    "base/deployment.yaml": "deployment.yaml.j2",
                    "base/service.yaml": "service.yaml.j2",
                    "base/poddisruptionbudget.yaml": "poddisruptionbudget.yaml.j2",
                    "base/networkpolicy.yaml": "networkpolicy.yaml.j2",
                    ROUTE: "httproute.yaml.j2",
                    "components/keda/kustomization.yaml": "keda.yaml.j2",
                    "components/keda/scaledobject.yaml": "scaledobject.yaml.j2",
                    "components/prometheus/kustomization.yaml": "prometheus.yaml.j2",
                    "components/prometheus/servicemonitor.yaml": "servicemonitor.yaml.j2",
                    f"{OVERLAY}/kustomization.yaml": "overlay.yaml.j2",
                },
            ),
            "base/horizontalpodautoscaler.yaml": AUTOSCALER,
            NAMESPACE: "namespace.yaml.j2",
            REFERENCES: "references.yaml.j2",
            ".gitignore": "gitignore.j2",
        },
        f"kubectl apply -k DIR/{OVERLAY}",
        _KUBERNETES_VERSION,
        frozenset({f"{OVERLAY}/kustomization.yaml"}),
        needs_registry=True,
        token_file=f"{OVERLAY}/{TOKEN_FILE}",
    ),
    "kserve": Target(
        {
            **_kustomize(
                "kserve",
                {
                    "base/kustomization.yaml": "base.yaml.j2",
                    "base/inferenceservice.yaml": "inferenceservice.yaml.j2",
                    "base/networkpolicy.yaml": "networkpolicy.yaml.j2",
                    "components/standard/kustomization.yaml": "standard.yaml.j2",
                    "components/standard/poddisruptionbudget.yaml": "poddisruptionbudget.yaml.j2",
                    "components/knative/kustomization.yaml": "knative.yaml.j2",
                    f"{OVERLAY}/kustomization.yaml": "overlay.yaml.j2",
                },
            ),
            "components/standard/horizontalpodautoscaler.yaml": AUTOSCALER,
            NAMESPACE: "namespace.yaml.j2",
            REFERENCES: "references.yaml.j2",
            ".gitignore": "gitignore.j2",
        },
        f"kubectl apply -k DIR/{OVERLAY}",
        editable=frozenset({f"{OVERLAY}/kustomization.yaml"}),
        needs_registry=True,
        token_file=f"{OVERLAY}/{TOKEN_FILE}",
    ),
}


def render(target: str, deployment: Deployment) -> dict[str, str]:
    """Return the files of a deployment: path -> content. The same input gives the same bytes."""
    entry = TARGETS[target]
    context: dict[str, Any] = {
        "target": target,
        "token_file": entry.token_file,
        "token_name": f"{deployment.name}-token",
        "overlay": OVERLAY,
        "keep": KEEP,
        "version": __version__,
        "pre_stop_seconds": plans.PRE_STOP_SECONDS,
        "start_period": plans.START_PERIOD,
        "liveness_period": plans.LIVENESS_PERIOD,
        "predict_seconds": plans.PREDICT_SECONDS,
        "idle_seconds": plans.IDLE_SECONDS,
        "shadow_requests": SHADOW_REQUESTS,
        "shadow_cpu_shares": SHADOW_CPU_SHARES,
        "proxy_file": PROXY_FILE,
        "proxy_folder": PROXY_FOLDER,
        "proxy_digest": "",
        "proxy_tmp_mib": deployment.proxy_tmp_mib,
        "proxy_mib": deployment.proxy_tmp_mib + PROXY_CONNECTIONS_MIB,
        "role": "model",
        # A replica of a node that publishes its port stops before the new one starts.
        "stops_first": deployment.publish == "host" and not deployment.has_proxy,
        **vars(deployment),
    }
    second = deployment.second
    if second and target == "kserve":  # which has one image, and keeps the earlier revision
        context |= {"image": second.image, "plan": second.plan}
    files = {}
    for path, template in entry.files.items():
        if path not in _omitted(deployment):
            files[path] = render_template(f"deploy/{template}", **context)
        if path == PROXY_FILE and deployment.has_proxy:
            digest = hashlib.sha256(files[path].encode()).hexdigest()
            context["proxy_digest"] = digest[:_DIGITS_OF_DIGEST]
    if second:
        name = f"{deployment.name}-{second.kind}"
        context |= {"name": name, "image": second.image, "plan": second.plan}
        for path, template in entry.version_files.items():
            text = render_template(f"deploy/{template}", **context)
            files[f"{second.kind}/{path}"] = text
    return files


def _omitted(deployment: Deployment) -> set[str]:
    """Return the files that a deployment does not need."""
    conditions = {
        NAMESPACE: deployment.creates_namespace,
        REFERENCES: deployment.has_token,
        PROXY_FILE: deployment.has_proxy,
        ROUTE: deployment.gateway,
    }
    return {path for path, condition in conditions.items() if not condition}
