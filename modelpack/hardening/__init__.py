"""Rules that every image must follow, checked by reading it."""

from __future__ import annotations

from collections.abc import Sequence

from modelpack import oci
from modelpack.hardening import subject
from modelpack.hardening.rules import RULES
from modelpack.hardening.secrets import KnownSecret, known_secrets
from modelpack.types import Ruling

__all__ = ["RULES", "KnownSecret", "known_secrets", "scan"]


def scan(image: oci.Image, secrets: Sequence[KnownSecret] = ()) -> tuple[Ruling, ...]:
    """Check an image against each rule without running it.

    It must not contain the `secrets` of its build.

    Raises:
        UsageError: The image is damaged, or modelpack did not build it.
    """
    read = subject.read_image(image, secrets)
    return tuple(Ruling(rule.name, rule.sources, tuple(rule.violations(read))) for rule in RULES)
