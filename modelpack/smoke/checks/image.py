"""The image that was built follows every rule of `modelpack.hardening`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelpack.errors import ModelpackError
from modelpack.smoke.probe import CheckFailedError, Probe
from modelpack.types import Ruling

SHOWN = 12
"""Lines of what is wrong; `modelpack scan` tells all."""


def applies(probe: Probe) -> bool:
    return probe.scanned is not None


def check(probe: Probe) -> str:
    """The image that was built follows every rule of `modelpack.hardening`."""
    assert probe.scanned is not None  # noqa: S101 - see `applies`
    try:
        probe.rulings = probe.scanned()
    except ModelpackError as error:
        raise CheckFailedError(error.message) from error
    lines = list(told(probe.rulings))
    if lines:
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        raise CheckFailedError("\n".join([*lines[:SHOWN], *more]))
    return f"all {len(probe.rulings)} rules hold of its files, history and configuration"


def told(rulings: Sequence[Ruling]) -> Iterator[str]:
    """A line for each violation."""
    for ruling in rulings:
        sources = ", ".join(ruling.sources)
        for violation in ruling.violations:
            yield f"{ruling.rule} ({sources}): {violation.where} {violation.what}"
