"""Files of Keras made of a real one, with other contents."""

from __future__ import annotations

import io
import json
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "keras"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def contents(path: Path = DATA / "sequential.keras") -> dict[str, bytes]:
    """Return the members of a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


MEMBERS = contents()
MODEL = json.loads(MEMBERS[CONFIG])


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as writer:
        for name, content in members.items():
            writer.writestr(name, content)
    return memory.getvalue()


def keras_file(config: Any = None, **members: bytes) -> bytes:
    """Return the real file with another configuration, or members by the start of their name."""
    changed = dict(MEMBERS)
    if config is not None:
        is_text = isinstance(config, bytes)
        changed[CONFIG] = config if is_text else json.dumps(config).encode()
    for start, content in members.items():
        (name,) = [each for each in MEMBERS if each.startswith(start)]
        changed[name] = content
    return archive(changed)


def with_layer(layer: Any) -> dict[str, Any]:
    """Return the configuration of the real model with one more layer at its end."""
    model: dict[str, Any] = deepcopy(MODEL)
    model["config"]["layers"].append(layer)
    return model


def layer(name: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    """Return a layer as Keras writes it."""
    settings = {"name": name.lower(), "trainable": True, **config}
    return {"module": module, "class_name": name, "config": settings, "registered_name": None}
