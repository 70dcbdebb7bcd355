"""What a comparison is given by name: an image, a bundle, a model file, or an image that lies in a
file, a folder or a registry.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpack import bundle as bundles
from modelpack import engines, oci
from modelpack.comparison import Base, Side
from modelpack.engines import Engine
from modelpack.errors import UsageError
from modelpack.inspection import inspect
from modelpack.oci import tree
from modelpack.spec import Bundle

from . import layers
from .authorship import look
from .run import Run

_MANIFEST = "app/modelpack.json"
_BASE = re.compile(r"^FROM\s+(?!scratch)([^\s@]+)(?:@(sha256:[0-9a-f]{64}))?", re.MULTILINE)
_PLACES = {"oci": "layout", "oci-archive": "archive", "docker-archive": "archive"}
_LABEL = "org.opencontainers.image.base."


@dataclass(frozen=True)
class Target:
    """One side, and how it is asked: as `name`, by `engine`; None: nothing here can, and `unasked`
    says why. `image`: whose layers can be read. `file`: of the model, beside which its record is.
    `bundle`: whose environment has to be made before it is asked.
    """

    side: Side
    engine: Engine | None = None
    name: str = ""
    unasked: str = ""
    image: oci.Image | None = None
    file: Path | None = None
    bundle: Bundle | None = None


def opened(run: Run, name: str) -> AbstractContextManager[Target]:
    """What `name` stands for, to be used while the block runs.

    Raises:
        UsageError: there is no such thing, or modelpack did not make it.
        NoEngineError: it is an image, and no container engine answers.
        ModelRefusedError, ModelNotSupportedError: it is a file that no image is made of.
    """
    path = Path(name)
    place, _, rest = name.partition(":")
    if place in _PLACES and rest:
        return _placed(run, name, name, _PLACES[place])
    if path.is_dir() and (path / "oci-layout").exists():
        return _placed(run, name, f"oci:{name}", "layout")
    if path.is_dir():
        return _bundle(name)
    if path.is_file() and tarfile.is_tarfile(path):
        return _placed(run, name, f"docker-archive:{name}", "archive")
    return _model_file(run, path) if path.is_file() else _image(run, name)


@contextmanager
def _model_file(run: Run, path: Path) -> Iterator[Target]:
    found, _, problem = look(inspect(path), run.options)
    if problem and found.safety.verdict != "trust":
        raise problem
    why = "is a model file, which is not executed: package it, or bundle it"
    yield Target(Side(str(path), "model file", found), unasked=why, file=path)


@contextmanager
def _bundle(name: str) -> Iterator[Target]:
    made = bundles.read(name)
    text = (made.directory / "Dockerfile").read_text("utf-8", errors="replace")
    found = _BASE.search(text)
    base = Base(found[1], found[2] or "") if found else Base()
    side = Side(name, "bundle", made.model, made.environment, base, made.code)
    yield Target(side, engines.select("process"), made.path, bundle=made)


@contextmanager
def _image(run: Run, name: str) -> Iterator[Target]:
    chosen = run.options.engine
    engine = engines.select(engines.WITH_IMAGES if chosen in {"auto", "process"} else chosen)
    manifest = engine.manifest(name)
    with engine.contents(name) as image:
        yield Target(_side(name, "image", manifest, image), engine, name, image=image)


@contextmanager
def _placed(run: Run, name: str, place: str, kind: str) -> Iterator[Target]:
    with oci.opened(place, run.options.platform) as image:
        side = _side(name, kind, _manifest(name, image), image)
        why = f"is an image in {'a folder' if kind == 'layout' else 'an archive'}, which no engine"
        yield Target(side, unasked=f"{why} has loaded", image=image)


def _manifest(name: str, image: oci.Image) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(tree.read(image, _MANIFEST))
    except (UsageError, ValueError) as error:
        raise UsageError(
            f"{name!r} is no image that modelpack made: it has no /{_MANIFEST} that can be read.",
            hint="Make one with: modelpack package MODEL -t NAME",
        ) from error
    return document


def _side(name: str, kind: str, manifest: dict[str, Any], image: oci.Image) -> Side:
    model, environment, code = bundles.facts_of(manifest)
    labels = (image.config.get("config") or {}).get("Labels") or {}
    base = Base(*(str(labels.get(f"{_LABEL}{part}", "")) for part in ("name", "digest")))
    return Side(name, kind, model, environment, base, code, layers.built(image))
