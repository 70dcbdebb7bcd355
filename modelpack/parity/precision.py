"""Expected numbers that were printed with fewer digits than a float has."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from modelpack.types import Answers

MIN_DECIMALS, MIN_DIGITS = 4, 6
"""The fewest decimals, or significant digits, that show whether predictions are equal."""

_MAX_DIGITS = 15
"""A number with more significant digits was not rounded when it was printed."""

_FLOAT32_DIGITS = range(6, 10)
_FLOAT32_UNIT = 2.0**-23


class Printed(float):
    """A number that may have been rounded when it was printed.

    Attributes:
        half: Half of the unit of its last digit.
        is_coarse: Whether it has too few digits, so that only the same number is equal to it.
        is_single: Whether it is the text of a float of 32 bits.
    """

    half: float
    is_coarse: bool
    is_single: bool

    def __new__(cls, value: float, half: float, *, is_coarse: bool, is_single: bool) -> Printed:
        number = super().__new__(cls, value)
        number.half, number.is_coarse, number.is_single = half, is_coarse, is_single
        return number

    def rounds(self, actual: float) -> bool:
        """Return whether `actual` may be printed as this number."""
        if abs(actual - self) <= self.half + math.ulp(self):
            return True
        return self.is_single and _to_float32(self) == _to_float32(actual)

    def accepts(self, actual: float) -> bool:
        """Return whether `actual` is equal to this number at its precision."""
        return not self.is_coarse and self.rounds(actual)

    @property
    def relative(self) -> float:
        """The largest difference that is accepted, relative to the number or 1."""
        single = abs(self) * _FLOAT32_UNIT if self.is_single else 0.0
        return max(self.half, single) / max(abs(self), 1.0)


def printed(values: Sequence[Any]) -> tuple[Any, ...]:
    """Return values of a text file, with numbers that may be rounded as `Printed`.

    The number with most decimals, and the one with most digits, show how all were printed: zeros at
    the end are left out.
    """
    found = list(numbers(values))
    shapes = [_shape(number) for number in found if isinstance(number, float)]
    decimals = max((decimals for decimals, _ in shapes), default=0)
    digits = max((digits for _, digits in shapes), default=0)
    if not shapes or digits > _MAX_DIGITS:
        return tuple(values)
    is_single = all(map(_is_text_of_float32, found))
    return tuple(_with_precision(value, decimals, digits, is_single=is_single) for value in values)


def precision(answers: Answers | None) -> float:
    """Return the tolerance that covers the rounding of these answers; 0.0 without any."""
    parts = (answers.predictions, answers.probabilities) if answers else ()
    found = [number for part in parts for number in numbers(part or ())]
    rounded = [each for each in found if isinstance(each, Printed) and not each.is_coarse]
    return max((each.relative for each in rounded), default=0.0)


def numbers(value: Any) -> Iterator[float]:
    """Yield the finite numbers in nested lists."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from numbers(each)
    elif is_number(value):
        yield value


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, other than true and false."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _to_float32(number: float) -> float | None:
    """Return the nearest float of 32 bits; None if it is infinite."""
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return None


def _with_precision(value: Any, decimals: int, digits: int, *, is_single: bool) -> Any:
    if isinstance(value, list | tuple):
        return [_with_precision(each, decimals, digits, is_single=is_single) for each in value]
    if not is_number(value):
        return value
    by_decimals = 10.0**-decimals
    by_digits = 10.0 ** (math.floor(math.log10(abs(value))) + 1 - digits) if value else 0.0
    units = [by_decimals] if decimals >= MIN_DECIMALS else []
    units += [by_digits] if digits >= MIN_DIGITS else []
    unit = max(units or [by_decimals, by_digits])
    return Printed(value, unit / 2, is_coarse=not units, is_single=is_single)


def _shape(number: float) -> tuple[int, int]:
    """Return the numbers of decimals and of significant digits in the text of a float."""
    _, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    return max(-int(exponent), 0), len(digits)


def _is_text_of_float32(number: float) -> bool:
    """Return whether a number is the shortest text of the nearest float of 32 bits."""
    single = _to_float32(number)
    if single is None:
        return False
    texts = (float(f"{single:.{digits}g}") for digits in _FLOAT32_DIGITS)
    return next((text for text in texts if _to_float32(text) == single), None) == number
