"""No file is younger than the image says it is, so that the same input makes the same layers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from modelpack.hardening.subject import Subject
from modelpack.types import Violation


def violations(image: Subject) -> Iterator[Violation]:
    """No file is younger than the creation time of the image, so that builds are reproducible."""
    created = _seconds(str(image.config.get("created", "")))
    if created is None:
        yield Violation("created", f"is {image.config.get('created')!r}, no time")
        return
    for layer in image.layers:
        for entry in layer.entries:
            if entry.mtime > created:
                yield Violation(
                    entry.path,
                    f"is of {datetime.fromtimestamp(entry.mtime, timezone.utc):%Y-%m-%d %H:%M:%S}",
                )


def _seconds(text: str) -> float | None:
    """Of RFC 3339, with more digits of a second than Python reads."""
    try:
        return datetime.fromisoformat(text[:19] + "+00:00").timestamp() if text else None
    except ValueError:
        return None
