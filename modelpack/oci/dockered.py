"""Images in Docker's media types: Podman reads a HEALTHCHECK, which OCI has none of, only there.

Source: distribution.github.io/distribution/spec/manifest-v2-2.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelpack.oci import documents, layout
from modelpack.oci.documents import Descriptor

_TYPES = {
    documents.INDEX: documents.DOCKER_LIST,
    documents.MANIFEST: documents.DOCKER_MANIFEST,
    documents.CONFIG: "application/vnd.docker.container.image.v1+json",
    documents.LAYER: "application/vnd.docker.image.rootfs.diff.tar",
    documents.LAYER_GZIP: "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


def rewrite(folder: Path) -> Descriptor:
    """Gives the one image, or index, of the layout in `folder` manifests of Docker's instead of
    its own. Files may be shared with other layouts: none is changed. Returns what index.json now
    points to.

    Raises:
        UsageError: the layout is damaged.
    """
    index = documents.parsed((folder / "index.json").read_bytes())
    (pointer,) = documents.descriptors(index, "manifests")
    found = _manifest(folder, pointer)
    written = json.dumps({**index, "manifests": [found.to_json()]})
    (folder / "index.json").unlink()
    (folder / "index.json").write_text(written)
    return found


def _manifest(folder: Path, pointer: Descriptor) -> Descriptor:
    manifest = documents.parsed(layout.Folder(folder).manifest(pointer))
    told: dict[str, Any] = {"schemaVersion": 2, "mediaType": _docker(pointer.media_type)}
    if "manifests" in manifest:
        each = documents.descriptors(manifest, "manifests")
        told["manifests"] = [_manifest(folder, entry).to_json() for entry in each]
    else:
        told["config"] = _called(documents.descriptor_of(manifest["config"]))
        told["layers"] = list(map(_called, documents.descriptors(manifest, "layers")))
    text = json.dumps(told).encode()
    digest = hashlib.sha256(text).hexdigest()
    blobs = folder / "blobs" / "sha256"
    (blobs / pointer.digest.partition(":")[2]).unlink()
    (blobs / digest).write_bytes(text)
    return replace(pointer, media_type=told["mediaType"], digest=f"sha256:{digest}", size=len(text))


def _called(blob: Descriptor) -> dict[str, Any]:
    return {"mediaType": _docker(blob.media_type), "size": blob.size, "digest": blob.digest}


def _docker(media_type: str) -> str:
    """Layers of a base may have one of Docker's already."""
    return _TYPES.get(media_type, media_type)
