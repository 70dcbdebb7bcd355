"""Layers, labels, contents, origin."""

from __future__ import annotations

from typing import Any

from modelpack.attestations.documents import (
    DOCKERFILE,
    PROVENANCE,
    PROVENANCE_LABEL,
    SBOM,
    SBOM_LABEL,
)
from modelpack.attestations.provenance import (
    BUILD_TYPE,
    PREDICATE,
    STATEMENT,
    dependencies,
    recorded_claim,
)
from modelpack.attestations.subject import (
    APP,
    REBUILD_HINT,
    Subject,
    Verdict,
    is_byte_code,
    join_first,
)
from modelpack.errors import VerificationError
from modelpack.oci import Layer, streams
from modelpack.oci.streams import HashingReader, decompress
from modelpack.parity import claims


def check_layers(subject: Subject) -> Verdict:
    """Every layer has the digests in the manifest and the configuration.

    Manifest and configuration were compared when they were read. Layers are read to their end here,
    even if the cache knows their contents.
    """
    layers = subject.image.layers
    size = sum(map(_verify_layer, layers))
    source = "manifest" if subject.image.digest else "configuration"
    detail = f"{len(layers)} layers of {size / 1e6:.0f} MB match the digests of the {source}"
    return Verdict("layers", "holds", detail)


def _verify_layer(layer: Layer) -> int:
    """Return the size of the layer's tar. Raise VerificationError if it has another digest."""
    if layer.blob is None:
        with layer.open() as stream:
            return _verify_stream(HashingReader(stream, streams.LAYER), layer.diff_id)
    with layer.blob.open() as packed:
        compressed = HashingReader(packed, streams.LAYER)
        with decompress(compressed) as stream:
            size = _verify_stream(HashingReader(stream, streams.LAYER), layer.diff_id)
        for _ in compressed.chunks():
            pass
    _require_digest(compressed.digest, layer.blob.digest)
    return size


def _verify_stream(stream: HashingReader, digest: str) -> int:
    for _ in stream.chunks():
        pass
    _require_digest(stream.digest, digest)
    return stream.tell()


def _require_digest(actual: str, expected: str) -> None:
    if actual != expected:
        raise VerificationError(
            f"A layer was changed after the image was built: its digest is {actual} instead of"
            f" {expected}.",
            hint=REBUILD_HINT,
        )


def check_labels(subject: Subject) -> Verdict:
    """The labels have the digests of SBOM and provenance, and the parity claim of the latter."""
    for name, label in ((SBOM, SBOM_LABEL), (PROVENANCE, PROVENANCE_LABEL)):
        actual, expected = subject.digest(name), subject.labels.get(label)
        if expected is None or actual != {"sha256": expected}:
            raise VerificationError(
                f"The label {label} is {expected or 'missing'}, but {name} in the image is"
                f" {actual['sha256'] if actual else 'missing'}.",
                hint=REBUILD_HINT,
            )
    _require_claim(subject)
    return Verdict("labels", "holds", f"match the digests of {SBOM} and {PROVENANCE}")


def _require_claim(subject: Subject) -> None:
    """Require the claim of the provenance in the labels and on the page."""
    claimed = recorded_claim(subject.provenance)
    labels = {name: text for name, text in subject.labels.items() if claims.is_label(name)}
    variables = subject.variables
    texts = (variables.get("MODELPACK_PARITY", ""), variables.get("MODELPACK_PROOF", ""))
    expected = (claims.parity_text(claimed.parity), claims.proof_text(claimed.proof))
    if (labels, texts) != (claims.labels(claimed), expected):
        raise VerificationError(
            "The image claims a parity or a proof that its provenance does not contain.",
            hint=REBUILD_HINT,
        )


BUILT_WITH = {"base", ".dockerignore", DOCKERFILE, "build-requirements.lock", "modelpack/assembly/"}
"""Sources of an image that are not in it."""


def check_content(subject: Subject) -> Verdict:
    """The image contains the files of the provenance and no others.

    Byte code is ignored: it depends on the compiler of the base image.
    """
    try:
        listed = dependencies(subject.provenance["predicate"])
    except (LookupError, TypeError, AttributeError) as error:
        raise VerificationError("The provenance lists no files.", hint=REBUILD_HINT) from error
    kept = {name: digest for name, digest in listed.items() if name not in BUILT_WITH}
    other = sorted(name for name, digest in kept.items() if subject.digest(name) != digest)
    if other:
        raise VerificationError(
            f"Files of the provenance are missing or different in the image: {join_first(other)}.",
            hint=REBUILD_HINT,
        )
    more = sorted(path for path in _service_files(subject) if not _is_listed(path, kept))
    if more:
        raise VerificationError(
            f"Files in the image are not in its provenance: {join_first(more)}.",
            hint="Inspect them, or package the model again.",
        )
    return Verdict("content", "holds", f"model, lock and service match {len(kept)} digests")


def _service_files(subject: Subject) -> list[str]:
    """Return the files of the service, without byte code."""
    return [
        path.removeprefix(APP)
        for path, entry in subject.files.items()
        if path.startswith(APP) and entry.kind != "directory" and not is_byte_code(path)
    ]


def _is_listed(path: str, listed: dict[str, dict[str, str]]) -> bool:
    trees = (name for name in listed if name.endswith("/"))
    return path in {*listed, PROVENANCE} or any(path.startswith(tree) for tree in trees)


_BASE = "org.opencontainers.image.base.digest"
_MODEL = "dev.modelpack.model.sha256"


def check_origin(subject: Subject) -> Verdict:
    """The provenance is a statement of modelpack, with the base image and model of the labels."""
    try:
        return _verdict(subject, subject.provenance)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise VerificationError(
            f"The provenance in the image is malformed: {error}.", hint=REBUILD_HINT
        ) from error


def _verdict(subject: Subject, statement: dict[str, Any]) -> Verdict:
    predicate = statement["predicate"]
    definition = predicate["buildDefinition"]
    kinds = (statement["_type"], statement["predicateType"], definition["buildType"])
    if kinds != (STATEMENT, PREDICATE, BUILD_TYPE):
        raise VerificationError(
            "The provenance in the image is of an unknown kind.", hint=REBUILD_HINT
        )
    known = dependencies(predicate)
    models = [(entry["name"], entry["digest"]) for entry in statement["subject"]]
    _require_label(
        "the model", subject.labels.get(_MODEL), ",".join(digest["sha256"] for _, digest in models)
    )
    base = known["base"].get("sha256")
    _require_label("the base image", subject.labels.get(_BASE), base and f"sha256:{base}")
    if not models or any(known.get(name) != digest for name, digest in models):
        raise VerificationError(
            "The provenance lists another model than its subject.", hint=REBUILD_HINT
        )
    return Verdict("provenance", "holds", _describe_build(definition))


def _require_label(what: str, label: str | None, expected: str | None) -> None:
    if label != expected:
        raise VerificationError(
            f"In the labels {what} is {label}, but in the provenance {expected}.", hint=REBUILD_HINT
        )


def _describe_build(definition: dict[str, Any]) -> str:
    internal = definition["internalParameters"]
    base = definition["externalParameters"]["base"]["reference"]
    built = f"built by modelpack {internal['modelpack']} on {base}"
    edited = [str(name) for name in internal.get("edited", ())]
    return f"{built}; edited by hand: {join_first(edited)}" if edited else built
