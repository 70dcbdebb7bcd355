"""The provenance is one of modelpack, and tells of the base and the model that the labels name."""

from __future__ import annotations

from typing import Any

from modelpack.attest.provenance import BUILD_TYPE, PREDICATE, STATEMENT, dependencies
from modelpack.attest.subject import ANEW, Subject, Verdict, listed
from modelpack.errors import NotVouchedError

_BASE = "org.opencontainers.image.base.digest"
_MODEL = "dev.modelpack.model.sha256"


def check(subject: Subject) -> Verdict:
    """The provenance is a statement of modelpack, and names the base and the model of the labels."""
    told = subject.provenance
    try:
        return _judged(subject, told)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise NotVouchedError(
            f"The provenance in the image has not the form that it must have: {error}.", hint=ANEW
        ) from error


def _judged(subject: Subject, told: dict[str, Any]) -> Verdict:
    predicate = told["predicate"]
    definition = predicate["buildDefinition"]
    kinds = (told["_type"], told["predicateType"], definition["buildType"])
    if kinds != (STATEMENT, PREDICATE, BUILD_TYPE):
        raise NotVouchedError("The provenance in the image is of another kind.", hint=ANEW)
    known = dependencies(predicate)
    models = [(entry["name"], entry["digest"]) for entry in told["subject"]]
    _require(
        "the model",
        subject.labels.get(_MODEL),
        ",".join(digest["sha256"] for _, digest in models),
    )
    base = known["base"].get("sha256")
    _require("the base image", subject.labels.get(_BASE), base and f"sha256:{base}")
    if not models or any(known.get(name) != digest for name, digest in models):
        raise NotVouchedError("The provenance tells of another model than it names.", hint=ANEW)
    return Verdict("provenance", "holds", _told(definition))


def _require(what: str, labelled: str | None, told: str | None) -> None:
    if labelled != told:
        raise NotVouchedError(
            f"The labels say that {what} is {labelled}, and the provenance says {told}.", hint=ANEW
        )


def _told(definition: dict[str, Any]) -> str:
    internal = definition["internalParameters"]
    base = definition["externalParameters"]["base"]["reference"]
    made = f"made by modelpack {internal['modelpack']} on {base}"
    edited = [str(name) for name in internal.get("edited", ())]
    return f"{made}; edited by hand: {listed(edited)}" if edited else made
