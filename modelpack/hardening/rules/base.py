"""The image says what it is built on, and by content where that came from a registry."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

_NAME, _DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
ORIGIN = "dev.modelpack.base.origin"


def violations(image: Subject) -> Iterator[Violation]:
    """The image says what it is built on, and by content where that came from a registry."""
    name, digest = image.labels.get(_NAME, ""), image.labels.get(_DIGEST)
    if not name:
        yield Violation(_NAME, "is missing")
    if digest and not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        yield Violation(_DIGEST, f"is {digest!r}, no digest")
    if not digest and image.labels.get(ORIGIN) not in {"local", "user"}:
        yield Violation(_DIGEST, f"is missing, so {name} may be another image tomorrow")
