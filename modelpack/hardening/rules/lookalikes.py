"""Nothing looks like a key, a token, a password in a URL or a file of credentials: in no layer, not
even below another one, and in nothing that the image tells of itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from modelpack.hardening import leaks, shapes
from modelpack.hardening.subject import Subject
from modelpack.types import Violation


def violations(image: Subject) -> Iterator[Violation]:
    """No layer, variable or label contains a key, a token, a password or a file of credentials."""
    told = json.dumps({"run": image.run, "history": image.history}, ensure_ascii=False)
    for what in shapes.found(told.encode(errors="surrogatepass")):
        yield Violation(leaks.CONFIGURATION, f"holds {what}")
    for layer in image.layers:
        for path, names in layer.evidence.shapes.items():
            yield from (Violation(path, f"is or holds {what}") for what in names)
