"""Vectorizers."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any, Callable, Iterable, Mapping, Sequence

import numpy as np
from sklearn.utils import murmurhash3_32

from ...data.columns import FallbackRequiredError
from .blocks import csr_maker, row_numbers
from .compiler import Compiler, Compilers, Part, UnplannedError
from .scaling import row_norm, with_data

Count = Callable[[Any], Mapping[int, float]]
"""Of one text or dict: column -> what stands in it."""

COUNTS = tuple(map(np.dtype, (np.float64, np.int64, np.int32)))
"""Dtypes of counts that do not wrap around, and whose functions are float64."""
LEAST_HASH = -(2**31)
AUTHORS = ("analyzer", "tokenizer", "preprocessor", "strip_accents")
"""Parameters of vectorizers that may be functions of the author."""


def count_vectorizer(model: Any, compiler: Compiler) -> Part:
    if np.dtype(model.dtype) not in COUNTS:
        raise UnplannedError(f"{type(model).__name__} counts by {np.dtype(model.dtype)}")
    compiler.gives_codes |= np.dtype(model.dtype) != np.float64
    width = len(model.vocabulary_)
    return {"transform": _collected(_counter(model, analyzer(model)), width, model.dtype)}


def tfidf_vectorizer(model: Any, compiler: Compiler) -> Part:
    if np.dtype(model.dtype) != np.float64:
        raise UnplannedError("TfidfVectorizer gives short floats")
    collect = count_vectorizer(model, compiler)["transform"]
    weigh = tfidf_transformer(model._tfidf, compiler)["transform"]
    return {"transform": lambda texts: weigh(collect(texts))}


def tfidf_transformer(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    weigh = weights(model)
    turned = model.use_idf and is_turned(model, len(model.idf_))

    def transform(block: Any) -> Any:
        if isinstance(block, np.ndarray):
            raise FallbackRequiredError
        return weigh(turn(block) if turned else block)

    return {"transform": transform}


def weights(model: Any) -> Callable[[Any], Any]:
    """What a TfidfTransformer makes of sparse counts, apart from their order."""
    idf = model.idf_ if model.use_idf else None
    normalize = row_norm(model.norm)

    def weigh(block: Any) -> Any:
        data = np.log(block.data) + 1 if model.sublinear_tf else block.data.copy()
        if idf is not None:
            data = data * idf[block.indices]
        return normalize(with_data(block, data))

    return weigh


def is_turned(model: Any, width: int) -> bool:
    """Whether the weights of a row come out from the last column to the first: versions that
    multiply by a sparse matrix of them have this from scipy.
    """
    if width < 2:
        return False
    make = csr_maker(width)
    row = make(np.ones(2), np.array([0, 1], np.int32), np.array([0, 2], np.int32))
    return bool(model.transform(row).indices[0] == 1)


def turn(block: Any) -> Any:
    """Each row from its last entry to its first."""
    ends = block.indptr[:-1] + block.indptr[1:] - 1
    places = ends[row_numbers(block)] - np.arange(len(block.data))
    return csr_maker(block.shape[1])(block.data[places], block.indices[places], block.indptr)


def hashing_vectorizer(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    if np.dtype(model.dtype) != np.float64 or getattr(model, "non_negative", False):
        raise UnplannedError("HashingVectorizer is set in a way without a plan")
    is_whole = isinstance(model.n_features, (int, np.integer))
    if not is_whole or not 0 < model.n_features < 2**31:  # the compiled code divides by it
        raise UnplannedError("HashingVectorizer has no number of columns")
    analyze, width, signed, binary = (
        analyzer(model),
        model.n_features,
        model.alternate_sign,
        model.binary,
    )

    def count(text: str) -> dict[int, float]:
        sums: dict[int, float] = {}
        for token in analyze(text):
            number = _hash(token)
            place = abs(number) % width
            sums[place] = sums.get(place, 0.0) + (-1.0 if signed and number < 0 else 1.0)
        return dict.fromkeys(sums, 1.0) if binary else sums

    collect, normalize = _collected(count, width), row_norm(model.norm)
    return {"transform": lambda texts: normalize(collect(texts))}


def _hash(token: str) -> int:
    try:
        number = int(murmurhash3_32(token.encode(), 0))
    except UnicodeEncodeError as error:
        raise FallbackRequiredError from error
    if number == LEAST_HASH:
        raise FallbackRequiredError  # has no absolute value of 32 bits
    return number


def analyzer(model: Any) -> Callable[[str], Iterable[str]]:
    """What takes the terms out of a text.

    Raises:
        UnplannedError: a function of the author does, or texts are the names of files.
    """
    if model.input != "content" or any(callable(getattr(model, name)) for name in AUTHORS):
        raise UnplannedError(f"{type(model).__name__} reads files, or calls a function")
    analyze: Callable[[str], Iterable[str]] = model.build_analyzer()
    return analyze


def _counter(model: Any, analyze: Callable[[str], Iterable[str]]) -> Count:
    place, binary = model.vocabulary_.get, model.binary

    def count(text: str) -> Mapping[int, float]:
        counts: Counter[Any] = Counter(map(place, analyze(text)))
        counts.pop(None, None)
        return dict.fromkeys(counts, 1.0) if binary else counts

    return count


def _collected(count: Count, width: int, dtype: Any = np.float64) -> Callable[[Sequence[Any]], Any]:
    """What makes a sparse matrix of counts."""
    make = csr_maker(width)

    def collect(texts: Sequence[Any]) -> Any:
        data: list[float] = []
        indices: list[int] = []
        indptr = [0]
        for text in texts:
            if type(text) is not str:
                raise FallbackRequiredError
            counts = count(text)
            indices += counts
            data += counts.values()
            indptr.append(len(indices))
        made = make(np.array(data, dtype), np.array(indices, np.int32), np.array(indptr, np.int32))
        made.sort_indices()
        return made

    return collect


def dict_vectorizer(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    if np.dtype(model.dtype) != np.float64:
        raise UnplannedError("DictVectorizer gives something else than floats")
    vocabulary, separator = model.vocabulary_, model.separator
    width = len(vocabulary)
    make = csr_maker(width)

    def entries(row: Any) -> dict[int, float]:
        found: dict[int, float] = {}
        for name, value in row.items():
            place = vocabulary.get(_feature(name, value, separator))
            if place in found:
                raise FallbackRequiredError
            if place is not None:
                found[place] = 1.0 if isinstance(value, str) else float(value)
        return found

    def sparse_rows(rows: Sequence[Any]) -> Any:
        found = [entries(row) for row in rows]
        places = [sorted(each) for each in found]
        indptr = np.cumsum([0, *map(len, places)]).astype(np.int32)
        data = [each[place] for each, order in zip(found, places) for place in order]
        indices = [place for order in places for place in order]
        return make(np.array(data, np.float64), np.array(indices, np.int32), indptr)

    def dense_rows(rows: Sequence[Any]) -> np.ndarray:
        made = np.zeros((len(rows), width))
        for row, given in zip(made, rows):
            for place, value in entries(given).items():
                row[place] = value
        return made

    return {"transform": sparse_rows if model.sparse else dense_rows}


def _feature(name: str, value: Any, separator: str) -> str:
    if isinstance(value, str):
        return f"{name}{separator}{value}"
    if isinstance(value, (int, float)) and abs(value) <= sys.float_info.max:
        return name
    raise FallbackRequiredError


COMPILERS: Compilers = {
    "CountVectorizer": count_vectorizer,
    "DictVectorizer": dict_vectorizer,
    "HashingVectorizer": hashing_vectorizer,
    "TfidfTransformer": tfidf_transformer,
    "TfidfVectorizer": tfidf_vectorizer,
}
