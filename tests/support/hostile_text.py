"""Texts that try to escape the quotes of a bundle, and texts that logs must not contain."""

from __future__ import annotations

import re

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "{{ 7 * 7 }}{% raw %}",
    "line\nRUN touch /owned",
    "carriage\rreturn\u2028separator\x85next",
    "$(touch /owned) `touch /owned` ${HOME}",
    "quote\" 'quote' \\\" \\",
    '"""\nimport os\n"""',
    "\u202eright to left\u2066",
    "\x00nul",
    "| pipe | `code` ``more``",
    "1.9.1 --index-url http://evil",
    "zero\u200bwidth",
]


LEAKS = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|/(usr|opt|app|tmp|home|etc|srv|work|root|dev)\b"
    r"|flask|werkzeug|gunicorn|sklearn|numpy|orjson|prometheus|python|modelpack\.serving"
    r"|[A-Z][a-z]+(Error|Exception|Warning)|Pipeline|LogisticRegression|Stubborn|0x[0-9a-f]{6}",
    re.IGNORECASE,
)
