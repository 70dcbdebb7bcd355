"""Supported platforms and the wheel tags that fit each of them."""

from __future__ import annotations

from collections.abc import Iterator

from modelpack.errors import UsageError

MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
"""Platform as Docker names it -> processor in wheel tags."""

NEWEST_GLIBC = 28
"""The minor version of 2.28, which base images have since Debian 10."""

_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def wheel_platform_tags(machine: str) -> list[str]:
    """Return the platform tags of wheels for a processor, best first."""
    return [*_manylinux(machine), f"linux_{machine}"]


def _manylinux(machine: str) -> Iterator[str]:
    for glibc in range(NEWEST_GLIBC, 4, -1):
        yield f"manylinux_2_{glibc}_{machine}"
        if glibc in _LEGACY:
            yield f"{_LEGACY[glibc]}_{machine}"


PLATFORMS = {name: f"{machine}-manylinux_2_{NEWEST_GLIBC}" for name, machine in MACHINES.items()}
"""Platform as Docker names it -> as uv names it. Wheels for an older glibc fit, too."""


def require_platform(platform: str) -> None:
    """Raise UsageError unless the platform is supported."""
    if platform not in PLATFORMS:
        raise UsageError(
            f"The platform {platform[:40]!r} is not supported.",
            hint=f"Use {' or '.join(f'--platform {each}' for each in PLATFORMS)}.",
        )
