"""Supported platforms and the wheel tags that fit each of them."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.errors import UsageError

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
"""Docker's name of a platform -> that of its processor in the names of wheels."""

NEWEST_GLIBC = 28
"""Of 2.28: every base image since Debian 10 has it."""

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def wheel_platform_tags(machine: str) -> list[str]:
    return [*_manylinux(machine), f"linux_{machine}"]


def _manylinux(machine: str) -> Iterator[str]:
    for glibc in range(NEWEST_GLIBC, 4, -1):
        yield f"manylinux_2_{glibc}_{machine}"
        if glibc in _LEGACY:
            yield f"{_LEGACY[glibc]}_{machine}"


PLATFORMS = {name: f"{machine}-manylinux_2_{NEWEST_GLIBC}" for name, machine in MACHINES.items()}
"""Docker's name of a platform -> uv's; wheels for an older glibc (manylinux1, 2014) fit as well."""


def require_platform(platform: str) -> None:
    """Raises:
    UsageError: there is no lock for it.
    """
    if platform not in PLATFORMS:
        raise UsageError(
            f"There is no lock for the platform {platform[:40]!r}.",
            hint=f"Choose one of {', '.join(PLATFORMS)} for --platform",
        )
