"""The platforms that there are locks for."""

from __future__ import annotations

from ..errors import UsageError
from ..wheel_platforms import MACHINES, NEWEST_GLIBC

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
