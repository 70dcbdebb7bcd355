"""Whether what vouches for an image holds; a check is a function.

A check returns its verdict, or raises a ModelpackError of what does not hold. The first ones are
what the others rely on. A new check is one file with a NAME and a `check`, and one line in the
table.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.attest.checks import attached, bill, content, labels, layers, origin, signature
from modelpack.attest.subject import Subject, Verdict
from modelpack.errors import ModelpackError

CHECKS = (signature, layers, labels, origin, content, bill, attached)


def judged(subject: Subject) -> Iterator[Verdict]:
    """One verdict a check, as they come."""
    for entry in CHECKS:
        try:
            yield entry.check(subject)
        except ModelpackError as error:
            yield Verdict(entry.NAME, "fails", error.message, error.hint)
