"""Functions of the C library that boosters apply to their sums, with the same bits.

Those of numpy have other last bits. The ones for 32 bits are computed with 64 bits as in glibc
since 2.27: a table of powers or logarithms, and a polynomial (S. Nagy, "Optimized Routines").
"""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np

_POWERS = 32
_POWER_BITS = 5
_SHIFT = float.fromhex("0x1.8p+52")
_INVERSE_LN2 = float.fromhex("0x1.71547652b82fep+0") * _POWERS
_EXP = [
    float.fromhex(text) / _POWERS**power
    for text, power in (
        ("0x1.c6af84b912394p-5", 3), ("0x1.ebfce50fac4f3p-3", 2), ("0x1.62e42ff0c52d6p-1", 1),
    )
]  # fmt: skip
_LOG = [
    float.fromhex(text)
    for text in ("-0x1.00ea348b88334p-2", "0x1.5575b0be00b6ap-2", "-0x1.ffffef20a4123p-2")
]
_LN2 = float.fromhex("0x1.62e42fefa39efp-1")
_INVERSES = [
    float.fromhex(text)
    for text in (
        "0x1.661ec79f8f3bep+0", "0x1.571ed4aaf883dp+0", "0x1.49539f0f010bp+0",
        "0x1.3c995b0b80385p+0", "0x1.30d190c8864a5p+0", "0x1.25e227b0b8eap+0",
        "0x1.1bb4a4a1a343fp+0", "0x1.12358f08ae5bap+0", "0x1.0953f419900a7p+0", "0x1p+0",
        "0x1.e608cfd9a47acp-1", "0x1.ca4b31f026aap-1", "0x1.b2036576afce6p-1",
        "0x1.9c2d163a1aa2dp-1", "0x1.886e6037841edp-1", "0x1.767dcf5534862p-1",
    )
]  # fmt: skip
"""Inverses of a number in each of 16 intervals, whose logarithms come next."""
_LOGARITHMS = [
    float.fromhex(text)
    for text in (
        "-0x1.57bf7808caadep-2", "-0x1.2bef0a7c06ddbp-2", "-0x1.01eae7f513a67p-2",
        "-0x1.b31d8a68224e9p-3", "-0x1.6574f0ac07758p-3", "-0x1.1aa2bc79c81p-3",
        "-0x1.a4e76ce8c0e5ep-4", "-0x1.1973c5a611cccp-4", "-0x1.252f438e10c1ep-5", "0x0p+0",
        "0x1.aa5aa5df25984p-5", "0x1.c5e53aa362eb4p-4", "0x1.526e57720db08p-3",
        "0x1.bc2860d22477p-3", "0x1.1058bc8a07ee1p-2", "0x1.4043057b6ee09p-2",
    )
]  # fmt: skip
_FIRST_INTERVAL = 0x3F330000
_FRACTION_BITS = 23


def _table_of_powers() -> np.ndarray:
    """Return the bits of 2 ** (i / 32), without what the exponent adds for i."""
    powers = np.array([2.0 ** (index / _POWERS) for index in range(_POWERS)])
    shifts = np.arange(_POWERS, dtype=np.int64) << (52 - _POWER_BITS)
    return np.asarray(powers.view(np.int64) - shifts)


_TABLE = _table_of_powers()


def exp32(values: np.ndarray) -> np.ndarray:
    """Return the exponential of each float32 as `expf` of glibc does."""
    wide = np.clip(values.astype(np.float64), -104.0, 89.0)  # beyond, the result is 0 or infinite
    scaled = wide * _INVERSE_LN2
    shifted = scaled + _SHIFT
    number = shifted.view(np.int64)
    rest = scaled - (shifted - _SHIFT)
    bits = _TABLE[number & (_POWERS - 1)] + (number << (52 - _POWER_BITS))
    first, second, third = _EXP
    result = (first * rest + second) * (rest * rest) + (third * rest + 1.0)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray((result * bits.view(np.float64)).astype(np.float32))


def log32(value: Any) -> Any:
    """Return the logarithm of a positive, normal float32 as `logf` of glibc does."""
    bits = int(np.float32(value).view(np.int32))
    offset = bits - _FIRST_INTERVAL
    interval, exponent = (offset >> (_FRACTION_BITS - 4)) % 16, offset >> _FRACTION_BITS
    reduced = np.int32(bits - (exponent << _FRACTION_BITS)).view(np.float32)
    rest = float(reduced) * _INVERSES[interval] - 1.0
    first, second, third = _LOG
    start = _LOGARITHMS[interval] + exponent * _LN2
    square = rest * rest
    return np.float32((first * square + (second * rest + third)) * square + (start + rest))


def sigmoid32(values: np.ndarray) -> np.ndarray:
    """Return the logistic function of each float32 as XGBoost does."""
    one = np.float32(1.0)
    return np.asarray(one / (exp32(np.minimum(-values, np.float32(88.7))) + one))


def softmax32(values: np.ndarray) -> np.ndarray:
    """Return the softmax of each row of float32 (n_rows, n_classes) as XGBoost does."""
    powers = exp32(values - values.max(axis=1, keepdims=True))
    sums = np.zeros(len(powers))
    for column in powers.T:
        sums += column
    return np.asarray(powers / sums.astype(np.float32)[:, np.newaxis])


def _safely(function: Callable[[float], float]) -> Callable[[float], float]:
    def call(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return math.inf

    return call


_EXP64 = np.frompyfunc(_safely(math.exp), 1, 1)
_LOG1P64 = np.frompyfunc(math.log1p, 1, 1)


def exp64(values: np.ndarray) -> np.ndarray:
    """Return the exponential of each float64 by the C library."""
    with np.errstate(over="ignore"):  # `math.exp` sets the flag that numpy checks
        return np.asarray(_EXP64(values), np.float64)


def log1p64(values: np.ndarray) -> np.ndarray:
    """Return the logarithm of one plus each float64 by the C library."""
    return np.asarray(_LOG1P64(values), np.float64)


def softmax64(values: np.ndarray) -> np.ndarray:
    """Return the softmax of each row of float64 (n_rows, n_classes) as LightGBM does."""
    powers = exp64(values - values.max(axis=1, keepdims=True))
    sums = np.zeros(len(powers))
    for column in powers.T:
        sums += column
    return np.asarray(powers / sums[:, np.newaxis])
