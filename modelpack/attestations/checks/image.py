"""Layers, labels, contents, origin.

The documents of the image are compared when they are read. Layers are read to their end here,
whatever is known of them from an earlier time.
"""

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
    recorded_parity,
)
from modelpack.attestations.subject import ANEW, APP, Subject, Verdict, is_byte_code, join_first
from modelpack.errors import VerificationError
from modelpack.oci import Layer, streams
from modelpack.oci.streams import HashingReader, decompress
from modelpack.parity import claims


def check_layers(subject: Subject) -> Verdict:
    """From the manifest to the last byte, everything has the digest by which it is named.

    The documents of the image are compared when they are read. Layers are read to their end here,
    whatever is known of them from an earlier time.
    """
    layers = subject.image.layers
    size = sum(map(_verified, layers))
    named = "manifest" if subject.image.digest else "configuration"
    told = f"{len(layers)} of {size / 1e6:.0f} MB, each as its {named} names it"
    return Verdict("layers", "holds", told)


def _verified(layer: Layer) -> int:
    """The bytes of its tar.

    Raises:
        VerificationError: it has another digest.
    """
    if layer.blob is None:
        with layer.open() as stream:
            return _compared(HashingReader(stream, streams.LAYER), layer.diff_id)
    with layer.blob.open() as packed:
        measured = HashingReader(packed, streams.LAYER)
        with decompress(measured) as stream:
            size = _compared(HashingReader(stream, streams.LAYER), layer.diff_id)
        for _ in measured.chunks():
            pass
    _require_digest(measured.digest, layer.blob.digest)
    return size


def _compared(stream: HashingReader, digest: str) -> int:
    for _ in stream.chunks():
        pass
    _require_digest(stream.digest, digest)
    return stream.tell()


def _require_digest(found: str, named: str) -> None:
    if found != named:
        raise VerificationError(
            f"A layer was changed after the image was made: it should have the digest {named} and"
            f" has {found}.",
            hint=ANEW,
        )


def check_labels(subject: Subject) -> Verdict:
    """The labels tell of the bill of materials and the provenance that are in the image."""
    for name, label in ((SBOM, SBOM_LABEL), (PROVENANCE, PROVENANCE_LABEL)):
        found, told = subject.digest(name), subject.labels.get(label)
        if told is None or found != {"sha256": told}:
            raise VerificationError(
                f"The label {label} is {told or 'missing'}, and {name} in the image is"
                f" {found['sha256'] if found else 'missing'}.",
                hint=ANEW,
            )
    _require_parity(subject)
    return Verdict("labels", "holds", f"name the digests of {SBOM} and {PROVENANCE}")


def _require_parity(subject: Subject) -> None:
    """What is told of parity, in labels and on the page, is what the provenance has."""
    claimed = recorded_parity(subject.provenance)
    labels = {name: text for name, text in subject.labels.items() if name.startswith(claims.LABEL)}
    words = subject.variables.get("MODELPACK_PARITY", "")
    if labels != claims.parity_labels(claimed) or words != claims.parity_text(claimed):
        raise VerificationError(
            "The image tells of a parity that its provenance does not have.", hint=ANEW
        )


# Byte code is not told of: its compiler is the base's own.
BUILT_WITH = {"base", ".dockerignore", DOCKERFILE, "build-requirements.lock", "modelpack/assembly/"}
"""What an image is made with, and does not hold."""


def check_content(subject: Subject) -> Verdict:
    """What the provenance says is in the image is there, and nothing beside it.

    Byte code is not told of: its compiler is the base's own.
    """
    try:
        told = dependencies(subject.provenance["predicate"])
    except (LookupError, TypeError, AttributeError) as error:
        raise VerificationError("The provenance tells of no content.", hint=ANEW) from error
    kept = {name: digest for name, digest in told.items() if name not in BUILT_WITH}
    other = sorted(name for name, digest in kept.items() if subject.digest(name) != digest)
    if other:
        raise VerificationError(
            f"Not what the provenance tells, or missing in the image: {join_first(other)}.",
            hint=ANEW,
        )
    more = sorted(path for path in _own(subject) if not _is_told(path, kept))
    if more:
        raise VerificationError(
            f"In the image, and the provenance does not tell of it: {join_first(more)}.",
            hint="Look into it, or package the model anew.",
        )
    return Verdict("content", "holds", f"the model, its lock and its service: {len(kept)} digests")


def _own(subject: Subject) -> list[str]:
    """All that is in the folder of the service but folders and byte code."""
    return [
        path.removeprefix(APP)
        for path, entry in subject.files.items()
        if path.startswith(APP) and entry.kind != "directory" and not is_byte_code(path)
    ]


def _is_told(path: str, told: dict[str, dict[str, str]]) -> bool:
    trees = (name for name in told if name.endswith("/"))
    return path in {*told, PROVENANCE} or any(path.startswith(tree) for tree in trees)


_BASE = "org.opencontainers.image.base.digest"
_MODEL = "dev.modelpack.model.sha256"


def check_origin(subject: Subject) -> Verdict:
    """The provenance is a statement of modelpack, and names base and model of the labels."""
    told = subject.provenance
    try:
        return _verdict(subject, told)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise VerificationError(
            f"The provenance in the image has not the form that it must have: {error}.", hint=ANEW
        ) from error


def _verdict(subject: Subject, told: dict[str, Any]) -> Verdict:
    predicate = told["predicate"]
    definition = predicate["buildDefinition"]
    kinds = (told["_type"], told["predicateType"], definition["buildType"])
    if kinds != (STATEMENT, PREDICATE, BUILD_TYPE):
        raise VerificationError("The provenance in the image is of another kind.", hint=ANEW)
    known = dependencies(predicate)
    models = [(entry["name"], entry["digest"]) for entry in told["subject"]]
    _require_label(
        "the model",
        subject.labels.get(_MODEL),
        ",".join(digest["sha256"] for _, digest in models),
    )
    base = known["base"].get("sha256")
    _require_label("the base image", subject.labels.get(_BASE), base and f"sha256:{base}")
    if not models or any(known.get(name) != digest for name, digest in models):
        raise VerificationError("The provenance tells of another model than it names.", hint=ANEW)
    return Verdict("provenance", "holds", _describe_build(definition))


def _require_label(what: str, labelled: str | None, told: str | None) -> None:
    if labelled != told:
        raise VerificationError(
            f"The labels say that {what} is {labelled}, and the provenance says {told}.", hint=ANEW
        )


def _describe_build(definition: dict[str, Any]) -> str:
    internal = definition["internalParameters"]
    base = definition["externalParameters"]["base"]["reference"]
    made = f"made by modelpack {internal['modelpack']} on {base}"
    edited = [str(name) for name in internal.get("edited", ())]
    return f"{made}; edited by hand: {join_first(edited)}" if edited else made
