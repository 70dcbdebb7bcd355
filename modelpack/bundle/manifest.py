"""`modelpack.json`: written, read, and turned back into values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelpack import dockerfile
from modelpack._version import __version__
from modelpack.attestations.documents import BundleContents
from modelpack.errors import UsageError
from modelpack.types import BaseImage, Bundle, Code, Environment, ModelSpec, from_json, to_json

SCHEMA = 1
MANIFEST = "modelpack.json"
LOCK = "requirements.lock"
BUILD_LOCK = "build-requirements.lock"
LOCALES = ("locales",)  # what locales are made of
COMPILER = ("g++",)  # with gcc and the C library's headers; those of Python are in every base image


def read(directory: str | Path) -> Bundle:
    """The bundle in `directory`.

    Raises:
        UsageError: it holds none, or one of another version of modelpack.
    """
    target = Path(directory).resolve()
    try:
        document = json.loads((target / MANIFEST).read_text("utf-8"))
        lock = (target / LOCK).read_text("utf-8")
        model, environment, code = _read_manifest(document, lock)
        if environment.sdists:
            build_lock = (target / BUILD_LOCK).read_text("utf-8")
            environment = replace(environment, build_lock=build_lock)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{target} is not a bundle that this modelpack reads: {_reason(error)}.",
            hint="Make one with `modelpack bundle MODEL -o DIR`.",
        ) from error
    return Bundle(str(target), model, environment, code, document.get("slim_base") is True)


def debian_packages(spec: ModelSpec, environment: Environment) -> dict[str, tuple[str, ...]]:
    """Stage of the Dockerfile -> the Debian packages that it installs."""
    stages = {
        "environment": COMPILER if environment.sdists else (),
        "locales": LOCALES if spec.locales else (),
        "image": environment.system_packages,
    }
    return {stage: names for stage, names in stages.items() if names}


def base_image(bundle: Bundle) -> BaseImage:
    """Return the image that the Dockerfile of a bundle is built on now.

    Raises:
        UsageError: The Dockerfile has no stage `base`.
    """
    name, _, digest = dockerfile.base_image(bundle.directory / "Dockerfile").partition("@")
    if not name:
        raise UsageError(
            f"The Dockerfile in {bundle.path} has no stage called 'base'.",
            hint="Run: modelpack bundle MODEL",
        )
    return BaseImage(name, bundle.environment.python, "user", digest or None)


def model_of(manifest: Mapping[str, Any]) -> ModelSpec:
    """The model of a manifest read out of an image.

    Raises:
        UsageError: it is one of another version of modelpack.
    """
    return facts_of(manifest)[0]


def facts_of(manifest: Mapping[str, Any]) -> tuple[ModelSpec, Environment, Code]:
    """All that a manifest read out of an image tells; not the text of the lock.

    Raises:
        UsageError: it is one of another version of modelpack.
    """
    try:
        return _read_manifest(manifest, "")
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"The image's {MANIFEST} is not one that this modelpack reads: {_reason(error)}.",
            hint="Package the model again.",
        ) from error


def example(spec: ModelSpec) -> dict[str, Any] | None:
    """A body for POST /predict: one row, by name where the model recorded names; None where the
    file does not tell enough for one.
    """
    inputs = spec.signature.inputs
    if not inputs or any(field.example is None and not field.nullable for field in inputs):
        return None
    row = {field.name: field.example for field in inputs}
    return {"instances": [row if spec.signature.named else list(row.values())]}


def _read_manifest(document: Any, lock: str) -> tuple[ModelSpec, Environment, Code]:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r}, and {SCHEMA} is known")
    model = from_json(ModelSpec, document["model"])
    environment = from_json(Environment, {**document["environment"], "lock": lock})
    return model, environment, from_json(Code, document.get("code", {}))


def _manifest(made: BundleContents) -> str:
    described = to_json(made.environment)
    del described["lock"], described["build_lock"]
    document: Mapping[str, Any] = {
        "schema": SCHEMA,
        "modelpack": __version__,
        "model": to_json(made.model),
        "environment": described,
        **({"code": _told(made.code)} if made.code.files else {}),
        **({"slim_base": True} if made.base.slim else {}),
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def _told(code: Code) -> dict[str, Any]:
    """The code as a bundle tells of it: nothing of this machine, nothing of this run."""
    files = [{"path": file.path, "sha256": file.sha256} for file in code.files]
    return {"files": files, "main": code.main, "requirements": dict(code.requirements)}


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}: {Path(error.filename).name}" if error.filename else str(error)
    return f"{MANIFEST} lacks {error}" if isinstance(error, KeyError) else str(error)
