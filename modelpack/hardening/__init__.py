"""Rules that every image must follow, checked by reading it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelpack import cache, oci
from modelpack.hardening import subject
from modelpack.hardening.rules import RULES
from modelpack.hardening.secrets import KnownSecret, cache_key, known_secrets
from modelpack.types import Ruling, Violation, to_json

__all__ = ["RULES", "KnownSecret", "known_secrets", "scan"]


def scan(image: oci.Image, secrets: Sequence[KnownSecret] = ()) -> tuple[Ruling, ...]:
    """Check an image against each rule without running it.

    It must not contain the `secrets` of its build. The rulings are cached by all that determines
    them: the configuration of the image, the digests of its layers, the secrets, and this code.

    Raises:
        UsageError: The image is damaged, or modelpack did not build it.
    """
    key = cache_key(secrets)
    name = f"{_digest(image, key)}.json"
    with suppress(OSError, ValueError, TypeError, LookupError):
        return tuple(_ruling(row) for row in json.loads(cache.read("rulings", name)))
    read = subject.read_image(image, secrets, key)
    rulings = tuple(Ruling(rule.name, rule.sources, tuple(rule.violations(read))) for rule in RULES)
    cache.write("rulings", name, json.dumps([to_json(ruling) for ruling in rulings]))
    return rulings


def _digest(image: oci.Image, secrets_key: str) -> str:
    layers = [layer.diff_id for layer in image.layers]
    content = json.dumps([image.config, layers, secrets_key, _version()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _version() -> str:
    """Return a digest of the code that reads and judges images."""
    sources = [*Path(__file__).parent.rglob("*.py"), *Path(oci.__file__).parent.glob("*.py")]
    contents = b"".join(source.read_bytes() for source in sorted(sources))
    return hashlib.sha256(contents).hexdigest()


def _ruling(row: Any) -> Ruling:
    violations = tuple(Violation(each["where"], each["what"]) for each in row["violations"])
    return Ruling(row["rule"], tuple(row["sources"]), violations)
