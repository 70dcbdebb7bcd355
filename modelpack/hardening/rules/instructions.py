"""The history tells of nothing that is fetched without being checked: no ADD, no downloads, no
update of packages by itself, no upgrade.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelpack.hardening.subject import Subject
from modelpack.types import Violation

PATTERNS = {
    r"ADD .*|/bin/sh -c #\(nop\) ADD .*": "ADD fetches and unpacks; COPY does neither",
    r".*\b(curl|wget)\b.*": "fetches what nobody has checked",
    r".*\b(dist-upgrade|apt(-get)?\s+(-\S+\s+)*upgrade)\b.*": "upgrades to whatever there is today",
    r"(?!.*\binstall\b).*\bapt(-get)?\s+(\S+\s+)*update\b.*": "updates the lists of packages alone",
    r".*\bpip[0-9.]*\s+install\b(?!.*--require-hashes).*": "installs without hashes",
    r".*\bsudo\b.*": "asks for the rights of root",
}
_PATTERNS = [(re.compile(pattern, re.DOTALL), what) for pattern, what in PATTERNS.items()]


def violations(image: Subject) -> Iterator[Violation]:
    """Told by their places: they may hold secrets."""
    for number, instruction in enumerate(image.history, 1):
        for pattern, what in _PATTERNS:
            if pattern.fullmatch(instruction):
                yield Violation(f"instruction {number} above the base", what)
