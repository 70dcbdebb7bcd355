"""CycloneDX 1.6.

Written without the official library, which takes 0.1 s to import and has no model cards. Tests
validate the documents with it.

Source: cyclonedx.org/docs/1.6/json.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name

from modelpack._version import __version__
from modelpack.attestations.documents import (
    BundleContents,
    debian_purl,
    document,
    image_purl,
    pypi_purl,
    sha256,
)
from modelpack.oci.reference import ImageReference
from modelpack.types import Code, Environment, Field, ModelFile, ModelSpec

PREDICATE = "https://cyclonedx.org/bom"
APPLICATION = "application"

_NAMESPACE = uuid.UUID("6e2d3a0e-2b0c-5f6b-9a52-3f7a7f7c1f10")


def bom(contents: BundleContents) -> dict[str, Any]:
    """Return the CycloneDX document of a bundle. The same bundle has the same serial number."""
    components = list_components(contents)
    unnumbered = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"tools": {"components": [_tool()]}, "component": _application(contents)},
        "components": components,
        "dependencies": _dependencies(contents, components),
    }
    serial = uuid.uuid5(_NAMESPACE, sha256(document(unnumbered).encode()))
    return {**unnumbered, "serialNumber": f"urn:uuid:{serial}"}


def distributions(bom: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> version of the distributions in a document.

    Raises:
        LookupError, TypeError, AttributeError: modelpack did not write the document.
    """
    listed = (item for item in bom["components"] if str(item.get("purl")).startswith("pkg:pypi/"))
    return {item["name"]: item["version"] for item in listed}


def _tool() -> dict[str, Any]:
    return {"type": "application", "name": "modelpack", "version": __version__}


def _application(contents: BundleContents) -> dict[str, Any]:
    name = (contents.model.estimator or "model").rpartition(".")[2]
    description = f"A model served over HTTP: {contents.model.framework or 'unknown'}"
    return {
        "type": "application",
        "bom-ref": APPLICATION,
        "name": name or "model",
        "description": description,
    }


def _dependencies(
    contents: BundleContents, components: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the known dependencies: of the application, the model and the author's code.

    The lock does not contain those between distributions.
    """
    refs = [component["bom-ref"] for component in components]
    known = {APPLICATION: refs, **dependency_graph(contents)}
    return [
        {"ref": ref, **({"dependsOn": sorted(known[ref])} if known.get(ref) else {})}
        for ref in [APPLICATION, *refs]
    ]


Component = dict[str, Any]

BASE = "base"
TASKS = {
    "classifier": "classification",
    "regressor": "regression",
    "transformer": "transformation",
    "clusterer": "clustering",
    "outlier_detector": "outlier detection",
    "unknown": "unknown",
}


def list_components(contents: BundleContents) -> list[Component]:
    """Return all components, sorted by reference."""
    listed = [
        *(_model(contents.model, file) for file in contents.model.files),
        *map(_artifact, contents.model.artifacts),
        _base(contents),
        *_distributions(contents.environment),
        *_debian(contents.environment),
        *_code(contents.code),
    ]
    return sorted(listed, key=lambda component: str(component["bom-ref"]))


def dependency_graph(contents: BundleContents) -> dict[str, list[str]]:
    """Return reference -> references of its requirements."""
    locked = contents.environment.requirements
    purls: dict[str, str] = {
        canonicalize_name(name): pypi_purl(name, version) for name, version in locked.items()
    }

    def references(names: Iterable[str]) -> list[str]:
        keys: list[str] = [canonicalize_name(name) for name in names]
        found = (purls.get(key) or purls.get(f"{key}-cpu") for key in keys)
        return sorted({purl for purl in found if purl})

    model = references(contents.model.requirements)
    code = references(contents.code.requirements)
    return {
        **{file.path: model for file in contents.model.files},
        **{f"code/{file.path}": code for file in contents.code.files},
    }


def hashes_of(lock: str) -> dict[str, list[str]]:
    """Return name -> SHA-256 of each file that pip may install for it.

    Source: pip.pypa.io/en/stable/topics/secure-installs.
    """
    entries = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)
    named = ((re.match(r"[\w.-]+", entry), entry) for entry in entries)
    return {
        name[0]: sorted(set(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)))
        for name, entry in named
        if name
    }


def _model(model: ModelSpec, file: ModelFile) -> Component:
    framework = " ".join(filter(None, (model.framework, model.framework_version)))
    facts = {
        "format": file.format,
        "framework": framework,
        "estimator": model.estimator or "",
        "size": str(file.size),
    }
    return {
        "type": "machine-learning-model",
        "bom-ref": file.path,
        "name": file.path,
        "hashes": _hashes([file.sha256]),
        "modelCard": _card(model),
        "properties": [
            {"name": f"modelpack:{name}", "value": value} for name, value in facts.items() if value
        ],
    }


def _artifact(file: ModelFile) -> Component:
    """Return a file that the code of the model reads."""
    return {
        "type": "data",
        "bom-ref": file.path,
        "name": file.path,
        "hashes": _hashes([file.sha256]),
        "properties": [{"name": "modelpack:size", "value": str(file.size)}],
    }


def _card(model: ModelSpec) -> dict[str, Any]:
    signature = model.signature
    parameters = {
        "task": TASKS[model.task],
        "modelArchitecture": model.estimator or "unknown",
        "inputs": [_parameter(field) for field in signature.inputs],
        "outputs": [_parameter(field) for field in signature.outputs],
    }
    return {"modelParameters": {name: value for name, value in parameters.items() if value}}


def _parameter(field: Field) -> dict[str, str]:
    """Return an input or output. CycloneDX has no field for its name."""
    shape = f"[{', '.join(map(str, field.shape))}]" if field.shape else ""
    return {"format": f"{field.type}{shape} {field.name}"}


def _base(contents: BundleContents) -> Component:
    reference = ImageReference.parse(contents.base.reference)
    digest = contents.base.digest
    return {
        "type": "container",
        "bom-ref": BASE,
        "name": reference.name,
        "version": reference.tag_or_latest,
        "purl": image_purl(contents.base),
        **({"hashes": _hashes([digest.partition(":")[2]])} if digest else {}),
    }


def _distributions(environment: Environment) -> Iterator[Component]:
    """Yield the locked distributions, with a hash if the lock has one file for all platforms."""
    hashes = hashes_of(environment.lock)
    for name, version in environment.requirements.items():
        purl = pypi_purl(name, version)
        origin = environment.origins.get(name)
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            **({"hashes": _hashes(hashes[name])} if len(hashes.get(name, ())) == 1 else {}),
            **({"properties": [{"name": "modelpack:origin", "value": origin}]} if origin else {}),
        }


def _debian(environment: Environment) -> Iterator[Component]:
    for name in environment.system_packages:
        purl = debian_purl(name, environment.platform)
        yield {"type": "library", "bom-ref": purl, "name": name, "purl": purl}


def _code(code: Code) -> Iterator[Component]:
    for file in code.files:
        path = f"code/{file.path}"
        yield {"type": "file", "bom-ref": path, "name": path, "hashes": _hashes([file.sha256])}


def _hashes(digests: list[str]) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest} for digest in digests]
