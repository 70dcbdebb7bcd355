"""Small images and OCI layouts, built byte by byte."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelpack.oci import Image, Layer
from modelpack.oci import image as oci_image


def require_tool(tool: str) -> None:
    """Skip the test if a program is missing; fail it in CI."""
    if shutil.which(tool) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"there is no {tool} here")


def tar(*members: tuple[tarfile.TarInfo, bytes] | tarfile.TarInfo, **options) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for member in members:
            info, data = member if isinstance(member, tuple) else (member, b"")
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **attributes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


def file(name: str, data: bytes = b"", **attributes) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, size=len(data), **attributes), data


def folder(name: str, **attributes) -> tarfile.TarInfo:
    return member(name, tarfile.DIRTYPE, mode=0o755, **attributes)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    return member(name, kind, linkname=target)


def layer(*members, data: bytes | None = None) -> Layer:
    """Return a layer of members, or of the bytes of a tar archive."""
    content = tar(*members) if data is None else data

    @contextmanager
    def open_content():
        yield io.BytesIO(content)

    return Layer(digest(content), open_content)


def image(*layers: Layer) -> Image:
    return Image({"rootfs": {"type": "layers", "diff_ids": [x.diff_id for x in layers]}}, layers)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Layout:
    """An OCI layout that is written piece by piece, valid or not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data: bytes | object, media_type: str = "application/octet-stream") -> dict:
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        (self.path / "blobs" / digest(data).replace(":", "/")).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def manifest(self, *tars: bytes, **config) -> dict:
        ids = [digest(data) for data in tars]
        document = {"rootfs": {"type": "layers", "diff_ids": ids}, **config}
        manifest = {
            "schemaVersion": 2,
            "mediaType": oci_image.MANIFEST,
            "config": self.blob(document, oci_image.CONFIG),
            "layers": [self.blob(gzip.compress(data), oci_image.LAYER_GZIP) for data in tars],
        }
        return self.blob(manifest, oci_image.MANIFEST)

    def index(self, *descriptors: dict) -> None:
        document = {"schemaVersion": 2, "manifests": list(descriptors)}
        (self.path / "index.json").write_text(json.dumps(document))
