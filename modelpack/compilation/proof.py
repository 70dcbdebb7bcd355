"""The proof of a compiled model: rows around its limits, and the comparison of both answers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from modelpack.errors import SmokeFailedError
from modelpack.parity import Response
from modelpack.parity.compare import relative_difference
from modelpack.serving.runtimes.compiled import read_arrays, read_records
from modelpack.types import Answers, Field, ModelSpec, Proof, Reference, Scalar

ROWS = 2_000
MANY_ROWS = 6_000
"""For trees with many thresholds."""
MAX_VALUES = 200_000
"""In all rows, so that a model with many inputs is proved in a minute."""
MAX_WORDS = 30
"""In a text."""
BOUND = 64
"""Largest accepted difference of two floats, in units in the last place (ulp) of the larger one, or
of 1. Another release of numpy, or another BLAS, adds up in another order."""
ULP = 2.0**-52

_UNKNOWN = "never met"
_ODD_WORDS = (
    *("Straße", "İzmir", "naïve", "cafe\u0301", "ﬁne", "日本語", "👍", "don't", "x", "3.14"),
    *("snake_case", "-", "a\tb", "\n", "\u00a0"),
)
"""Case, accents, ligatures, scripts without case, and characters between words."""
_THRESHOLDS = ("threshold", "num_threshold")
_FEATURES = ("feature", "feature_idx")
_EXTREMES = (0.0, -0.0, 5e-324, 1e-36, -1e-36, 1e-12, -1e-12, 1e12, -1e12, 3.4e38, -3.5e38)

Row = tuple[Scalar, ...]


def make_rows(spec: ModelSpec, reference: Reference, compiled: Path) -> tuple[Row, ...]:
    """Return the known rows, and rows around categories, missing values, limits and thresholds.

    The same model gives the same rows. Without an example only the known rows are returned.

    Args:
        spec: The model.
        reference: The rows of the author, or of the signature.
        compiled: The compiled model, whose trees have thresholds.
    """
    fields = spec.signature.inputs
    known = tuple(reference.rows)
    if not known or not fields:
        return known
    generator = random.Random(0)  # noqa: S311 - not for secrets
    with compiled.open("rb") as stream:
        records = read_records(stream)
    terms = _terms(records)
    if spec.signature.layout == "text":
        texts = _texts(terms or [], [row[0] for row in known], ROWS // 2, generator)
        return tuple(dict.fromkeys((*known, *((text,) for text in texts))))
    with compiled.open("rb") as stream:
        thresholds = _thresholds(records, read_arrays(stream), len(fields))
    unknown = [] if _confuses_unknown(records) else [_UNKNOWN] * 3
    longest = max(map(len, thresholds.values()), default=0)
    count = min(max(ROWS, min(2 * longest, MANY_ROWS)), max(100, MAX_VALUES // len(fields)))
    columns = []
    for index, field in enumerate(fields):
        values = [row[index] for row in known]
        is_text = any(isinstance(value, str) for value in values)
        others: Sequence[Scalar] = unknown if is_text else thresholds.get(index, [])
        if _is_coded(field):
            known_codes = [each for each in field.categories or () if isinstance(each, int | float)]
            others = [1 + max(known_codes, default=0)] * 3
        column = _column(field, values, others, count, generator)
        is_free = is_text and not field.categories and spec.signature.layout == "frame"
        if is_free and terms is not None:
            texts = _texts(terms, values, count // 2, generator)
            column[::2] = [*texts][: len(column[::2])]
        columns.append(column)
    return tuple(dict.fromkeys((*known, *zip(*columns, strict=True))))


def _confuses_unknown(records: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether XGBoost itself may take an unknown category for a known one.

    The service rejects such rows, with and without --compiled.
    """
    boosters = (each["attributes"] for each in records if each["class"].startswith("xgboost.core:"))
    return any(each.get("category_values", {}).get("dict") for each in boosters)


def _terms(records: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """Return the terms of all vocabularies in a compiled model, None if it reads no texts."""
    if not any(each["class"].endswith("Vectorizer") for each in records):
        return None
    found = (each["attributes"].get("vocabulary_") for each in records)
    pairs = chain.from_iterable(each["dict"] for each in found if isinstance(each, dict))
    return sorted({term for term, _ in pairs if isinstance(term, str)})


def _texts(
    terms: Sequence[str], known: Sequence[Scalar], count: int, generator: random.Random
) -> Iterator[str]:
    """Yield texts of known and unknown words, some repeated, in upper case, or empty."""
    words = [*terms, *_UNKNOWN.split()]
    words += sorted({word for text in known if isinstance(text, str) for word in text.split()})

    def draw() -> str:
        return generator.choice(_ODD_WORDS if generator.random() < 0.1 else words)

    for _ in range(count):
        text = " ".join(draw() for _ in range(generator.randrange(MAX_WORDS)))
        yield generator.choice((text, text, text.upper(), f"{text}, {text}!"))


def _column(
    field: Field,
    known: Sequence[Scalar],
    others: Sequence[Scalar],
    count: int,
    generator: random.Random,
) -> list[Scalar]:
    """Return `count` values of one input, in a random order.

    `others` are thresholds of numbers, texts, or unknown categories.
    """
    draw = _drawing(field, known, generator)
    values = [draw() for _ in range(count)]
    special: list[Scalar] = [*(field.categories or ())][: count // 2]
    is_text = any(isinstance(value, str) for value in known)
    if is_text and not field.categories:
        special = [*dict.fromkeys(known)][: count // 4]
    if _is_number(field, known):
        special += generator.sample(others, min(len(others), count // 2))
        special += [value for value in _EXTREMES if field.type == "number"]
    special += [None] * (count // 20) if field.nullable else []
    if is_text or _is_coded(field):
        special += others
    for position, value in zip(generator.sample(range(count), len(special)), special, strict=True):
        values[position] = value
    return values


def _is_coded(field: Field) -> bool:
    """Return whether an encoder has the values of the input, which are integers, as categories."""
    return bool(field.categories) and field.type == "integer" and field.dtype != "category"


def _is_number(field: Field, known: Sequence[Scalar]) -> bool:
    numbers = [value for value in known if value is not None]
    are_numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers)
    return are_numbers and bool(numbers) and not field.categories


def _drawing(
    field: Field, known: Sequence[Scalar], generator: random.Random
) -> Callable[[], Scalar]:
    """Return a function that draws a value like the known ones."""
    if field.categories:
        return lambda: generator.choice(field.categories or ())
    if field.type == "boolean":
        return lambda: generator.random() < 0.5
    if not _is_number(field, known):
        return lambda: generator.choice(known)
    numbers = [float(value) for value in known if isinstance(value, int | float)]
    low = min([*numbers, *([] if field.minimum is None else [field.minimum])])
    high = max([*numbers, *([] if field.maximum is None else [field.maximum])])
    margin = (high - low) / 2 or max(abs(high), 1.0) / 2
    is_integer = field.type == "integer" or (field.dtype or "").startswith(("int", "uint"))
    low = max(low - margin, 0.0) if (field.dtype or "").startswith("uint") else low - margin

    def draw() -> Scalar:
        value = generator.uniform(low, high + margin)
        return round(value) if is_integer else value

    return draw


def _thresholds(
    records: Sequence[Mapping[str, Any]], arrays: Sequence[np.ndarray], width: int
) -> dict[int, list[float]]:
    """Return values at and next to the thresholds of trees, and the codes in sets of categories.

    The keys are the numbers of the features. Trees behind other steps have thresholds of other
    values, which do no harm here.
    """
    found: dict[int, set[float]] = {}
    for nodes in arrays:
        names = nodes.dtype.names or ()
        value = next((name for name in _THRESHOLDS if name in names), None)
        feature = next((name for name in _FEATURES if name in names), None)
        if value is None or feature is None:
            continue
        if "set" in names:
            nodes = nodes[nodes["set"] < 0]  # noqa: PLW2901 - without sets of categories
        # Trees of scikit-learn round their input to 32 bits.
        is_short = value == "threshold" and ("set" not in names or nodes[value].itemsize == 4)
        number = np.float32 if is_short else np.float64
        pairs = zip(nodes[feature].tolist(), nodes[value].tolist(), strict=True)
        for index, threshold in set(pairs):
            if 0 <= index < width and math.isfinite(threshold):
                found.setdefault(index, set()).update(_around(threshold, number))
    for index, codes in _codes(records, arrays):
        if 0 <= index < width:
            found.setdefault(index, set()).update(codes)
    return {number: sorted(values) for number, values in found.items()}


def _around(threshold: float, number: type[np.floating[Any]]) -> Iterator[float]:
    """Yield a threshold, and the next numbers of a type above and below it."""
    yield threshold
    for limit in (math.inf, -math.inf):
        yield float(np.nextafter(number(threshold), number(limit)))


def _codes(
    records: Sequence[Mapping[str, Any]], arrays: Sequence[np.ndarray]
) -> Iterator[tuple[int, list[int]]]:
    """Yield the number of a feature of a booster, the categories in a set, and the next one."""
    for record in records:
        if "set_starts" not in record["attributes"]:
            continue
        nodes, starts, categories = (
            arrays[record["attributes"][name]["array"]]
            for name in ("nodes", "set_starts", "categories")
        )
        for node in nodes[nodes["set"] >= 0]:
            codes = categories[slice(*starts[node["set"] : node["set"] + 2])].tolist()
            yield int(node["feature"]), [*codes, max(codes, default=0) + 1]


def compare(rows: Sequence[Row], expected: Response, actual: Response) -> Proof:
    """Compare the answers of the model and of the compiled model, in one call and row by row.

    Raises:
        SmokeFailedError: They differ; the text shows the row with the largest difference.
    """
    for row, one, other in zip(rows, expected.errors, actual.errors, strict=True):
        if one is None and other is not None:
            raise _different(f"it refuses a row that the model accepts ({other})", row)
        if one is not None and other is None:
            raise _different(f"it accepts a row that the model refuses ({one})", row)
    good = [row for row, error in zip(rows, expected.errors, strict=True) if error is None]
    pairs = [(expected.together, actual.together), (expected.alone, actual.alone)]
    if actual.batched is not None:
        pairs.append((expected.alone, actual.batched))
    worst = max((_largest_difference(good, *pair) for pair in pairs), key=lambda each: each.ulp)
    if worst.ulp > BOUND:
        size = f", {worst.ulp:,.0f} ulp away" if math.isfinite(worst.ulp) else ""
        what = f"it answers {worst.actual!r} instead of {worst.expected!r}{size}"
        raise _different(what, worst.row)
    return Proof(len(good), len(rows) - len(good), worst.ulp, BOUND)


@dataclass(frozen=True)
class _Difference:
    """What both answer to a row, and the ulp between."""

    ulp: float = 0.0
    row: Row = ()
    expected: Any = None
    actual: Any = None


def _largest_difference(rows: Sequence[Row], expected: Answers, actual: Answers) -> _Difference:
    worst = _Difference()
    for name in ("predictions", "probabilities"):
        pair = getattr(expected, name), getattr(actual, name)
        if None in pair:
            if pair != (None, None):
                raise _different(f"only one of them returns {name}", rows[0] if rows else ())
            continue
        for row, one, other in zip(rows, *pair, strict=True):
            if _types(one) != _types(other):
                raise _different(f"it answers {other!r} instead of {one!r}", row)
            ulp = relative_difference(one, other) / ULP
            if not ulp <= worst.ulp:
                worst = _Difference(math.inf if math.isnan(ulp) else ulp, row, one, other)
    return worst


def _types(answer: Any) -> Any:
    """Return the types of an answer. An integer is another label than the float that equals it."""
    if isinstance(answer, list | tuple):
        return [_types(each) for each in answer]
    return type(answer)


def _different(what: str, row: Row) -> SmokeFailedError:
    return SmokeFailedError(
        f"The compiled model is not equal to the model: {what}. The row is {list(row)!r:.500}",
        hint="Package it without --compiled.",
    )
