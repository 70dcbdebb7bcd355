"""`push`, with attestations attached and signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelpack.attestations import keys
from modelpack.errors import UsageError
from modelpack.oci.reference import DOCKER_HUB, ImageReference
from modelpack.types import Image

from .stages import Pipeline


@dataclass(frozen=True)
class PushResult:
    """A pushed image. `layers`: name -> whether the registry had it already."""

    repository: str
    digest: str
    size_bytes: int
    layers: dict[str, bool] = field(default_factory=dict)
    signed: bool = False

    @property
    def reference(self) -> str:
        return f"{self.repository}@{self.digest}"

    def to_json(self) -> dict[str, Any]:
        """Return the document of `modelpack push --json`."""
        return {
            "reference": self.reference,
            "digest": self.digest,
            "size_bytes": self.size_bytes,
            "signed": self.signed,
            "layers": {
                "pushed": [name for name, existed in self.layers.items() if not existed],
                "existing": [name for name, existed in self.layers.items() if existed],
            },
        }


def push(
    run: Pipeline, reference: str, other: str | None = None, *, attestor: Attestor | None = None
) -> PushResult:
    """Push an image of modelpack, and attach and sign its attestations.

    It is pushed as `other` if that is given, and tagged with it.

    Raises:
        UsageError: There is no such image, modelpack did not create it, or the registry cannot be
            reached or denies access.
        BuildFailedError: The registry fails, or rejects the image.
    """
    name = _new_name(other or reference)
    images = run.engine.require_images(f"{reference} cannot be pushed")
    images.read_manifest(reference)
    with run.stage("push") as summary:
        layers: dict[str, bool] = {}

        def on_progress(layer: str, done: int, total: int) -> None:
            layers.setdefault(layer, done == total)
            run.observer.transfer(layer, done, total)

        image = images.tag(Image(reference, reference, 0, (), {}), str(name))
        digest = images.push(str(name), on_progress)
        summary.append(f"{len(layers)} layers, {sum(layers.values())} already in the registry")
    attestor = attestor or Attestor()
    pushed = PushResult(name.name, digest, image.size_bytes, layers, attestor.signs)
    attestor.attach(run, pushed.reference)
    return pushed


def _new_name(reference: str) -> ImageReference:
    """Parse the name to push by. Raise UsageError if it is one of Docker Hub's official images."""
    name = ImageReference.parse_tag(reference)
    if name.registry == DOCKER_HUB and name.repository.startswith("library/"):
        raise UsageError(
            f"{reference} names no registry.",
            hint=f"modelpack push {reference} --as REGISTRY/TEAM/{reference}",
        )
    return name


class Attestor:
    """Attaches attestations, and signs them with a key, which is read before the push.

    Raises:
        UsageError: There is no such key, or the password is wrong.
    """

    def __init__(self, key: Path | None = None, password: keys.Password = str) -> None:
        self._signer = keys.signer(key, password) if key else None

    @property
    def signs(self) -> bool:
        return self._signer is not None

    def attach(self, run: Pipeline, reference: str) -> None:
        """Attach the attestations of an image by its digest, because tags can move.

        Raises:
            ModelpackError: The registry refuses, or modelpack did not create the image.
        """
        from modelpack.attestations import registry  # noqa: PLC0415 - brings requests, 60 ms

        with run.stage("attest") as summary, registry.open_registry_image(reference) as place:
            has_documents = registry.attach_attestations(place, self._signer)
            attached = (
                "SBOM and provenance attached"
                if has_documents
                else "no SBOM or provenance in the image"
            )
            signed = "signed" if self._signer else "not signed: no --key"
            summary.append(f"{attached}; {signed}")
