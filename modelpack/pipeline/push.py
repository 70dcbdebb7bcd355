"""An image, and what vouches for it, into a registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelpack.errors import UsageError
from modelpack.oci import reference as oci_reference
from modelpack.types import Image

from .run import Run
from .vouching import Voucher


@dataclass(frozen=True)
class Pushed:
    """What is in the registry now. `digest`: of the manifest. `layers`: name -> whether it was
    there already. `signed`: whether it was signed as well.
    """

    repository: str
    digest: str
    size_bytes: int
    layers: dict[str, bool] = field(default_factory=dict)
    signed: bool = False

    @property
    def reference(self) -> str:
        return f"{self.repository}@{self.digest}"

    def to_json(self) -> dict[str, Any]:
        """The document of `modelpack push --json`."""
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
    run: Run, reference: str, other: str | None = None, *, voucher: Voucher | None = None
) -> Pushed:
    """Pushes an image that modelpack made, and attaches what vouches for it. `other`: a name that
    it gets, and by which it is pushed, where `reference` is no name in a registry. `voucher`: signs
    it, too.

    Raises:
        UsageError: there is no such image, modelpack did not make it, or the registry cannot be
            reached, or does not let this user push.
        BuildFailedError: the registry fails, or does not take the image.
    """
    repository, tag = oci_reference.parse_tag(other or reference)
    _require_registry(other or reference)
    run.engine.manifest(reference)
    with run.stage("push") as summary:
        layers: dict[str, bool] = {}

        def on_progress(layer: str, done: int, total: int) -> None:
            layers.setdefault(layer, done == total)
            run.observer.transfer(layer, done, total)

        image = run.engine.tag(Image(reference, reference, 0, (), {}), f"{repository}:{tag}")
        digest = run.engine.push(f"{repository}:{tag}", on_progress)
        summary.append(_summed_up(layers))
    voucher = voucher or Voucher()
    pushed = Pushed(repository, digest, image.size_bytes, layers, voucher.signs)
    voucher.vouch(run, pushed.reference)
    return pushed


def _require_registry(reference: str) -> None:
    """Raises:
    UsageError: it would go to where Docker Hub keeps the official images.
    """
    name = oci_reference.parse(reference)
    if name.host == oci_reference.HUB and name.repository.startswith("library/"):
        raise UsageError(
            f"{reference} names no registry.",
            hint=f"modelpack push {reference} --as REGISTRY/TEAM/{reference}",
        )


def _summed_up(layers: dict[str, bool]) -> str:
    existing = sum(layers.values())
    return f"{len(layers)} layers, {existing} of them there already"
