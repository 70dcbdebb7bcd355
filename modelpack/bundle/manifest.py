"""`modelpack.json`: written, read, and turned back into values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from math import prod
from pathlib import Path
from typing import Any

from modelpack import dockerfile
from modelpack._version import __version__
from modelpack.attestations.documents import BundleContents
from modelpack.errors import UsageError
from modelpack.types import (
    BaseImage,
    Bundle,
    Code,
    Environment,
    ModelSpec,
    Signature,
    from_json,
    to_json,
)

SCHEMA = 1
MANIFEST = "modelpack.json"
LOCK = "requirements.lock"
BUILD_LOCK = "build-requirements.lock"
LOCALES = ("locales",)  # what locales are made of
COMPILER = ("g++",)  # with gcc and headers of the C library; base images have those of Python


def read(directory: str | Path) -> Bundle:
    """Return the bundle in `directory`.

    Raises:
        UsageError: The directory does not contain a bundle that this version reads.
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
            f"{target} is not a bundle that this version of modelpack reads: {_reason(error)}.",
            hint="Run: modelpack bundle MODEL -o DIR",
        ) from error
    return Bundle(str(target), model, environment, code, document.get("slim_base") is True)


def debian_packages(spec: ModelSpec, environment: Environment) -> dict[str, tuple[str, ...]]:
    """Return the Debian packages that each stage of the Dockerfile needs."""
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
    """Return the model of the manifest of an image.

    Raises:
        UsageError: The manifest is one of another version of modelpack.
    """
    return facts_of(manifest)[0]


def facts_of(manifest: Mapping[str, Any]) -> tuple[ModelSpec, Environment, Code]:
    """Return the values in the manifest of an image; the text of the lock is empty.

    Raises:
        UsageError: The manifest is one of another version of modelpack.
    """
    try:
        return _read_manifest(manifest, "")
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{MANIFEST} of the image is not one that this version of modelpack reads:"
            f" {_reason(error)}.",
            hint="Package the model again.",
        ) from error


def example(spec: ModelSpec) -> dict[str, Any] | None:
    """Return an example body for POST /predict, or None if the model does not record enough.

    It has one row, with names if the model recorded names. Tensors are nested lists.
    """
    inputs = spec.signature.inputs
    if not inputs or any(field.example is None and not field.nullable for field in inputs):
        return None
    if spec.signature.tensors:
        return {"instances": [_tensors(spec.signature)]}
    row = {field.name: field.example for field in inputs}
    return {"instances": [row if spec.signature.named else list(row.values())]}


def _tensors(signature: Signature) -> Any:
    """Return the example as the only tensor, or as tensors by name."""
    values = [field.example for field in signature.inputs]
    sizes = [prod(tensor.shape) for tensor in signature.tensors]
    rest = len(values) - sum(size for size in sizes if size > 0)  # of an unknown size
    starts = accumulate((size if size > 0 else rest for size in sizes), initial=0)
    nested = {
        tensor.name: _nested(values[start:end], tensor.shape)
        for tensor, (start, end) in zip(signature.tensors, pairwise(starts), strict=True)
    }
    return nested if len(nested) > 1 else next(iter(nested.values()))


def _nested(values: Any, shape: Sequence[int]) -> Any:
    """Return values in row-major order as nested lists of a shape."""
    for size in reversed(shape[1:]):
        width = size if size > 0 else len(values)
        values = [values[at : at + width] for at in range(0, len(values), width)]
    return values if shape else values[0]


def _read_manifest(document: Any, lock: str) -> tuple[ModelSpec, Environment, Code]:
    if document["schema"] != SCHEMA:
        raise ValueError(f"its schema is {document['schema']!r} instead of {SCHEMA}")
    model = from_json(ModelSpec, document["model"])
    environment = from_json(Environment, {**document["environment"], "lock": lock})
    return model, environment, from_json(Code, document.get("code", {}))


def create_manifest(contents: BundleContents) -> str:
    """Return the text of modelpack.json."""
    described = to_json(contents.environment)
    del described["lock"], described["build_lock"]
    document: Mapping[str, Any] = {
        "schema": SCHEMA,
        "modelpack": __version__,
        "model": to_json(contents.model),
        "environment": described,
        **({"code": _code_to_json(contents.code)} if contents.code.files else {}),
        **({"slim_base": True} if contents.base.slim else {}),
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def _code_to_json(code: Code) -> dict[str, Any]:
    """Leave out what depends on this machine or this run."""
    files = [{"path": file.path, "sha256": file.sha256} for file in code.files]
    startup = {"startup": code.startup} if code.startup else {}
    return {
        "files": files,
        "main": code.main,
        "requirements": dict(code.requirements),
        **startup,
    }


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}: {Path(error.filename).name}" if error.filename else str(error)
    return f"{MANIFEST} lacks {error}" if isinstance(error, KeyError) else str(error)
