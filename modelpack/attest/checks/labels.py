"""The labels tell of the bill of materials and the provenance that are in the image."""

from __future__ import annotations

from modelpack.attest.made import PROVENANCE, PROVENANCE_LABEL, SBOM, SBOM_LABEL
from modelpack.attest.provenance import told_parity
from modelpack.attest.subject import ANEW, Subject, Verdict
from modelpack.errors import NotVouchedError
from modelpack.parity import claims


def check(subject: Subject) -> Verdict:
    """The labels tell of the bill of materials and the provenance that are in the image."""
    for name, label in ((SBOM, SBOM_LABEL), (PROVENANCE, PROVENANCE_LABEL)):
        found, told = subject.digest(name), subject.labels.get(label)
        if told is None or found != {"sha256": told}:
            raise NotVouchedError(
                f"The label {label} is {told or 'missing'}, and {name} in the image is"
                f" {found['sha256'] if found else 'missing'}.",
                hint=ANEW,
            )
    _require_parity(subject)
    return Verdict("labels", "holds", f"name the digests of {SBOM} and {PROVENANCE}")


def _require_parity(subject: Subject) -> None:
    """What is told of parity, in labels and on the page, is what the provenance has."""
    claimed = told_parity(subject.provenance)
    labels = {name: text for name, text in subject.labels.items() if name.startswith(claims.LABEL)}
    words = subject.variables.get("MODELPACK_PARITY", "")
    if labels != claims.parity_labels(claimed) or words != claims.parity_text(claimed):
        raise NotVouchedError(
            "The image tells of a parity that its provenance does not have.", hint=ANEW
        )
