"""The image runs as a user that is not root, told by number: who runs it can see that it is not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

_NUMBERS = re.compile(r"[1-9][0-9]*(:[1-9][0-9]*)?")


def violations(image: Subject) -> Iterator[Violation]:
    """The image runs as a numeric user that is not root, so that an engine can verify it."""
    user = str(image.run.get("User") or "")
    if not _NUMBERS.fullmatch(user):
        yield Violation("USER", f"is {user!r}, no number of a user and a group but root's")
