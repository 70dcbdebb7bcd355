"""The labels that tell of the model, its versions and its base are there; each is one short line of
visible characters; and those that are digests are the digests of what is in the image.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

REQUIRED = (
    "org.opencontainers.image.title",
    "org.opencontainers.image.description",
    "org.opencontainers.image.base.name",
    "dev.modelpack.version",
    "dev.modelpack.framework",
    "dev.modelpack.estimator",
    "dev.modelpack.python",
    "dev.modelpack.model.sha256",
)
OF_FILES = {
    "dev.modelpack.sbom.sha256": "app/sbom.cdx.json",
    "dev.modelpack.provenance.sha256": "app/provenance.json",
}
LONGEST = 4096
"""Characters of a value."""


def violations(image: Subject) -> Iterator[Violation]:
    """The labels of model, versions, base and documents exist, fit one line, and are correct."""
    for name in REQUIRED:
        if name not in image.labels:
            yield Violation(name, "is missing")
    for name, value in image.labels.items():
        if not (name.isascii() and name.isprintable() and str(value).isprintable()):
            yield Violation(name, "holds characters that cannot be seen")
        if len(value) > LONGEST:
            yield Violation(name, f"has {len(value)} characters")
    for name, path in OF_FILES.items():
        entry = image.files.get(path)
        if image.labels.get(name) != (entry and entry.sha256):
            yield Violation(name, f"is not the digest of {path}")
