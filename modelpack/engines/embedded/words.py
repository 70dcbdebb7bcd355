"""The words of an instruction: quotes, escapes and variables, as a Dockerfile has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_TOKEN = re.compile(
    r"""
      \\(?P<escaped>.)
    | \$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))
    | (?P<quote>["'])
    | (?P<space>\s+)
    | (?P<plain>[^\\$"'\s]+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_SPECIAL = '"$\\'


def split(text: str, variables: Mapping[str, str]) -> list[str]:
    """Its words, without their quotes and with the values of variables, "" for an unknown one.

    Raises:
        ValueError: a quote is not closed, or a variable has a modifier (`${NAME:-else}`).
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    for kind, value in _tokens(text):
        if kind == "space" and not quote:
            words += [] if word is None else [word]
            word = None
        elif kind == "quote" and value in (quote or value):
            quote, word = "" if quote else value, word or ""
        else:
            word = (word or "") + _meaning(kind, value, quote, variables)
    if quote:
        raise ValueError("a quote is not closed")
    return words + ([] if word is None else [word])


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        yield kind, match[kind]


def _meaning(kind: str, value: str, quote: str, variables: Mapping[str, str]) -> str:
    if kind == "escaped":
        # Within double quotes only what is special there is escaped; within single ones nothing.
        return value if not quote or (quote == '"' and value in _SPECIAL) else f"\\{value}"
    if kind in {"braced", "bare"}:
        if quote == "'":
            return f"${{{value}}}" if kind == "braced" else f"${value}"
        return variables.get(value, "")
    if kind == "other" and value == "$" and quote != "'":
        raise ValueError("a variable has a modifier")
    return value
