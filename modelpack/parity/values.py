"""Values of frames, arrays and files as JSON values."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from modelpack.types import FieldType, Scalar

_MISSING = {"NAType", "NaTType"}  # of pandas, which may not be installed
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
_MAX_INTEGER = 2**64


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or NA."""
    name = type(value).__name__
    if value is None or name in _MISSING:
        return True
    if name in {"datetime64", "timedelta64"}:
        return str(value) == "NaT"
    return isinstance(value, float) and math.isnan(value)


def is_infinite(value: Any) -> bool:
    """Return whether a value is an infinite number, which JSON does not have."""
    try:
        return isinstance(value, float | Decimal) and math.isinf(value)
    except (ValueError, OverflowError):
        return False


def to_scalar(value: Any) -> Scalar:
    """Return a value for JSON: dates as ISO 8601 text, decimals as numbers, missing as None.

    Raises:
        TypeError: JSON has no form for the value, or pandas cannot read it back, as for times of
            the day and intervals.
    """
    value = _unwrapped(value)
    if is_missing(value):
        return None
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | Decimal):
        return _number(value)
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(value)
    if type(value).__name__ == "Period":
        return str(value)
    raise TypeError(f"a {type(value).__name__}")


def type_of_value(value: Any) -> FieldType | None:
    """Return the field type of a value; None if the value is missing."""
    value = _unwrapped(value)
    if is_missing(value):
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float | Decimal):
        return "number"
    if isinstance(value, str):
        return "string"
    return "datetime" if isinstance(value, date) else "any"


def common_type(kinds: set[FieldType]) -> FieldType:
    """Return the type that covers these types."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "number" if kinds == {"integer", "number"} else "any"


def is_iso_date(text: str) -> bool:
    """Return whether a text is an existing ISO 8601 date, or date and time."""
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:
        return False
    return True


def _unwrapped(value: Any) -> Any:
    """Return the Python value of a NumPy or pyarrow scalar."""
    if isinstance(value, datetime):  # Timestamps have a method `item` in no release
        return value
    if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
        if value.dtype.kind in "mM":
            return _numpy_time(value)
        return value.item()
    return value.as_py() if hasattr(value, "as_py") else value


def _numpy_time(value: Any) -> Any:
    """Return a date as datetime or a difference as timedelta; as text if out of their range."""
    if str(value) == "NaT":
        return None
    exact = value.astype(f"{value.dtype.kind}8[us]")
    python = exact.item()
    if exact == value and isinstance(python, date | timedelta):
        return python
    return str(value)


def _number(value: float | Decimal) -> Scalar:
    if not math.isfinite(value):
        return None
    if isinstance(value, float):
        return float(value)
    if value == value.to_integral_value() and abs(value) < _MAX_INTEGER:
        return int(value)
    return float(value)


def _duration(value: timedelta) -> str:
    """Return an ISO 8601 duration, as pandas writes it."""
    if hasattr(value, "isoformat"):  # a Timedelta of pandas, in nanoseconds
        return str(value.isoformat())
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{value.microseconds:06d}" if value.microseconds else ""
    return f"P{value.days}DT{hours}H{minutes}M{seconds}{fraction}S"
