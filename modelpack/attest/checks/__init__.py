"""Whether what vouches for an image holds; a check is a function.

A check returns its verdict, or raises a ModelpackError with the reason why it fails. Later checks
rely on earlier ones. A new check is one function and one line in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from modelpack.attest.checks import attached, bill, content, labels, layers, origin, signature
from modelpack.attest.subject import Subject, Verdict
from modelpack.errors import ModelpackError

CHECKS: tuple[tuple[str, Callable[[Subject], Verdict]], ...] = (
    ("signature", signature.check),
    ("layers", layers.check),
    ("labels", labels.check),
    ("provenance", origin.check),
    ("content", content.check),
    ("sbom", bill.check),
    ("attached", attached.check),
)


def judged(subject: Subject) -> Iterator[Verdict]:
    """One verdict a check, as they come."""
    for name, check in CHECKS:
        try:
            yield check(subject)
        except ModelpackError as error:
            yield Verdict(name, "fails", error.message, error.hint)
