"""What a comparison is given by name: an image, a bundle, a model file, or an image that lies in a
file, a folder or a registry.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelpack import dockerfile, engines, oci
from modelpack.bundle import manifest as bundle_manifest
from modelpack.diff import Base, Side
from modelpack.diff import image as diff_image
from modelpack.engines import Engine
from modelpack.errors import NoEngineError, UsageError
from modelpack.inspection import inspect
from modelpack.oci import filesystem
from modelpack.oci.reference import ImageReference
from modelpack.types import Bundle

from .inspect import inspect_with_code
from .stages import Pipeline

_MANIFEST = "app/modelpack.json"
_PLACES = {"oci": "layout", "oci-archive": "archive", "docker-archive": "archive"}
_UNASKED = {
    "model file": "a model file is not executed; package it, or bundle it",
    "layout": "an image in a folder is asked once an engine has loaded it",
    "archive": "an image in an archive is asked once an engine has loaded it",
    "registry": "an image in a registry is asked once an engine has pulled it",
}
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


def resolve_target(run: Pipeline, name: str) -> AbstractContextManager[Target]:
    """What `name` stands for, to be used while the block runs.

    Raises:
        UsageError: there is no such thing, or modelpack did not make it.
        NoEngineError: it is an image, and no container engine answers.
        ModelRefusedError, ModelNotSupportedError: it is a file that no image is made of.
    """
    path = Path(name)
    place, _, rest = name.partition(":")
    if place in _PLACES and rest:
        return _resolve_location(run, name, name, _PLACES[place])
    if path.is_dir() and (path / "oci-layout").exists():
        return _resolve_location(run, name, f"oci:{name}", "layout")
    if path.is_dir():
        return _bundle(name)
    if path.is_file() and tarfile.is_tarfile(path):
        return _resolve_location(run, name, f"docker-archive:{name}", "archive")
    return _model_file(run, path) if path.is_file() else _image(run, name)


@contextmanager
def _model_file(run: Pipeline, path: Path) -> Iterator[Target]:
    found, _, problem = inspect_with_code(inspect(path), run.options)
    if problem and found.safety.verdict != "trust":
        raise problem
    kind = "model file"
    yield Target(Side(str(path), kind, found), unasked=_UNASKED[kind], file=path)


@contextmanager
def _bundle(name: str) -> Iterator[Target]:
    made = bundle_manifest.read(name)
    side = Side(name, "bundle", made.model, made.environment, _base(made), made.code)
    yield Target(side, engines.select_engine("process"), made.path, bundle=made)


def _base(bundle: Bundle) -> Base:
    """Return the image that the Dockerfile, which the user may edit, is built on."""
    name, _, digest = dockerfile.base_image(bundle.directory / "Dockerfile").partition("@")
    return Base(name, digest)


@contextmanager
def _image(run: Pipeline, name: str) -> Iterator[Target]:
    """Of the engine, else of the registry that the name tells."""
    with ExitStack() as stack:
        try:
            engine = _engine(run)
            image = stack.enter_context(engine.contents(name))
        except (UsageError, NoEngineError):
            if not ImageReference.parse(name).has_registry:
                raise
            yield stack.enter_context(_resolve_location(run, name, name, "registry"))
            return
        side = _side(name, "image", engine.manifest(name), image)
        yield Target(side, engine, name, image=image)


def _engine(run: Pipeline) -> Engine:
    asked = run.options.engine
    return engines.select_engine(engines.IMAGE_ENGINES if asked in {"auto", "process"} else asked)


@contextmanager
def _resolve_location(run: Pipeline, name: str, place: str, kind: str) -> Iterator[Target]:
    with oci.open_image(place, run.options.platform) as image:
        side = _side(name, kind, _manifest(name, image), image)
        yield Target(side, unasked=_UNASKED[kind], image=image)


def _manifest(name: str, image: oci.Image) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(filesystem.read(image, _MANIFEST))
    except (UsageError, ValueError) as error:
        raise UsageError(
            f"{name!r} is no image that modelpack made: it has no /{_MANIFEST} that can be read.",
            hint="Make one with: modelpack package MODEL -t NAME",
        ) from error
    return document


def _side(name: str, kind: str, manifest: dict[str, Any], image: oci.Image) -> Side:
    model, environment, code = bundle_manifest.facts_of(manifest)
    labels = (image.config.get("config") or {}).get("Labels") or {}
    base = Base(*(str(labels.get(f"{_LABEL}{part}", "")) for part in ("name", "digest")))
    return Side(name, kind, model, environment, base, code, diff_image.describe_image(image))
