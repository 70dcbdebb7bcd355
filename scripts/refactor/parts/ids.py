"""Ids and layers of the images of the sample models."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from checkout import Checkout
from samples import Sample

from .settings import Settings

_LOCAL = "modelpack.invalid/python"


def record(checkout: Checkout, settings: Settings, output: Path) -> None:
    for sample in settings.samples:
        for engine in settings.engines:
            for slim in ((), ("--slim-base",)):
                name = f"{sample.name}-{engine}{'-slim' if slim else ''}"
                text = _image(checkout, sample, engine, slim, cold=settings.cold)
                (output / f"{name}.txt").write_text(text)
                print(f"  {name}: {text.splitlines()[0]}", flush=True)


def _image(
    checkout: Checkout, sample: Sample, engine: str, slim: tuple[str, ...], *, cold: bool
) -> str:
    """Package a sample, and return the id and the layers of its image, which is then removed."""
    tag = f"record-ids/{sample.name}:1"
    command = ("package", *sample.arguments, "--engine", engine, "--no-smoke", "--json", "-t", tag)
    base = ("--base-image", _archive(checkout, sample)) if engine == "oci" else ()
    with tempfile.TemporaryDirectory(prefix="record-cache-") as cache:
        # uv keeps its own cache: what it holds is named by digests of the index.
        variables = {"XDG_CACHE_HOME": cache, "UV_CACHE_DIR": _uv_cache()} if cold else {}
        document = json.loads(checkout.require(*command, *slim, *base, **variables))
    image = document["image"]
    layers = _layers(checkout, engine, image)
    return "\n".join((image["id"], f"{image['size_bytes']} bytes", *layers, ""))


def _uv_cache() -> str:
    done = subprocess.run(["uv", "cache", "dir"], capture_output=True, text=True, check=True)
    return os.environ.get("UV_CACHE_DIR") or done.stdout.strip()


def _archive(checkout: Checkout, sample: Sample) -> str:
    """Save the local base image of the model's Python version, once for each version."""
    done = checkout.require("lock", *sample.arguments, "--json")
    python = json.loads(done)["python"]
    archive = checkout.work / "bases" / f"{python}.tar"
    if not archive.exists():
        archive.parent.mkdir(exist_ok=True)
        name = f"{_LOCAL}:{python}-slim"
        subprocess.run(["docker", "save", "-o", str(archive), name], check=True)
    return f"docker-archive:bases/{python}.tar"


def _layers(checkout: Checkout, engine: str, image: dict[str, Any]) -> list[str]:
    if engine == "oci":
        store = checkout.work / "data" / "modelpack" / "images"
        config = json.loads((store / "blobs" / image["id"].replace(":", "/")).read_text())
        shutil.rmtree(store)
        layers: list[str] = config["rootfs"]["diff_ids"]
        return layers
    inspect = [engine, "image", "inspect", image["id"]]
    done = subprocess.run(inspect, capture_output=True, check=True)
    layers = json.loads(done.stdout)[0]["RootFS"]["Layers"]
    remove = [engine, "rmi", image["reference"]]
    subprocess.run(remove, capture_output=True, check=True)
    return layers
