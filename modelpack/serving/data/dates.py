"""Dates and times of clients, as numpy's datetime64[ns] in UTC.

Python 3.7 and numpy parse only some of ISO 8601, and numpy wraps around silently outside the years
that nanoseconds of 64 bits reach.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Sequence

import numpy as np

TEXT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:[.,]([0-9]{1,9}))?)?"
    r"(?:(Z)|([+-])([01][0-9]|2[0-3]):?([0-5][0-9])?)?)?"
)
"""A date, or a date and a time with or without an offset, in the extended format of ISO 8601.
pandas writes a blank in place of the T to CSV."""

NS = np.dtype("datetime64[ns]")
EPOCH = date(1970, 1, 1).toordinal()
SECOND, MILLISECOND = 10**9, 10**6  # in nanoseconds
NAT = -(2**63)
MAX_NANOSECONDS = 2**63


def nanoseconds(value: Any) -> int | None:
    """Nanoseconds since 1970 in UTC, or None if `value` is not a date that they can represent.

    Args:
        value: A text of ISO 8601, which is in UTC unless it has an offset, or a whole number of
            milliseconds since 1970, as pandas before 3 writes dates to JSON.
    """
    if type(value) is str:
        result = _parse_text(value)
    elif type(value) is int or (type(value) is float and value.is_integer()):
        result = int(value) * MILLISECOND
    else:
        return None
    return result if result is not None and -MAX_NANOSECONDS < result < MAX_NANOSECONDS else None


def array(values: Sequence[Any]) -> np.ndarray | None:
    """Return datetime64[ns] (n,), NaT for None and NaN, or None if a value is not a date."""
    numbers = [NAT if is_missing(value) else nanoseconds(value) for value in values]
    return None if None in numbers else np.array(numbers, np.int64).view(NS)


def wide(column: np.ndarray) -> np.ndarray:
    """Return a column of datetime64 of any unit as nanoseconds."""
    return np.asarray(column, NS)


def beyond(column: np.ndarray) -> np.ndarray:
    """Return a mask of the dates that nanoseconds cannot represent."""
    back = wide(column).astype(column.dtype)
    return np.asarray((back != column) & ~np.isnat(column))


def texts(column: np.ndarray) -> list[str | None]:
    """Return the dates of an array as ISO 8601, None for missing ones."""
    missing = np.isnat(column).tolist()
    return [None if m else text for m, text in zip(missing, np.datetime_as_string(column).tolist())]


def is_missing(value: Any) -> bool:
    """Return whether a value is None or NaN."""
    return value is None or value != value  # NaN  # noqa: PLR0124


def _parse_text(text: str) -> int | None:
    match = TEXT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - EPOCH
    except ValueError:  # the 30th of February
        return None
    seconds = 86400 * days + 3600 * int(hour or 0) + 60 * int(minute or 0) + int(second or 0)
    if sign:
        offset = 3600 * int(hours) + 60 * int(minutes or 0)
        seconds += offset if sign == "-" else -offset
    return seconds * SECOND + int((fraction or "0").ljust(9, "0"))
