"""`deploy`: the files of a deployment, computed from the measurements of an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from modelpack import deployment
from modelpack.comparison import Difference
from modelpack.deployment import (
    TARGETS,
    Demand,
    Deployment,
    Folder,
    ImageFacts,
    Plan,
    Version,
    WriteResult,
)
from modelpack.errors import UsageError
from modelpack.oci.reference import ImageReference
from modelpack.types import SmokeReport, to_json

from .deploy_request import DeployRequest, find_gateway, has_proxy, requested_version
from .measured import measure
from .second_version import demand, require_compatible
from .stages import Pipeline
from .targets import DEPLOY, Target, classify

MAX_NAME = 40
"""KServe and Knative append to a name that may have 63 characters."""
_NAME = re.compile(rf"[a-z](?:[a-z0-9-]{{0,{MAX_NAME - 2}}}[a-z0-9])?")


@dataclass(frozen=True)
class DeployResult:
    """The written files of a deployment.

    Attributes:
        difference: Between the image and the second version, if there is one.
    """

    request: DeployRequest
    deployment: Deployment
    changes: WriteResult
    difference: Difference | None = None

    @property
    def plan(self) -> Plan:
        return self.deployment.plan

    @property
    def command(self) -> str:
        """The command that deploys the files."""
        template = TARGETS[self.request.platform].command
        return format_command(template, self.request.output, self.deployment.name)

    def to_json(self) -> dict[str, Any]:
        """Return the document of `modelpack deploy --json`."""
        return {
            "to": self.request.platform,
            "name": self.deployment.name,
            "image": self.deployment.image.reference,
            "output": str(self.request.output),
            "command": self.command,
            **{name: list(paths) for name, paths in vars(self.changes).items()},
            "plan": _numbers(self.plan),
            "second": self._second(),
        }

    def _second(self) -> dict[str, Any] | None:
        second, difference = self.deployment.second, self.difference
        if second is None or difference is None:
            return None
        return {
            "kind": second.kind,
            "image": second.image.reference,
            "weight": second.weight,
            "plan": _numbers(second.plan),
            "differing": list(difference.differing),
            "breaking": list(difference.breaking),
        }


def _numbers(plan: Plan) -> dict[str, Any]:
    return {name: vars(number) for name, number in plan.numbers()}


def format_command(template: str, directory: Path, name: str) -> str:
    """Return the command that deploys a folder, from that of the table of platforms."""
    words = {"DIR": str(directory), "NAME": name}
    return re.sub(r"\b(DIR|NAME)\b", lambda match: words[match[0]], template)


def deploy(run: Pipeline, target: Target, request: DeployRequest) -> DeployResult:
    """Write the files that deploy an image or a bundle.

    Raises:
        UsageError: There is no such image, or the platform needs a registry that has it; a file was
            edited; a name is not valid; the platform cannot run a second version.
        DifferentError: The second version is not compatible with the image.
        SmokeFailedError: An image was not measured before, and fails its smoke test.
    """
    folder, platform = Folder(request.output), TARGETS[request.platform]
    version, gateway = requested_version(request), find_gateway(request)
    proxied = has_proxy(request)
    difference = require_compatible(run, target, version, request.fail_on) if version else None
    first = measure(run, target, platform, folder.record, request.report)
    second = None
    if version:
        recorded = folder.record.get("second") or {}
        second = measure(run, classify(version.text, DEPLOY), platform, recorded)
    service = require_name(request.name) if request.name else default_name(first.name)
    with run.stage("deploy") as summary:
        needed = Demand(request.rate, request.replicas or platform.replicas, request.max_body_bytes)
        if request.platform == "compose" or (request.publish == "host" and not proxied):
            needed = replace(needed, replicas=request.replicas or 1)
        result = Deployment(
            name=service,
            image=first.image,
            plan=deployment.create_plan(first.report, needed),
            namespace=require_name(request.namespace or service),
            creates_namespace=request.namespace is None,
            has_token=request.token,
            port=request.port,
            publish=request.publish,
            mode=request.mode,
            has_proxy=proxied,
            proxy_image=request.proxy_image,
            gateway=gateway,
        )
        if version and second:
            plan = deployment.create_plan(second.report, demand(request, version.kind, result.plan))
            weight = request.weight if version.kind == "canary" else 0
            result = replace(result, second=Version(version.kind, second.image, plan, weight))
        reports = [each.report for each in (first, second) if each]
        changes = _write(folder, request, result, reports)
        summary.append(_summary(result))
    _notice(run, request, result, changes)
    return DeployResult(request, result, changes, difference)


def _write(
    folder: Folder, request: DeployRequest, result: Deployment, reports: Sequence[SmokeReport]
) -> WriteResult:
    platform, second = TARGETS[request.platform], result.second
    first_record, *second_record = map(image_record, _images(result), reports)
    record = {
        "to": request.platform,
        "name": result.name,
        "namespace": result.namespace,
        "replicas": sum(each.replicas.value for each in _plans(result)),
        "start_seconds": max(each.start_seconds.value for each in _plans(result)),
        # KServe keeps the earlier revision itself.
        "services": result.services if request.platform != "kserve" else ("model",),
        **first_record,
    }
    if second:
        record["second"] = {"kind": second.kind, **second_record[0]}
    files = deployment.render(request.platform, result)
    changes = folder.write(files, record, editable=platform.editable, force=request.force)
    if result.has_token and folder.write_secret(platform.token_file, token_hex(32)):
        changes = replace(changes, written=(*changes.written, platform.token_file))
    return changes


def image_record(image: ImageFacts, report: SmokeReport) -> dict[str, Any]:
    return {
        "image": {"reference": image.reference, "id": image.id},
        # Without checks, whose details contain rows.
        "report": to_json(replace(report, checks=(), parity=None, rulings=())),
    }


def _images(result: Deployment) -> list[ImageFacts]:
    return [result.image, *([result.second.image] if result.second else [])]


def _plans(result: Deployment) -> list[Plan]:
    return [result.plan, *([result.second.plan] if result.second else [])]


def _summary(result: Deployment) -> str:
    plan, second = result.plan, result.second
    workers = plan.workers.value
    added = ""
    if second:
        part = f" for {second.weight} % of requests" if second.kind == "canary" else ""
        added = f"; {second.plan.replicas.value} x {second.kind}{part}"
    return (
        f"{plan.replicas.value} x {workers} worker{'' if workers == 1 else 's'},"
        f" {plan.memory_mib.value} MiB, {plan.cpu_request.value / 1000:g} cores requested{added}"
    )


def _notice(
    run: Pipeline, request: DeployRequest, result: Deployment, changes: WriteResult
) -> None:
    platform = TARGETS[request.platform]
    if platform.token_file in changes.written:
        run.observer.notice(f"Clients need the token in {request.output / platform.token_file}.")
    notify_of_files(run, _images(result), changes)


def notify_of_files(run: Pipeline, images: Sequence[ImageFacts], changes: WriteResult) -> None:
    """Report what users do not expect of images and of written files."""
    notice = run.observer.notice
    if not all(image.is_pullable for image in images):
        notice(
            "No registry has this image, so the files work on this machine only. For others, run:"
            " modelpack push IMAGE --as REGISTRY/IMAGE, and deploy that name."
        )
    for path in changes.kept:
        notice(f"{path} was edited, and is kept as it is.")
    for path in changes.replaced:
        notice(f"{path} was edited, and is replaced (--force).")


# --- names ---------------------------------------------------------------------------------------


def default_name(reference: str) -> str:
    """Return the name of a service from the repository of an image."""
    last = ImageReference.parse(reference).repository.rpartition("/")[2]
    text = re.sub("[^a-z0-9]+", "-", last)
    text = text if text[:1].isalpha() else f"model-{text}"
    return text[:MAX_NAME].strip("-")


def require_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise UsageError(
            f"{text[:300]!r} is not a valid name: it needs small letters, digits and hyphens, a"
            f" letter at the start, and at most {MAX_NAME} characters.",
            hint="Give one such as: --name iris",
        )
    return text
