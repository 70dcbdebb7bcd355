"""in-toto statement with SLSA provenance.

It depends only on the values in the bundle, not on time or machine. The build type is defined in
docs/attestations.md.

Source: github.com/in-toto/attestation, spec/v1; slsa.dev/provenance/v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelpack._version import __version__
from modelpack.attestations.documents import BundleContents, image_purl
from modelpack.parity.claims import NO_CLAIM, UNTESTED, Claim
from modelpack.types import BaseImage, ModelSpec, Parity, Proof, to_json

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://modelpack.dev/build/v1"
BUILDER = "https://modelpack.dev/modelpack"
PARITY = "https://modelpack.dev/parity/v1"
PROOF = "https://modelpack.dev/proof/v1"

Digests = Mapping[str, Mapping[str, str]]


def statement(contents: BundleContents, files: Digests) -> dict[str, Any]:
    """Return the statement in a bundle. `files`: name -> digest set of what an image is built from.

    Its subjects are the files of the model, because the digest of the image is not known yet.
    """
    described = (*contents.model.files, *contents.model.artifacts)
    subjects = [_resource(file.path, {"sha256": file.sha256}) for file in described]
    return create_statement(subjects, PREDICATE, create_predicate(contents, files))


def create_statement(
    subjects: list[dict[str, Any]], type_: str, predicate: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": type_,
        "predicate": predicate,
    }


def create_predicate(contents: BundleContents, files: Digests) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": _parameters(contents),
            "internalParameters": {
                "modelpack": __version__,
                **({"edited": list(contents.edited)} if contents.edited else {}),
            },
            "resolvedDependencies": [
                _base(contents.base),
                *(_resource(name, digest) for name, digest in sorted(files.items())),
            ],
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": {"modelpack": __version__}},
            "metadata": {},  # no times; `cosign attest` would add it
            **_byproducts(contents.claim),
        },
    }


def dependencies(predicate: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return name -> digest set of the dependencies that a predicate lists.

    Raises:
        LookupError, TypeError, AttributeError: modelpack did not write the predicate.
    """
    listed = predicate["buildDefinition"]["resolvedDependencies"]
    return {entry["name"]: dict(entry.get("digest", {})) for entry in listed}


def base_id(predicate: Mapping[str, Any]) -> str | None:
    """Return the image id of a base image from no registry.

    Raises:
        LookupError, TypeError, AttributeError: modelpack did not write the predicate.
    """
    listed = predicate["buildDefinition"]["resolvedDependencies"]
    notes = (entry.get("annotations", {}) for entry in listed if entry["name"] == "base")
    return next((str(note["imageId"]) for note in notes if "imageId" in note), None)


def recorded_claim(statement: Mapping[str, Any]) -> Claim:
    """Return the claim of a statement, which is empty if it has no valid one."""
    try:
        products = statement["predicate"]["runDetails"].get("byproducts", ())
        found = {product["uri"]: product["annotations"] for product in products}
        parity, proof = found.get(PARITY), found.get(PROOF)
        return Claim(parity and _read_parity(parity), proof and _read_proof(proof))
    except (LookupError, TypeError, ValueError, AttributeError):
        return NO_CLAIM


def _read_parity(claim: Mapping[str, Any]) -> Parity:
    source, rows = str(claim["reference"]), int(claim["rows"])
    passed = source != UNTESTED.source
    return Parity(source, rows, (), float(claim["tolerance"]), None, passed=passed)


def _read_proof(claim: Mapping[str, Any]) -> Proof:
    ulp, bound = float(claim["largestUlp"]), float(claim["boundUlp"])
    return Proof(int(claim["rows"]), int(claim["refused"]), ulp, bound)


def _parameters(contents: BundleContents) -> dict[str, Any]:
    """Return the inputs of the build: the model, and the choices of the user."""
    model, environment = contents.model, contents.environment
    user = [name for name, origin in environment.origins.items() if origin == "user"]
    return {
        "model": {
            "format": model.format,
            "framework": model.framework,
            "frameworkVersion": model.framework_version,
            "estimator": model.estimator,
            "task": model.task,
            "safety": model.safety.verdict,
            **_compiled_from(model),
            **_fetched_from(model),
        },
        "python": environment.python,
        "platform": environment.platform,
        "base": {
            "reference": contents.base.reference,
            "origin": contents.base.origin,
            "slim": contents.base.slim,
        },
        "requirements": {name: environment.requirements[name] for name in sorted(user)},
        "systemPackages": list(environment.system_packages),
        "builtFromSource": list(environment.sdists),
    }


def _compiled_from(model: ModelSpec) -> dict[str, Any]:
    files = [{"format": file.format, "sha256": file.sha256} for file in model.compiled_from]
    return {"compiledFrom": files} if files else {}


def _fetched_from(model: ModelSpec) -> dict[str, Any]:
    """Return the addresses of the model and what they meant. Addresses have no credentials."""
    origins = [{k: v for k, v in to_json(each).items() if v} for each in model.fetched_from]
    return {"fetchedFrom": origins} if origins else {}


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


def _byproducts(claim: Claim) -> dict[str, Any]:
    products = []
    if claim.parity:
        parity = claim.parity
        facts = {"reference": parity.source, "rows": parity.rows, "tolerance": parity.tolerance}
        products.append({"name": "parity", "uri": PARITY, "annotations": facts})
    if claim.proof:
        proof = claim.proof
        ulp = {"largestUlp": proof.largest_ulp, "boundUlp": proof.bound_ulp}
        facts = {"rows": proof.rows, "refused": proof.refused, **ulp}
        products.append({"name": "proof", "uri": PROOF, "annotations": facts})
    return {"byproducts": products} if products else {}
