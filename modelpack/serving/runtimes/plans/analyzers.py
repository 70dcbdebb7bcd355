"""The analysis of texts by a record of a vectorizer: from a text to its terms."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Callable, Collection, Iterable, List

from .compiler import Compiler, UnplannedError

Analyze = Callable[[str], Iterable[str]]
Function = Callable[[str], str]
Tokens = List[str]

_SPACES = re.compile(r"\s\s+")
MAX_PATTERN = 1_000
"""Characters of a token pattern. Compiling a long one can take minutes."""


def record_analyzer(model: Any, compiler: Compiler) -> Analyze:
    """Return the function that splits a text into terms, as `build_analyzer` of the estimator.

    Raises:
        UnplannedError: The list of stop words is not in the record, or the pattern is invalid.
    """
    prepare = _preprocessor(model, compiler)
    shortest, longest = model.ngram_range
    if model.analyzer in ("char", "char_wb"):
        divide = {"char": characters, "char_wb": characters_of_words}[model.analyzer]
        return lambda text: divide(prepare(text), shortest, longest)
    pattern = _pattern(model.token_pattern)
    if model.analyzer != "word" or pattern.groups > 1:
        raise UnplannedError(f"{type(model).__name__} has an invalid setting")
    find, stop_words = pattern.findall, _stop_words(model)

    def split_words(text: str) -> Tokens:
        tokens = find(prepare(text))
        if stop_words:
            tokens = [token for token in tokens if token not in stop_words]
        return tokens if longest == 1 else sequences(tokens, shortest, longest)

    return split_words


def _pattern(text: str) -> re.Pattern[str]:
    if len(text) > MAX_PATTERN:
        raise UnplannedError("a token pattern is too long")
    try:
        return re.compile(text)
    except (re.error, RecursionError) as error:
        raise UnplannedError("a token pattern is invalid") from error


def _preprocessor(model: Any, compiler: Compiler) -> Function:
    accents: dict[Any, Function] = {
        "ascii": without_accents_of_ascii,
        "unicode": without_accents if compiler.since(0, 22) else without_composed_accents,
    }
    strip = accents[model.strip_accents] if model.strip_accents else str
    if model.lowercase:
        return lambda text: strip(text.lower())
    return strip


def without_accents(text: str) -> str:
    if text.isascii():
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(each for each in decomposed if not unicodedata.combining(each))


def without_composed_accents(text: str) -> str:
    """Remove accents as releases before 0.22, which keep a text that is decomposed already."""
    return text if unicodedata.normalize("NFKD", text) == text else without_accents(text)


def without_accents_of_ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def _stop_words(model: Any) -> Collection[str]:
    """Return the words that are left out.

    The list "english" belongs to scikit-learn. It has no effect on single words if a vocabulary was
    fitted without them, otherwise the maker of the record adds it as `stop_word_list`.
    """
    words = model.stop_words
    if words is None or not isinstance(words, str):
        return frozenset(words or ())
    if words != "english":
        raise UnplannedError(f"{type(model).__name__} has an invalid setting")
    is_fitted = hasattr(model, "vocabulary_") and getattr(model, "vocabulary", None) is None
    if is_fitted and model.ngram_range[1] == 1:
        return ()
    listed = getattr(model, "stop_word_list", None)
    if listed is None:
        raise UnplannedError("the record has no list of English stop words")
    return frozenset(listed)


def sequences(tokens: Tokens, shortest: int, longest: int) -> Tokens:
    """Return all sequences of `shortest` to `longest` tokens, joined by spaces."""
    return [
        " ".join(tokens[start : start + size])
        for size in range(shortest, min(longest, len(tokens)) + 1)
        for start in range(len(tokens) - size + 1)
    ]


def characters(text: str, shortest: int, longest: int) -> Tokens:
    """Return all sequences of characters, with one space in place of several."""
    text = _SPACES.sub(" ", text)
    return [
        text[start : start + size]
        for size in range(shortest, min(longest, len(text)) + 1)
        for start in range(len(text) - size + 1)
    ]


def characters_of_words(text: str, shortest: int, longest: int) -> Tokens:
    """Return all sequences of characters within each word, which has a space at both ends."""
    terms = []
    for word in text.split():
        padded = f" {word} "
        for size in range(shortest, longest + 1):
            terms += [
                padded[start : start + size] for start in range(max(len(padded) - size, 0) + 1)
            ]
            if len(padded) <= size:  # longer sequences are the same word
                break
    return terms
