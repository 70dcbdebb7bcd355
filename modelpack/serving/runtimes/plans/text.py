"""Vectorizers."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any, Callable, Iterable, Mapping, Sequence

import numpy as np

from ...data.columns import FallbackRequiredError
from . import hashes
from .analyzers import record_analyzer
from .compiler import Compiler, Compilers, Part, UnplannedError
from .records import is_record
from .scaling import row_norm, with_data
from .sparse import csr_maker, maker_like, row_numbers

Count = Callable[[Any], Mapping[int, float]]
"""Function from a text or dict to column -> value."""

COUNTS = tuple(map(np.dtype, (np.float64, np.int64, np.int32)))
"""Dtypes whose counts do not wrap around, and for which numpy's functions return float64."""
MIN_HASH = -(2**31)
USER_FUNCTIONS = ("analyzer", "tokenizer", "preprocessor", "strip_accents")
"""Parameters of vectorizers that may be functions of the user's code."""


def count_vectorizer(model: Any, compiler: Compiler) -> Part:
    if np.dtype(model.dtype) not in COUNTS:
        raise UnplannedError(f"{type(model).__name__} counts by {np.dtype(model.dtype)}")
    compiler.gives_codes |= np.dtype(model.dtype) != np.float64
    width = len(model.vocabulary_)
    return {
        "transform": _collected(
            model, _counter(model, analyzer(model, compiler)), width, model.dtype
        )
    }


def tfidf_vectorizer(model: Any, compiler: Compiler) -> Part:
    if np.dtype(model.dtype) != np.float64:
        raise UnplannedError("TfidfVectorizer returns short floats")
    collect = count_vectorizer(model, compiler)["transform"]
    weigh = tfidf_transformer(model._tfidf, compiler)["transform"]
    return {"transform": lambda texts: weigh(collect(texts))}


def tfidf_transformer(model: Any, compiler: Compiler) -> Part:
    weigh = weights(model)
    is_reversed = model.use_idf and reverses_entries(model, compiler)

    def transform(block: Any) -> Any:
        if isinstance(block, np.ndarray):
            raise FallbackRequiredError
        return weigh(reverse_entries(block) if is_reversed else block)

    return {"transform": transform}


def weights(model: Any) -> Callable[[Any], Any]:
    """Return the transform of a TfidfTransformer, which keeps the order of entries."""
    idf = inverse_frequencies(model) if model.use_idf else None
    normalize, is_sublinear = row_norm(model.norm, model), model.sublinear_tf

    def weigh(block: Any) -> Any:
        data = np.log(block.data) + 1 if is_sublinear else block.data.copy()
        if idf is not None:
            data = data * idf[block.indices]
        return normalize(with_data(block, data))

    return weigh


def inverse_frequencies(model: Any) -> np.ndarray:
    """Return the weights of the terms, until 1.3 the diagonal of a sparse matrix."""
    if is_record(model) and "idf_" not in vars(model):
        return np.ravel(model._idf_diag.data)
    return np.asarray(model.idf_)


def reverses_entries(model: Any, compiler: Compiler) -> bool:
    """Return whether the transformer reverses the entries of a row.

    Releases that multiply by a sparse matrix of weights do, because scipy does.
    """
    width = len(inverse_frequencies(model))
    if width < 2:
        return False
    if is_record(model):
        return not compiler.since(1, 4)
    make = csr_maker(width, model)
    row = make(np.ones(2), np.array([0, 1], np.int32), np.array([0, 2], np.int32))
    return bool(model.transform(row).indices[0] == 1)


def reverse_entries(block: Any) -> Any:
    """Return the entries of each row in reverse order."""
    ends = block.indptr[:-1] + block.indptr[1:] - 1
    order = ends[row_numbers(block)] - np.arange(len(block.data))
    return maker_like(block, block.shape[1])(block.data[order], block.indices[order], block.indptr)


def hashing_vectorizer(model: Any, compiler: Compiler) -> Part:
    if np.dtype(model.dtype) != np.float64 or getattr(model, "non_negative", False):
        raise UnplannedError("HashingVectorizer has a setting without a plan")
    is_whole = isinstance(model.n_features, (int, np.integer))
    if not is_whole or not 0 < model.n_features < 2**31:  # the compiled code divides by it
        raise UnplannedError("HashingVectorizer has an invalid number of columns")
    analyze, width, signed, binary = (
        analyzer(model, compiler),
        model.n_features,
        model.alternate_sign,
        model.binary,
    )

    hash_term = hash_function(model)

    def count(text: str) -> dict[int, float]:
        sums: dict[int, float] = {}
        for token in analyze(text):
            number = hash_term(token)
            column = abs(number) % width
            sums[column] = sums.get(column, 0.0) + (-1.0 if signed and number < 0 else 1.0)
        return dict.fromkeys(sums, 1.0) if binary else sums

    collect, normalize = _collected(model, count, width), row_norm(model.norm, model)
    return {"transform": lambda texts: normalize(collect(texts))}


def hash_function(model: Any) -> Callable[[str], int]:
    """Return the function by whose absolute value a HashingVectorizer assigns terms to columns."""
    hash_bytes = _hash_bytes(model)

    def hash_term(term: str) -> int:
        try:
            number = int(hash_bytes(term.encode()))
        except UnicodeEncodeError as error:
            raise FallbackRequiredError from error
        if number == MIN_HASH:
            raise FallbackRequiredError  # has no absolute value of 32 bits
        return number

    return hash_term


def _hash_bytes(model: Any) -> Callable[[bytes], int]:
    if is_record(model):
        return hashes.murmurhash3_32
    from sklearn.utils import murmurhash3_32  # noqa: PLC0415 - absent for records

    return murmurhash3_32  # type: ignore[no-any-return]


def analyzer(model: Any, compiler: Compiler) -> Callable[[str], Iterable[str]]:
    """Return the function that splits a text into terms.

    Raises:
        UnplannedError: It is user code, or texts are the names of files.
    """
    if model.input != "content" or any(callable(getattr(model, name)) for name in USER_FUNCTIONS):
        raise UnplannedError(f"{type(model).__name__} reads files, or calls user code")
    if is_record(model):
        return record_analyzer(model, compiler)
    analyze: Callable[[str], Iterable[str]] = model.build_analyzer()
    return analyze


def _counter(model: Any, analyze: Callable[[str], Iterable[str]]) -> Count:
    column_of, binary = model.vocabulary_.get, model.binary

    def count(text: str) -> Mapping[int, float]:
        counts: Counter[Any] = Counter(map(column_of, analyze(text)))
        counts.pop(None, None)
        return dict.fromkeys(counts, 1.0) if binary else counts

    return count


def _collected(
    model: Any, count: Count, width: int, dtype: Any = np.float64
) -> Callable[[Sequence[Any]], Any]:
    """Return a function that creates a sparse matrix of counts."""
    make = csr_maker(width, model)

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
        rows = make(np.array(data, dtype), np.array(indices, np.int32), np.array(indptr, np.int32))
        rows.sort_indices()
        return rows

    return collect


def dict_vectorizer(model: Any, compiler: Compiler) -> Part:  # noqa: ARG001
    if np.dtype(model.dtype) != np.float64:
        raise UnplannedError("DictVectorizer returns other numbers than float64")
    vocabulary, separator = model.vocabulary_, model.separator
    width = len(vocabulary)
    make = csr_maker(width, model)

    def entries(row: Any) -> dict[int, float]:
        values: dict[int, float] = {}
        for name, value in row.items():
            column = vocabulary.get(_feature(name, value, separator))
            if column in values:
                raise FallbackRequiredError
            if column is not None:
                values[column] = 1.0 if isinstance(value, str) else float(value)
        return values

    def sparse_rows(rows: Sequence[Any]) -> Any:
        values = [entries(row) for row in rows]
        columns = [sorted(each) for each in values]
        indptr = np.cumsum([0, *map(len, columns)]).astype(np.int32)
        data = [each[column] for each, order in zip(values, columns) for column in order]
        indices = [column for order in columns for column in order]
        return make(np.array(data, np.float64), np.array(indices, np.int32), indptr)

    def dense_rows(rows: Sequence[Any]) -> np.ndarray:
        result = np.zeros((len(rows), width))
        for target, row in zip(result, rows):
            for column, value in entries(row).items():
                target[column] = value
        return result

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
