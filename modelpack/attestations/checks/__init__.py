"""The ordered table `CHECKS`.

A check returns its verdict, or raises a ModelpackError with the reason of the failure. Later checks
depend on earlier ones. A new check is one function and one line in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from modelpack.attestations.checks import image, sbom, signatures
from modelpack.attestations.subject import Subject, Verdict
from modelpack.errors import ModelpackError

CHECKS: tuple[tuple[str, Callable[[Subject], Verdict]], ...] = (
    ("signature", signatures.check_signature),
    ("layers", image.check_layers),
    ("labels", image.check_labels),
    ("provenance", image.check_origin),
    ("content", image.check_content),
    ("sbom", sbom.check_sbom),
    ("attached", signatures.check_attached),
)


def run_checks(subject: Subject) -> Iterator[Verdict]:
    """Yield the verdict of each check as soon as it is known."""
    for name, check in CHECKS:
        try:
            yield check(subject)
        except ModelpackError as error:
            yield Verdict(name, "fails", error.message, error.hint)
