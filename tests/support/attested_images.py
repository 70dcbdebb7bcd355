"""Images with the files of a bundle, built without an engine, and keys to sign them."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from modelpack.oci import Image, Layer

VENV = "opt/venv/lib/python3.11/site-packages"
SERVED = ("app.py", "gunicorn.conf.py", "requirements.lock", "modelpack.json")
DOCUMENTS = ("sbom.cdx.json", "provenance.json")


def bundle_files(folder: Path) -> dict[str, bytes]:
    """Return path -> content of the files that the Dockerfile copies and pip installs."""
    names = [*SERVED, *DOCUMENTS]
    for part in ("model", "code", "modelpack/serving"):
        names += [
            path.relative_to(folder).as_posix()
            for path in (folder / part).rglob("*")
            if path.is_file()
        ]
    copied = {f"app/{name}": (folder / name).read_bytes() for name in names}
    lock = (folder / "requirements.lock").read_text()
    installed = {
        f"{VENV}/{name.replace('-', '_')}-{version}.dist-info/METADATA": b"Metadata-Version: 2.1\n"
        for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)
    }
    byte_code = {"app/modelpack/serving/__pycache__/loading.cpython-311.pyc": b"compiled"}
    return {"usr/bin/python": b"interpreter", **copied, **installed, **byte_code}


def build_image(folder: Path, changes: Mapping[str, bytes | None] | None = None) -> Image:
    """Return an image; `changes` maps paths to new content, or to None for a missing file."""
    files = {**bundle_files(folder), **(changes or {})}
    layer = build_layer({path: content for path, content in files.items() if content is not None})
    return Image(image_config(folder), (layer,), f"sha256:{'b' * 64}")


def image_config(folder: Path) -> dict[str, Any]:
    """Return the labels and variables of the Dockerfile."""
    text = (folder / "Dockerfile").read_text().replace("\\\n", " ")
    lines = {kind: re.findall(rf"^{kind} (.*)$", text, re.MULTILINE) for kind in ("LABEL", "ENV")}
    pairs = {kind: re.findall(r'([\w.]+)="([^"]*)"', " ".join(lines[kind])) for kind in lines}
    variables = [f"{name}={value}" for name, value in pairs["ENV"]]
    return {"config": {"Labels": dict(pairs["LABEL"]), "Env": variables}}


def build_layer(files: Mapping[str, bytes]) -> Layer:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    tar = buffer.getvalue()
    return Layer(f"sha256:{hashlib.sha256(tar).hexdigest()}", opener(tar))


def opener(data: bytes) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    return lambda: nullcontext(io.BytesIO(data))


KEY_PASSWORD = "secret"


def make_keys(cosign: str, folder: Path) -> Path:
    """Create cosign.key, encrypted with KEY_PASSWORD, and cosign.pub in `folder`."""
    environ = {**os.environ, "COSIGN_PASSWORD": KEY_PASSWORD}
    command = [cosign, "generate-key-pair"]
    subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)
    return folder
