"""Decode the part of YAML that `yaml.safe_dump` writes for mappings, lists and texts.

Anchors, aliases, tags and flow collections with content are rejected: MLflow writes none, and they
make YAML dangerous or large. Every scalar is a text, or None; `typed` converts others from text.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

from ..nodes import Malformed

Value = dict[str, "Value"] | list["Value"] | str | None

_MAX_DEPTH = 32
_KEY = re.compile(
    r"""(?P<key>'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\""""
    r"""|[^\s'"#&*!|>%@`{}\[\],?:-][^\s:]*(?:\ [^\s:#]+)*)"""
    r":(?:\ +(?P<rest>.*))?$"
)
_BREAKS = re.compile("[\x85\u2028\u2029]")
_NESTED = re.compile(r":(?: |$)")
_ITEM = re.compile(r"-(?: +|$)")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r",
    "e": "\x1b", " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0",
    "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_REFUSED = {
    "&": "an anchor", "*": "an alias", "!": "a tag", "%": "a directive", "?": "a complex key",
    "{": "a flow mapping", "[": "a flow list", "@": "a reserved character",
    "`": "a reserved character",
}  # fmt: skip
_NULLS = {"", "~", "null", "Null", "NULL"}


# What `yaml.safe_dump` writes. Source: yaml/resolver.py and representer.py of PyYAML 6.
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?")
_BOOLEANS = {"true": True, "false": False}
_OTHER = re.compile(
    r"[-+]?\.(?:inf|nan)|\d{4}-\d\d-\d\d.*|[-+]?0(?:x[0-9a-f_]+|b[01_]+|[0-7_]+)|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+.*"
    r"|yes|no|on|off|=|<<",
    re.IGNORECASE | re.DOTALL,
)
_MAX_DIGITS = 400


class Plain(str):
    """A scalar without quotes, which may be a number."""

    __slots__ = ()


def typed(value: Value) -> Any:
    """Return a value with the booleans and numbers that `yaml.safe_load` returns.

    Raises:
        Malformed: It has a value that JSON does not have: a date, an infinity, or a key that is
            not a text.
    """
    if isinstance(value, dict):
        if any(not isinstance(typed(key), str) for key in value):
            raise Malformed("malformed", "it has a key that is not a text")
        return {str(key): typed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [typed(each) for each in value]
    return _scalar(value) if isinstance(value, Plain) else value


def _scalar(value: Plain) -> bool | int | float | str:
    if value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    if len(value) <= _MAX_DIGITS and _INTEGER.fullmatch(value):
        return int(value)
    if len(value) <= _MAX_DIGITS and _FLOAT.fullmatch(value) and isfinite(float(value)):
        return float(value)
    if _OTHER.fullmatch(value):
        raise Malformed("malformed", f"it has the value {ascii(value)[:60]}, which is not of JSON")
    return str(value)


def decode(data: bytes) -> Value:
    """Return the document in `data`.

    Raises:
        Malformed: It is not valid, or has what `yaml.safe_dump` does not write.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed("malformed", "it is not UTF-8") from error
    if _BREAKS.search(text):
        raise Malformed("malformed", "it contains line breaks that YAML 1.1 alone knows")
    return _Decoder(text).document()


class _Decoder:
    """The lines of a document, and the position in them."""

    def __init__(self, text: str) -> None:
        self._lines = [line.rstrip("\r") for line in text.split("\n")]
        self._at = 0

    def document(self) -> Value:
        if self._has_more() and self._lines[self._at].rstrip() == "---":
            self._at += 1
        value = self._node(0, 0)
        if self._has_more():
            raise self._error("is not indented as the lines before it")
        return value

    def _has_more(self) -> bool:
        """Skip empty lines and comments, and return whether another line follows."""
        while self._at < len(self._lines):
            stripped = self._lines[self._at].strip(" ")
            if stripped and not stripped.startswith("#"):
                return True
            self._at += 1
        return False

    def _error(self, problem: str) -> Malformed:
        return Malformed("malformed", f"line {self._at + 1:,} of it {problem}")

    def _indent(self) -> int:
        line = self._lines[self._at]
        return len(line) - len(line.lstrip(" "))

    def _node(self, least: int, depth: int) -> Value:
        """Decode the block at the position if it is indented by at least `least`."""
        if depth > _MAX_DEPTH:
            raise self._error("is nested too deeply")
        if not self._has_more() or self._indent() < least:
            return None
        indent = self._indent()
        line = self._lines[self._at][indent:]
        if _ITEM.match(line):
            return self._items(indent, depth)
        if _KEY.match(line):
            return self._mapping(indent, depth)
        return self._scalar(line, indent)

    def _mapping(self, indent: int, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while self._has_more() and self._indent() == indent:
            line = self._lines[self._at][indent:]
            if _ITEM.match(line):
                break
            match = _KEY.match(line)
            if match is None:
                raise self._error(f"contains {_REFUSED.get(line[0], 'no key')}")
            quoted = match["key"][0] in "'\""
            key = self._unquoted(match["key"]) if quoted else Plain(match["key"])
            if key in found:
                raise self._error("repeats a key")
            rest = match["rest"] or ""
            if rest and not rest.startswith("#"):
                found[key] = self._scalar(rest, indent + 1)
                continue
            self._at += 1
            is_list = self._has_more() and _ITEM.match(self._lines[self._at][indent:])
            same = bool(is_list) and self._indent() == indent
            found[key] = self._node(indent if same else indent + 1, depth + 1)
        return found

    def _items(self, indent: int, depth: int) -> list[Value]:
        found: list[Value] = []
        while self._has_more() and self._indent() == indent:
            line = self._lines[self._at][indent:]
            match = _ITEM.match(line)
            if match is None:
                break
            rest = line[match.end() :]
            if not rest or _ITEM.match(rest) or _KEY.match(rest):
                # The rest is a block whose indentation begins behind the hyphen.
                self._lines[self._at] = " " * (indent + match.end()) + rest
                self._at += not rest
                found.append(self._node(indent + 1, depth + 1))
            else:
                found.append(self._scalar(rest, indent + 1))
        return found

    def _scalar(self, start: str, least: int) -> Value:
        """Decode a scalar that begins with `start`, and continues on lines indented enough."""
        first = start[0]
        if start.rstrip() in {"{}", "[]"}:
            self._at += 1
            return {} if first == "{" else []
        if first in _REFUSED:
            raise self._error(f"contains {_REFUSED[first]}")
        if first in "|>":
            return self._block(start, least)
        if first in "'\"":
            return self._quoted(start)
        lines = [start.partition(" #")[0]]
        if _NESTED.search(lines[0]):
            raise self._error("contains a colon outside of a quoted text")
        self._at += 1
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.strip(" ") and self._indent() < least:
                break
            if _NESTED.search(line):
                raise self._error("is not indented as the lines before it")
            lines.append(line)
            self._at += 1
        text = _folded(lines)
        return None if text in _NULLS else Plain(text)

    def _quoted(self, start: str) -> str:
        """Decode a text in quotes, which may continue on further lines."""
        quote, lines, line = start[0], list[str](), start[1:]
        while True:
            end = _closing(line, quote)
            if end is not None:
                break
            lines.append(line)
            self._at += 1
            if self._at == len(self._lines):
                raise self._error("ends within a quoted text")
            line = self._lines[self._at]
        rest = line[end + 1 :].strip()
        if rest and not rest.startswith("#"):
            raise self._error("continues behind a quoted text")
        self._at += 1
        return self._unquoted(quote + _folded([*lines, line[:end]], quote) + quote)

    def _unquoted(self, text: str) -> str:
        if text[0] == "'":
            return text[1:-1].replace("''", "'")
        return _ESCAPE.sub(self._character, text[1:-1]) if text[0] == '"' else text

    def _character(self, match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        if code is None and match[4] in _ESCAPES:
            return _ESCAPES[match[4]]
        if code is None or int(code, 16) > 0x10FFFF:
            raise self._error("contains an unknown escape")
        return chr(int(code, 16))

    def _block(self, start: str, least: int) -> str:
        """Decode a literal text (|) or a folded one (>)."""
        self._at += 1
        lines: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.strip(" ") and self._indent() < least:
                break
            lines.append(line)
            self._at += 1
        margin = min((len(x) - len(x.lstrip(" ")) for x in lines if x.strip(" ")), default=0)
        lines = [line[margin:] for line in lines]
        text = "\n".join(lines).rstrip("\n") if start[0] == "|" else _folded(lines)
        return text if "-" in start else f"{text}\n"


def _closing(line: str, quote: str) -> int | None:
    """Return the position of the quote that ends a text, or None if it is not in this line."""
    at = 0
    while at < len(line):
        if line.startswith("\\" if quote == '"' else "''", at):  # an escape
            at += 2
        elif line[at] == quote:
            return at
        else:
            at += 1
    return None


def _folded(lines: list[str], quote: str = "") -> str:
    """Return lines as one text: a line break is a space, an empty line is a line break."""
    parts = [lines[0]]
    breaks = 0
    for line in lines[1:]:
        stripped = line.strip(" \t")
        previous = parts[-1]
        if not stripped:
            breaks += 1
            continue
        is_escaped = quote == '"' and not breaks and _ends_with_escape(previous)
        parts[-1] = previous[:-1] if is_escaped else previous.rstrip(" \t")
        parts.append("" if is_escaped else "\n" * breaks or " ")
        parts.append(line.lstrip(" \t"))
        breaks = 0
    return "".join(parts).rstrip(" \t") if not quote else "".join(parts)


def _ends_with_escape(line: str) -> bool:
    """Return whether a backslash at the end of a line joins it with the next one."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1
