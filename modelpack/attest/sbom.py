"""What is in an image: a CycloneDX 1.6 document, the same for the same bundle.

Written by hand: the official library takes a tenth of a second to import and knows no model
cards. The tests validate what is written here against its schema, and read it back with it.

Source: cyclonedx.org/docs/1.6/json.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from modelpack._version import __version__
from modelpack.attest import materials
from modelpack.attest.made import Made, document, sha256

PREDICATE = "https://cyclonedx.org/bom"
APPLICATION = "application"

_NAMESPACE = uuid.UUID("6e2d3a0e-2b0c-5f6b-9a52-3f7a7f7c1f10")


def bom(made: Made) -> dict[str, Any]:
    components = materials.components(made)
    told = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"tools": {"components": [_tool()]}, "component": _application(made)},
        "components": components,
        "dependencies": _graph(made, components),
    }
    serial = uuid.uuid5(_NAMESPACE, sha256(document(told).encode()))
    return {**told, "serialNumber": f"urn:uuid:{serial}"}


def distributions(bom: Mapping[str, Any]) -> dict[str, str]:
    """Name -> version of the distributions in a document. KeyError, TypeError: it is none of
    ours.
    """
    listed = (item for item in bom["components"] if str(item.get("purl")).startswith("pkg:pypi/"))
    return {item["name"]: item["version"] for item in listed}


def _tool() -> dict[str, Any]:
    return {"type": "application", "name": "modelpack", "version": __version__}


def _application(made: Made) -> dict[str, Any]:
    name = (made.model.estimator or "model").rpartition(".")[2]
    description = f"A model served over HTTP: {made.model.framework or 'unknown'}"
    return {
        "type": "application",
        "bom-ref": APPLICATION,
        "name": name or "model",
        "description": description,
    }


def _graph(made: Made, components: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As far as it is known: what the model and its author's code require by name, and that the
    application takes all of it. The lock does not tell which distribution requires which.
    """
    refs = [component["bom-ref"] for component in components]
    known = {APPLICATION: refs, **materials.required(made)}
    return [
        {"ref": ref, **({"dependsOn": sorted(known[ref])} if known.get(ref) else {})}
        for ref in [APPLICATION, *refs]
    ]
