"""A small image that follows every hardening rule, and changes that break one."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import images

from modelpack import oci

TIME = 315532800
SITE = "opt/venv/lib/python3.11/site-packages"
MODEL = b"the bytes of a model"
ARTIFACT = b"the bytes of an artifact"
SECRET = "AKIA" + "ABCDEFGHIJKLMNOP"
BYTE_CODE = b"\xa7\x0d\x0d\x0a\x01\x00\x00\x00" + bytes(8)
PRIVATE_KEY = (
    b"-----BEGIN RSA PRIVATE KEY-----\n" + b"A" * 64 + b"\n-----END RSA PRIVATE KEY-----\n"
)
SOURCE = b"PASSWORD = 'https://me:example@index.test/simple'\n"


@dataclass(frozen=True)
class File:
    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = TIME
    kind: bytes = tarfile.REGTYPE
    target: str = ""
    pax: dict[str, str] = field(default_factory=dict)

    def member(self, path: str) -> tuple[tarfile.TarInfo, bytes]:
        info = images.member(path, self.kind, mode=self.mode, uid=self.uid, gid=self.gid)
        info.mtime, info.size, info.linkname = self.mtime, len(self.data), self.target
        info.pax_headers = self.pax
        return info, self.data


def folder(mode: int = 0o755, **attributes: Any) -> File:
    return File(mode=mode, kind=tarfile.DIRTYPE, **attributes)


def program(data: bytes = b"\x7fELF", mode: int = 0o755, **attributes: Any) -> File:
    return File(data, mode, **attributes)


def link(target: str) -> File:
    return File(mode=0o777, kind=tarfile.SYMTYPE, target=target)


def manifest(sha256: str) -> bytes:
    file = {"path": "model/model.pkl", "sha256": sha256}
    artifact = {"path": "artifacts/weights", "sha256": hashlib.sha256(ARTIFACT).hexdigest()}
    context = {"folder": "model", "files": [artifact]}
    model = {"file": file, "more_files": [], "context": context}
    return json.dumps({"schema": 1, "model": model}).encode()


def record(**files: bytes) -> bytes:
    rows = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(data)}")
    return "\n".join([*rows, "shop-1.0.dist-info/RECORD,,", ""]).encode()


@dataclass
class ImageContents:
    """The files of the layers by path, and the configuration of an image."""

    base: dict[str, File]
    layers: list[dict[str, File]]
    config: dict[str, Any]

    @property
    def top(self) -> dict[str, File]:
        """The layer above all others."""
        return self.layers[-1]

    @property
    def image(self) -> oci.Image:
        contents = [self.base, *self.layers]
        layers = [images.layer(*(f.member(p) for p, f in layer.items())) for layer in contents]
        return oci.Image(copy.deepcopy(self.config), tuple(layers))


def hardened_image() -> ImageContents:
    digest = hashlib.sha256(MODEL).hexdigest()
    environment = {
        "opt": folder(),
        "opt/venv": folder(),
        "opt/venv/pyvenv.cfg": File(b"home = /usr/local/bin\n"),
        "opt/venv/bin": folder(),
        "opt/venv/bin/python": link("/usr/local/bin/python3"),
        f"{SITE}/shop.py": File(SOURCE),
        f"{SITE}/__pycache__/shop.cpython-311.pyc": File(BYTE_CODE),
        f"{SITE}/shop-1.0.dist-info/METADATA": File(b"Name: shop\n"),
        f"{SITE}/shop-1.0.dist-info/RECORD": File(
            record(**{"shop.py": SOURCE, "shop-1.0.dist-info/METADATA": b"Name: shop\n"})
        ),
    }
    model = {
        "app": folder(),
        "app/requirements.lock": File(b"shop==1.0 \\\n    --hash=sha256:00\n", 0o444),
        "app/modelpack.json": File(manifest(digest), 0o444),
        "app/model": folder(),
        "app/model/model.pkl": File(MODEL, 0o444),
        "app/model/artifacts": folder(),
        "app/model/artifacts/weights": File(ARTIFACT, 0o444),
    }
    base = {
        "tmp": folder(0o1777),
        "bin/sh": program(b"\x7fELF shell"),
        "usr/bin/apt": program(b"\x7fELF apt"),
        "etc/shadow": File(b"", 0o640, gid=42),
        "usr/local/bin/python3": program(),
    }
    return ImageContents(base, [environment, model, {}], _config(digest))


def _config(digest: str) -> dict[str, Any]:
    history = ["ADD rootfs.tar /", "LABEL dev.modelpack.version=0.1.0", "COPY /environment/ /"]
    history += ["USER 65532:65532", "COPY /model/ /", "COPY . ."]
    empty = {1, 3}
    return {
        "created": "1980-01-01T00:00:00Z",
        "history": [
            {"created_by": text, "empty_layer": number in empty}
            for number, text in enumerate(history)
        ],
        "config": {
            "User": "65532:65532",
            "ExposedPorts": {"8080/tcp": {}},
            "Env": ["PATH=/opt/venv/bin:/usr/local/bin", "HOME=/tmp"],
            "Entrypoint": ["python", "-m", "modelpack.serving"],
            "Cmd": ["serve"],
            "WorkingDir": "/app",
            "StopSignal": "SIGTERM",
            "Healthcheck": {"Test": ["CMD", "python", "-m", "modelpack.serving.health"]},
            "Labels": {
                "org.opencontainers.image.title": "SVC",
                "org.opencontainers.image.description": "a classifier",
                "org.opencontainers.image.base.name": "python:3.11-slim",
                "org.opencontainers.image.base.digest": "sha256:" + "0" * 64,
                "dev.modelpack.version": "0.1.0",
                "dev.modelpack.framework": "shop 1.0",
                "dev.modelpack.estimator": "shop.SVC",
                "dev.modelpack.python": "3.11",
                "dev.modelpack.model.sha256": digest,
            },
        },
    }


Change = Callable[[ImageContents], object]


def add_file(path: str, file: File) -> Change:
    """Return a change that adds a file above all layers."""
    return lambda contents: contents.top.update({path: file})


def change_file(layer: int, path: str, **attributes: Any) -> Change:
    """Return a change of a file in its layer."""
    return lambda contents: contents.layers[layer].update(
        {path: replace(contents.layers[layer][path], **attributes)}
    )


def set_config(name: str, value: Any) -> Change:
    """Return a change of one entry of the configuration."""
    return lambda contents: contents.config["config"].update({name: value})


def set_label(name: str, value: str | None) -> Change:
    def spoil(contents: ImageContents) -> None:
        contents.config["config"]["Labels"].pop(name, None)
        if value is not None:
            contents.config["config"]["Labels"][name] = value

    return spoil


def add_history(instruction: str) -> Change:
    """Return a change that adds an instruction to the history."""
    entry = {"created_by": instruction, "empty_layer": True}
    return lambda contents: contents.config["history"].append(entry)


def add_variable(text: str) -> Change:
    return lambda contents: contents.config["config"]["Env"].append(text)
