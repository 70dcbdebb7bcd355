"""What must be true of every image, as rules that read the image that was built."""

from __future__ import annotations

from collections.abc import Sequence

from modelpack import oci
from modelpack.hardening import subject
from modelpack.hardening.rules import RULES
from modelpack.hardening.secrets import KnownSecret, known_secrets
from modelpack.types import Ruling

__all__ = ["RULES", "KnownSecret", "known_secrets", "scan"]


def scan(image: oci.Image, given: Sequence[KnownSecret] = ()) -> tuple[Ruling, ...]:
    """What each rule says of an image, of which nothing is run. `given`: the secrets that its build
    was given.

    Raises:
        UsageError: the image is damaged, or none that modelpack made.
    """
    read = subject.read(image, given)
    return tuple(Ruling(rule.name, rule.sources, tuple(rule.violations(read))) for rule in RULES)
