"""`Image`, and the documents it is described by: index, manifest, config.

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
"""The only algorithm that is read: no registry and no engine writes another one."""


def in_file(path: Path) -> Opener:
    """Opens the file each time."""

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with path.open("rb") as stream:
            yield stream

    return opened


@dataclass(frozen=True)
class Blob:
    """A layer as it is kept where the image lies: most often compressed. `size`: in bytes."""

    digest: str
    size: int
    media_type: str
    open: Opener


def blob_from_bytes(data: bytes, media_type: str) -> Blob:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Blob(digest, len(data), media_type, partial(io.BytesIO, data))


@dataclass(frozen=True)
class Layer:
    """`diff_id`: "sha256:..." of the tar that `open` gives, as a stream to be read once, from which
    the layer is unpacked. Nobody has compared them before `tree.listing` does.
    """

    diff_id: str
    open: Opener
    created_by: str = ""
    blob: Blob | None = None


@dataclass(frozen=True)
class Image:
    """`config`: the whole configuration document. `layers`: bottom to top, without empty ones.
    `digest`: of its manifest, where it has one.
    """

    config: Mapping[str, Any]
    layers: tuple[Layer, ...]
    digest: str | None = None


# Source: image-spec, image-index.md, manifest.md, config.md and descriptor.md (version 1.1), and
# Docker's schema 2, which differs from it in the names of media types only. Documents are hostile
# text: each has the digest by which it was asked for, and the form that it must have.
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = f"{LAYER}+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

_NESTED = 3  # indexes in indexes


@dataclass(frozen=True)
class Descriptor:
    """Points to content. `size`: in bytes. `platform`: "linux/arm64/v8", "" where none is told."""

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
    """Where manifests and blobs are kept by digest. Raises UsageError for what is not there."""

    def manifest(self, descriptor: Descriptor) -> bytes: ...

    def blob(self, descriptor: Descriptor) -> AbstractContextManager[IO[bytes]]: ...


def image(store: Store, descriptor: Descriptor, platform: str | None = None) -> Image:
    """The image that `descriptor` points to: the one of `platform`, where it is an index.

    Raises:
        UsageError: it is damaged, no image, or none for the platform.
    """
    for _ in range(_NESTED):
        document = parse_json(require_digest(store.manifest(descriptor), descriptor.digest))
        if "manifests" not in document:
            return _image(store, document, descriptor.digest)
        descriptor = select_platform(descriptors(document, "manifests"), platform)
    raise malformed("its index leads to no manifest")


def _image(store: Store, manifest: Mapping[str, Any], digest: str) -> Image:
    pointer = descriptor_of(manifest.get("config"))
    with store.blob(pointer) as stream:
        text = stream.read(streams.DOCUMENT + 1)
    config = parse_json(require_digest(text, pointer.digest))
    blobs = [_blob(store, layer) for layer in descriptors(manifest, "layers")]
    kept = layers(config, [blob.open for blob in blobs])
    return Image(config, tuple(map(_kept_as, kept, blobs)), digest)


def _kept_as(layer: Layer, blob: Blob) -> Layer:
    return replace(layer, blob=blob)


def _blob(store: Store, layer: Descriptor) -> Blob:
    return Blob(layer.digest, layer.size, layer.media_type, partial(store.blob, layer))


def layers(config: Mapping[str, Any], packed: Sequence[Opener]) -> tuple[Layer, ...]:
    """The layers that a configuration tells of, each a tar that may be compressed.

    Raises:
        UsageError: they do not belong together.
    """
    rootfs = config.get("rootfs")
    ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(ids, list) or not all(map(is_digest, ids)):
        raise malformed("its configuration names no layers")
    if len(ids) != len(packed) or len(ids) > streams.LAYERS:
        raise malformed(f"it has {len(packed)} layers, and its configuration names {len(ids)}")
    made_by = _created_by(config, len(ids))
    return tuple(map(Layer, ids, (partial(_open_blob, opener) for opener in packed), made_by))


def _created_by(config: Mapping[str, Any], count: int) -> list[str]:
    """What made each layer; empty where the history does not tell of all of them."""
    history = config.get("history")
    steps = (
        [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []
    )
    told = [str(step.get("created_by", "")) for step in steps if not step.get("empty_layer")]
    return told if len(told) == count else [""] * count


@contextmanager
def _open_blob(opener: Opener) -> Iterator[IO[bytes]]:
    with opener() as packed, decompress(packed) as stream:
        yield stream


def select_platform(entries: Sequence[Descriptor], platform: str | None) -> Descriptor:
    """The image for `platform`, or the only one there is. Attestations, which BuildKit puts
    beside images, are none.

    Raises:
        UsageError: there is none, or nobody said which of several.
    """
    images = [entry for entry in entries if not entry.platform.startswith("unknown/")]
    fitting = [entry for entry in images if platform in {None, entry.platform}]
    fitting = fitting or [entry for entry in images if entry.platform.startswith(f"{platform}/")]
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(sorted({entry.platform for entry in images})) or "none"
    what = f"none for {platform}" if platform else f"images for {len(images)} platforms"
    raise UsageError(
        f"There is {what} under this name: {there}.",
        hint="Give one of these with --platform.",
    )


def descriptors(document: Mapping[str, Any], member: str) -> list[Descriptor]:
    """Raises UsageError: it is no list of such."""
    found = document.get(member)
    if not isinstance(found, list) or len(found) > streams.LAYERS:
        raise malformed(f"its {member} are no list, or too many")
    return [descriptor_of(entry) for entry in found]


def descriptor_of(value: object) -> Descriptor:
    """Raises UsageError: it has not the form of one."""
    if not isinstance(value, dict):
        raise malformed("a descriptor is missing")
    size, media_type = value.get("size"), value.get("mediaType")
    if type(size) is not int or size < 0 or not isinstance(media_type, str):
        raise malformed("a descriptor has no size or no media type")
    if not is_digest(value.get("digest")):
        raise malformed(f"it uses a digest other than sha256: {str(value.get('digest'))[:100]!r}")
    annotations = value.get("annotations")
    told = annotations.items() if isinstance(annotations, dict) else ()
    texts = {name: text for name, text in told if isinstance(text, str)}
    platform, kind = _platform(value.get("platform")), str(value.get("artifactType") or "")
    return Descriptor(media_type, value["digest"], size, platform, texts, kind)


def _platform(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    words = (value.get(name) for name in ("os", "architecture", "variant"))
    return "/".join(str(word) for word in words if word)


def require_digest(data: bytes, digest: str) -> bytes:
    """Raises UsageError: it has another digest."""
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if found != digest:
        raise malformed(f"a document should have the digest {digest} and has {found}")
    return data


def parse_json(data: bytes) -> dict[str, Any]:
    """Raises UsageError: it is no JSON object, or too large."""
    if len(data) > streams.DOCUMENT:
        raise malformed(f"a document has more than {streams.DOCUMENT} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise malformed("a document is no JSON") from error
    if not isinstance(document, dict):
        raise malformed("a document is no JSON object")
    return document


def is_digest(value: object) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def malformed(why: str) -> UsageError:
    return UsageError(
        f"This is no image as the OCI specification has them: {why}.",
        hint="Get the image from where it came from once more.",
    )
