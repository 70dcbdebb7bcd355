"""The table of targets, and the rendering of their templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelpack._version import __version__
from modelpack.bundle.templates import render_template
from modelpack.deployment import plan as plans
from modelpack.deployment.plan import Plan

TOKEN_FILE = "secrets/token"  # noqa: S105 - a path
OVERLAY = "overlays/production"
NAMESPACE = f"{OVERLAY}/namespace.yaml"
AUTOSCALER = "horizontalpodautoscaler.yaml.j2"
REFERENCES = f"{OVERLAY}/references.yaml"


@dataclass(frozen=True)
class ImageFacts:
    """What a deployment says of its image. Everything but the first three may be hostile text.

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
        canary: Percentage of requests that a new revision gets first, for Knative.
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
    canary: int = 10


@dataclass(frozen=True)
class Target:
    """A platform to deploy to.

    Attributes:
        files: Path in the folder -> template below `templates/deploy/`.
        editable: Files that users are expected to edit.
        needs_registry: Whether other machines pull the image.
        replicas: The least number of them (default: of `--replicas`).
        token_file: Where its token is.
        command: Deploys the folder; DIR stands for it.
    """

    files: Mapping[str, str]
    command: str
    editable: frozenset[str] = frozenset()
    needs_registry: bool = False
    replicas: int = 2
    token_file: str = TOKEN_FILE


def _kustomize(target: str, names: Mapping[str, str]) -> dict[str, str]:
    return {path: f"{target}/{template}" for path, template in names.items()}


TARGETS: Mapping[str, Target] = {
    "compose": Target(
        {"compose.yaml": "compose/compose.yaml.j2", ".gitignore": "gitignore.j2"},
        "docker compose -f DIR/compose.yaml up --wait",
        replicas=1,
    ),
    "swarm": Target(
        {"stack.yaml": "swarm/stack.yaml.j2", ".gitignore": "gitignore.j2"},
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
        frozenset({f"{OVERLAY}/kustomization.yaml"}),
        needs_registry=True,
        token_file=f"{OVERLAY}/{TOKEN_FILE}",
    ),
}


def render(target: str, deployment: Deployment) -> dict[str, str]:
    """Return the files of a deployment: path -> content. The same input gives the same bytes."""
    entry = TARGETS[target]
    context = {
        "target": target,
        "token_file": entry.token_file,
        "overlay": OVERLAY,
        "version": __version__,
        "pre_stop_seconds": plans.PRE_STOP_SECONDS,
        "start_period": plans.START_PERIOD,
        "liveness_period": plans.LIVENESS_PERIOD,
        **vars(deployment),
    }
    omitted = set() if deployment.creates_namespace else {NAMESPACE}
    omitted |= set() if deployment.has_token else {REFERENCES}
    return {
        path: render_template(f"deploy/{template}", **context)
        for path, template in entry.files.items()
        if path not in omitted
    }
