"""Vocabularies: term -> column.

A vectorizer makes sparse matrices with as many columns as its vocabulary has terms, of whatever
columns the vocabulary tells; the compiled routines of scipy then read and write there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..arrays import scalar
from ..dtypes import parse
from ..nodes import Dct, Node, Obj
from .objects import Broken, attributes
from .scans import Rule, Scan

_PLAIN = (str, bytes, float)
"""Types of keys that may be hashed: at most 33 floats have the same hash value."""

_BITS = 61
"""Integers of as many bits have hash values of their own; any number of longer ones share one."""


def vectorizer(made: Obj) -> Iterator[Scan]:
    return _terms(attributes(made).get("vocabulary_"))


def labels(made: Obj) -> Iterator[Scan]:
    """MultiLabelBinarizer: the columns of its classes, once it has looked them up."""
    return _terms(attributes(made).get("_cached_dict"))


def _terms(node: Node) -> Iterator[Scan]:
    if node is None:
        return
    terms = node.pairs if isinstance(node, Obj) else node
    if not isinstance(terms, Dct):
        raise Broken("a vocabulary is no dict")
    yield Scan(terms.values, 1, _columns(terms.keys))


def _columns(keys: list[Node]) -> Rule:
    """All values are less than the number of different keys."""
    while values := (yield):
        numbers = _numbers(values)
        count = len(set(filter(_is_plain, keys)))
        if numbers is None or not 0 <= min(numbers) <= max(numbers) < count:
            raise Broken(f"a vocabulary of {count:,} terms leads to columns that it has not")


def _is_plain(key: Node) -> bool:
    return type(key) in _PLAIN or (type(key) is int and key.bit_length() < _BITS)


def _numbers(values: list[Node]) -> list[int] | None:
    """Integers of Python, or of numpy: as a rule all alike, and then decoded at once."""
    first = values[0]
    found: Sequence[Node] = values
    if isinstance(first, Obj) and all(_is_alike(value, first) for value in values):
        kind = parse(first.args[0])
        found = (kind and kind.decode(b"".join([value.args[1] for value in values]))) or ()
    elif not all(type(value) is int for value in values):
        found = [scalar(value) for value in values]
    return list(found) if found and all(type(value) is int for value in found) else None


def _is_alike(value: Node, first: Obj) -> bool:
    return (
        isinstance(value, Obj)
        and value.cls.name == "scalar"
        and len(value.args) == 2
        and value.args[0] is first.args[0]
        and type(value.args[1]) is bytes
    )
