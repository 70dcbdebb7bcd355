"""Byte code lies beside the source that it was made of, and holds no time stamp: what runs can be
read, and the next build makes the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.hardening import locks
from modelpack.hardening.subject import Subject
from modelpack.types import Violation


def violations(image: Subject) -> Iterator[Violation]:
    """Byte code is next to its source and contains no time stamp: builds are reproducible."""
    stamped = {path for layer in image.layers for path in layer.evidence.stamped}
    for path in image.ours:
        if not path.endswith((".pyc", ".pyo")):
            continue
        source = locks.source_of(path)
        if source == path or source not in image.files:
            yield Violation(path, "is byte code without its source")
        elif path in stamped:
            yield Violation(path, "is byte code with a time stamp")
