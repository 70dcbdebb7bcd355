"""in-toto statement with SLSA provenance.

It is a function of the flow's values: no times, nothing of this machine. docs/attestations.md
defines the build type.

Source: github.com/in-toto/attestation, spec/v1; slsa.dev/provenance/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelpack._version import __version__
from modelpack.attestations.documents import BundleContents, image_purl
from modelpack.parity.claims import UNTESTED
from modelpack.types import BaseImage, Parity

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://modelpack.dev/build/v1"
BUILDER = "https://modelpack.dev/modelpack"
PARITY = "https://modelpack.dev/parity/v1"

Digests = Mapping[str, Mapping[str, str]]


def statement(made: BundleContents, files: Digests) -> dict[str, Any]:
    """In the bundle, the subjects are the files of the model: what image comes of it is not known
    there. `files`: name -> digest set of all that the image is built from.
    """
    subjects = [_resource(file.path, {"sha256": file.sha256}) for file in made.model.files]
    return of_subjects(subjects, PREDICATE, predicate(made, files))


def of_subjects(
    subjects: list[dict[str, Any]], type_: str, predicate: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": type_,
        "predicate": predicate,
    }


def predicate(made: BundleContents, files: Digests) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": _parameters(made),
            "internalParameters": {
                "modelpack": __version__,
                **({"edited": list(made.edited)} if made.edited else {}),
            },
            "resolvedDependencies": [
                _base(made.base),
                *(_resource(name, digest) for name, digest in sorted(files.items())),
            ],
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": {"modelpack": __version__}},
            "metadata": {},  # no times; `cosign attest` would add it
            **({"byproducts": [_parity(made.parity)]} if made.parity else {}),
        },
    }


def dependencies(predicate: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Name -> digest set, of what a predicate names. KeyError, TypeError: it is none of ours."""
    listed = predicate["buildDefinition"]["resolvedDependencies"]
    return {entry["name"]: dict(entry.get("digest", {})) for entry in listed}


def base_id(predicate: Mapping[str, Any]) -> str | None:
    """The image id of a base that came from no registry. KeyError, TypeError: as above."""
    listed = predicate["buildDefinition"]["resolvedDependencies"]
    told = (entry.get("annotations", {}) for entry in listed if entry["name"] == "base")
    return next((str(entry["imageId"]) for entry in told if "imageId" in entry), None)


def recorded_parity(statement: Mapping[str, Any]) -> Parity | None:
    """The parity that a statement tells of; None where it tells of none, or of none that is."""
    try:
        details = statement["predicate"]["runDetails"]
        for product in details.get("byproducts", ()):
            if product["uri"] == PARITY:
                told = product["annotations"]
                source, rows = str(told["reference"]), int(told["rows"])
                passed = source != UNTESTED.source
                return Parity(source, rows, (), float(told["tolerance"]), None, passed=passed)
    except (LookupError, TypeError, ValueError, AttributeError):
        pass
    return None


def _parameters(made: BundleContents) -> dict[str, Any]:
    """What was given from outside: the model, and what the user chose."""
    model, environment = made.model, made.environment
    user = [name for name, origin in environment.origins.items() if origin == "user"]
    return {
        "model": {
            "format": model.format,
            "framework": model.framework,
            "frameworkVersion": model.framework_version,
            "estimator": model.estimator,
            "task": model.task,
            "safety": model.safety.verdict,
        },
        "python": environment.python,
        "platform": environment.platform,
        "base": {
            "reference": made.base.reference,
            "origin": made.base.origin,
            "slim": made.base.slim,
        },
        "requirements": {name: environment.requirements[name] for name in sorted(user)},
        "systemPackages": list(environment.system_packages),
        "builtFromSource": list(environment.sdists),
    }


def _base(base: BaseImage) -> dict[str, Any]:
    described = {"name": "base", "uri": image_purl(base)}
    if base.digest:
        algorithm, _, value = base.digest.partition(":")
        return {**described, "digest": {algorithm: value}}
    if base.image_id:
        return {**described, "annotations": {"imageId": base.image_id}}
    return described


def _resource(name: str, digest: Mapping[str, str]) -> dict[str, Any]:
    return {"name": name, "digest": dict(digest)}


def _parity(parity: Parity) -> dict[str, Any]:
    told = {"reference": parity.source, "rows": parity.rows, "tolerance": parity.tolerance}
    return {"name": "parity", "uri": PARITY, "annotations": told}
