"""The platforms in the names of wheels that fit an image, the most demanding first (PEP 600)."""

from __future__ import annotations

from collections.abc import Iterator

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
"""Docker's name of a platform -> that of its processor in the names of wheels."""

NEWEST_GLIBC = 28
"""Of 2.28: every base image since Debian 10 has it."""

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def fitting(machine: str) -> list[str]:
    return [*_manylinux(machine), f"linux_{machine}"]


def _manylinux(machine: str) -> Iterator[str]:
    for glibc in range(NEWEST_GLIBC, 4, -1):
        yield f"manylinux_2_{glibc}_{machine}"
        if glibc in _LEGACY:
            yield f"{_LEGACY[glibc]}_{machine}"
