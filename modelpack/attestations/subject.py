"""What is being verified."""

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
_LIMIT = 2**24  # bytes of a document in the image
ANEW = "Get the image from whoever made it once more, or package the model anew."


@dataclass(frozen=True)
class Verdict:
    """`unknown`: there is nothing to say it by. `hint`: what to do, where it does not hold."""

    name: str
    state: State
    detail: str
    hint: str = ""


@dataclass(frozen=True)
class AttachedDocuments:
    """What a registry keeps beside an image. `digest`: of the manifest that its name leads to.
    `attached`: type -> documents that refer to it; `refused`: why one could not be had.
    """

    digest: str
    signatures: Sequence[Part] = ()
    attestations: Sequence[Part] = ()
    attached: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    refused: ModelpackError | None = None


@dataclass(frozen=True)
class Subject:
    """`beside`: None for an image that lies in no registry."""

    image: Image
    beside: AttachedDocuments | None = None
    verifier: Verifier | None = None

    @cached_property
    def files(self) -> dict[str, Entry]:
        """Path -> entry of all that is in `/`."""
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
        """The digest set of what a bundle calls `name`, as it is in the image."""
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
        """Raises VerificationError: there is none that can be read."""
        if APP + name not in self.files:
            raise VerificationError(
                f"The image has no {APP}{name}: nothing in it tells how it was made.",
                hint="It is none that modelpack made, or one of an older version: package anew.",
            )
        try:
            document = json.loads(filesystem.read(self.image, APP + name, _LIMIT))
        except (ValueError, RecursionError) as error:
            raise VerificationError(f"{APP}{name} in the image is no JSON.", hint=ANEW) from error
        if not isinstance(document, dict):
            raise VerificationError(f"{APP}{name} in the image is no JSON object.", hint=ANEW)
        return document


def labels_of(image: Image) -> dict[str, str]:
    found = _config(image).get("Labels")
    return dict(found) if isinstance(found, dict) else {}


def _config(image: Image) -> Mapping[str, Any]:
    config = image.config.get("config")
    return config if isinstance(config, dict) else {}


def is_byte_code(path: str) -> bool:
    return path.endswith(".pyc") and path.rpartition("/")[0].endswith("/__pycache__")


def join_first(names: Sequence[str], most: int = 3) -> str:
    """The first few of them, in words."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
