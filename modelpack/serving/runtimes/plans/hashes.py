"""MurmurHash3 of 32 bits, by which scikit-learn assigns tokens to columns.

See https://github.com/aappleby/smhasher, `MurmurHash3_x86_32`, which is in the public domain.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_FIRST, _SECOND = 0xCC9E2D51, 0x1B873593


def murmurhash3_32(key: bytes) -> int:
    """Return the hash of `key` with the seed 0, as a signed integer."""
    number = 0
    whole = len(key) & ~3
    for start in range(0, whole, 4):
        number ^= _mixed(int.from_bytes(key[start : start + 4], "little"))
        number = (_rotated(number, 13) * 5 + 0xE6546B64) & _MASK
    if len(key) > whole:
        number ^= _mixed(int.from_bytes(key[whole:], "little"))
    number ^= len(key)
    number = ((number ^ (number >> 16)) * 0x85EBCA6B) & _MASK
    number = ((number ^ (number >> 13)) * 0xC2B2AE35) & _MASK
    number ^= number >> 16
    return number - (1 << 32) if number >> 31 else number


def _mixed(block: int) -> int:
    return (_rotated((block * _FIRST) & _MASK, 15) * _SECOND) & _MASK


def _rotated(number: int, bits: int) -> int:
    return ((number << bits) | (number >> (32 - bits))) & _MASK
