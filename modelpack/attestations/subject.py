"""The image that is verified, and its attestations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from modelpack.attestations.cosign import Part
from modelpack.attestations.documents import PROVENANCE, SBOM, tree_digest
from modelpack.attestations.keys import Verifier
from modelpack.errors import ModelpackError, VerificationError
from modelpack.oci import Image, filesystem
from modelpack.oci.filesystem import Entry

State = Literal["holds", "fails", "unknown"]

APP = "app/"
_MAX_DOCUMENT_BYTES = 2**24
REBUILD_HINT = "Get the image from its author again, or package the model again."


@dataclass(frozen=True)
class Verdict:
    """The result of a check. The state is "unknown" if nothing can be checked."""

    name: str
    state: State
    detail: str
    hint: str = ""


@dataclass(frozen=True)
class AttachedDocuments:
    """Signatures and documents that are attached to an image in a registry.

    Attributes:
        digest: Of the manifest of the image, or of its index.
        attached: Type -> documents that refer to the image.
        refused: Why one could not be read.
    """

    digest: str
    signatures: Sequence[Part] = ()
    attestations: Sequence[Part] = ()
    attached: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    refused: ModelpackError | None = None


@dataclass(frozen=True)
class Subject:
    """An image that is verified. `attachments` is None if it is not in a registry."""

    image: Image
    attachments: AttachedDocuments | None = None
    verifier: Verifier | None = None

    @cached_property
    def files(self) -> dict[str, Entry]:
        """Path -> entry of the file system."""
        return filesystem.merge_layers(
            filesystem.layer_listing(layer) for layer in self.image.layers
        )

    @property
    def labels(self) -> dict[str, str]:
        return labels_of(self.image)

    @property
    def variables(self) -> dict[str, str]:
        listed = _config(self.image).get("Env")
        entries = listed if isinstance(listed, list) else ()
        pairs = (str(entry).partition("=") for entry in entries)
        return {name: value for name, _, value in pairs}

    @cached_property
    def provenance(self) -> dict[str, Any]:
        return self._document(PROVENANCE)

    @cached_property
    def sbom(self) -> dict[str, Any]:
        return self._document(SBOM)

    def digest(self, name: str) -> dict[str, str] | None:
        """Return the digest set, in the image, of a file or folder of the bundle."""
        if not name.endswith("/"):
            entry = self.files.get(APP + name)
            return {"sha256": entry.sha256} if entry and entry.kind == "file" else None
        inside = {
            path.removeprefix(APP + name): entry.sha256
            for path, entry in self.files.items()
            if path.startswith(APP + name) and entry.kind == "file" and not is_byte_code(path)
        }
        return {"dirHash": tree_digest(inside)} if inside else None

    def _document(self, name: str) -> dict[str, Any]:
        """Read a document. Raise VerificationError if the image has no valid one."""
        if APP + name not in self.files:
            raise VerificationError(
                f"The image has no {APP}{name}, which describes how it was built.",
                hint="Package the model again with this version of modelpack.",
            )
        try:
            document = json.loads(filesystem.read(self.image, APP + name, _MAX_DOCUMENT_BYTES))
        except (ValueError, RecursionError) as error:
            raise VerificationError(
                f"{APP}{name} in the image is not JSON.", hint=REBUILD_HINT
            ) from error
        if not isinstance(document, dict):
            raise VerificationError(
                f"{APP}{name} in the image is not a JSON object.", hint=REBUILD_HINT
            )
        return document


def labels_of(image: Image) -> dict[str, str]:
    labels = _config(image).get("Labels")
    return dict(labels) if isinstance(labels, dict) else {}


def _config(image: Image) -> Mapping[str, Any]:
    config = image.config.get("config")
    return config if isinstance(config, dict) else {}


def is_byte_code(path: str) -> bool:
    return path.endswith(".pyc") and path.rpartition("/")[0].endswith("/__pycache__")


def join_first(names: Sequence[str], most: int = 3) -> str:
    """Return the first names, and the number of the others."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
