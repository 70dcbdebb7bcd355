"""No secret that the build was given is in a layer, in the history, in a label or in a variable."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation


def violations(image: Subject) -> Iterator[Violation]:
    """What is word for word in a wheel was there before the build."""
    return (leak for leak in image.leaks if not image.is_of_a_wheel(leak.where))
