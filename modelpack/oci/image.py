"""Images, and the documents that describe them: index, manifest and configuration.

Source: github.com/opencontainers/image-spec, config.md, layer.md and descriptor.md (version 1.1).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

from modelpack.errors import UsageError
from modelpack.oci import streams
from modelpack.oci.streams import decompress

Opener = Callable[[], AbstractContextManager[IO[bytes]]]

DIGEST = re.compile("sha256:[0-9a-f]{64}")
"""The only algorithm that is supported. No registry and no engine uses another one."""


def in_file(path: Path) -> Opener:
    """Return a function that opens the file."""

    @contextmanager
    def open_file() -> Iterator[IO[bytes]]:
        with path.open("rb") as stream:
            yield stream

    return open_file


@dataclass(frozen=True)
class Blob:
    """A layer as stored, usually compressed. `size` is in bytes."""

    digest: str
    size: int
    media_type: str
    open: Opener


def blob_from_bytes(data: bytes, media_type: str) -> Blob:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Blob(digest, len(data), media_type, partial(io.BytesIO, data))


@dataclass(frozen=True)
class Layer:
    """A layer.

    Attributes:
        diff_id: "sha256:..." of the uncompressed tar. `filesystem.layer_listing` verifies it.
        open: Opens the uncompressed tar as a stream, to be read once.
        blob: The layer as stored.
    """

    diff_id: str
    open: Opener
    created_by: str = ""
    blob: Blob | None = None


@dataclass(frozen=True)
class Image:
    """An image.

    Attributes:
        layers: Bottom to top, without empty ones.
        digest: Of the manifest, if the image has one.
    """

    config: Mapping[str, Any]
    layers: tuple[Layer, ...]
    digest: str | None = None


# Source: image-spec, image-index.md, manifest.md, config.md and descriptor.md (version 1.1), and
# Docker's schema 2, which only has other media types. Documents are hostile input: the digest and
# the form of each are verified.
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = f"{LAYER}+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

_MAX_NESTED = 3  # indexes in indexes


@dataclass(frozen=True)
class Descriptor:
    """A pointer to content. `size` is in bytes, `platform` "linux/arm64/v8", or "" if unknown."""

    media_type: str
    digest: str
    size: int
    platform: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str = ""

    def to_json(self) -> dict[str, Any]:
        names = ("os", "architecture", "variant")
        platform = dict(zip(names, self.platform.split("/"), strict=False))
        return {
            "mediaType": self.media_type,
            **({"artifactType": self.artifact_type} if self.artifact_type else {}),
            "digest": self.digest,
            "size": self.size,
            **({"platform": platform} if self.platform else {}),
            **({"annotations": dict(self.annotations)} if self.annotations else {}),
        }


class Store(Protocol):
    """Stores manifests and blobs by digest. Its methods raise UsageError for a missing one."""

    def manifest(self, descriptor: Descriptor) -> bytes: ...

    def blob(self, descriptor: Descriptor) -> AbstractContextManager[IO[bytes]]: ...


def image(store: Store, descriptor: Descriptor, platform: str | None = None) -> Image:
    """Return the image of a manifest, or the image for `platform` of an index.

    Raises:
        UsageError: The image is damaged, or the index has none for the platform.
    """
    for _ in range(_MAX_NESTED):
        document = parse_json(require_digest(store.manifest(descriptor), descriptor.digest))
        if "manifests" not in document:
            return _image(store, document, descriptor.digest)
        descriptor = select_platform(descriptors(document, "manifests"), platform)
    raise malformed("its index contains no manifest")


def _image(store: Store, manifest: Mapping[str, Any], digest: str) -> Image:
    pointer = descriptor_of(manifest.get("config"))
    with store.blob(pointer) as stream:
        text = stream.read(streams.DOCUMENT + 1)
    config = parse_json(require_digest(text, pointer.digest))
    blobs = [
        Blob(layer.digest, layer.size, layer.media_type, partial(store.blob, layer))
        for layer in descriptors(manifest, "layers")
    ]
    pairs = zip(layers(config, [blob.open for blob in blobs]), blobs, strict=True)
    return Image(config, tuple(replace(layer, blob=blob) for layer, blob in pairs), digest)


def layers(config: Mapping[str, Any], packed: Sequence[Opener]) -> tuple[Layer, ...]:
    """Combine the layers of a configuration with their tars, which may be compressed.

    Raises:
        UsageError: The configuration has other layers.
    """
    rootfs = config.get("rootfs")
    ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(ids, list) or not all(map(is_digest, ids)):
        raise malformed("its configuration contains no layers")
    if len(ids) != len(packed) or len(ids) > streams.LAYERS:
        raise malformed(f"it has {len(packed)} layers, but its configuration has {len(ids)}")
    made_by = _created_by(config, len(ids))
    return tuple(map(Layer, ids, (partial(_open_blob, opener) for opener in packed), made_by))


def _created_by(config: Mapping[str, Any], count: int) -> list[str]:
    """Return the instruction of each layer, or "" if the history does not match the layers."""
    history = config.get("history")
    steps = (
        [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []
    )
    created_by = [str(step.get("created_by", "")) for step in steps if not step.get("empty_layer")]
    return created_by if len(created_by) == count else [""] * count


@contextmanager
def _open_blob(opener: Opener) -> Iterator[IO[bytes]]:
    with opener() as packed, decompress(packed) as stream:
        yield stream


def select_platform(entries: Sequence[Descriptor], platform: str | None) -> Descriptor:
    """Return the image for `platform`, or the only one. Attestations of BuildKit do not count.

    Raises:
        UsageError: There is no such image, or several and no platform was given.
    """
    images = [entry for entry in entries if not entry.platform.startswith("unknown/")]
    fitting = [entry for entry in images if platform in {None, entry.platform}]
    fitting = fitting or [entry for entry in images if entry.platform.startswith(f"{platform}/")]
    if len(fitting) == 1:
        return fitting[0]
    platforms = ", ".join(sorted({entry.platform for entry in images})) or "none"
    what = f"no image for {platform}" if platform else f"images for {len(images)} platforms"
    raise UsageError(
        f"This name has {what}; it is for: {platforms}.",
        hint="Choose one of these with --platform.",
    )


def descriptors(document: Mapping[str, Any], member: str) -> list[Descriptor]:
    """Return the descriptors in `member`, or raise UsageError if it is malformed."""
    found = document.get(member)
    if not isinstance(found, list) or len(found) > streams.LAYERS:
        raise malformed(f"its {member} are not a list, or too many")
    return [descriptor_of(entry) for entry in found]


def descriptor_of(value: object) -> Descriptor:
    """Return a descriptor, or raise UsageError if `value` is malformed."""
    if not isinstance(value, dict):
        raise malformed("a descriptor is missing")
    size, media_type = value.get("size"), value.get("mediaType")
    if type(size) is not int or size < 0 or not isinstance(media_type, str):
        raise malformed("a descriptor has no size or no media type")
    if not is_digest(value.get("digest")):
        raise malformed(f"it uses a digest other than sha256: {str(value.get('digest'))[:100]!r}")
    annotations = value.get("annotations")
    items = annotations.items() if isinstance(annotations, dict) else ()
    texts = {name: text for name, text in items if isinstance(text, str)}
    platform, kind = _platform(value.get("platform")), str(value.get("artifactType") or "")
    return Descriptor(media_type, value["digest"], size, platform, texts, kind)


def _platform(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    words = (value.get(name) for name in ("os", "architecture", "variant"))
    return "/".join(str(word) for word in words if word)


def require_digest(data: bytes, digest: str) -> bytes:
    """Return `data`, or raise UsageError if it has another digest."""
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if found != digest:
        raise malformed(f"a document has the digest {found} instead of {digest}")
    return data


def parse_json(data: bytes) -> dict[str, Any]:
    """Return a JSON object, or raise UsageError if `data` is not one or too large."""
    if len(data) > streams.DOCUMENT:
        raise malformed(f"a document has more than {streams.DOCUMENT} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise malformed("a document is not JSON") from error
    if not isinstance(document, dict):
        raise malformed("a document is not a JSON object")
    return document


def is_digest(value: object) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def malformed(why: str) -> UsageError:
    return UsageError(
        f"The image does not follow the OCI specification: {why}.", hint="Get the image again."
    )
