"""What the vocabularies of vectorisers tell: words, and the names of what is counted."""

from __future__ import annotations

import re

from ..arrays import clean
from ..nodes import Dct
from .columns import Column
from .parts import Part

TEXT_VECTORIZERS = ("TfidfVectorizer", "CountVectorizer", "HashingVectorizer")
DICT_VECTORIZER = "DictVectorizer"
_WORD = re.compile(r"[^\W\d_]{2,}")


def text_example(part: Part) -> str:
    """A few words of the vocabulary, in the order in which training met them."""
    vocabulary = part.get("vocabulary_", "vocabulary")
    terms = vocabulary.keys if isinstance(vocabulary, Dct) else []
    words = [t for t in terms[:2_000] if isinstance(t, str) and _WORD.fullmatch(t)]
    return " ".join(words[:6]) or "an example text"


def dict_columns(part: Part, most: int) -> list[Column]:
    """The keys of the dicts that a DictVectorizer was fitted on; none where there are more than
    `most`. It counts {"city": "Bern"} as "city=Bern" and {"rooms": 3} as "rooms": what has values
    after a separator is text, everything else a number. Any key may be left out.
    """
    separator = part.text("separator") or "="
    keys: dict[str, list[str | None]] = {}
    for feature in _features(part):
        name, found, value = feature.partition(separator)
        keys.setdefault(name, []).append(value if found else None)
        if len(keys) > most:
            return []
    return [_dict_column(name, values) for name, values in keys.items()]


def _dict_column(name: str, values: list[str | None]) -> Column:
    column = Column(name, nullable=True)
    if None not in values:
        column.category(values)
    elif len(values) > 1:  # a number in some dicts, text in others
        column.type, column.example = "any", values[-1]
    return column


def _features(part: Part) -> list[str]:
    names = part.get("feature_names_")
    if not isinstance(names, list):
        vocabulary = part.get("vocabulary_")
        names = vocabulary.keys if isinstance(vocabulary, Dct) else []
    return [clean(name) for name in names if isinstance(name, str)]
