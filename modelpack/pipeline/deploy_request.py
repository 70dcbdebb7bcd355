"""What `deploy` is to deploy where, and which combinations of options are not possible."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelpack.deployment import Gateway
from modelpack.deployment.plan import BODY_BYTES
from modelpack.deployment.targets import PROXY_IMAGE
from modelpack.errors import UsageError
from modelpack.oci.reference import ImageReference

PROXIED = frozenset({"compose", "swarm"})
"""Platforms where a proxy divides the requests."""
_GATEWAY = re.compile(r"(?:([a-z0-9-]{1,63})/)?([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)")


@dataclass(frozen=True)
class DeployRequest:
    """What to deploy where.

    Attributes:
        platform: A key of `TARGETS`.
        replicas: The least number of replicas; None for that of the target.
        max_body_bytes: The largest body of a request, for which the memory is computed.
        report: Smoke report with the measurements of the image.
        proxy: Forward requests with a proxy, also without a second version.
        gateway: "NAME" or "NAMESPACE/NAME" of a Gateway of Kubernetes.
        canary, shadow: An image or a bundle that runs next to the image.
        weight: Percentage of requests that the canary answers.
        fail_on: Differences with which a canary or a shadow is refused, of `FAIL_ON`.
        force: Replace edited files.
    """

    platform: str
    output: Path
    name: str | None = None
    namespace: str | None = None
    rate: float = 100.0
    replicas: int | None = None
    max_body_bytes: int = BODY_BYTES
    report: Path | None = None
    token: bool = True
    port: int = 8080
    publish: str = "ingress"
    mode: str = "standard"
    proxy: bool = False
    proxy_image: str = PROXY_IMAGE
    gateway: str | None = None
    canary: str | None = None
    shadow: str | None = None
    weight: int = 10
    fail_on: str = "breaking"
    force: bool = False


@dataclass(frozen=True)
class Requested:
    """A second version as requested. `text` is an image or a bundle."""

    kind: str
    text: str


def requested_version(request: DeployRequest) -> Requested | None:
    """Return the second version of a request.

    Raises:
        UsageError: The platform cannot run it, or an option that it needs is missing.
    """
    versions = [
        Requested(kind, text)
        for kind, text in (("canary", request.canary), ("shadow", request.shadow))
        if text
    ]
    if not versions:
        return None
    if len(versions) > 1:
        raise UsageError(
            "A deployment has a canary or a shadow, not both.", hint="Omit --canary or --shadow."
        )
    (version,) = versions
    for is_wrong, message, hint in _RULES:
        if is_wrong(request):
            raise UsageError(message, hint=hint)
    return version


_RULES: tuple[tuple[Callable[[DeployRequest], bool], str, str], ...] = (
    (
        lambda request: request.platform == "kubernetes" and not request.gateway,
        "The requests are divided by a Gateway of Kubernetes, and none is given.",
        "Add --gateway NAMESPACE/NAME. To list Gateways, run: kubectl get gateways -A",
    ),
    (
        lambda request: request.platform == "kserve" and bool(request.shadow),
        "KServe does not copy requests to a shadow.",
        "Use --to kubernetes --gateway NAMESPACE/NAME.",
    ),
    (
        lambda request: request.platform == "kserve" and request.mode != "knative",
        "KServe has canaries only in its mode for Knative.",
        "Add --mode knative, or use --to kubernetes --gateway NAMESPACE/NAME.",
    ),
)


def find_gateway(request: DeployRequest) -> Gateway | None:
    """Return the Gateway of a request.

    Raises:
        UsageError: Its name is not valid, or the platform is not Kubernetes.
    """
    if request.gateway is None:
        return None
    match = _GATEWAY.fullmatch(request.gateway)
    if request.platform != "kubernetes" or not match:
        problem = "is not a name" if match is None else f"is of no use with --to {request.platform}"
        raise UsageError(
            f"--gateway {request.gateway[:300]!r} {problem}.",
            hint="Use it with --to kubernetes, as --gateway NAME or --gateway NAMESPACE/NAME.",
        )
    return Gateway(match[2], match[1] or "")


def has_proxy(request: DeployRequest) -> bool:
    """Return whether a proxy forwards the requests.

    Raises:
        UsageError: The platform has none, or the name of its image is not valid.
    """
    if request.proxy and request.platform not in PROXIED:
        raise UsageError(
            f"--proxy is of no use with --to {request.platform}.",
            hint="Use it with --to compose or --to swarm.",
        )
    ImageReference.parse(request.proxy_image)
    return request.platform in PROXIED and bool(request.proxy or request.canary or request.shadow)
